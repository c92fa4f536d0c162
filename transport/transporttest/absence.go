package transporttest

import (
	"context"
	"testing"

	"github.com/goslo/goslo/transport"
)

var absenceTests = []test{
	{"a cast without retries fails at once", castWithoutRetries},
	{"a call waits for its broker as long as its context lasts", callWaitsForBroker},
	{"a closed driver ends a cast that waits for its broker", closeEndsWaitingCast},
}

// unreachable returns a driver without a broker.
func (b *bus) unreachable(t *testing.T) transport.Driver {
	t.Helper()
	return closed(t, b.features.Unreachable(t))
}

// closed sees to it that a driver is closed when the test ends.
func closed(t *testing.T, d transport.Driver) transport.Driver {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		report(t, "close driver", d.Close(ctx))
	})
	return d
}

func castWithoutRetries(t *testing.T, b *bus) {
	d := b.unreachable(t)
	err := d.Cast(patient(t), b.topic, request("cast"), transport.SendOptions{Retry: 0})
	mustMatch(t, "cast", err, transport.ErrNotConnected)
}

func callWaitsForBroker(t *testing.T, b *bus) {
	d := b.unreachable(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*moment)
	defer cancel()
	_, err := d.Call(ctx, b.topic, request("call"), transport.SendOptions{Retry: transport.RetryForever})
	mustMatch(t, "call", err, context.DeadlineExceeded, transport.ErrNotConnected)
	if timeout := timedOut(t, err, transport.ReasonNotSent); timeout.Sent != 0 {
		t.Errorf("time line %+v, want nothing sent", timeout.Timeline)
	}
	if ctx.Err() == nil {
		t.Errorf("call: error %v before its deadline", err)
	}
}

func closeEndsWaitingCast(t *testing.T, b *bus) {
	d := b.unreachable(t)
	ctx := patient(t)
	ended := make(chan error, 1)
	go func() { // ends with ctx
		ended <- d.Cast(ctx, b.topic, request("cast"), transport.SendOptions{Retry: transport.RetryForever})
	}()
	pass(t, moment) // so that it most probably waits
	closeDriver(t, d)
	mustMatch(t, "cast", receive(t, ended), transport.ErrClosed)
}
