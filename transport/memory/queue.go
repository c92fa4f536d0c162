package memory

import (
	"errors"
	"fmt"
	"sync"

	"github.com/goslo/goslo/transport"
)

// errNoQueue tells that a queue was deleted on the way to it. Callers take it for a message without a route.
var errNoQueue = errors.New("no such queue")

// queue keeps messages in order and hands them to its consumers in turn. It has no goroutine: whoever adds a
// message, a consumer or the room for one more delivery also hands out what that allows.
type queue struct {
	name     string
	broker   *Broker
	bindings []binding // guarded by the broker's mutex

	mu        sync.Mutex
	waiting   messages
	places    uint64 // how many places were given to messages
	consumers []*consumer
	turn      int // who of them is next
	deleted   bool
}

// consumer is one listener's share of one queue. Its fields are guarded by the queue's mutex, but for inbox,
// whose room is at least prefetch: sending to it never waits.
type consumer struct {
	prefetch int
	inbox    chan<- delivery
	held     messages // handed out and not settled
}

// publish adds m, or refuses it where the queue is full.
func (q *queue) publish(m *message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return errNoQueue
	}
	if q.full(m) {
		q.dropExpired()
		if q.full(m) {
			q.broker.counters.rejected.Add(1)
			return fmt.Errorf("queue %q is full, %d messages of %d bytes wait: %w",
				q.name, q.waiting.count, q.waiting.bytes, transport.ErrRejected)
		}
	}
	q.broker.counters.published.Add(1)
	m.place = q.places
	q.places++
	q.waiting.push(m)
	q.handOut()
	return nil
}

func (q *queue) full(m *message) bool {
	limits := &q.broker.config
	return q.waiting.count >= limits.MaxQueueLength || q.waiting.bytes+int64(len(m.body)) > limits.MaxQueueBytes
}

func (q *queue) dropExpired() {
	for m := q.waiting.first; m != nil && m.expired(); m = q.waiting.first {
		q.waiting.remove(m)
		q.broker.counters.expired.Add(1)
	}
}

// handOut gives messages to consumers as long as there are both.
func (q *queue) handOut() {
	for q.waiting.first != nil {
		c := q.nextConsumer()
		if c == nil {
			return
		}
		q.dropExpired()
		m := q.waiting.first
		if m == nil {
			return
		}
		q.waiting.remove(m)
		c.held.push(m)
		m.holder = c
		m.deliveries++
		q.broker.counters.delivered.Add(1)
		q.turn++
		c.inbox <- delivery{m, q, m.deliveries}
	}
}

// nextConsumer returns the consumer whose turn it is among those that may get one more, nil where none may.
func (q *queue) nextConsumer() *consumer {
	for range q.consumers {
		q.turn %= len(q.consumers)
		if c := q.consumers[q.turn]; c.held.count < c.prefetch {
			return c
		}
		q.turn++
	}
	return nil
}

func (q *queue) consume(c *consumer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.consumers = append(q.consumers, c)
	q.handOut()
}

// cancel ends deliveries to c, which keeps what it holds.
func (q *queue) cancel(c *consumer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range q.consumers {
		if other == c {
			q.consumers = append(q.consumers[:i], q.consumers[i+1:]...)
			return
		}
	}
}

// settle takes a delivery off the queue for good. It reports false where its consumer has lost it.
func (q *queue) settle(d delivery) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.release(d) {
		return false
	}
	q.handOut()
	return true
}

// has reports whether the consumer of a delivery still has it.
func (q *queue) has(d delivery) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return d.holder != nil && d.deliveries == d.number
}

// giveBack returns a delivery to its place in the queue, unless its consumer has lost it already.
func (q *queue) giveBack(d delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.release(d) {
		q.restore(d.message)
		q.handOut()
	}
}

// giveBackAll returns all that c holds.
func (q *queue) giveBackAll(c *consumer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for m := c.held.last; m != nil; m = c.held.last { // from the last one on, so that each finds its place at once
		c.held.remove(m)
		m.holder = nil
		q.restore(m)
	}
	q.handOut()
}

// release takes a delivery from its consumer, if that still has it.
func (q *queue) release(d delivery) bool {
	if d.holder == nil || d.deliveries != d.number {
		return false
	}
	d.holder.held.remove(d.message)
	d.holder = nil
	return true
}

// restore returns m to its place; where the queue is gone, m is gone with it.
func (q *queue) restore(m *message) {
	if q.deleted {
		return
	}
	q.broker.counters.returned.Add(1)
	q.waiting.restore(m)
}

// delete drops what waits. Deliveries can still be settled.
func (q *queue) delete() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deleted = true
	q.waiting, q.consumers = messages{}, nil
}
