package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// maxPrefetch is the largest prefetch count that AMQP can carry (basic.qos).
const maxPrefetch = 65535

// listener receives for one server from its three queues.
type listener struct {
	driver     *Driver
	on         target.Target
	inbox      chan delivery // what was handed out and not polled
	consumers  []subscription
	private    *queue // for fanouts
	movable    bool   // hands over what cannot be read
	duplicates transport.Duplicates

	stopping sync.Once
	stopped  chan struct{} // closed by Stop
}

type subscription struct {
	*consumer
	queue *queue
}

func newListener(d *Driver, on target.Target, opts transport.ListenOptions) (*listener, error) {
	if opts.Prefetch < 1 {
		return nil, fmt.Errorf("ListenOptions.Prefetch is %d, want at least 1", opts.Prefetch)
	}
	prefetch := min(opts.Prefetch, maxPrefetch)
	shared, err := d.broker.bind(topicExchange, on.Exchange, on.Topic, on.Topic)
	if err != nil {
		return nil, err
	}
	name := on.Topic + "." + on.Server
	direct, err := d.broker.bind(topicExchange, on.Exchange, name, name)
	if err != nil {
		return nil, err
	}
	fanout := on.Topic + "_fanout"
	private, err := d.broker.bind(fanoutExchange, fanout, on.Topic, fanout+"_"+wire.NewID())
	if err != nil {
		return nil, err
	}
	queues := []*queue{shared, direct, private}
	l := &listener{
		driver: d, on: on, private: private, movable: opts.Movable, stopped: make(chan struct{}),
		inbox: make(chan delivery, len(queues)*prefetch), // all that the queues may hand out: they never wait for Poll
	}
	for _, q := range queues {
		c := &consumer{prefetch: prefetch, inbox: l.inbox}
		l.consumers = append(l.consumers, subscription{c, q})
		q.consume(c)
	}
	return l, nil
}

// Poll implements [transport.Listener]. A request that has expired is dropped; so is one that cannot be read, unless
// the listener's requests can be moved.
func (l *listener) Poll(ctx context.Context) (transport.Incoming, error) {
	for {
		d, err := l.next(ctx)
		if err != nil {
			return nil, fmt.Errorf("memory: poll %s: %w", l.on, err)
		}
		if in := l.open(d); in != nil {
			return in, nil
		}
	}
}

func (l *listener) next(ctx context.Context) (delivery, error) {
	select {
	case <-l.stopped: // also where there is something left, which Stop hands back
		return delivery{}, transport.ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return delivery{}, ended(ctx)
	}
	select {
	case d := <-l.inbox:
		return d, nil
	case <-l.stopped:
		return delivery{}, transport.ErrClosed
	case <-ctx.Done():
		return delivery{}, ended(ctx)
	}
}

// open reads what was delivered; nil tells that it was no request to be run.
func (l *listener) open(d delivery) *incoming {
	counters := &l.driver.broker.counters
	if d.expired() {
		if d.queue.settle(d) {
			counters.expired.Add(1)
		}
		return nil
	}
	req, err := d.request()
	if err != nil && l.movable {
		counters.malformed.Add(1)
		return &incoming{listener: l, delivery: d, req: &transport.Request{}, fault: err}
	}
	if err != nil {
		if d.queue.settle(d) { // where it is stale it comes again, to be counted then
			counters.malformed.Add(1)
		}
		return nil
	}
	return &incoming{listener: l, delivery: d, req: req}
}

// Stop implements [transport.Listener]. It does not wait for anything, whatever ctx is.
//
// The order is: no more deliveries, then hand back what was not polled. The private queue goes at once, and
// with it the fanouts that were not polled: they were for this listener only.
func (l *listener) Stop(context.Context) error {
	l.stopping.Do(func() {
		close(l.stopped)
		for _, c := range l.consumers {
			c.queue.cancel(c.consumer)
		}
		l.driver.broker.deleteQueue(l.private)
		for {
			select {
			case d := <-l.inbox:
				d.queue.giveBack(d)
			default:
				return
			}
		}
	})
	return nil
}

// Close implements [transport.Listener]. It does not wait for anything, whatever ctx is: acknowledgements and
// replies are with the broker as soon as they are made.
func (l *listener) Close(ctx context.Context) error {
	err := l.Stop(ctx)
	for _, c := range l.consumers {
		c.queue.giveBackAll(c.consumer)
	}
	l.driver.forget(l)
	return err
}
