package rabbit

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// listener receives for one server: from its topic, its own queue and by fanout.
type listener struct {
	driver       *Driver
	on           target.Target
	subscription *subscription
	duplicates   transport.Duplicates
	replies      outstanding
	movable      bool

	mu      sync.Mutex // protects what follows
	waiting []*delivery
	stopped bool
	arrived chan struct{} // holds a token while waiting may have something
}

// maxPrefetch is what basic.qos can say: its field has 16 bits, and 0 would be no limit.
const maxPrefetch = 65535

// Listen starts to receive for a server. It waits for the broker as long as ctx lasts, and fails with a
// [*BrokerError] in its chain where the broker refuses a declaration.
func (d *Driver) Listen(ctx context.Context, on target.Target, opts transport.ListenOptions) (transport.Listener, error) {
	if err := on.CheckServer(); err != nil {
		return nil, err
	}
	queues := d.options.serverQueues(on, d.options.queueSuffix)
	for _, q := range queues {
		if err := checkNames(on, q.name, q.exchange.name); err != nil {
			return nil, err
		}
	}
	prefetch := opts.Prefetch
	if d.options.Prefetch > 0 {
		prefetch = d.options.Prefetch
	}
	d.publisher.start() // replies will need it
	l := &listener{driver: d, on: on, movable: opts.Movable, arrived: make(chan struct{}, 1)}
	l.subscription = newSubscription(d, queues, min(max(prefetch, 1), maxPrefetch), l.receive, l.lost)
	l.subscription.probe = d.options.ConsumerProbe
	l.subscription.refusedName = l.rename
	if err := d.subscribe(ctx, l.subscription); err != nil {
		return nil, fmt.Errorf("rabbit: listen: %w", err)
	}
	return l, nil
}

// rename gives the server's fanout queue, which no peer knows, another name.
func (l *listener) rename(q *queue, reason error) {
	old := q.name
	q.name = fanoutName(l.on.Topic, l.driver.options.queueSuffix())
	l.driver.log.WithFields(logrus.Fields{"error": reason, "queue": old, "new_queue": q.name}).
		Warn("the broker does not make the queue, taking another name")
}

// receive queues a delivery for Poll. The queue holds what the prefetch allows.
func (l *listener) receive(d *delivery) (verdict, bool) {
	l.mu.Lock()
	l.waiting = append(l.waiting, d)
	l.mu.Unlock()
	l.wake()
	return 0, false
}

func (l *listener) wake() {
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// lost drops what came on a channel that has ended: the broker delivers it again.
func (l *listener) lost(a *attachment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.waiting[:0]
	for _, d := range l.waiting {
		if d.attachment != a {
			kept = append(kept, d)
		}
	}
	clear(l.waiting[len(kept):])
	l.waiting = kept
}

// next takes the oldest delivery; nil where there is none.
func (l *listener) next() (d *delivery, more, stopped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil, false, true
	}
	if len(l.waiting) == 0 {
		return nil, false, false
	}
	d = l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	return d, len(l.waiting) > 0, false
}

// Poll waits for the next request. What cannot be read as one is counted, and is rejected here, once, unless the
// listener's requests can be moved.
func (l *listener) Poll(ctx context.Context) (transport.Incoming, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		d, more, stopped := l.next()
		if stopped {
			l.wake() // for another that polls
			return nil, transport.ErrClosed
		}
		if d != nil {
			if more {
				l.wake()
			}
			if in := l.read(context.WithoutCancel(ctx), d); in != nil { // what Poll has taken is settled even where ctx ends
				return in, nil
			}
			continue
		}
		select {
		case <-l.arrived:
		case <-l.driver.closing:
			return nil, transport.ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *listener) read(ctx context.Context, d *delivery) *incoming {
	var asSent []byte
	if l.movable { // reading the body writes into it
		asSent = bytes.Clone(d.Body)
	}
	req, err := readRequest(d)
	if err == nil {
		return &incoming{listener: l, delivery: d, request: req, asSent: asSent}
	}
	if l.movable {
		l.driver.stats.malformed.Add(1)
		return &incoming{listener: l, delivery: d, request: &transport.Request{}, asSent: asSent, fault: err}
	}
	l.driver.malformed(d, err)
	if err := d.attachment.ask(ctx, ackRequest{tag: d.DeliveryTag, verdict: reject}); err != nil {
		l.driver.stats.stale.Add(1)
	}
	return nil
}

func readRequest(d *delivery) (*transport.Request, error) {
	return wire.ReadRequest(properties(d), d.Body)
}

func properties(d *delivery) wire.Properties {
	algorithm, _ := d.Headers[wire.CompressionHeader].(string)
	return wire.Properties{
		ContentType: d.ContentType, Compression: algorithm,
		Deadline: wire.Deadline(d.Headers[wire.DeadlineHeader]), UserID: d.UserId,
	}
}

// Stop ends the consumers; deliveries that were not polled go back to the broker.
func (l *listener) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	unpolled := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	l.wake()
	l.subscription.stop()
	a := l.subscription.attached()
	if a == nil {
		return nil
	}
	for _, d := range unpolled {
		if err := d.attachment.ask(ctx, ackRequest{tag: d.DeliveryTag, verdict: requeue}); err != nil {
			return ignoreStale(err)
		}
	}
	select {
	case <-a.idle:
		return l.returnLate(ctx)
	case <-a.ended: // with it, everything went back
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rabbit: stop the consumers: %w", context.Cause(ctx))
	}
}

// returnLate hands back what was received while the consumers were being cancelled.
func (l *listener) returnLate(ctx context.Context) error {
	l.mu.Lock()
	late := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for _, d := range late {
		if err := d.attachment.ask(ctx, ackRequest{tag: d.DeliveryTag, verdict: requeue}); err != nil {
			return ignoreStale(err)
		}
	}
	return nil
}

// Close waits until the replies are with the broker, sends the last acknowledgements and closes the channel:
// the broker takes back what is not acknowledged.
func (l *listener) Close(ctx context.Context) error {
	err := l.Stop(ctx)
	if err == nil {
		err = l.replies.wait(ctx)
	}
	l.driver.consumer.remove(l.subscription)
	a := l.subscription.attached()
	if a == nil {
		return err
	}
	if closeErr := a.ask(ctx, ackRequest{end: true}); err == nil {
		err = ignoreStale(closeErr)
	}
	select {
	case <-a.ended:
	case <-ctx.Done():
		if err == nil {
			err = fmt.Errorf("rabbit: close the listener: %w", context.Cause(ctx))
		}
	}
	return err
}
