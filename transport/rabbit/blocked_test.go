package rabbit

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

func TestBarrierIsShutFromBlockedToUnblocked(t *testing.T) {
	t.Parallel()
	var g barrier
	if g.shut() != nil || g.obstacle() != nil {
		t.Error("a new barrier is shut")
	}
	said := make(chan amqp091.Blocking)
	var watching sync.WaitGroup
	watching.Go(func() { g.watch(said) })
	for _, reason := range []string{"low on memory", "low on memory & disk"} { // the broker repeats itself
		said <- amqp091.Blocking{Active: true, Reason: reason}
	}
	said <- amqp091.Blocking{Active: true, Reason: strings.Repeat("x", 10_000)} // that before is dealt with
	opened := g.shut()
	if opened == nil {
		t.Fatal("the barrier is open")
	}
	err := g.obstacle()
	wantError(t, "obstacle", err, transport.ErrBlocked)
	if len(err.Error()) > 400 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	said <- amqp091.Blocking{Active: true, Reason: "low on\nmemory"}
	said <- amqp091.Blocking{Active: true, Reason: "low on\nmemory"} // that before is dealt with
	if err := g.obstacle(); !strings.HasSuffix(err.Error(), `("low on\nmemory")`) {
		t.Errorf("obstacle = %q, want the reason in one line", err)
	}
	said <- amqp091.Blocking{}
	<-opened
	if g.shut() != nil || g.obstacle() != nil {
		t.Error("the barrier stays shut")
	}
	said <- amqp091.Blocking{Active: true}
	close(said) // with the connection
	watching.Wait()
	if g.shut() != nil {
		t.Error("the barrier of a connection that has ended is shut")
	}
}

// blockedDriver is a driver with a lane that stands at the barrier of a session.
func blockedDriver(t *testing.T, d *Driver) *session {
	t.Helper()
	connected(t, d)
	s := &session{ended: make(chan struct{})}
	s.barrier.set(true, "low on memory")
	d.barrier.Store(&s.barrier)
	ctx, cancel := context.WithCancel(t.Context())
	var lane sync.WaitGroup
	lane.Go(func() {
		for d.direct.take(ctx, s, nil) == nil {
			p := d.direct.carried
			d.direct.carried = nil
			if p.state.CompareAndSwap(queued, written) {
				p.writing()
			}
		}
	})
	t.Cleanup(func() { cancel(); lane.Wait() })
	return s
}

// TestBlockedCallEndsByItsDeadlineAndIsNotSent has calls and casts wait at the barrier.
func TestBlockedCallEndsByItsDeadlineAndIsNotSent(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		s := blockedDriver(t, d)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		done := call(ctx, d, transport.SendOptions{})
		err := d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{})
		for what, err := range map[string]error{"Cast": err, "Call": (<-done).err} {
			wantError(t, what, err, transport.ErrBlocked)
			wantError(t, what, err, context.DeadlineExceeded)
			if !strings.Contains(err.Error(), "low on memory") {
				t.Errorf("%s = %v, want the broker's reason", what, err)
			}
		}
		if waited := time.Since(begun); waited != 3*time.Second {
			t.Errorf("they waited for %s, want until the deadline", waited)
		}
		monitored := <-call(t.Context(), d, transport.SendOptions{Monitor: 2 * time.Second})
		wantError(t, "monitored Call", monitored.err, transport.ErrBlocked)

		late := call(t.Context(), d, transport.SendOptions{})
		synctest.Wait()
		s.barrier.set(false, "")
		synctest.Wait()
		if n := len(d.direct.jobs); n != 0 {
			t.Errorf("%d publications wait at an open gate", n)
		}
		d.replies.calls.Fail(transport.ErrConnectionLost)
		wantError(t, "Call", (<-late).err, transport.ErrConnectionLost)
	})
}

// TestBlockedAfterItWasWrittenIsUnconfirmedAndBlocked: what is in the socket when the broker stops to read may run.
func TestBlockedAfterItWasWrittenIsUnconfirmedAndBlocked(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		connected(t, d)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		done := call(ctx, d, transport.SendOptions{})
		p, _ := sent(t, d.direct)
		p.writing()
		var g barrier
		g.set(true, "low on disk")
		d.barrier.Store(&g)
		err := (<-done).err
		for _, want := range []error{transport.ErrUnconfirmed, transport.ErrBlocked, transport.ErrTimeout, context.DeadlineExceeded} {
			wantError(t, "Call", err, want)
		}
	})
}
