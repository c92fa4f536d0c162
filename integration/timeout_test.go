//go:build integration

package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// wantTimeout checks that err is a timeout for that reason, and that it matches what is wanted.
func wantTimeout(t *testing.T, err error, reason error, want ...error) *messaging.TimeoutError {
	t.Helper()
	var timeout *messaging.TimeoutError
	if !errors.As(err, &timeout) {
		t.Fatalf("Call = %v, want a TimeoutError", err)
	}
	for _, sentinel := range []error{messaging.ErrUndeliverable, messaging.ErrUnconfirmed, messaging.ErrNotConnected} {
		if got := errors.Is(err, sentinel); got != errors.Is(reason, sentinel) {
			t.Errorf("Call = %v matches %q: %t", err, sentinel, got)
		}
	}
	for _, sentinel := range append(want, messaging.ErrTimeout) {
		if !errors.Is(err, sentinel) {
			t.Errorf("Call = %v, want an error that matches %q", err, sentinel)
		}
	}
	t.Logf("Call = %v", err)
	return timeout
}

// TestTimeoutTellsWhatTheBrokerDidWithTheCall lets calls end in each way that a working broker knows.
func TestTimeoutTellsWhatTheBrokerDidWithTheCall(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := join(t, b.url)
	p.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
	c := p.client(t, b, messaging.WithTimeout(3*time.Second))
	if err := c.Call(patient(t), "echo", nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Run("nobody ever listened", func(t *testing.T) {
		t.Parallel()
		err := c.Prepare(messaging.ToServer("nobody")).Call(t.Context(), "who", nil, nil)
		timeout := wantTimeout(t, err, messaging.ErrUndeliverable, context.DeadlineExceeded)
		if timeout.Reason != messaging.ReasonNoQueue || timeout.Returned == 0 || timeout.Ended < 2900*time.Millisecond {
			t.Errorf("%s, %+v, want it returned, and the whole time waited", timeout.Reason, timeout.Timeline)
		}
	})
	t.Run("the method runs too long", func(t *testing.T) {
		t.Parallel()
		err := c.Call(t.Context(), "sleep", args{"seconds": 4}, nil)
		timeout := wantTimeout(t, err, nil, context.DeadlineExceeded)
		if timeout.Reason != messaging.ReasonUnanswered || timeout.Confirmed == 0 || timeout.Heartbeats != 0 {
			t.Errorf("%s, %+v, want it taken and not answered", timeout.Reason, timeout.Timeline)
		}
	})
	t.Run("the method runs too long, and gives signs of life", func(t *testing.T) {
		t.Parallel()
		err := c.Prepare(messaging.WithCallMonitor(2*time.Second), messaging.WithTimeout(5*time.Second)).Call(t.Context(), "sleep", args{"seconds": 7}, nil)
		timeout := wantTimeout(t, err, nil, context.DeadlineExceeded)
		if timeout.Reason != messaging.ReasonUnanswered || timeout.Heartbeats < 1 || timeout.LastHeartbeat == 0 {
			t.Errorf("%s, %+v, want heartbeats", timeout.Reason, timeout.Timeline)
		}
	})
}

// TestTimeoutTellsThatTheBrokerDidNotConfirm freezes a broker of its own under a client that is connected.
func TestTimeoutTellsThatTheBrokerDidNotConfirm(t *testing.T) {
	t.Parallel()
	own := broker.ForTest(t, broker.WithControl())
	b := busOf(t, own)
	p := join(t, b.url)
	p.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
	c := p.client(t, b)
	if err := c.Call(patient(t), "echo", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := own.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := own.Resume(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("resume the broker: %v", err)
		}
	}()
	c = c.Prepare(messaging.WithTimeout(2 * time.Second))
	timeout := wantTimeout(t, c.Call(t.Context(), "echo", nil, nil), messaging.ErrUnconfirmed, context.DeadlineExceeded)
	if timeout.Reason != messaging.ReasonUnconfirmed || timeout.Sent == 0 || timeout.Confirmed != 0 || timeout.Returned != 0 {
		t.Errorf("%s, %+v, want it sent and not confirmed", timeout.Reason, timeout.Timeline)
	}
	err := c.Cast(t.Context(), "echo", nil)
	for _, want := range []error{messaging.ErrUnconfirmed, context.DeadlineExceeded} {
		if !errors.Is(err, want) {
			t.Errorf("Cast = %v, want an error that matches %q", err, want)
		}
	}
	if errors.Is(err, messaging.ErrConnectionLost) {
		t.Errorf("Cast = %v, though no connection was lost", err)
	}
	t.Logf("Cast: %v", err)
}
