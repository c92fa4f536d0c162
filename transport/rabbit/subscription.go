package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rabbitmq/amqp091-go"
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/transport"
)

// subscription is what the driver remembers of a consumer: queues to declare and consume, on a channel of their
// own, over again on every session until it is stopped.
type subscription struct {
	driver   *Driver
	queues   []queue
	prefetch int
	// receive takes a delivery, and says what becomes of it where that is settled at once. It is called by the
	// goroutine that owns the channel and must not block.
	receive func(d *delivery) (v verdict, settled bool)
	// lost is told when a channel has ended: what was delivered on it will come again.
	lost func(a *attachment)
	// attachedTo, where it is not nil, is told of each attachment before it receives; consumerGone when the broker
	// has cancelled a consumer. Neither may block.
	attachedTo   func(a *attachment)
	consumerGone func()
	// refusedName, where it is not nil, is told that the broker does not make one of the queues under its name. It may give
	// that another name, or stop the subscription.
	refusedName func(q *queue, reason error)
	// probe is within which time a consumer that is gone without a word is noticed; 0 is not to look.
	probe time.Duration

	stopping  chan struct{} // closed by stop: no further attachment, the present one cancels its consumers
	once      sync.Once
	abandoned atomic.Bool // set before stopping is closed: nobody will ask the present attachment to end
	discarded atomic.Bool // set before stopping is closed: the present attachment ends at once

	position streamPosition // of the goroutine that owns the present channel

	mu      sync.Mutex // protects what follows
	current *attachment
	err     error         // why the last attempt to attach failed, where that is not to be repeated
	refused error         // why it failed, where it is repeated; nil while attached
	changed chan struct{} // closed and renewed at every change of the above
}

func newSubscription(d *Driver, queues []queue, prefetch int, receive func(*delivery) (verdict, bool), lost func(*attachment)) *subscription {
	return &subscription{
		driver: d, queues: queues, prefetch: prefetch, receive: receive, lost: lost,
		stopping: make(chan struct{}), changed: make(chan struct{}),
	}
}

func (sub *subscription) set(a *attachment, err error) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.current, sub.err, sub.refused = a, err, nil
	close(sub.changed)
	sub.changed = make(chan struct{})
}

// note notes why an attempt to attach failed that will be repeated.
func (sub *subscription) note(refused error) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.refused = refused
}

// waitError tells that ctx ended before the subscription was ready, and why it was not: there was no connection, or the
// broker refused what was declared on it.
func (sub *subscription) waitError(ctx context.Context) error {
	sub.mu.Lock()
	refused := sub.refused
	sub.mu.Unlock()
	if refused == nil || !sub.driver.consumer.link.connected() {
		return sub.driver.consumer.waitError(ctx)
	}
	return fmt.Errorf("%w (last attempt: %w)", ended(ctx), refused)
}

// state returns the present attachment, if any, what announces a change, and the error that keeps it from
// being attached.
func (sub *subscription) state() (a *attachment, changed <-chan struct{}, err error) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.current, sub.changed, sub.err
}

// attached returns the present attachment, nil where there is none.
func (sub *subscription) attached() *attachment {
	a, _, _ := sub.state()
	return a
}

// ready waits until the broker delivers. It fails with a [*BrokerError] where the broker refuses what is
// declared.
func (sub *subscription) ready(ctx context.Context) error {
	for {
		a, changed, err := sub.state()
		switch {
		case a != nil:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-sub.stopping:
			return transport.ErrClosed
		case <-sub.driver.closing:
			return transport.ErrClosed
		case <-ctx.Done():
			return sub.waitError(ctx)
		}
	}
}

// stop ends the consumers. The channel stays for acknowledgements until close.
func (sub *subscription) stop() { sub.once.Do(func() { close(sub.stopping) }) }

// abandon is stop where nobody will acknowledge anything: the channel ends as well.
func (sub *subscription) abandon() {
	sub.abandoned.Store(true)
	sub.stop()
}

// discard is abandon where the broker does not do as it should: it is not asked to cancel anything.
func (sub *subscription) discard() {
	sub.discarded.Store(true)
	sub.stop()
}

func (sub *subscription) stopped() bool {
	select {
	case <-sub.stopping:
		return true
	default:
		return false
	}
}

// refusedInRow is how many attempts to declare and consume may fail on one host, for a reason that is not the same
// everywhere, before another one is tried.
const refusedInRow = 3

// serve keeps the subscription attached to the session until the session ends.
func (sub *subscription) serve(ctx context.Context, s *session) {
	sub.set(nil, nil) // what another session's broker refused may be granted by now
	for attempt := 1; !sub.stopped(); attempt++ {
		a, err := sub.attach(s)
		switch {
		case err == nil:
			attempt = 0
			sub.set(a, nil)
			if sub.attachedTo != nil {
				sub.attachedTo(a)
			}
			err = a.run(ctx)
			sub.set(nil, nil)
			sub.lost(a)
		case permanent(err):
			sub.set(nil, err)
		case !s.hasEnded():
			sub.note(err)
		}
		if attempt == 1 && vanished(err) {
			continue
		}
		sub.rename(err)
		if ctx.Err() != nil || sub.stopped() || s.hasEnded() {
			return
		}
		if attempt == refusedInRow && !permanent(err) {
			sub.driver.consumer.link.distrust(s, err)
		}
		if log := sub.driver.rarely("consuming channel"); log != nil {
			log.WithFields(logrus.Fields{"error": err, "queue": sub.queues[0].name}).Warn("consuming channel lost, opening another")
		}
		select {
		case <-time.After(pauseAfter(attempt, err)):
		case <-sub.stopping:
			return
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		}
	}
}

// rename sees to it that a queue of this process gets another name where the broker does not make it under its own.
func (sub *subscription) rename(err error) {
	var refused *refusedNameError
	if sub.refusedName == nil || !errors.As(err, &refused) {
		return
	}
	i := slices.IndexFunc(sub.queues, func(q queue) bool { return q.own && q.name == refused.queue })
	if i >= 0 {
		sub.refusedName(&sub.queues[i], err)
	}
}

// pauseAfter is how long to wait after so many attempts, the last of which ended with err.
func pauseAfter(attempt int, err error) time.Duration {
	var refused *QueueDeniedError
	if errors.As(err, &refused) {
		return denialPause
	}
	return min(time.Duration(attempt)*channelPause, longestBackoff)
}

// attach declares and consumes on a new channel.
func (sub *subscription) attach(s *session) (*attachment, error) {
	ch, err := s.connection.Channel()
	if err != nil {
		return nil, fmt.Errorf("open a channel: %w", brokerError(err))
	}
	a := &attachment{
		sub: sub, session: s, channel: ch, closed: ch.NotifyClose(make(chan *amqp091.Error, 1)),
		acks: make(chan ackRequest, ackQueue), idle: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := a.open(); err != nil {
		s.closeChannel(ch)
		return nil, err
	}
	return a, nil
}
