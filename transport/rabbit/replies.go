package rabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// replies are the calls of this process and the queue on which their answers arrive, made at the first call and
// replaced when it is lost.
//
// A queue that is deleted while it is consumed is declared and consumed again under its name: what the broker had
// handed over before is here, and servers send a reply that finds no queue again. The calls that wait get some time for
// that, see [prober]. All fail with [transport.ErrReplyPathLost] where the queue is not back within a second, where a
// probe finds that replies do not arrive, and where the connection was gone for longer than the queue lasts without a
// consumer: what came meanwhile went with it.
type replies struct {
	driver *Driver
	calls  transport.Calls
	prober *prober

	mu           sync.Mutex // protects what follows
	subscription *subscription
	since        time.Time // when the last attachment ended; zero before
	closed       bool
}

// replyPrefetch bounds the replies in this process's memory, where the options do not.
const replyPrefetch = 256

// ready returns the name of the reply queue once it is being consumed.
func (r *replies) ready(ctx context.Context, retry int) (string, error) {
	for {
		sub, err := r.present()
		if err != nil {
			return "", err
		}
		if err = r.consumed(ctx, sub, retry); err == nil {
			return sub.queues[0].name, nil
		}
		if r.current(sub.queues[0].name) || ctx.Err() != nil {
			return "", err
		} // else the queue was given up for another meanwhile
	}
}

// consumed waits until a subscription receives. What the broker refuses is an answer, too: nothing can be sent without it.
func (r *replies) consumed(ctx context.Context, sub *subscription, retry int) error {
	if sub.attached() != nil {
		return nil
	}
	if err := r.driver.consumer.link.await(ctx, retry); err != nil {
		return err
	}
	err := sub.ready(ctx)
	if permanent(err) {
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	return err
}

func (r *replies) prefetch() int { return cmp.Or(r.driver.options.Prefetch, replyPrefetch) }

// present is the subscription to the reply queue, made where there is none.
func (r *replies) present() (*subscription, error) {
	if r.driver.isClosing() {
		return nil, transport.ErrClosed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, transport.ErrClosed
	}
	if r.subscription == nil {
		r.subscribe()
		r.prober.start()
	}
	return r.subscription, nil
}

// subscribe makes a reply queue with a new name. It is called with mu held.
func (r *replies) subscribe() {
	sub := newSubscription(
		r.driver, []queue{r.driver.options.replyQueue(r.driver.options.queueSuffix())}, r.prefetch(), r.receive, r.lost,
	)
	sub.attachedTo, sub.consumerGone = r.found, r.prober.consumerGone
	sub.refusedName = func(_ *queue, reason error) { r.replace(sub, reason) }
	r.subscription, r.since = sub, time.Time{}
	r.driver.consumer.add(sub)
}

// current reports whether replies still arrive on that queue.
func (r *replies) current(queue string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.subscription != nil && r.subscription.queues[0].name == queue
}

// attached waits until the reply queue is consumed; nil tells that ctx ended first.
func (r *replies) attached(ctx context.Context) *attachment {
	sub, err := r.present()
	if err != nil || sub.ready(ctx) != nil {
		return nil
	}
	return sub.attached()
}

// found tells that the queue is consumed, on a channel other than before where it is not the first.
func (r *replies) found(a *attachment) {
	r.mu.Lock()
	since := r.since
	current := a.sub == r.subscription
	r.mu.Unlock()
	if !current || since.IsZero() {
		return
	}
	if ttl := r.driver.options.TransientQueuesTTL; ttl > 0 && time.Since(since) >= ttl {
		r.replace(a.sub, errExpired)
		return
	}
	r.prober.doubt()
}

// lost tells that the channel on which the queue was consumed has ended.
func (r *replies) lost(a *attachment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.sub == r.subscription {
		r.since = time.Now()
	}
}

// timedOut looks at how a call ended: one that was taken and not answered casts doubt on the path.
func (r *replies) timedOut(err error) {
	var timeout *transport.TimeoutError
	if errors.As(err, &timeout) && (timeout.Reason == transport.ReasonUnanswered || timeout.Reason == transport.ReasonSilent) {
		r.prober.doubt()
	}
}

// renew gives up the reply queue for one with another name, and the calls that wait for replies on it. The broker
// deletes the queue when it expires.
func (r *replies) renew(reason error) {
	r.mu.Lock()
	old := r.subscription
	r.mu.Unlock()
	r.replace(old, reason)
}

// replace is renew for a certain queue, unless that has been given up already. It does not block: an attachment that has
// just begun, or could not, calls it.
func (r *replies) replace(old *subscription, reason error) {
	r.mu.Lock()
	if r.closed || r.subscription != old {
		r.mu.Unlock()
		return
	}
	r.subscribe()
	name := r.subscription.queues[0].name
	r.mu.Unlock()
	old.discard()
	r.driver.consumer.remove(old)
	r.driver.stats.lostPaths.Add(1)
	r.driver.log.WithFields(logrus.Fields{
		"error": reason, "queue": old.queues[0].name, "new_queue": name, "calls": r.calls.Waiting(),
	}).Warn("replies do not arrive, taking another reply queue")
	r.calls.Fail(fmt.Errorf("%w: %w", transport.ErrReplyPathLost, reason))
}

// close ends the calls that wait, and the prober.
func (r *replies) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.calls.Close(transport.ErrClosed)
	r.prober.stop()
}

// receive hands a reply to its call, on the goroutine that owns the channel.
func (r *replies) receive(d *delivery) (verdict, bool) {
	message, err := readReply(d)
	if err != nil {
		r.driver.malformed(d, err)
		return reject, true
	}
	if !r.prober.hear(message) && !r.calls.Deliver(message) {
		r.driver.stats.unwaited.Add(1)
	}
	return accept, true
}

func readReply(d *delivery) (*transport.Reply, error) {
	return wire.ReadReply(properties(d), d.Body)
}
