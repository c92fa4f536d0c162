package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/rabbitmq/amqp091-go"
)

// prefetch is what goslo's server asks for with 64 places.
const prefetch = 128

// pair is two connections with a channel each: one consumes, one publishes with confirms.
type pair struct {
	connections [2]*amqp091.Connection
	consume     *amqp091.Channel
	publish     *amqp091.Channel
	returns     chan amqp091.Return
}

func newPair(url string) (*pair, error) {
	p := &pair{returns: make(chan amqp091.Return, 1)}
	for i := range p.connections {
		c, err := amqp091.Dial(url)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.connections[i] = c
	}
	var err error
	if p.consume, err = p.connections[0].Channel(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if p.publish, err = p.connections[1].Channel(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.publish.NotifyReturn(p.returns)
	return p, errors.Join(p.publish.Confirm(false), p.consume.Qos(prefetch, 0, false))
}

func (p *pair) close() error {
	var errs []error
	for _, c := range p.connections {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// send publishes a mandatory message and waits for its confirm.
func (p *pair) send(ctx context.Context, key string, m *amqp091.Publishing) error {
	m.ContentType, m.DeliveryMode = "application/json", amqp091.Persistent
	confirm, err := p.publish.PublishWithDeferredConfirm("", key, true, false, *m)
	if err != nil {
		return err
	}
	ok, err := confirm.WaitContext(ctx)
	if err == nil && !ok {
		err = errors.New("not confirmed")
	}
	return err
}

// serveRaw answers every request with a reply of the usual length until ctx ends.
func serveRaw(ctx context.Context, url string, size int) (stop func() error, err error) {
	p, err := newPair(url)
	if err != nil {
		return nil, err
	}
	if _, err := p.consume.QueueDeclare(rawQueue, false, true, false, false, nil); err != nil {
		return nil, errors.Join(err, p.close())
	}
	requests, err := p.consume.Consume(rawQueue, "", false, false, false, false, nil)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	body := rawReply(size)
	places := make(chan struct{}, 64)
	var handlers sync.WaitGroup
	go func() { // a reply that cannot be delivered stops nothing: its caller counts it
		for range p.returns {
		}
	}()
	handlers.Go(func() {
		for d := range requests {
			places <- struct{}{}
			if d.Ack(false) != nil {
				return
			}
			handlers.Go(func() {
				defer func() { <-places }()
				// What goes wrong here shows as a call that fails.
				_ = p.send(ctx, d.ReplyTo, &amqp091.Publishing{CorrelationId: d.CorrelationId, Body: body})
			})
		}
	})
	return func() error {
		err := p.close()
		handlers.Wait()
		return err
	}, nil
}

// rawClient calls and waits for the reply of the same id.
type rawClient struct {
	*pair
	queue  string
	body   []byte
	lastID atomic.Uint64

	mu      sync.Mutex
	waiting map[string]chan amqp091.Delivery
}

func newRawClient(url string, size int) (*rawClient, error) {
	p, err := newPair(url)
	if err != nil {
		return nil, err
	}
	q, err := p.consume.QueueDeclare("", false, false, true, false, nil)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	replies, err := p.consume.Consume(q.Name, "", false, true, false, false, nil)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	c := &rawClient{pair: p, queue: q.Name, body: rawRequest(size), waiting: make(map[string]chan amqp091.Delivery)}
	go func() { // ends with the channel
		for range p.returns {
		}
	}()
	go func() { // ends with the channel
		for d := range replies {
			_ = d.Ack(false) // fails with the channel only
			c.mu.Lock()
			waiting := c.waiting[d.CorrelationId]
			delete(c.waiting, d.CorrelationId)
			c.mu.Unlock()
			if waiting != nil {
				waiting <- d
			}
		}
	}()
	return c, nil
}

func (c *rawClient) call(ctx context.Context) error {
	id := strconv.FormatUint(c.lastID.Add(1), 16)
	reply := make(chan amqp091.Delivery, 1)
	c.mu.Lock()
	c.waiting[id] = reply
	c.mu.Unlock()
	err := c.send(ctx, rawQueue, &amqp091.Publishing{CorrelationId: id, ReplyTo: c.queue, Expiration: "60000", Body: c.body})
	if err != nil {
		return err
	}
	select {
	case <-reply:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("raw call: %w", ctx.Err())
	}
}
