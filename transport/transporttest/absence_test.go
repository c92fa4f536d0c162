package transporttest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// absent is a driver whose broker never comes: what the tests of absence expect, for no driver in memory can
// show it.
type absent struct {
	transport.Driver
	closed chan struct{}
}

func (d *absent) Cast(ctx context.Context, _ target.Target, _ *transport.Request, opts transport.SendOptions) error {
	if opts.Retry == 0 {
		return transport.ErrNotConnected
	}
	select {
	case <-d.closed:
		return transport.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *absent) Call(
	ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions,
) (*transport.Reply, error) {
	call := new(transport.Calls).New(opts)
	return nil, call.Unsent(ctx, d.Cast(ctx, to, req, opts))
}

func (d *absent) Close(context.Context) error {
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
	return nil
}

func TestAbsenceTestsPassForADriverWithoutBroker(t *testing.T) {
	t.Parallel()
	for _, test := range absenceTests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				newDriver := func(testing.TB) transport.Driver { return &absent{closed: make(chan struct{})} }
				test.run(t, newBus(t, newDriver, Features{Unreachable: newDriver}))
			})
		})
	}
}
