package rabbit

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// incoming is a request as the server sees it.
type incoming struct {
	listener *listener
	delivery *delivery
	request  *transport.Request
	asSent   []byte // the body; nil unless the listener keeps it
	fault    error  // why the body cannot be read
}

// Malformed implements [transport.Malformed].
func (in *incoming) Malformed() error { return in.fault }

func (in *incoming) Request() *transport.Request { return in.request }

// Redelivered tells that the request was handed out before.
func (in *incoming) Redelivered() bool {
	n, _ := in.Deliveries()
	return n > 1
}

// deliveryCountHeader tells how often a quorum queue has handed a message out before (RabbitMQ, quorum queues,
// poison message handling); other queues have but the redelivered flag.
const deliveryCountHeader = "x-delivery-count"

// Deliveries is how often the request was handed out, as far as the broker tells, and since it was moved.
func (in *incoming) Deliveries() (n int, counted bool) {
	n = wire.Attempt(in.delivery.Headers[wire.AttemptHeader])
	if before, ok := in.delivery.Headers[deliveryCountHeader].(int64); ok {
		return n + int(min(max(before, 0), math.MaxInt32)), true
	}
	if in.delivery.Redelivered {
		return n + 1, false
	}
	return n, true
}

// Stale tells that the channel is gone on which the request came.
func (in *incoming) Stale() bool {
	select {
	case <-in.delivery.attachment.ended:
		return true
	default:
		return false
	}
}

// ask hands a request to the goroutine that owns the channel. It fails with ErrStale where the channel is gone.
func (a *attachment) ask(ctx context.Context, request ackRequest) error {
	select {
	case <-a.ended:
		return transport.ErrStale
	default:
	}
	select {
	case a.acks <- request:
		return nil
	case <-a.ended:
		return transport.ErrStale
	case <-ctx.Done():
		return fmt.Errorf("rabbit: settle a message: %w", context.Cause(ctx))
	}
}

func ignoreStale(err error) error {
	if errors.Is(err, transport.ErrStale) {
		return nil
	}
	return err
}

// Ack takes the request off its queue. It returns when the acknowledgement is on its way to the broker, so that it arrives even
// if this process is killed in the next moment. A request whose unique id was acknowledged before is taken off too, but must not
// be run: it came again because the first acknowledgement was lost, or because its sender repeated it.
func (in *incoming) Ack(ctx context.Context) error {
	stats := &in.listener.driver.stats
	first := in.listener.duplicates.Add(in.request.UniqueID)
	if err := in.acknowledge(ctx); err != nil {
		if first {
			in.listener.duplicates.Remove(in.request.UniqueID)
		}
		if errors.Is(err, transport.ErrStale) {
			stats.stale.Add(1)
		}
		return err
	}
	if !first {
		stats.duplicates.Add(1)
		return transport.ErrDuplicate
	}
	return nil
}

// acknowledge has the delivery acknowledged, and waits until that is sent.
func (in *incoming) acknowledge(ctx context.Context) error {
	a := in.delivery.attachment
	sent := make(chan struct{})
	if err := a.ask(ctx, ackRequest{tag: in.delivery.DeliveryTag, verdict: accept, sent: sent}); err != nil {
		return err
	}
	select {
	case <-sent:
		return nil
	case <-a.ended:
	}
	select {
	case <-sent: // just before
		return nil
	default:
		return transport.ErrStale
	}
}

// Requeue hands the request back. One whose channel is gone is back already.
func (in *incoming) Requeue(ctx context.Context) error {
	return ignoreStale(in.delivery.attachment.ask(ctx, ackRequest{tag: in.delivery.DeliveryTag, verdict: requeue}))
}

// Reply sends an answer. What becomes of it is the driver's matter: see replier.
func (in *incoming) Reply(ctx context.Context, reply *transport.Reply) error {
	return in.ReplyThen(ctx, reply, func(error) {})
}

// ReplyThen implements [transport.ReplyFollower].
func (in *incoming) ReplyThen(ctx context.Context, reply *transport.Reply, settled func(error)) error {
	if !in.request.Call() {
		settled(nil)
		return nil
	}
	reply.MsgID, reply.ContentType = in.request.MsgID, in.request.ContentType
	return in.listener.driver.replier.send(ctx, in.request.ReplyQueue, reply, &in.listener.replies, settled)
}

// Heartbeat makes one attempt to tell the caller that its method runs.
func (in *incoming) Heartbeat(ctx context.Context) error {
	if !in.request.Call() {
		return nil
	}
	return in.listener.driver.replier.heartbeat(ctx, in.request)
}
