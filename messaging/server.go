package messaging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// ErrInsideHandler tells that Wait was called from an endpoint method of the same server, which would wait for
// itself.
var ErrInsideHandler = errors.New("a server's endpoint method cannot wait for its own server")

// errStopped is the cause with which the contexts of handlers end that outlast Wait.
var errStopped = errors.New("the server has stopped")

// minPrefetch keeps the broker's pipe filled for executors with few places.
const minPrefetch = 16

// limitedPrefetch is the least for servers with limited methods, whose requests may pile up.
const limitedPrefetch = 256

// MessageHandlingServer receives what is sent to a target and hands every message to an endpoint method.
//
// It polls its listener in one loop of its own and runs each message by its executor: by default in a fresh
// goroutine, at most executor_thread_pool_size (64) at once. While all are taken it does not poll: the
// messages stay with the broker. The loop retries for ever on errors and panics that nothing else catches.
//
// Its life is Start, Stop, Wait, each of which runs once however many goroutines call it and waits for the one
// before it; after Stop it can be started again. All methods are safe for concurrent use.
type MessageHandlingServer struct {
	transport   *Transport
	target      Target
	config      serverConfig
	serializers serializers
	dispatcher  *dispatcher.Dispatcher
	log         logrus.FieldLogger

	mu      sync.Mutex
	epoch   *epoch
	earlier []*epoch // those before it whose end is still awaited, each by a goroutine of its own

	late late // requests that are acknowledged when they are finished

	limit                                           loglimit.Limiter
	received, redelivered, expired, refused, failed atomic.Uint64
	requeued, parked, abandoned                     atomic.Uint64

	running  runningRequests
	progress atomic.Uint64
}

// ServerStats counts the messages of a server since it was made.
type ServerStats struct {
	// Received is how many messages reached a handler's place, duplicates included.
	Received uint64
	// Redelivered is how many of them the broker had handed to another server before, which went away without
	// acknowledging them.
	Redelivered uint64
	// Expired is how many of them were not run because their callers had stopped waiting.
	Expired uint64
	// Refused is how many of them asked for what no endpoint has: an unknown method, version or namespace,
	// arguments that do not fit. They were answered with a failure.
	Refused uint64
	// Failed is how many endpoint methods returned an error, panicked or ended their goroutine.
	Failed uint64
	// Requeued is how many requests went back to their queue because their methods asked for it (see [Requeue]).
	Requeued uint64
	// Parked is how many requests were put aside after too many deliveries, or because they could not be read (see
	// [WithMaxDeliveries]).
	Parked uint64
	// Abandoned is how many requests were acknowledged with [AckOnReceive] and not run, since Wait's context ended.
	Abandoned uint64
}

// Stats tells what the server has handled so far.
func (s *MessageHandlingServer) Stats() ServerStats {
	return ServerStats{
		Received: s.received.Load(), Redelivered: s.redelivered.Load(), Expired: s.expired.Load(),
		Refused: s.refused.Load(), Failed: s.failed.Load(),
		Requeued: s.requeued.Load(), Parked: s.parked.Load(), Abandoned: s.abandoned.Load(),
	}
}

type serverConfig struct {
	executor      executor.Type
	poolSize      int
	prefetch      int
	ack           AckMode
	maxDeliveries int
	logAfter      time.Duration
	stuckAfter    time.Duration
	serializer    serializer.Serializer
	failures      failures
	policy        AccessPolicy
	authorize     Authorizer
	interceptors  interceptors
	ping          bool
	describe      bool
}

// epoch is one life of a server, from Start to Wait.
type epoch struct {
	start, stop, wait *task
	run               *run          // set by start
	over              chan struct{} // closed when an epoch has ended for which another began
}

func newEpoch() *epoch {
	return &epoch{start: newTask("start"), stop: newTask("stop"), wait: newTask("wait"), over: make(chan struct{})}
}

// run is what an epoch works with.
type run struct {
	executor executor.Executor
	listener transport.Listener

	polling     context.Context //nolint:containedctx // ends when the loop must not take or hand over another message
	stopPolling context.CancelFunc
	polled      chan struct{} // closed when the loop has ended
	turns       *turns        // the loop's
	limits      *limits
	resuming    context.Context //nolint:containedctx // ends when nothing must be begun any more
	resumed     chan struct{}   // closed when the loop has ended that runs what limits kept back
	backlog     backlog
	begunAll    bool           // Wait's
	settling    sync.WaitGroup // requests whose replies are on their way; they are acknowledged then

	handling     context.Context //nolint:containedctx // what handlers' contexts are made of; ends with Wait
	stopHandling context.CancelCauseFunc
}

// NewRPCServer makes a server for a target, which needs a topic and a server name, and the endpoints that
// answer its requests. Nothing touches the network before Start. It fails with an [*InvalidTargetError], an
// [*executor.UnknownTypeError], or an error that names what is wrong with an option or endpoint.
func NewRPCServer(t *Transport, on Target, endpoints []*Endpoint, opts ...ServerOption) (*MessageHandlingServer, error) {
	c := serverConfig{
		executor: executor.Threading, logAfter: 30 * time.Second, serializer: serializer.JSON, policy: DefaultAccessPolicy,
		ack: AckOnStart, maxDeliveries: DefaultMaxDeliveries, poolSize: t.defaults.poolSize, ping: t.defaults.ping,
	}
	for _, opt := range opts {
		opt.applyServer(&c)
	}
	if err := on.CheckServer(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &MessageHandlingServer{
		transport: t, target: t.resolve(on), config: c, serializers: withOwn(c.serializer), epoch: newEpoch(),
		log: t.log.WithFields(logrus.Fields{"topic": on.Topic, "server": on.Server}),
	}
	var err error
	if s.dispatcher, err = s.newDispatcher(endpoints); err != nil {
		return nil, err
	}
	return s, nil
}

func (c *serverConfig) check() error {
	trial, err := executor.New(c.executor, c.poolSize)
	if err != nil {
		return err
	}
	if err := trial.Shutdown(context.Background()); err != nil {
		return err
	}
	switch {
	case c.prefetch < 0:
		return fmt.Errorf("the server's prefetch must not be negative, got %d", c.prefetch)
	case c.stuckAfter < 0:
		return fmt.Errorf("the time after which a method is stuck must not be negative, got %s", c.stuckAfter)
	case c.policy == nil:
		return errors.New("the server's access policy is nil")
	}
	if err := c.checkAck(); err != nil {
		return err
	}
	return checkSerializer(c.serializer)
}

// StartOption is a choice about one life of a server.
type StartOption func(*serverConfig)

// WithPoolSize makes a server run size handlers at once in this life, in place of what
// [WithExecutorThreadPoolSize] says; 0 keeps that (oslo.messaging's start(override_pool_size)).
func WithPoolSize(size int) StartOption {
	return func(c *serverConfig) {
		if size != 0 {
			c.poolSize = size
		}
	}
}

// prefetchFor is how many messages the broker may hand over: what keeps its pipe filled for the executor, and what
// runs where that is acknowledged when it is finished.
func (s *MessageHandlingServer) prefetchFor(c *serverConfig) int {
	if c.prefetch > 0 {
		return c.prefetch
	}
	places, least := executor.Places(c.executor, c.poolSize), minPrefetch
	if s.dispatcher.Limited() {
		least = limitedPrefetch
	}
	prefetch := max(2*places, least)
	if c.ack == AckOnFinish {
		prefetch += places
	}
	return prefetch
}

// Target is what the server listens on.
func (s *MessageHandlingServer) Target() target.Target { return s.target }

// Start begins to listen and returns when the broker delivers. It fails with a [*ServerListenError] when it
// cannot before ctx ends, and can then be called again. ctx bounds the start alone; its values, not its end,
// reach the handlers. Starting a server that runs does nothing; starting it after Stop begins anew.
func (s *MessageHandlingServer) Start(ctx context.Context, opts ...StartOption) error {
	config := s.config
	for _, opt := range opts {
		opt(&config)
	}
	e := s.startEpoch()
	p := s.patience("start")
	defer p.stop()
	return e.start.run(ctx, p, nil, true, func() error { return s.listen(ctx, e, &config) })
}

// startEpoch returns the epoch that a start belongs to: a new one if the present one has been stopped. What the
// stopped one still holds is given up in the background, so that nothing leaks where nobody called Wait.
func (s *MessageHandlingServer) startEpoch() *epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.epoch; old.stop.is(complete) {
		s.epoch = newEpoch()
		s.earlier = append(s.earlier, old)
		go s.end(old) // ends with the last of its handlers; Wait waits for it
	}
	return s.epoch
}

// end waits for the end of an epoch for which another has begun.
func (s *MessageHandlingServer) end(old *epoch) {
	defer close(old.over)
	if err := s.waitEpoch(context.Background(), old); err != nil {
		s.log.WithError(err).Warn("end of the server's earlier life")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.earlier = slices.DeleteFunc(s.earlier, func(e *epoch) bool { return e == old })
}

func (s *MessageHandlingServer) currentEpoch() *epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

func (s *MessageHandlingServer) patience(name string) *patience {
	return newPatience(name, s.config.logAfter, func(task, waiting string) {
		s.log.WithFields(logrus.Fields{"task": task, "waiting_for": waiting}).Warn("possible hang")
	})
}

func (s *MessageHandlingServer) listen(ctx context.Context, e *epoch, c *serverConfig) error {
	if err := c.checkAck(); err != nil { // with the pool size of this life
		return err
	}
	exec, err := executor.New(c.executor, c.poolSize)
	if err != nil {
		return err
	}
	prefetch := s.prefetchFor(c)
	listener, err := s.transport.driver.Listen(ctx, s.target, transport.ListenOptions{
		Prefetch: prefetch, Movable: c.ack == AckOnFinish,
	})
	if err != nil {
		return errors.Join(&ServerListenError{Target: s.target, Err: err}, exec.Shutdown(context.Background()))
	}
	r := &run{
		executor: exec, listener: listener, polled: make(chan struct{}), limits: newLimits(), resumed: make(chan struct{}),
	}
	r.polling, r.stopPolling = context.WithCancel(context.WithoutCancel(ctx))
	r.turns = newTurns(r.polling, &s.progress)
	r.handling, r.stopHandling = context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), insideKey, s))
	e.run = r
	r.resuming = r.polling
	poll := s.poll
	if c.ack == AckOnReceive {
		poll, r.resuming, r.backlog = s.receive, r.handling, make(backlog, prefetch)
	}
	go s.loop(r.polling, r, r.polled, poll) // both end by Stop, which waits for them; or else the second by Wait
	if c.ack == AckOnReceive || s.dispatcher.Limited() {
		go s.loop(r.resuming, r, r.resumed, s.resume)
	} else {
		close(r.resumed)
	}
	s.log.WithField("executor", s.config.executor).Info("listening")
	return nil
}

// Stop ends the receiving: no further message is taken, what was delivered but not begun goes back to the
// broker, and handlers that run go on. It may be called from an endpoint method. Before Start it waits for Start;
// ctx bounds that and everything else, by a [*TaskTimeoutError] where it waited for another call.
func (s *MessageHandlingServer) Stop(ctx context.Context) error {
	e := s.currentEpoch()
	p := s.patience("stop")
	defer p.stop()
	return e.stop.run(ctx, p, e.start, false, func() error { return s.stopListening(ctx, e.run) })
}

func (s *MessageHandlingServer) stopListening(ctx context.Context, r *run) error {
	err := r.listener.Stop(ctx)
	r.stopPolling()
	if s.inside(ctx) {
		return err // a handler that runs in the loop itself would wait for its own end
	}
	loops := []chan struct{}{r.polled, r.resumed}
	if s.config.ack == AckOnReceive {
		loops = loops[:1] // what was received is off its queue, and is still to be run
	}
	for _, ended := range loops {
		select {
		case <-ended:
		case <-ctx.Done():
			return errors.Join(err, &TaskTimeoutError{Task: "stop", Waiting: "the poll loop to end", Err: context.Cause(ctx)})
		}
	}
	if s.config.ack != AckOnReceive {
		for _, j := range r.limits.drain() {
			err = errors.Join(err, j.in.Requeue(ctx))
		}
	}
	s.log.Info("stopped listening")
	return err
}

// Wait waits until every handler has ended and its reply is with the broker, and gives up what the server
// holds, of earlier lives too. Before Stop it waits for Stop. When ctx ends first it cancels the contexts of the
// handlers that still run and fails with a [*TaskTimeoutError]; it can then be called again. From an endpoint method
// it fails with [ErrInsideHandler].
func (s *MessageHandlingServer) Wait(ctx context.Context) error {
	if s.inside(ctx) {
		return ErrInsideHandler
	}
	err := s.waitEpoch(ctx, s.currentEpoch())
	if earlier := s.waitEarlier(ctx); err == nil {
		err = earlier
	}
	return err
}

// waitEarlier waits for the ends of earlier epochs. Where ctx ends first, it cancels the contexts of their handlers.
func (s *MessageHandlingServer) waitEarlier(ctx context.Context) error {
	s.mu.Lock()
	earlier := slices.Clone(s.earlier)
	s.mu.Unlock()
	p := s.patience("wait")
	defer p.stop()
	for i, e := range earlier {
		if err := p.wait(ctx, "an earlier life to end", e.over); err != nil {
			for _, late := range earlier[i:] {
				late.run.stopHandling(errStopped)
			}
			return err
		}
	}
	return nil
}

func (s *MessageHandlingServer) waitEpoch(ctx context.Context, e *epoch) error {
	p := s.patience("wait")
	defer p.stop()
	return e.wait.run(ctx, p, e.stop, true, func() error { return s.drain(ctx, e.run) })
}

func (s *MessageHandlingServer) drain(ctx context.Context, r *run) error {
	s.beginAll(ctx, r)
	if err := r.executor.Shutdown(ctx); err != nil {
		r.stopHandling(errStopped)
		return &TaskTimeoutError{Task: "wait", Waiting: "running handlers", Err: err}
	}
	r.stopHandling(errStopped)
	settled := make(chan struct{})
	go func() { r.settling.Wait(); close(settled) }() // ends when the last of them has waited long enough
	select {
	case <-settled:
	case <-ctx.Done():
		return &TaskTimeoutError{Task: "wait", Waiting: "replies to be confirmed", Err: context.Cause(ctx)}
	}
	<-r.polled // at once, and so is the other: the loops have no executor any more
	<-r.resumed
	return r.listener.Close(ctx)
}

// Reset does nothing. It is there because services are reset on SIGHUP, as in oslo.messaging.
func (s *MessageHandlingServer) Reset() {}

// inside reports whether ctx is that of an endpoint method of this server.
func (s *MessageHandlingServer) inside(ctx context.Context) bool {
	server, _ := ctx.Value(insideKey).(*MessageHandlingServer)
	return server == s
}
