package rabbit

import (
	"cmp"
	"context"
	"sync"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// replies are the calls of this process and the queue on which their answers arrive, made at the first call.
type replies struct {
	driver *Driver
	calls  transport.Calls

	mu           sync.Mutex
	subscription *subscription
}

// replyPrefetch bounds the replies in this process's memory, where the options do not.
const replyPrefetch = 256

// ready returns the name of the reply queue once it is being consumed.
func (r *replies) ready(ctx context.Context, retry int) (string, error) {
	if r.driver.isClosing() {
		return "", transport.ErrClosed
	}
	r.mu.Lock()
	sub := r.subscription
	if sub == nil {
		sub = newSubscription(r.driver, []queue{r.driver.options.replyQueue(r.driver.options.queueSuffix())}, r.prefetch(), r.receive, func(*attachment) {})
		r.subscription = sub
		r.driver.consumer.add(sub)
	}
	r.mu.Unlock()
	if a := sub.attached(); a == nil {
		if err := r.driver.consumer.link.await(ctx, retry); err != nil {
			return "", err
		}
		if err := sub.ready(ctx); err != nil {
			return "", err
		}
	}
	return sub.queues[0].name, nil
}

func (r *replies) prefetch() int { return cmp.Or(r.driver.options.Prefetch, replyPrefetch) }

// receive hands a reply to its call, on the goroutine that owns the channel.
func (r *replies) receive(d *delivery) (verdict, bool) {
	message, err := readReply(d)
	if err != nil {
		r.driver.malformed(d, err)
		return reject, true
	}
	if !r.calls.Deliver(message) {
		r.driver.stats.unwaited.Add(1)
	}
	return accept, true
}

func readReply(d *delivery) (*transport.Reply, error) {
	return wire.ReadReply(properties(d), d.Body)
}
