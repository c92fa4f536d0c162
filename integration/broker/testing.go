package broker

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
)

// ForTest starts a broker for one test, which may stop and kill it, and closes it when the test ends. Starting
// one takes 10 s or more: prefer [Shared] where the test only talks to it.
//
// Without a broker the test is skipped, or fails when GOSLO_REQUIRE_BROKER is 1. A test whose options need a
// broker of its own is skipped when RABBITMQ_URL names one.
func ForTest(tb testing.TB, opts ...Option) *Broker {
	tb.Helper()
	b, err := Start(tb.Context(), opts...)
	if err != nil {
		refuse(tb, err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Errorf("close broker: %v", err)
		}
	})
	return b
}

var startShared = sync.OnceValues(func() (*Broker, error) { return Start(context.Background()) })

// Shared returns the one broker that all tests of this binary use, starting it on the first call. Tests must
// not stop it, and keep apart by [Broker.VHost] or by names of their own. It is removed when the test binary
// ends; no TestMain is needed.
//
// Without a broker it does as [ForTest].
func Shared(tb testing.TB) *Broker {
	tb.Helper()
	b, err := startShared()
	if err != nil {
		refuse(tb, err)
	}
	return b
}

// VHost makes a virtual host for the test and returns its transport URL; see [AMQP] for AMQP libraries. The
// broker in RABBITMQ_URL is not ours to change: there it returns that URL as it is, so tests also need topic
// names that no other run uses.
func (b *Broker) VHost(tb testing.TB) string {
	tb.Helper()
	if !b.CanControl() {
		return b.URL()
	}
	u, err := b.NewVHost(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// RequireControl skips a test that stops or inspects the broker when it is not ours.
func (b *Broker) RequireControl(tb testing.TB) {
	tb.Helper()
	if !b.CanControl() {
		tb.Skip(ErrNoControl)
	}
}

// refuse ends the test for want of a broker. One that is there and does not start is a failure in any case.
func refuse(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case errors.Is(err, ErrNoControl):
		tb.Skip(err)
	case errors.Is(err, ErrNone) && os.Getenv("GOSLO_REQUIRE_BROKER") != "1":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}
