package memory

import (
	"bytes"
	"context"
	"maps"
)

// rawPrefetch is how many messages may be on their way to a [RawConsumer]; more wait in the queue.
const rawPrefetch = 1024

// RawConsumer takes the messages of one queue as they are, whatever their bodies: the other half of
// [Broker.Publish]. It owns no goroutine. Next is for one goroutine at a time.
type RawConsumer struct {
	queue    *queue
	consumer *consumer
	inbox    chan delivery
}

// Consume begins to take messages off the queue of that name, which is made where there is none: a reply queue,
// for example, for a test that stands in for a client. It shares the queue with other consumers, in turn.
func (b *Broker) Consume(queue string) *RawConsumer {
	inbox := make(chan delivery, rawPrefetch) // as many as the queue may hand out: it never waits
	c := &RawConsumer{inbox: inbox, consumer: &consumer{prefetch: rawPrefetch, inbox: inbox}}
	b.mu.Lock()
	c.queue = b.queue(queue)
	b.mu.Unlock()
	c.queue.consume(c.consumer)
	return c
}

// Next waits for the next message that has not expired, which is off its queue when Next returns. It fails with
// ctx's error only. The message's Expiration is not told.
func (c *RawConsumer) Next(ctx context.Context) (Publishing, error) {
	counters := &c.queue.broker.counters
	for {
		select {
		case d := <-c.inbox:
			switch {
			case !c.queue.settle(d):
			case d.expired():
				counters.expired.Add(1)
			default:
				counters.acknowledged.Add(1)
				p := d.publishing()
				p.Headers, p.Body = maps.Clone(p.Headers), bytes.Clone(p.Body)
				return p, nil
			}
		case <-ctx.Done():
			return Publishing{}, ended(ctx)
		}
	}
}

// Close ends the deliveries and returns what was not taken to the queue, which stays. Closing twice is harmless.
func (c *RawConsumer) Close() {
	c.queue.cancel(c.consumer)
	c.queue.giveBackAll(c.consumer)
}
