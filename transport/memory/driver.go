package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// Driver is one connection to a [Broker]: what a transport of its own would be on RabbitMQ. It is a
// [transport.Driver] and a [transport.Pinger]. Make one with [New], [Open] or [Broker.NewDriver].
//
// It owns one goroutine, from its first call on, which Close ends.
type Driver struct {
	broker  *Broker
	release func() // gives up a broker of Open; nil elsewhere
	calls   transport.Calls

	mu        sync.Mutex
	closed    bool
	listeners map[*listener]struct{}
	replies   *replies // nil before the first call

	closing sync.Once
}

// New makes a driver on a broker of its own, with default limits.
func New() *Driver { return NewBroker(Config{}).NewDriver() }

// Broker is the broker that the driver is on: its statistics, and a way to publish raw messages.
func (d *Driver) Broker() *Broker { return d.broker }

// Call implements [transport.Driver]. Besides the errors named there, it fails with [transport.ErrRejected] where the
// queue is full, and with [transport.ErrTooLarge]. A request is confirmed as it is sent. opts.Retry is not read.
func (d *Driver) Call(
	ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions,
) (*transport.Reply, error) {
	if err := to.CheckCall(); err != nil {
		return nil, fmt.Errorf("memory: call: %w", err)
	}
	reply, err := d.call(ctx, to, req, opts)
	if err != nil {
		return nil, fmt.Errorf("memory: call to %s: %w", to, err)
	}
	return reply, nil
}

func (d *Driver) call(
	ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions,
) (*transport.Reply, error) {
	call := d.calls.New(opts)
	queue, err := d.replyQueue()
	if err != nil {
		return nil, err
	}
	if err := call.Await(transport.Prepare(req, queue, opts.Monitor), nil); err != nil {
		return nil, err
	}
	err = d.send(ctx, to, req, opts)
	if err != nil && !errors.Is(err, transport.ErrUndeliverable) {
		call.Abandon()
		return nil, call.Unsent(ctx, err)
	}
	call.Settled(err)
	return call.Wait(ctx)
}

// Cast implements [transport.Driver]. The request is in its queues when Cast returns. opts.Mandatory is not
// read for a fanout, which may be for nobody. A fanout that a full queue refuses has reached the others.
func (d *Driver) Cast(ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions) error {
	if err := to.CheckCast(); err != nil {
		return fmt.Errorf("memory: cast: %w", err)
	}
	transport.Prepare(req, "", 0)
	err := d.send(ctx, to, req, opts)
	if errors.Is(err, transport.ErrUndeliverable) && (to.Fanout || !opts.Mandatory) {
		return nil // as on RabbitMQ, which drops it without a word
	}
	if err != nil {
		return fmt.Errorf("memory: cast to %s: %w", to, err)
	}
	return nil
}

func (d *Driver) send(ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions) error {
	body, err := encode(func(dst []byte) []byte { return wire.AppendRequest(dst, req) })
	if err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	kind, exchange, key := address(to)
	return d.broker.publish(kind, exchange, key, &Publishing{
		ContentType: contentType(req.ContentType), Body: body, Expiration: opts.Expiration, Deadline: req.Deadline,
	})
}

// address is where requests for a target are published.
func address(to target.Target) (kind exchangeType, exchange, key string) {
	switch {
	case to.Fanout:
		return fanoutExchange, to.Topic + "_fanout", ""
	case to.Server != "":
		return topicExchange, controlExchange(to), to.Topic + "." + to.Server
	}
	return topicExchange, controlExchange(to), to.Topic
}

func contentType(of string) string { return cmp.Or(of, wire.ContentTypeJSON) }

func controlExchange(t target.Target) string { return cmp.Or(t.Exchange, target.DefaultExchange) }

// reply sends a reply to a caller's queue.
func (d *Driver) reply(ctx context.Context, queue string, reply *transport.Reply) error {
	body, err := encode(func(dst []byte) []byte { return wire.AppendReply(dst, reply) })
	if err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.broker.publishDirect(queue, &Publishing{ContentType: contentType(reply.ContentType), Body: body})
}

// Consumers implements [transport.ConsumerCounter].
func (d *Driver) Consumers(ctx context.Context, on target.Target) (int, error) {
	err := on.CheckCall()
	if err == nil {
		err = d.open(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("memory: count consumers of %s: %w", on, err)
	}
	_, _, queue := address(on)
	return d.broker.consumers(queue), nil
}

// Listen implements [transport.Driver]. It does not wait for anything. Prefetch counts beyond 65,535, the
// largest that AMQP knows, mean 65,535.
func (d *Driver) Listen(
	ctx context.Context, on target.Target, opts transport.ListenOptions,
) (transport.Listener, error) {
	if err := on.CheckServer(); err != nil {
		return nil, fmt.Errorf("memory: listen: %w", err)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("memory: listen on %s: %w", on, ended(ctx))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fmt.Errorf("memory: listen on %s: %w", on, transport.ErrClosed)
	}
	on.Exchange = controlExchange(on)
	l, err := newListener(d, on, opts)
	if err != nil {
		return nil, fmt.Errorf("memory: listen on %s: %w", on, err)
	}
	d.listeners[l] = struct{}{}
	return l, nil
}

// Ping implements [transport.Pinger]. It fails with [transport.ErrClosed] only: the broker is always there.
func (d *Driver) Ping(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return fmt.Errorf("memory: ping: %w", err)
	}
	return nil
}

// Close implements [transport.Driver]. It waits only for the driver's own goroutine, which ends at once, and
// does not read ctx. Closing twice is harmless.
//
// The order is: no more listeners and calls, end of the waiting calls, end of the listeners, whose messages
// return to their queues, end of the reply queue.
func (d *Driver) Close(ctx context.Context) error {
	d.closing.Do(func() {
		d.mu.Lock()
		d.closed = true
		listeners := make([]*listener, 0, len(d.listeners))
		for l := range d.listeners {
			listeners = append(listeners, l)
		}
		replies := d.replies
		d.mu.Unlock()
		d.calls.Close(transport.ErrClosed)
		for _, l := range listeners {
			_ = l.Close(ctx) // a listener in memory cannot fail to close
		}
		if replies != nil {
			replies.close()
		}
		if d.release != nil {
			d.release()
		}
	})
	return nil
}

// open reports whether the driver may be used: it is not closed and ctx has not ended.
func (d *Driver) open(ctx context.Context) error {
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return transport.ErrClosed
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	return nil
}

func (d *Driver) forget(l *listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.listeners, l)
}

// ended is the error of a context that has ended, with its cause where that tells more.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
