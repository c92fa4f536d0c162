package rabbit

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// settlement notes how publications end.
type settlement struct {
	mu   sync.Mutex
	ends map[string][]error // by name
}

func (s *settlement) publication(name string) *publication {
	return &publication{uniqueID: name, settle: func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ends == nil {
			s.ends = map[string][]error{}
		}
		s.ends[name] = append(s.ends[name], err)
	}}
}

// want checks that a publication was settled once, with an error that matches (nil for none).
func (s *settlement) want(tb testing.TB, name string, want error) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ends := s.ends[name]; len(ends) != 1 || !errors.Is(ends[0], want) {
		tb.Errorf("publication %s was settled with %v, want once with %v", name, ends, want)
	}
}

func (s *settlement) wantUnsettled(tb testing.TB, name string) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ends := s.ends[name]; len(ends) != 0 {
		tb.Errorf("publication %s was settled with %v, want it to wait", name, ends)
	}
}

// body is a message with that unique id, as it comes back when it is returned.
func body(id string) []byte {
	return wire.AppendRequest(nil, &transport.Request{Method: "m", UniqueID: id})
}

// outcomes runs readOutcomes on a channel of the library as the test plays it, and returns when it has ended.
func outcomes(sent *inFlight, play func(confirms chan<- amqp091.Confirmation, returns chan<- amqp091.Return)) {
	confirms, returns := make(chan amqp091.Confirmation, confirmQueue), make(chan amqp091.Return)
	var reader sync.WaitGroup
	l := newLane(&Driver{hosts: &hosts{}}, false)
	reader.Go(func() { l.readOutcomes(&session{}, sent, confirms, returns) })
	play(confirms, returns)
	close(returns) // as the library does when the channel ends
	close(confirms)
	reader.Wait()
}

func TestConfirmsSettleInTheOrderOfWriting(t *testing.T) {
	t.Parallel()
	var s settlement
	var sent inFlight
	for _, name := range []string{"confirmed", "refused", "confirmed too", "in flight"} {
		sent.push(s.publication(name), 0)
	}
	outcomes(&sent, func(confirms chan<- amqp091.Confirmation, _ chan<- amqp091.Return) {
		confirms <- amqp091.Confirmation{DeliveryTag: 1, Ack: true}
		confirms <- amqp091.Confirmation{DeliveryTag: 2, Ack: false}
		confirms <- amqp091.Confirmation{DeliveryTag: 3, Ack: true}
	})
	s.want(t, "confirmed", nil)
	s.want(t, "refused", transport.ErrRejected)
	s.want(t, "confirmed too", nil)
	s.wantUnsettled(t, "in flight")
	if p := sent.pop(); p == nil || p.uniqueID != "in flight" {
		t.Errorf("left in flight: %v, want what was not confirmed", p)
	}
}

func TestReturnComesBeforeItsConfirmAndIsFoundByItsID(t *testing.T) {
	t.Parallel()
	var s settlement
	var sent inFlight
	for _, name := range []string{"a", "b", "c", "d"} {
		sent.push(s.publication(name), 0)
	}
	outcomes(&sent, func(confirms chan<- amqp091.Confirmation, returns chan<- amqp091.Return) {
		returns <- amqp091.Return{Body: body("c")} // out of order, and before any confirm
		confirms <- amqp091.Confirmation{DeliveryTag: 1, Ack: true}
		returns <- amqp091.Return{Body: body("b")}
		returns <- amqp091.Return{Body: body("unknown")}
		returns <- amqp091.Return{Body: []byte("no message")}
		for tag := uint64(2); tag <= 4; tag++ {
			confirms <- amqp091.Confirmation{DeliveryTag: tag, Ack: true}
		}
	})
	s.want(t, "a", nil)
	s.want(t, "b", transport.ErrUndeliverable)
	s.want(t, "c", transport.ErrUndeliverable)
	s.want(t, "d", nil)
}

func TestRefusedMessageIsRejectedEvenIfItCameBack(t *testing.T) {
	t.Parallel()
	var s settlement
	var sent inFlight
	sent.push(s.publication("a"), 0)
	outcomes(&sent, func(confirms chan<- amqp091.Confirmation, returns chan<- amqp091.Return) {
		returns <- amqp091.Return{Body: body("a")}
		confirms <- amqp091.Confirmation{DeliveryTag: 1, Ack: false}
	})
	s.want(t, "a", transport.ErrRejected)
}

func TestConfirmsThatNobodyWaitsForAreIgnored(t *testing.T) {
	t.Parallel()
	var s settlement
	var sent inFlight
	sent.push(s.publication("a"), 0)
	outcomes(&sent, func(confirms chan<- amqp091.Confirmation, _ chan<- amqp091.Return) {
		for tag := range uint64(3) {
			confirms <- amqp091.Confirmation{DeliveryTag: tag + 1, Ack: true}
		}
	})
	s.want(t, "a", nil)
}

func TestReturnIsFoundByItsIDInACompressedBody(t *testing.T) {
	t.Parallel()
	for value, name := range compressions {
		var s settlement
		var sent inFlight
		sent.push(s.publication("a"), 0)
		sent.push(s.publication("b"), 0)
		message, err := newMessage("", name, body("b"))
		if err != nil {
			t.Fatal(err)
		}
		if message.Headers["compression"] != name || string(message.Body) == string(body("b")) {
			t.Errorf("%s: the message is not compressed, headers %v", value, message.Headers)
		}
		outcomes(&sent, func(confirms chan<- amqp091.Confirmation, returns chan<- amqp091.Return) {
			returns <- amqp091.Return{Headers: amqp091.Table{"compression": name}, Body: []byte("broken")}
			returns <- amqp091.Return{Headers: message.Headers, ContentType: message.ContentType, Body: message.Body}
			confirms <- amqp091.Confirmation{DeliveryTag: 1, Ack: true}
			confirms <- amqp091.Confirmation{DeliveryTag: 2, Ack: true}
		})
		s.want(t, "a", nil)
		s.want(t, "b", transport.ErrUndeliverable)
	}
}

func TestMessagesWithoutIDAreNeverTakenForReturned(t *testing.T) {
	t.Parallel()
	var s settlement
	var sent inFlight
	sent.push(s.publication(""), 0)
	outcomes(&sent, func(confirms chan<- amqp091.Confirmation, returns chan<- amqp091.Return) {
		returns <- amqp091.Return{Body: []byte("{}")}
		confirms <- amqp091.Confirmation{DeliveryTag: 1, Ack: true}
	})
	s.want(t, "", nil)
}

func TestWhatWasNotWrittenIsTakenBack(t *testing.T) {
	t.Parallel()
	var s settlement
	var sent inFlight
	sent.unpush() // there is nothing
	sent.push(s.publication("a"), 0)
	sent.push(s.publication("b"), 0)
	sent.unpush()
	if p := sent.pop(); p == nil || p.uniqueID != "a" {
		t.Errorf("the oldest is %v, want a", p)
	}
	sent.unpush()
	sent.push(s.publication("c"), 0)
	if p := sent.pop(); p == nil || p.uniqueID != "c" {
		t.Errorf("the oldest is %v, want c", p)
	}
	if p := sent.pop(); p != nil {
		t.Errorf("one more is in flight: %v", p)
	}
}

// TestInFlightKeepsOrderAndGivesUpSpace runs a long time with few in flight.
func TestInFlightKeepsOrderAndGivesUpSpace(t *testing.T) {
	t.Parallel()
	var sent inFlight
	next := 0
	for i := range 10000 {
		sent.push(&publication{uniqueID: strconv.Itoa(i)}, 0)
		if i%100 < 50 { // up to 50 pile up
			continue
		}
		for range 2 {
			if p := sent.pop(); p != nil {
				if p.uniqueID != strconv.Itoa(next) {
					t.Fatalf("popped %s, want %d", p.uniqueID, next)
				}
				next++
			}
		}
	}
	for p := sent.pop(); p != nil; p = sent.pop() {
		next++
	}
	if next != 10000 {
		t.Errorf("%d came out, want 10000", next)
	}
	if size := cap(sent.queue); size > 1024 {
		t.Errorf("the queue has room for %d, want about what was in flight at once", size)
	}
}

// TestPublicationIsEitherWithdrawnOrWritten lets its sender and the publisher race for it.
func TestPublicationIsEitherWithdrawnOrWritten(t *testing.T) {
	t.Parallel()
	for range 500 {
		var p publication
		var winners atomic.Int32
		var race sync.WaitGroup
		race.Go(func() {
			if p.withdraw() {
				winners.Add(1)
			}
		})
		race.Go(func() {
			if p.state.CompareAndSwap(queued, written) {
				winners.Add(1)
			}
		})
		race.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d won, want one of the two", winners.Load())
		}
		if p.withdraw() {
			t.Fatal("withdrawn after the race")
		}
	}
}

func TestMessagesHaveThePropertiesOfOslo(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	req := func() *transport.Request { return &transport.Request{Method: "m"} }
	topic := target.Target{Exchange: "x", Topic: "t"}
	all := target.Target{Exchange: "x", Topic: "t", Fanout: true}
	for name, c := range map[string]struct {
		to         target.Target
		opts       transport.SendOptions
		expiration string
		mandatory  bool
	}{
		"a cast":                            {topic, transport.SendOptions{}, "", false},
		"a call of a minute":                {topic, transport.SendOptions{Expiration: time.Minute}, "60000", false},
		"a call of 2.5 s":                   {topic, transport.SendOptions{Expiration: 2500 * time.Millisecond}, "2500", false},
		"less than a millisecond, not none": {topic, transport.SendOptions{Expiration: time.Microsecond}, "1", false},
		"a call of a year":                  {topic, transport.SendOptions{Expiration: 365 * 24 * time.Hour}, "4294967295", false},
		"a mandatory cast":                  {topic, transport.SendOptions{Mandatory: true}, "", true},
		"a fanout, which never is":          {all, transport.SendOptions{Mandatory: true}, "", false},
	} {
		p, err := d.publication(c.to, req(), c.opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := p.message
		if m.ContentType != "application/json" || m.ContentEncoding != "utf-8" || m.DeliveryMode != 2 || m.Priority != 0 ||
			m.Expiration != c.expiration || p.mandatory != c.mandatory {
			t.Errorf("%s: message %+v, mandatory %v; want expiration %q, mandatory %v", name, m, p.mandatory, c.expiration, c.mandatory)
		}
		if m.ReplyTo+m.CorrelationId+m.MessageId+m.Type+m.UserId+m.AppId != "" || !m.Timestamp.IsZero() || len(m.Headers) != 0 {
			t.Errorf("%s: message %+v has properties that oslo.messaging never sets", name, m)
		}
	}
}

func TestMessageThatIsTooLongIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	long := []byte(`{"a": "` + strings.Repeat("x", wire.MaxSize) + `"}`)
	err := d.Cast(t.Context(), target.Target{Topic: "t"}, &transport.Request{Method: "m", Args: long}, transport.SendOptions{})
	wantError(t, "Cast", err, transport.ErrTooLarge)
	var count outstanding
	err = d.replier.send(t.Context(), "reply_q", &transport.Reply{Result: long}, &count, func(error) {})
	wantError(t, "send", err, transport.ErrTooLarge)
	if count.n != 0 {
		t.Errorf("%d replies are outstanding, want none", count.n)
	}
}
