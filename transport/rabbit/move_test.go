package rabbit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// TestMovedMessageIsWhatItWasButForWhatWouldHarm moves a message that has all that AMQP knows.
func TestMovedMessageIsWhatItWasButForWhatWouldHarm(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	in := &incoming{asSent: []byte("body"), delivery: &delivery{queue: "q", Delivery: amqp091.Delivery{
		Headers: amqp091.Table{
			"x-mine": "kept", "CC": []any{"elsewhere"}, "x-delivery-count": int64(2), "goslo.attempt": int64(3), "goslo.deadline": int64(9),
		},
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp091.Transient, Priority: 4,
		CorrelationId: "c", ReplyTo: "r", Expiration: "500", MessageId: "m", Timestamp: at, Type: "t", UserId: "nova", AppId: "a",
		Body: []byte("torn"),
	}}}
	want := amqp091.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp091.Persistent, Priority: 4,
		CorrelationId: "c", ReplyTo: "r", MessageId: "m", Timestamp: at, Type: "t", AppId: "a", Body: []byte("body"),
	}
	for name, c := range map[string]struct {
		to         transport.Destination
		headers    amqp091.Table
		expiration string
	}{
		"its own queue": {
			transport.Destination{Deliveries: 6},
			amqp091.Table{"x-mine": "kept", "goslo.deadline": int64(9), "goslo.cc": []any{"elsewhere"}, "goslo.attempt": int64(6)},
			"500",
		},
		"another queue": {
			transport.Destination{Queue: "p", Headers: map[string]any{"goslo.reason": "why"}},
			amqp091.Table{
				"x-mine": "kept", "goslo.deadline": int64(9), "goslo.cc": []any{"elsewhere"}, "goslo.reason": "why", "goslo.queue": "q",
				"goslo.expiration": "500", "goslo.user_id": "nova",
			},
			"",
		},
	} {
		want.Headers, want.Expiration = c.headers, c.expiration
		got := in.copy(c.to)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if err := got.Headers.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(in.delivery.Headers) != 5 {
		t.Errorf("the message itself has changed: %v", in.delivery.Headers)
	}
}

func TestDeliveriesAreCountedAsFarAsTheBrokerTells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers     amqp091.Table
		redelivered bool
		n           int
		counted     bool
	}{
		"the first":                      {nil, false, 1, true},
		"again, on a classic queue":      {nil, true, 2, false},
		"again, on a quorum queue":       {amqp091.Table{"x-delivery-count": int64(4)}, true, 5, true},
		"put back":                       {amqp091.Table{"goslo.attempt": int64(3)}, false, 3, true},
		"put back, and again":            {amqp091.Table{"goslo.attempt": int64(3)}, true, 4, false},
		"put back, and again on quorum":  {amqp091.Table{"goslo.attempt": int64(3), "x-delivery-count": int64(2)}, true, 5, true},
		"a count that is none":           {amqp091.Table{"x-delivery-count": "many"}, true, 2, false},
		"a count below zero":             {amqp091.Table{"x-delivery-count": int64(-7)}, false, 1, true},
		"a number that is none":          {amqp091.Table{"goslo.attempt": "3"}, false, 1, true},
		"a number that is out of bounds": {amqp091.Table{"goslo.attempt": int64(1) << 40}, false, 1, true},
	} {
		in := &incoming{delivery: &delivery{Delivery: amqp091.Delivery{Headers: c.headers, Redelivered: c.redelivered}}}
		if n, counted := in.Deliveries(); n != c.n || counted != c.counted || in.Redelivered() != (n > 1) {
			t.Errorf("%s: delivery %d, counted: %t, redelivered: %t; want %d, %t", name, n, counted, in.Redelivered(), c.n, c.counted)
		}
	}
}

func TestParkingQueueOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	if got := (&Options{AutoDelete: true, TransientQueuesTTL: time.Minute}).parkingQueue("p"); !got.durable || got.autoDelete || len(got.arguments) != 0 {
		t.Errorf("parking queue %+v, want a durable one", got)
	}
	if got := (&Options{QuorumQueue: true}).parkingQueue("p"); !got.durable || got.arguments["x-queue-type"] != "quorum" {
		t.Errorf("parking queue %+v, want a quorum queue", got)
	}
}

// TestRequestsThatCannotGoBackAreNotMoved looks at what is refused before anything is sent.
func TestRequestsThatCannotGoBackAreNotMoved(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	close(ended)
	for name, c := range map[string]struct {
		in   *incoming
		want error
	}{
		"lost":              {&incoming{delivery: &delivery{attachment: &attachment{ended: ended}}, asSent: []byte("x")}, transport.ErrStale},
		"not kept":          {&incoming{delivery: &delivery{attachment: &attachment{ended: make(chan struct{})}}}, errNotKept},
		"another's user-id": {&incoming{delivery: &delivery{attachment: &attachment{ended: make(chan struct{})}, Delivery: amqp091.Delivery{UserId: "nova"}}, asSent: []byte("x")}, errForeignUser},
	} {
		c.in.listener = &listener{driver: &Driver{}}
		wantError(t, name, c.in.Move(t.Context(), transport.Destination{Deliveries: 2}), c.want)
	}
}
