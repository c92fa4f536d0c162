// Package transport is the seam between the bus and what carries it: [Driver], [Listener], [Incoming], the
// transport [URL], and the errors that callers see.
//
// Users open a transport through package messaging; this package is for who writes a driver. Two come with
// goslo: transport/rabbit and transport/memory. Package transporttest holds the suite that each must pass.
package transport

import (
	"context"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
)

// The fields of messages, as they travel. See package wire for what each means to an oslo.messaging peer.
type (
	// Request is a call, cast or fanout cast.
	Request = wire.Request
	// Reply is an answer to a call.
	Reply = wire.Reply
	// Failure is an endpoint's exception inside a Reply.
	Failure = wire.Failure
	// ContextEntry is one key of a request context.
	ContextEntry = wire.ContextEntry
	// Value is one JSON value as it stands in a message.
	Value = wire.Value
)

// RetryForever makes a sender wait for its broker as long as its context lasts.
const RetryForever = -1

// SendOptions say how one request is sent.
type SendOptions struct {
	// Expiration is how long the broker keeps the request, in whole milliseconds; 0 is for ever. Calls carry
	// their timeout here, casts none (oslo_messaging/_drivers/amqpdriver.py).
	Expiration time.Duration
	// Monitor is how long a call waits for a heartbeat before it gives up; 0 is no monitoring.
	Monitor time.Duration
	// Retry is how many further attempts are made to reach the broker when the first fails; 0 is none,
	// RetryForever is oslo.messaging's default. A request that may have reached the broker is never sent again.
	Retry int
	// Mandatory asks for ErrUndeliverable where no queue takes the request; a call without it learns of that from
	// its TimeoutError. A fanout ignores it: that nobody listens is no error there.
	Mandatory bool
}

// Driver carries requests to targets and back. All methods are safe for concurrent use; targets come with
// their Exchange filled in.
type Driver interface {
	// Call sends req and waits for its reply until ctx ends. It fills in the request's ids and reply queue.
	// A Failure in the reply is the caller's to interpret: the error only tells that there is no reply, by one
	// of this package's sentinels.
	//
	// A request that no queue takes fails at once with ErrUndeliverable where opts.Mandatory is set. Otherwise the
	// call waits until its end all the same, as oslo.messaging's does. What ends by ctx's deadline or by opts.Monitor
	// is a [*TimeoutError], which tells how far the call came; what ends because ctx was cancelled matches ctx's error
	// and its cause.
	Call(ctx context.Context, to target.Target, req *Request, opts SendOptions) (*Reply, error)
	// Cast sends req to one server of the target, or to all of them with Fanout, and returns when the broker
	// has confirmed that it took it. Where ctx ends first, the error matches ErrNotConnected if nothing was sent, or
	// else ErrUnconfirmed, and ctx's error and its cause.
	Cast(ctx context.Context, to target.Target, req *Request, opts SendOptions) error
	// Listen starts to receive what is sent to on: to its topic, to its server, and by fanout. It returns when
	// the broker delivers, or fails when ctx ends first.
	Listen(ctx context.Context, on target.Target, opts ListenOptions) (Listener, error)
	// Close ends every listener and connection. What waits ends with ErrClosed. It returns when all is ended,
	// or with ctx's error when that ends first; all is ended then too, by force.
	Close(ctx context.Context) error
}

// Pinger is implemented by drivers that can tell whether their broker answers.
type Pinger interface {
	Ping(ctx context.Context) error
}

// ConsumerCounter is implemented by drivers that can tell how many listeners there are.
type ConsumerCounter interface {
	// Consumers is how many listeners receive what is sent to a topic, or to a server where the target names one. It is 0
	// where there never was one. A listener whose process was cut off counts until the broker has noticed.
	Consumers(ctx context.Context, on target.Target) (int, error)
}

// ListenOptions say how a listener receives.
type ListenOptions struct {
	// Prefetch is how many messages the broker may hand over unacknowledged on each queue; at least 1.
	Prefetch int
	// Movable keeps with each request what it takes to publish it again: see [Mover]. What cannot be read is handed
	// over too, as [Malformed] tells, so that it can be moved; without Movable the listener takes it off its queue.
	Movable bool
}

// Listener receives for one server. Poll is for one goroutine at a time, the rest for any.
type Listener interface {
	// Poll waits for the next request. It never fails because of the broker: the driver restores the
	// connection by itself. It fails with ctx's error, or with ErrClosed once the listener is stopped.
	Poll(ctx context.Context) (Incoming, error)
	// Stop ends the consumers and hands back what was delivered but not polled. Requests already polled can
	// still be acknowledged and answered. Stopping twice is harmless.
	Stop(ctx context.Context) error
	// Close does what Stop does, waits until acknowledgements and replies are with the broker or ctx ends, and
	// gives up what the listener holds.
	Close(ctx context.Context) error
}

// Incoming is one received request. Its methods are safe for concurrent use.
type Incoming interface {
	// Request is what was sent. Its values share memory that is the receiver's to keep.
	Request() *Request
	// Ack takes the request off the queue. It fails with ErrStale when the broker will deliver the request
	// again (the connection it came on is gone): the request must not be run then. It fails with ErrDuplicate
	// when a request with the same unique id was acknowledged lately; that one must not be run either.
	Ack(ctx context.Context) error
	// Requeue hands the request back to its queue.
	Requeue(ctx context.Context) error
	// Reply sends an answer to a call, whose ids it fills in; for a cast it does nothing. It returns when the
	// reply is on its way: the driver sends it again where that is needed and possible.
	Reply(ctx context.Context, reply *Reply) error
	// Heartbeat tells the caller that its method still runs. One attempt is made.
	Heartbeat(ctx context.Context) error
}

// Redelivery is implemented by incoming requests that can tell whether the broker handed them out before.
type Redelivery interface {
	Redelivered() bool
}

// ReplyFollower is implemented by incoming requests whose replies may be on their way still when Reply returns.
type ReplyFollower interface {
	// ReplyThen is Reply, and calls settled when it is known what becomes of the reply: once, on any goroutine, with nil
	// when the broker has it. An error that matches ErrUndeliverable tells that there is no queue for it, where the
	// driver may go on trying; ErrClosed that the driver was closed first; any other that it was given up. settled must
	// not block. It is not called where ReplyThen fails.
	ReplyThen(ctx context.Context, reply *Reply, settled func(error)) error
}

// Malformed is implemented by incoming requests that may be none.
type Malformed interface {
	// Malformed tells why the message cannot be read; nil where it can. Its Request is empty then, and what is left to do
	// is to move it, to hand it back, or to take it off its queue.
	Malformed() error
}

// Staleness is implemented by incoming requests that can tell, before they are acknowledged, that the broker will
// deliver them again: an acknowledgement would fail with ErrStale.
type Staleness interface {
	Stale() bool
}

// DeliveryCount is implemented by incoming requests that know how often they were handed out.
type DeliveryCount interface {
	// Deliveries is how often the request was delivered, this time included. Where counted is false, the broker
	// has delivered it more than once and does not count (RabbitMQ's classic queues): it is the least that it can be.
	Deliveries() (n int, counted bool)
}

// Mover is implemented by incoming requests that can be put onto a queue anew, where their listener was asked for that
// by [ListenOptions.Movable].
type Mover interface {
	// Move publishes the request as it came, its body, properties and headers, and takes the original off its
	// queue once the broker has confirmed the copy. Where it fails, the request is as it was; where ctx ends, or a
	// connection is lost in between, there may be both.
	//
	// On its own queue the copy goes to the end. Any other queue is for people to look at: it is declared where it
	// does not exist, outlives the broker where queues can, and keeps the copy until somebody takes it.
	Move(ctx context.Context, to Destination) error
}

// Destination is where a request is moved.
type Destination struct {
	// Queue is the name of a queue, or empty for the request's own.
	Queue string
	// Deliveries is what the copy's next delivery shall count; on the request's own queue alone.
	Deliveries int
	// Headers, strings and int64s, are added on another queue, and so is [QueueHeader].
	Headers map[string]any
}

// Headers of a parked request, which say why it was parked.
const (
	// ReasonHeader is the header that tells why.
	ReasonHeader = "goslo.reason"
	// DeliveriesHeader is the header that tells how often the request had been delivered, an int64.
	DeliveriesHeader = "goslo.deliveries"
	// QueueHeader is the header that tells which queue the request was on.
	QueueHeader = "goslo.queue"
	// TimeHeader is the header that tells when it was parked, in the form of RFC 3339.
	TimeHeader = "goslo.time"
)
