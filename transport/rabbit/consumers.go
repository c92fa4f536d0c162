package rabbit

import (
	"context"
	"slices"
	"sync"
)

// consumers is the set of subscriptions on the driver's consuming connection.
type consumers struct {
	link *link

	mu      sync.Mutex // protects what follows
	subs    []*subscription
	session *session
	running sync.WaitGroup

	// declaring holds a token while a subscription declares its queues: when the broker ends the connection over that,
	// it is clear whose queue it refused.
	declaring chan struct{}
}

func newConsumers() *consumers { return &consumers{declaring: make(chan struct{}, 1)} }

// turn waits until the caller may declare on a session, and returns what ends its turn.
func (c *consumers) turn(s *session) (done func(), err error) {
	select {
	case c.declaring <- struct{}{}:
		return func() { <-c.declaring }, nil
	case <-s.ended:
		return nil, s.cause()
	}
}

// add remembers a subscription and attaches it, at once where there is a session.
func (c *consumers) add(sub *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = append(c.subs, sub)
	if c.session != nil {
		s := c.session
		c.running.Go(func() { sub.serve(c.link.ctx, s) })
	}
}

// remove forgets a subscription.
func (c *consumers) remove(sub *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = slices.DeleteFunc(c.subs, func(s *subscription) bool { return s == sub })
}

// serve attaches every subscription to a new session and returns when all have ended with it.
func (c *consumers) serve(ctx context.Context, s *session) {
	c.mu.Lock()
	c.session = s
	for _, sub := range c.subs {
		c.running.Go(func() { sub.serve(ctx, s) })
	}
	c.mu.Unlock()
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.close()
	}
	c.mu.Lock()
	c.session = nil
	c.mu.Unlock()
	c.running.Wait()
}

// finish ends every attachment by the book, so that the acknowledgements that were put together are sent. It
// waits no longer than ctx lasts.
func (c *consumers) finish(ctx context.Context) {
	c.mu.Lock()
	subs := slices.Clone(c.subs)
	c.mu.Unlock()
	for _, sub := range subs {
		sub.stop()
	}
	for _, sub := range subs {
		if a := sub.attached(); a != nil && a.ask(ctx, ackRequest{end: true}) == nil {
			select {
			case <-a.ended:
			case <-ctx.Done():
			}
		}
	}
}

// waitError tells that ctx ended before a subscription was ready.
func (c *consumers) waitError(ctx context.Context) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return waitError(ctx, c.link.err)
}
