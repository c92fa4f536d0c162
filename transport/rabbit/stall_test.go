package rabbit

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// given is a confirm that came before that of something older.
type given struct{ atomic.Bool }

func (g *given) Acked() bool { return g.Load() }

// stage is a channel whose confirms the test gives, within a bubble.
type stage struct {
	settlement

	driver   *Driver
	session  *session
	sent     inFlight
	confirms chan amqp091.Confirmation
	tag      uint64
}

// onStage plays a lane's reader on a session with the first host of a URL, until the play ends.
func onStage(t *testing.T, url string, play func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := undialled(t, url)
		session := sessionWith(t, d.hosts.all[0])
		s := &stage{driver: d, session: session, confirms: make(chan amqp091.Confirmation, confirmQueue)}
		returns := make(chan amqp091.Return)
		var reader sync.WaitGroup
		reader.Go(func() { d.direct.readOutcomes(session, &s.sent, s.confirms, returns) })
		play(t, s)
		close(returns)
		close(s.confirms)
		reader.Wait()
	})
}

// write has a message to an exchange of that kind in flight.
func (s *stage) write(name, kind string, size int) *given {
	p := s.publication(name)
	p.exchange.kind = kind
	p.message.Body = make([]byte, size)
	g := &given{}
	s.sent.push(p, s.session.load.Add(p.size()))
	s.sent.taken(p, g)
	return g
}

// answer confirms or refuses the oldest.
func (s *stage) answer(ack bool) {
	s.tag++
	s.confirms <- amqp091.Confirmation{DeliveryTag: s.tag, Ack: ack}
	synctest.Wait()
}

// after lets time go by, and returns whether the session was given up by then.
func (s *stage) after(d time.Duration) bool {
	<-time.After(d)
	synctest.Wait()
	return s.session.cause() != transport.ErrClosed //nolint:errorlint // which it is while there is no cause
}

const (
	hostPair = "rabbit://a,b/"
	inTime   = stallBound + stallLook
)

func TestHostThatConfirmsNoRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  string
		play func(s *stage) bool // whether the host was given up
		want bool
	}{
		"a request waits": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			return s.after(inTime)
		}, true},
		"a request waits, with nothing amiss before": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			s.answer(true)
			if s.after(time.Hour) {
				return false
			}
			s.write("b", "topic", 100)
			return s.after(inTime)
		}, true},
		"a request waits, not for long": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			return s.after(stallBound - time.Millisecond)
		}, false},
		"a request waits, behind a reply": {hostPair, func(s *stage) bool {
			s.write("a", "", 100)
			s.write("b", "topic", 100)
			return s.after(inTime)
		}, true},
		"a request waits, and probes are confirmed": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			s.write("b", "", 100).Store(true)
			return s.after(inTime)
		}, true},
		"a request waits, and later ones are confirmed": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			for range 20 {
				s.write("b", "topic", 100).Store(true)
				if s.after(time.Second) {
					return true
				}
			}
			return false
		}, false},
		"a request waits, and earlier ones are refused": {hostPair, func(s *stage) bool {
			for range 3 {
				s.write("a", "topic", 100)
			}
			for range 2 {
				if s.after(stallBound - time.Millisecond) {
					return true
				}
				s.answer(false)
			}
			return s.after(stallBound - time.Millisecond)
		}, false},
		"a reply waits, and a request behind it is confirmed": {hostPair, func(s *stage) bool {
			s.write("a", "", 100)
			s.write("b", "topic", 100).Store(true)
			return s.after(time.Hour)
		}, false},
		"a reply and a fanout wait": {hostPair, func(s *stage) bool {
			s.write("a", "", 100)
			s.write("b", "fanout", 100)
			return s.after(time.Hour)
		}, false},
		"a request waits behind what has to go out first": {hostPair, func(s *stage) bool {
			s.write("a", "fanout", 10*stallRate)
			s.write("b", "topic", 100)
			return s.after(10*time.Second + stallBound - time.Millisecond)
		}, false},
		"a request waits behind what must have gone out": {hostPair, func(s *stage) bool {
			s.write("a", "fanout", 10*stallRate)
			s.write("b", "topic", 100)
			return s.after(10*time.Second + inTime)
		}, true},
		"a request waits while the broker takes no messages": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			s.session.barrier.set(true, "low on memory")
			if s.after(time.Hour) {
				return true
			}
			s.session.barrier.set(false, "")
			return s.after(stallBound - stallLook)
		}, false},
		"a request waits once the broker takes messages again": {hostPair, func(s *stage) bool {
			s.write("a", "topic", 100)
			s.session.barrier.set(true, "low on memory")
			if s.after(time.Hour) {
				return false
			}
			s.session.barrier.set(false, "")
			return s.after(inTime)
		}, true},
		"there is no other host": {"rabbit://a/", func(s *stage) bool {
			s.write("a", "topic", 100)
			return s.after(time.Hour)
		}, false},
		"another host was given up a moment ago": {hostPair, func(s *stage) bool {
			s.driver.stalls.begin(&session{})
			s.write("a", "topic", 100)
			return s.after(stallBound*3/2 - time.Millisecond)
		}, false},
		"another host was given up, and the request waits for longer": {hostPair, func(s *stage) bool {
			s.driver.stalls.begin(&session{})
			s.write("a", "topic", 100)
			return s.after(stallBound*3/2 + stallLook)
		}, true},
		"many hosts were given up": {hostPair, func(s *stage) bool {
			for range 100 {
				s.driver.stalls.begin(&session{})
			}
			s.write("a", "topic", 100)
			return s.after(distrustPause - time.Millisecond)
		}, false},
		"many hosts were given up, and the request waits for longer": {hostPair, func(s *stage) bool {
			for range 100 {
				s.driver.stalls.begin(&session{})
			}
			s.write("a", "topic", 100)
			return s.after(distrustPause + stallLook)
		}, true},
		"many hosts were given up, some time ago": {hostPair, func(s *stage) bool {
			for range 100 {
				s.driver.stalls.begin(&session{})
			}
			if s.after(stallMemory) {
				return false
			}
			s.write("a", "topic", 100)
			return s.after(inTime)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, c.url, func(t *testing.T, s *stage) {
				t.Helper()
				got := c.play(s)
				if got != c.want {
					t.Errorf("the host was given up: %t, want %t", got, c.want)
				}
				if got {
					wantError(t, "cause", s.session.cause(), errDistrusted)
					wantError(t, "cause", s.session.cause(), errStalled)
				}
			})
		})
	}
}

// TestSessionIsGivenUpOnce has several channels of a session say that its broker confirms nothing.
func TestSessionIsGivenUpOnce(t *testing.T) {
	t.Parallel()
	var given stalls
	if given.over() {
		t.Error("the first session begins in place of one that was given up")
	}
	s := &session{}
	if !given.begin(s) || given.begin(s) || given.begin(s) {
		t.Error("the session is given up several times, want once")
	}
	if got := given.bound(); got != stallBound*3/2 {
		t.Errorf("the bound is %s, want %s", got, stallBound*3/2)
	}
	if !given.over() || given.over() {
		t.Error("the session that follows is noticed never or twice, want once")
	}
}

// TestConfirmAheadOfAnOlderOneIsNotHeldBack has one message that waits for long, as for a queue without a leader.
func TestConfirmAheadOfAnOlderOneIsNotHeldBack(t *testing.T) {
	t.Parallel()
	onStage(t, "rabbit://a/", func(t *testing.T, s *stage) {
		t.Helper()
		s.write("stuck", "topic", 1)
		s.write("taken", "topic", 1).Store(true)
		s.write("waiting", "topic", 1)
		s.after(3 * stallLook)
		s.want(t, "taken", nil)
		for _, name := range []string{"stuck", "waiting"} {
			s.wantUnsettled(t, name)
		}
		s.answer(true)
		s.answer(true) // of what was settled
		s.answer(false)
		s.want(t, "stuck", nil)
		s.want(t, "taken", nil)
		s.want(t, "waiting", transport.ErrRejected)
		if load := s.session.load.Load(); load != 0 {
			t.Errorf("%d bytes are taken for unconfirmed, want none", load)
		}
	})
}
