package messaging

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/rabbit"
)

// Target says where a message goes and what a server listens on. See [target.Target] for its fields.
type Target = target.Target

// Transport is a way to the bus, shared by any number of servers and clients. It is safe for concurrent use.
type Transport struct {
	driver          transport.Driver
	controlExchange string
	log             logrus.FieldLogger
	defaults        defaults
}

// defaults are those of the servers and clients on a transport that was made by a configuration; zero ones are this
// package's own.
type defaults struct {
	timeout  time.Duration
	poolSize int
	ping     bool
}

// Open makes a transport from its URL: rabbit:// (also kombu+rabbit:// and amqp://, and amqps:// for TLS on port
// 5671) for RabbitMQ, memory:// (also fake://) for a bus inside this process. It does not dial: connections are made
// when they are first needed, and tried again without end. A program that shall not start without its broker calls
// [Transport.Ping] first.
//
// The error matches [ErrInvalidURL], is one line and shows no password.
func Open(url string, opts ...TransportOption) (*Transport, error) {
	parsed, err := transport.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return open(parsed, opts)
}

func open(parsed *transport.URL, opts []TransportOption) (*Transport, error) {
	t := NewTransport(nil, opts...)
	var err error
	switch {
	case isRabbit(parsed):
		t.driver, err = rabbit.Open(parsed, rabbit.WithLogger(t.log))
	case parsed.Driver == "memory", parsed.Driver == "fake":
		t.driver, err = memory.Open(parsed)
	default:
		return nil, fmt.Errorf("%w: unknown driver %q (want rabbit or memory)", ErrInvalidURL, parsed.Driver)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// isRabbit tells whether a URL is one of RabbitMQ.
func isRabbit(u *transport.URL) bool {
	switch u.Driver {
	case "rabbit", "kombu+rabbit", "amqp", "amqps":
		return true
	}
	return false
}

// NewTransport makes a transport on a driver, which it takes over.
func NewTransport(driver transport.Driver, opts ...TransportOption) *Transport {
	c := transportConfig{controlExchange: target.DefaultExchange, log: logrus.StandardLogger()}
	for _, opt := range opts {
		opt.applyTransport(&c)
	}
	return &Transport{driver: driver, controlExchange: c.controlExchange, log: c.log, defaults: c.defaults}
}

// Ping reports whether the broker answers, dialling it if need be, each host of the URL once. It fails with
// [ErrNotConnected] and the reason, as a transport does at start that is to fail fast: for more patience, call it
// again.
func (t *Transport) Ping(ctx context.Context) error {
	if p, ok := t.driver.(transport.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

// Consumers is how many servers receive what is sent to a target's topic, or to its Server if that is named: 0 where nobody
// would take a request for now. A server whose process was cut off counts until the broker has noticed. It dials the broker
// if need be, for as long as ctx lasts, and fails as a call would; with [errors.ErrUnsupported] where the driver cannot
// tell, those of this module can. It is safe for concurrent use.
func (t *Transport) Consumers(ctx context.Context, on Target) (int, error) {
	c, ok := t.driver.(transport.ConsumerCounter)
	if !ok {
		return 0, fmt.Errorf("messaging: count consumers of %s: %w", on, errors.ErrUnsupported)
	}
	return c.Consumers(ctx, t.resolve(on))
}

// Driver is what carries the messages, for what a driver offers of its own: the counters of [rabbit.Driver.Stats],
// for example. The transport keeps owning it.
func (t *Transport) Driver() transport.Driver { return t.driver }

// Close ends the transport: calls that wait fail with [ErrClosed]. Stop the servers on it first. It returns
// when everything has ended, or with ctx's error when that ends first.
func (t *Transport) Close(ctx context.Context) error { return t.driver.Close(ctx) }

// resolve fills in the control exchange.
func (t *Transport) resolve(to Target) Target {
	if to.Exchange == "" {
		to.Exchange = t.controlExchange
	}
	return to
}
