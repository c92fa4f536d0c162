package memory

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/goslo/goslo/transport"
)

// Limits of a queue where [Config] names no others.
const (
	DefaultMaxQueueLength = 100_000
	DefaultMaxQueueBytes  = 256 << 20
)

// Config bounds the queues of a [Broker]. Its zero value means the defaults. RabbitMQ's queues have no bounds
// by default (policies max-length, max-length-bytes with overflow reject-publish set them).
type Config struct {
	// MaxQueueLength is how many messages may wait in one queue. 0 means [DefaultMaxQueueLength], -1 no limit.
	MaxQueueLength int
	// MaxQueueBytes is how many bytes the bodies of the messages that wait in one queue may have together.
	// 0 means [DefaultMaxQueueBytes], -1 no limit.
	MaxQueueBytes int64
}

func (c Config) withDefaults() Config {
	c.MaxQueueLength = cmp.Or(c.MaxQueueLength, DefaultMaxQueueLength)
	c.MaxQueueBytes = cmp.Or(c.MaxQueueBytes, DefaultMaxQueueBytes)
	if c.MaxQueueLength < 0 {
		c.MaxQueueLength = math.MaxInt
	}
	if c.MaxQueueBytes < 0 {
		c.MaxQueueBytes = math.MaxInt64
	}
	return c
}

// Broker keeps exchanges and queues: the part of RabbitMQ in the memory of one process. Make one with
// [NewBroker] where several drivers shall share it. It owns no goroutine and needs no closing. All methods are
// safe for concurrent use.
type Broker struct {
	config   Config
	counters counters

	mu        sync.RWMutex
	exchanges map[string]*exchange
	queues    map[string]*queue
}

// exchangeType is how an exchange routes, in AMQP's words.
type exchangeType string

const (
	topicExchange  exchangeType = "topic"
	fanoutExchange exchangeType = "fanout"
)

type exchange struct {
	kind exchangeType
	// bound holds the queues by binding key; a fanout exchange has them all under the empty one. The slices
	// are replaced, never changed: publishers read them without the lock.
	bound map[string][]*queue
}

type binding struct{ exchange, key string }

// NewBroker makes an empty broker.
func NewBroker(config Config) *Broker {
	return &Broker{
		config:    config.withDefaults(),
		exchanges: make(map[string]*exchange),
		queues:    make(map[string]*queue),
	}
}

// NewDriver makes a driver on the broker, as one connects one more process to RabbitMQ. Its owner closes it.
func (b *Broker) NewDriver() *Driver {
	return &Driver{broker: b, listeners: make(map[*listener]struct{})}
}

// Publish puts a message on the bus as it is, whatever its body: the way for tests, and for bridges from
// another bus. The empty exchange leads to the queue that is named like the key.
//
// It fails with [transport.ErrUndeliverable] where no queue takes the message and with
// [transport.ErrRejected] where a queue is full; other queues have it then.
func (b *Broker) Publish(exchange, key string, p Publishing) error {
	p.Body, p.Headers = bytes.Clone(p.Body), maps.Clone(p.Headers)
	if err := b.publishAsIs(exchange, key, &p); err != nil {
		return fmt.Errorf("memory: publish to exchange %q with key %q: %w", exchange, key, err)
	}
	return nil
}

func (b *Broker) publishAsIs(exchange, key string, p *Publishing) error {
	if exchange == "" {
		return b.publishDirect(key, p)
	}
	b.mu.RLock()
	var queues []*queue
	if e := b.exchanges[exchange]; e != nil {
		queues = e.route(key)
	}
	b.mu.RUnlock()
	return b.deliver(queues, p)
}

// publish sends p to an exchange, which it declares where it does not exist: oslo.messaging's senders do.
func (b *Broker) publish(kind exchangeType, name, key string, p *Publishing) error {
	b.mu.RLock()
	e := b.exchanges[name]
	if e != nil && e.kind == kind {
		queues := e.route(key)
		b.mu.RUnlock()
		return b.deliver(queues, p)
	}
	b.mu.RUnlock()
	b.mu.Lock()
	e, err := b.declare(kind, name)
	if err != nil {
		b.mu.Unlock()
		return err
	}
	queues := e.route(key) // a listener may have come meanwhile
	b.mu.Unlock()
	return b.deliver(queues, p)
}

// publishDirect sends p to the one queue of that name, as the default exchange does.
func (b *Broker) publishDirect(name string, p *Publishing) error {
	b.mu.RLock()
	q := b.queues[name]
	b.mu.RUnlock()
	if q == nil {
		return b.deliver(nil, p)
	}
	return b.deliver([]*queue{q}, p)
}

// deliver puts a message into each of the queues. Of several refusals the first is returned.
func (b *Broker) deliver(queues []*queue, p *Publishing) error {
	taken := 0
	var refused error
	for _, q := range queues {
		switch err := q.publish(newMessage(p)); {
		case err == nil:
			taken++
		case refused == nil && !errors.Is(err, errNoQueue):
			refused = err
		}
	}
	if taken == 0 && refused == nil {
		b.counters.unroutable.Add(1)
		return transport.ErrUndeliverable
	}
	return refused
}

// declare returns the exchange of that name, made where there is none. The broker is locked.
func (b *Broker) declare(kind exchangeType, name string) (*exchange, error) {
	e := b.exchanges[name]
	if e == nil {
		e = &exchange{kind: kind, bound: make(map[string][]*queue)}
		b.exchanges[name] = e
	}
	if e.kind != kind {
		return nil, fmt.Errorf("exchange %q is of type %s, not %s: %w", name, e.kind, kind, transport.ErrRejected)
	}
	return e, nil
}

// bind returns the queue of that name, bound to the exchange; both are made where they do not exist.
func (b *Broker) bind(kind exchangeType, exchange, key, name string) (*queue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.declare(kind, exchange)
	if err != nil {
		return nil, err
	}
	q := b.queue(name)
	key = e.key(key)
	if !slices.Contains(e.bound[key], q) {
		e.bound[key] = append(slices.Clone(e.bound[key]), q)
		q.bindings = append(q.bindings, binding{exchange, key})
	}
	return q, nil
}

// queue returns the queue of that name, made where there is none. The broker is locked.
func (b *Broker) queue(name string) *queue {
	q := b.queues[name]
	if q == nil {
		q = &queue{name: name, broker: b}
		b.queues[name] = q
	}
	return q
}

// consumers counts those of the queue of that name.
func (b *Broker) consumers(name string) int {
	b.mu.RLock()
	q := b.queues[name]
	b.mu.RUnlock()
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.consumers)
}

// keep makes a queue that nobody consumes, where there is none.
func (b *Broker) keep(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue(name)
}

// deleteQueue removes a queue, and each fanout exchange that has none left: those are auto-delete.
func (b *Broker) deleteQueue(q *queue) {
	b.mu.Lock()
	delete(b.queues, q.name)
	for _, at := range q.bindings {
		e := b.exchanges[at.exchange]
		others := slices.DeleteFunc(slices.Clone(e.bound[at.key]), func(other *queue) bool { return other == q })
		if e.bound[at.key] = others; len(others) == 0 {
			delete(e.bound, at.key)
		}
		if e.kind == fanoutExchange && len(e.bound) == 0 {
			delete(b.exchanges, at.exchange)
		}
	}
	q.bindings = nil
	b.mu.Unlock()
	q.delete()
}

func (e *exchange) route(key string) []*queue { return e.bound[e.key(key)] }

func (e *exchange) key(key string) string {
	if e.kind == fanoutExchange {
		return ""
	}
	return key
}
