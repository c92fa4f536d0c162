package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// errAcknowledged tells that a request cannot go back to its queue any more.
var errAcknowledged = errors.New("memory: requeue: the request was acknowledged")

// incoming is one request in the hands of its receiver.
type incoming struct {
	delivery
	listener *listener
	req      *transport.Request
	fault    error // why the body cannot be read

	settling sync.Once
	err      error // what Ack said, or says
	requeued bool
}

// Request implements [transport.Incoming].
func (in *incoming) Request() *transport.Request { return in.req }

// Malformed implements [transport.Malformed].
func (in *incoming) Malformed() error { return in.fault }

// Redelivered implements [transport.Redelivery].
func (in *incoming) Redelivered() bool {
	n, _ := in.Deliveries()
	return n > 1
}

// Deliveries implements [transport.DeliveryCount]. It always counts.
func (in *incoming) Deliveries() (n int, counted bool) {
	return wire.Attempt(in.headers[wire.AttemptHeader]) + int(in.number) - 1, true
}

// Stale implements [transport.Staleness].
func (in *incoming) Stale() bool { return !in.queue.has(in.delivery) }

// Ack implements [transport.Incoming]. It does not wait for anything. Once the request is acknowledged or
// handed back, Ack repeats what was said then.
func (in *incoming) Ack(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("memory: acknowledge: %w", ended(ctx))
	}
	in.settling.Do(func() { in.err = in.ack() })
	return in.err
}

func (in *incoming) ack() error {
	if !in.queue.settle(in.delivery) {
		return fmt.Errorf("memory: acknowledge: %w", transport.ErrStale)
	}
	in.listener.driver.broker.counters.acknowledged.Add(1)
	if !in.listener.duplicates.Add(in.req.UniqueID) {
		return fmt.Errorf("memory: unique id %q: %w", in.req.UniqueID, transport.ErrDuplicate)
	}
	return nil
}

// Requeue implements [transport.Incoming]. The request returns to its place in the queue, marked redelivered,
// if it has not done so yet. Requeue fails where it was acknowledged before.
func (in *incoming) Requeue(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("memory: requeue: %w", ended(ctx))
	}
	in.settling.Do(func() {
		in.requeued = true
		in.err = fmt.Errorf("memory: acknowledge: %w", transport.ErrStale)
		in.queue.giveBack(in.delivery)
	})
	if !in.requeued {
		return errAcknowledged
	}
	return nil
}

// Move implements [transport.Mover]. It fails with [transport.ErrRejected] where the queue is full.
func (in *incoming) Move(ctx context.Context, to transport.Destination) error {
	if err := in.move(ctx, to); err != nil {
		return fmt.Errorf("memory: move a request: %w", err)
	}
	return nil
}

func (in *incoming) move(ctx context.Context, to transport.Destination) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if in.Stale() {
		return transport.ErrStale
	}
	name, p := in.copy(to)
	if to.Queue != "" {
		in.listener.driver.broker.keep(name)
	}
	if err := in.listener.driver.broker.publishDirect(name, p); err != nil {
		return err
	}
	in.settling.Do(func() {
		in.err = fmt.Errorf("memory: acknowledge: %w", transport.ErrStale)
		in.queue.settle(in.delivery)
	})
	return nil
}

// copy is the request as it is published to its destination.
func (in *incoming) copy(to transport.Destination) (queue string, p *Publishing) {
	copied := in.publishing()
	copied.Headers = make(map[string]any, len(in.headers)+len(to.Headers)+1)
	maps.Copy(copied.Headers, in.headers)
	delete(copied.Headers, wire.AttemptHeader)
	if to.Queue == "" {
		copied.Headers[wire.AttemptHeader] = int64(to.Deliveries)
		if !in.expires.IsZero() {
			copied.Expiration = cmp.Or(time.Until(in.expires), -1)
		}
		return in.queue.name, &copied
	}
	maps.Copy(copied.Headers, to.Headers)
	copied.Headers[transport.QueueHeader] = in.queue.name
	return to.Queue, &copied
}

// Reply implements [transport.Incoming]. The reply is in the caller's queue when Reply returns; where that
// queue is gone, it is dropped and counted.
func (in *incoming) Reply(ctx context.Context, reply *transport.Reply) error {
	if !in.req.Call() {
		return nil
	}
	err := in.send(ctx, reply)
	if errors.Is(err, transport.ErrUndeliverable) {
		in.listener.driver.broker.counters.lostReplies.Add(1)
		return nil
	}
	return err
}

// Heartbeat implements [transport.Incoming]. It does nothing where the caller asked for none: one of
// oslo.messaging would fail. It fails with [transport.ErrUndeliverable] where the caller is gone.
func (in *incoming) Heartbeat(ctx context.Context) error {
	if !in.req.Call() || !in.req.MonitorTimeout.Truthy() {
		return nil
	}
	return in.send(ctx, &transport.Reply{})
}

func (in *incoming) send(ctx context.Context, reply *transport.Reply) error {
	answer := *reply // the caller's own stays as it is
	answer.MsgID, answer.UniqueID = in.req.MsgID, wire.NewID()
	answer.ContentType = in.req.ContentType // in kind
	err := in.listener.driver.reply(ctx, in.req.ReplyQueue, &answer)
	if err != nil {
		return fmt.Errorf("memory: reply to %q: %w", in.req.ReplyQueue, err)
	}
	return nil
}
