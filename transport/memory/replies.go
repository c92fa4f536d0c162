package memory

import (
	"sync"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// replyPrefetch is how many replies may be on their way to the goroutine that hands them to the calls; more
// wait in the queue.
const replyPrefetch = 1024

// replies is the reply queue of one driver, with the goroutine that takes replies off it.
type replies struct {
	broker *Broker
	queue  *queue
	calls  *transport.Calls
	inbox  chan delivery
	stop   chan struct{}
	ended  sync.WaitGroup
}

// replyQueue returns the name of the driver's reply queue, which is made for the first call.
func (d *Driver) replyQueue() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return "", transport.ErrClosed
	}
	if d.replies == nil {
		d.replies = newReplies(d.broker, &d.calls)
	}
	return d.replies.queue.name, nil
}

func newReplies(b *Broker, calls *transport.Calls) *replies {
	r := &replies{broker: b, calls: calls, stop: make(chan struct{})}
	r.inbox = make(chan delivery, replyPrefetch) // as many as the queue may hand out: it never waits
	b.mu.Lock()
	r.queue = b.queue("reply_" + wire.NewID())
	b.mu.Unlock()
	r.queue.consume(&consumer{prefetch: replyPrefetch, inbox: r.inbox})
	r.ended.Go(r.run)
	return r
}

func (r *replies) run() {
	for {
		select {
		case d := <-r.inbox:
			r.receive(d)
		case <-r.stop:
			return
		}
	}
}

// receive hands a reply to its call. It is acknowledged first, whoever it is for
// (oslo_messaging/_drivers/amqpdriver.py, ReplyWaiter); one that cannot be read leaves its caller waiting.
func (r *replies) receive(d delivery) {
	r.queue.settle(d)
	reply, err := d.reply()
	if err != nil {
		r.broker.counters.malformed.Add(1)
		return
	}
	r.broker.counters.acknowledged.Add(1)
	if !r.calls.Deliver(reply) {
		r.broker.counters.lateReplies.Add(1)
	}
}

// close deletes the queue and waits for the goroutine.
func (r *replies) close() {
	r.broker.deleteQueue(r.queue)
	close(r.stop)
	r.ended.Wait()
}
