package memory_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

func TestFullQueueRefusesMessages(t *testing.T) {
	t.Parallel()
	blob := transport.Value(`{"blob": "` + strings.Repeat("x", 400) + `"}`)
	for name, c := range map[string]struct {
		config memory.Config
		fits   int
	}{
		"by their number":                {memory.Config{MaxQueueLength: 3}, 3},
		"by their length":                {memory.Config{MaxQueueBytes: 1200}, 2},
		"by their number, whatever long": {memory.Config{MaxQueueLength: 3, MaxQueueBytes: -1}, 3},
		"by their length, however many":  {memory.Config{MaxQueueLength: -1, MaxQueueBytes: 1200}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := memory.NewBroker(c.config)
			d := newDriver(t, b)
			declareQueue(t, d)
			send := func() error {
				req := &transport.Request{Method: "fill", Args: blob}
				return d.Cast(t.Context(), topic, req, transport.SendOptions{})
			}
			for i := range c.fits {
				if err := send(); err != nil {
					t.Fatalf("cast %d of %d that fit: %v", i+1, c.fits, err)
				}
			}
			mustMatch(t, "cast", send(), transport.ErrRejected)
			_, err := d.Call(t.Context(), topic, &transport.Request{Method: "call", Args: blob}, transport.SendOptions{})
			mustMatch(t, "call", err, transport.ErrRejected)
			if s := b.Stats(); s.Rejected != 2 || s.Published != int64(c.fits) || s.Queues["topic"].Waiting != c.fits {
				t.Errorf("stats %+v, want 2 rejected, %d published and waiting", s, c.fits)
			}
			l := listen(t, d, onServer, 1) // what it holds does not count any more
			if err := send(); err != nil {
				t.Errorf("cast to a queue with room again: %v", err)
			}
			for range c.fits + 1 {
				take(t, l, "fill")
			}
		})
	}
}

func TestDefaultLimitsHoldOnEachQueue(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	declareQueue(t, newDriver(t, b))
	p := raw("fill")
	for range memory.DefaultMaxQueueLength {
		if err := b.Publish("openstack", "topic", p); err != nil {
			t.Fatal(err)
		}
	}
	mustMatch(t, "publish", b.Publish("openstack", "topic", p), transport.ErrRejected)
	if err := b.Publish("", "topic.host", p); err != nil {
		t.Errorf("publish to another queue: %v", err)
	}
}

func TestExpiredMessagesMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{MaxQueueLength: 2})
		d := newDriver(t, b)
		declareQueue(t, d)
		cast(t, d, "expires", transport.SendOptions{Expiration: time.Second})
		cast(t, d, "stays", transport.SendOptions{})
		<-time.After(2 * time.Second)
		cast(t, d, "last", transport.SendOptions{})
		if s := b.Stats(); s.Expired != 1 || s.Queues["topic"].Waiting != 2 {
			t.Errorf("stats %+v, want 1 expired and 2 waiting", s)
		}
		l := listen(t, d, onServer, 1)
		take(t, l, "stays")
		take(t, l, "last")
	})
}

// TestMessagesExpireAtTheHead shows RabbitMQ's rule: behind one that stays, others stay as well, though nobody
// gets them.
func TestMessagesExpireAtTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{})
		d := newDriver(t, b)
		declareQueue(t, d)
		cast(t, d, "stays", transport.SendOptions{})
		cast(t, d, "expires", transport.SendOptions{Expiration: time.Hour})
		cast(t, d, "is over", transport.SendOptions{Expiration: -1})
		<-time.After(time.Hour)
		if s := b.Stats(); s.Expired != 0 || s.Queues["topic"].Waiting != 3 {
			t.Errorf("stats %+v, want none expired and 3 waiting", s)
		}
		take(t, listen(t, d, onServer, 1), "stays")
		if s := b.Stats(); s.Expired != 2 || s.Queues["topic"].Waiting != 0 {
			t.Errorf("stats %+v, want 2 expired and none waiting", s)
		}
	})
}

func TestPrefetchedRequestExpiresToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{})
		d := newDriver(t, b)
		l := listen(t, d, onServer, 2)
		cast(t, d, "expires", transport.SendOptions{Expiration: time.Second})
		cast(t, d, "stays", transport.SendOptions{})
		<-time.After(time.Second)
		take(t, l, "stays")
		if s := b.Stats(); s.Expired != 1 || s.Queues["topic"].Unacknowledged != 0 {
			t.Errorf("stats %+v, want 1 expired and nothing held", s)
		}
	})
}

func TestConsumersGetMessagesInTurn(t *testing.T) {
	t.Parallel()
	const listeners, casts = 3, 30
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	var all []transport.Listener
	for i := range listeners {
		on := onServer
		on.Server = fmt.Sprint("host", i)
		all = append(all, listen(t, d, on, casts))
	}
	for i := range casts {
		cast(t, d, fmt.Sprint("method_", i), transport.SendOptions{})
	}
	for i := range casts {
		take(t, all[i%listeners], fmt.Sprint("method_", i))
	}
}

// TestConsumersWithoutRoomArePassedOver gives one of two consumers room for one message only.
func TestConsumersWithoutRoomArePassedOver(t *testing.T) {
	t.Parallel()
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	narrow, wide := listen(t, d, onServer, 1), listen(t, d, onServer, 10)
	for i := range 5 {
		cast(t, d, fmt.Sprint("method_", i), transport.SendOptions{})
	}
	for _, i := range []int{1, 2, 3, 4} {
		take(t, wide, fmt.Sprint("method_", i))
	}
	take(t, narrow, "method_0")
}

func TestReturnedMessagesKeepTheirPlace(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	d := newDriver(t, b)
	l := listen(t, d, onServer, 5)
	for i := range 8 {
		cast(t, d, fmt.Sprint("method_", i), transport.SendOptions{})
	}
	poll(t, l, "method_0")
	poll(t, l, "method_1")
	take(t, l, "method_2") // method_5 takes its room
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.Stats().Returned; got != 5 {
		t.Errorf("%d messages returned, want 5", got)
	}
	l = listen(t, d, onServer, 1)
	for _, i := range []int{0, 1, 3, 4, 5, 6, 7} {
		in := take(t, l, fmt.Sprint("method_", i))
		if got := in.(transport.Redelivery).Redelivered(); got != (i < 6) {
			t.Errorf("method_%d redelivered: %t", i, got)
		}
	}
	if got := b.Stats().Queues["topic"]; got != (memory.QueueStats{Listeners: 1}) {
		t.Errorf("the queue holds %+v, want nothing", got)
	}
}

func TestReceiptsTellWhatBecameOfTheRequest(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	over, cancel := context.WithCancelCause(ctx)
	cancel(fmt.Errorf("the server is stopping: %w", transport.ErrClosed))
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	l := listen(t, d, onServer, 1)
	cast(t, d, "method", transport.SendOptions{})
	in := poll(t, l, "method")
	for what, err := range map[string]error{
		"acknowledge with a context that has ended": in.Ack(over),
		"requeue with a context that has ended":     in.Requeue(over),
	} {
		mustMatch(t, what, err, context.Canceled)
		mustMatch(t, what, err, transport.ErrClosed) // the cause
	}
	for range 2 {
		if err := in.Requeue(ctx); err != nil {
			t.Errorf("requeue: %v", err)
		}
		mustMatch(t, "acknowledge after requeue", in.Ack(ctx), transport.ErrStale)
	}
	in = take(t, l, "method")
	if err := in.Ack(ctx); err != nil {
		t.Errorf("acknowledge again: %v", err)
	}
	if err := in.Requeue(ctx); err == nil {
		t.Error("requeue after acknowledge succeeds, want an error")
	}
}

func TestListenersShareAQueueAcrossExchanges(t *testing.T) {
	t.Parallel()
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	elsewhere := onServer
	elsewhere.Exchange = "other"
	first, second := listen(t, d, onServer, 10), listen(t, d, elsewhere, 10)
	for _, method := range []string{"one", "two"} {
		cast(t, d, method, transport.SendOptions{})
	}
	take(t, first, "one")
	take(t, second, "two") // though it came by the exchange that only the first one named
}

func TestTargetWithoutExchangeUsesTheDefaultOne(t *testing.T) {
	t.Parallel()
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	l := listen(t, d, target.Target{Topic: "topic", Server: "host"}, 1)
	cast(t, d, "named", transport.SendOptions{Mandatory: true})
	take(t, l, "named")
	req := &transport.Request{Method: "unnamed"}
	if err := d.Cast(t.Context(), target.Target{Topic: "topic"}, req, transport.SendOptions{Mandatory: true}); err != nil {
		t.Fatal(err)
	}
	take(t, l, "unnamed")
}

func TestStatsCountEverything(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	d := newDriver(t, b)
	l := listen(t, d, onServer, 2)
	for _, method := range []string{"held", "requeued", "waiting", "waiting too"} {
		cast(t, d, method, transport.SendOptions{})
	}
	poll(t, l, "held")
	if err := poll(t, l, "requeued").Requeue(t.Context()); err != nil {
		t.Fatal(err)
	}
	toAll := topic
	toAll.Fanout = true
	if err := d.Cast(t.Context(), toAll, &transport.Request{Method: "fanout"}, transport.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	take(t, l, "requeued")
	take(t, l, "fanout")
	if err := d.Cast(t.Context(), target.Target{Topic: "nowhere"}, &transport.Request{}, transport.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	got := b.Stats()
	for name, queue := range got.Queues {
		if strings.HasPrefix(name, "topic_fanout_") {
			delete(got.Queues, name)
			got.Queues["private"] = queue
		}
	}
	if got.Queues["topic"].Bytes == 0 {
		t.Error("the queue holds no bytes")
	}
	want := memory.Stats{
		Published: 5, Delivered: 5, Acknowledged: 2, Returned: 1, Unroutable: 1,
		Queues: map[string]memory.QueueStats{
			"topic":      {Waiting: 1, Bytes: got.Queues["topic"].Bytes, Unacknowledged: 2, Listeners: 1},
			"topic.host": {Listeners: 1},
			"private":    {Listeners: 1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counted otherwise (-want +got):\n%s", diff)
	}
}
