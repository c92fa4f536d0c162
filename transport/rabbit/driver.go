// Package rabbit is the RabbitMQ driver: oslo.messaging's rabbit driver as its peers see it on the wire.
//
// A driver has two connections, made when they are first needed: one publishes, one consumes, since a broker in
// a memory alarm stops reading the connections that publish. Each is a link, which makes one session after
// another (connection, channels, nothing else) from what the driver remembers: subscriptions on the consuming
// side, queued publications on the publishing side. Every channel belongs to one goroutine.
package rabbit

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rabbitmq/amqp091-go"
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// Driver carries requests over RabbitMQ. It is safe for concurrent use.
type Driver struct {
	hosts       *hosts
	virtualHost string
	options     Options
	gates       *gates
	log         logrus.FieldLogger
	limit       loglimit.Limiter
	stats       counters

	// What was found out about the broker: kinds of queues that it refuses, and the queues and exchanges that exist with
	// other flags.
	denials     denials
	differences sync.Map

	publisher *link
	direct    *lane // requests to topics and servers, replies
	bulk      *lane // those that are long: a broker may refuse them, which costs the channel
	fanout    *lane // fanout requests, whose exchange may be gone at any time
	consumer  *consumers
	nacks     nacks
	stalls    stalls
	replier   replier
	replies   replies
	senders   atomic.Int64            // calls and casts under way
	barrier   atomic.Pointer[barrier] // of the present session that publishes; nil where there is none

	closing chan struct{}
	once    sync.Once
}

// Option is a choice about a driver that a URL cannot make.
type Option func(*Driver)

// WithLogger takes the logger; the default is logrus.StandardLogger().
func WithLogger(log logrus.FieldLogger) Option { return func(d *Driver) { d.log = log } }

// Open makes a driver from a transport URL whose query holds its [Options]. It does not dial, and does not read the
// files that the options name. The scheme amqps turns TLS on and makes 5671 the default port; all others are the
// same. The error matches [transport.ErrInvalidURL] and names the option.
func Open(u *transport.URL, opts ...Option) (*Driver, error) {
	options, err := optionsOf(u)
	if err != nil {
		return nil, err
	}
	d := &Driver{
		hosts: newHosts(hostsOf(u), options.FailoverStrategy), virtualHost: u.VirtualHost, options: options,
		gates: &processGates, log: logrus.StandardLogger(), closing: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(d)
	}
	options.TLS.tell(d.log)
	tellUnused(u.Query, d.log)
	d.direct, d.bulk, d.fanout = newLane(d, false), newLane(d, false), newLane(d, true)
	d.publisher = newLink("publish", d, d.servePublisher)
	d.consumer = newConsumers()
	d.consumer.link = newLink("consume", d, d.serveConsumers)
	d.replier.driver = d
	d.replies.driver = d
	d.replies.prober = newProber(&d.replies)
	return d, nil
}

// serveConsumers keeps what is consumed attached to a session until it ends.
func (d *Driver) serveConsumers(ctx context.Context, s *session) {
	d.consumer.serve(ctx, s)
	d.denials.connectionLost(s.cause())
}

// servePublisher runs the lanes on a session until it ends.
func (d *Driver) servePublisher(ctx context.Context, s *session) {
	d.nacks.begin()
	d.barrier.Store(&s.barrier)
	defer d.barrier.Store(nil)
	if d.stalls.over() { // the host that confirmed nothing may deliver nothing either
		d.replies.prober.doubt()
	}
	var lanes sync.WaitGroup
	for _, l := range d.lanes() {
		lanes.Go(func() { l.serve(ctx, s) })
	}
	lanes.Wait()
}

// obstacle is what keeps this process from publishing on a connection that is there, nil where nothing does.
func (d *Driver) obstacle() error {
	if g := d.barrier.Load(); g != nil {
		return g.obstacle()
	}
	return nil
}

// Options are those that the driver was opened with.
func (d *Driver) Options() Options { return d.options }

// Stats tells what happened to the driver so far.
func (d *Driver) Stats() Stats { return d.stats.read() }

// Ping dials the broker if need be and reports whether it answers. Each host of the URL is tried once; the error is
// that of the last one.
func (d *Driver) Ping(ctx context.Context) error {
	if err := d.publisher.await(ctx, 0); err != nil {
		return fmt.Errorf("rabbit: %w", err)
	}
	return nil
}

// Consumers implements [transport.ConsumerCounter]. ctx bounds the wait for a connection. It asks on the one that consumes:
// in a memory alarm the broker does not read the other. A broker that does not answer there costs the session.
func (d *Driver) Consumers(ctx context.Context, on target.Target) (int, error) {
	n, err := d.countConsumers(ctx, on)
	if err != nil {
		return 0, fmt.Errorf("rabbit: count consumers of %s: %w", on, err)
	}
	return n, nil
}

func (d *Driver) countConsumers(ctx context.Context, on target.Target) (n int, err error) {
	if err := on.CheckCall(); err != nil {
		return 0, err
	}
	_, queue := d.options.address(on)
	if err := d.consumer.link.await(ctx, transport.RetryForever); err != nil {
		return 0, err
	}
	s := d.consumer.link.current.Load()
	s.bounded(func() { n, err = s.consumersOf(queue) })
	return n, err
}

// Call implements [transport.Driver]. Every call is mandatory for the broker, so that a [transport.TimeoutError] can
// tell that no queue took its request.
func (d *Driver) Call(ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions) (*transport.Reply, error) {
	if err := to.CheckCall(); err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	call := d.replies.calls.New(opts)
	call.Explain(d.obstacle)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("rabbit: %w", call.Unsent(ctx, waitError(ctx, nil)))
	}
	// The reply queue comes first: a reply must find it.
	queue, err := d.replies.ready(ctx, opts.Retry)
	if err != nil {
		return nil, fmt.Errorf("rabbit: reply queue: %w", call.Unsent(ctx, err))
	}
	id := transport.Prepare(req, queue, opts.Monitor)
	p, err := d.publication(to, req, opts)
	if err != nil {
		return nil, err
	}
	p.mandatory, p.writing, p.settle = true, call.Sent, call.Settled
	if err := call.Await(id, p.withdraw); err != nil {
		return nil, fmt.Errorf("rabbit: %w", err)
	}
	if !d.replies.current(queue) { // lost just now: whether or not the call was told of it, nobody hears the reply
		call.Fail(transport.ErrReplyPathLost)
	} else if err := d.publish(ctx, d.laneTo(to, len(p.message.Body)), p, opts.Retry); err != nil {
		call.Abandon()
		return nil, fmt.Errorf("rabbit: %w", call.Unsent(ctx, err))
	}
	reply, err := call.Wait(ctx)
	if err != nil {
		d.replies.timedOut(err)
		return nil, fmt.Errorf("rabbit: %w", err)
	}
	return reply, nil
}

// Cast implements [transport.Driver].
func (d *Driver) Cast(ctx context.Context, to target.Target, req *transport.Request, opts transport.SendOptions) error {
	begun := time.Now()
	if err := to.CheckCast(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("rabbit: %w", waitError(ctx, nil))
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	transport.Prepare(req, "", 0)
	p, err := d.publication(to, req, opts)
	if err != nil {
		return err
	}
	settled := make(chan error, 1)
	p.settle = func(err error) { settled <- err }
	if err := d.publish(ctx, d.laneTo(to, len(p.message.Body)), p, opts.Retry); err != nil {
		return fmt.Errorf("rabbit: %w", err)
	}
	select {
	case err = <-settled:
	case <-d.closing:
		err = transport.ErrClosed
	case <-ctx.Done():
		select {
		case err = <-settled: // at the same time: what the broker said counts
		default:
			err = d.unconfirmed(ctx, p, time.Since(begun))
		}
	}
	if err != nil {
		return fmt.Errorf("rabbit: %w", err)
	}
	return nil
}

// unconfirmed tells whether a publication whose sender gave up may have been sent, and whether the broker held it up.
func (d *Driver) unconfirmed(ctx context.Context, p *publication, waited time.Duration) error {
	obstacle, end := d.obstacle(), ended(ctx)
	if obstacle != nil {
		end = fmt.Errorf("%w: %w", obstacle, end)
	}
	switch {
	case !p.withdraw():
		return fmt.Errorf("%w within %s: %w", transport.ErrUnconfirmed, waited.Round(time.Millisecond), end)
	case obstacle != nil:
		return end
	}
	return waitError(ctx, nil)
}

// enter counts a call or cast in, unless there are too many.
func (d *Driver) enter() error {
	if d.senders.Add(1) > int64(d.options.MaxSenders) {
		d.leave()
		return fmt.Errorf("rabbit: %w: the limit is %d", transport.ErrTooManySenders, d.options.MaxSenders)
	}
	return nil
}

func (d *Driver) leave() { d.senders.Add(-1) }

func (d *Driver) lanes() []*lane { return []*lane{d.direct, d.bulk, d.fanout} }

// bulkSize is from which length on a message takes the lane of long ones. No broker refuses shorter ones.
const bulkSize = 128 << 10

// laneTo is the lane of a request with a body of that length.
func (d *Driver) laneTo(to target.Target, length int) *lane {
	if to.Fanout {
		return d.fanout
	}
	return d.laneOf(length)
}

// laneOf is the lane of a reply with a body of that length.
func (d *Driver) laneOf(length int) *lane {
	if length >= bulkSize {
		return d.bulk
	}
	return d.direct
}

func (d *Driver) publication(to target.Target, req *transport.Request, opts transport.SendOptions) (*publication, error) {
	body := wire.AppendRequest(make([]byte, 0, encodedSize(req)), req)
	if len(body) > wire.MaxSize {
		return nil, fmt.Errorf("rabbit: %w: the request has %d bytes, the limit is %d", transport.ErrTooLarge, len(body), wire.MaxSize)
	}
	message, err := newMessage(req.ContentType, d.options.Compression, body)
	if err != nil {
		return nil, err
	}
	p := &publication{message: message, uniqueID: req.UniqueID, mandatory: opts.Mandatory && !to.Fanout}
	if opts.Expiration > 0 {
		// More than 32 bits of milliseconds (50 days) would cost the channel (rabbit_misc.erl, check_expiry).
		p.message.Expiration = strconv.FormatInt(min(max(opts.Expiration.Milliseconds(), 1), math.MaxUint32), 10)
	}
	if !req.Deadline.IsZero() {
		if p.message.Headers == nil {
			p.message.Headers = make(amqp091.Table, 1)
		}
		p.message.Headers[wire.DeadlineHeader] = req.Deadline.UnixMilli()
	}
	p.exchange, p.key = d.options.address(to)
	if err := checkNames(to, p.exchange.name, p.key); err != nil {
		return nil, err
	}
	return p, nil
}

// encodedSize guesses the length of a request's body, so that it is allocated once.
func encodedSize(req *transport.Request) int {
	size := 320 + len(req.Method) + len(req.Args)*5/4
	for i := range req.Context {
		size += len(req.Context[i].Key) + len(req.Context[i].Value)*5/4 + 24
	}
	return size
}

// publish waits for a connection, as long as retry says, and queues p.
func (d *Driver) publish(ctx context.Context, l *lane, p *publication, retry int) error {
	if err := d.publisher.await(ctx, retry); err != nil {
		return err
	}
	return l.submit(ctx, p)
}

// subscribe attaches a subscription and waits until it receives.
func (d *Driver) subscribe(ctx context.Context, sub *subscription) error {
	if d.isClosing() {
		return transport.ErrClosed
	}
	d.consumer.add(sub)
	d.consumer.link.start()
	if err := sub.ready(ctx); err != nil {
		sub.abandon()
		d.consumer.remove(sub)
		return err
	}
	return nil
}

func (d *Driver) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// rarely returns the logger for a line of that kind, or nil where one was logged within the last minute.
func (d *Driver) rarely(kind string) logrus.FieldLogger {
	held, ok := d.limit.Pass(kind)
	switch {
	case !ok:
		return nil
	case held > 0:
		return d.log.WithField("held_back", held)
	}
	return d.log
}

// malformed counts and, now and then, logs a message that cannot be read.
func (d *Driver) malformed(m *delivery, err error) {
	d.stats.malformed.Add(1)
	if log := d.rarely("malformed"); log != nil {
		log.WithFields(logrus.Fields{
			"error": loglimit.Quote(err.Error()), "exchange": loglimit.Quote(m.Exchange), "routing_key": loglimit.Quote(m.RoutingKey), "bytes": len(m.Body),
		}).Warn("malformed message rejected")
	}
}

// Close ends everything: calls and casts that wait fail with ErrClosed. It takes no longer than a broker needs to
// close two connections at once, and closes the sockets where that takes over two seconds.
func (d *Driver) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.close()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rabbit: close: %w", context.Cause(ctx))
	}
}

func (d *Driver) close() {
	d.once.Do(func() { close(d.closing) })
	d.replies.close()
	late := time.AfterFunc(closeTimeout, func() { // a broker that is frozen
		d.consumer.link.kill()
		d.publisher.kill()
	})
	defer late.Stop()
	var publisher sync.WaitGroup
	publisher.Go(d.publisher.stop)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout/2)
	d.consumer.finish(ctx)
	cancel()
	d.consumer.link.stop()
	publisher.Wait()
	for _, l := range d.lanes() {
		l.abandon()
	}
	d.replier.timers.Wait()
}

var _ interface {
	transport.Driver
	transport.Pinger
} = (*Driver)(nil)
