package messaging

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
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

// job is one request on its way through a server.
type job struct {
	in      transport.Incoming
	request *transport.Request
	call    *dispatcher.Call // what the request asks for; nil where there is nothing of that name
	err     error            // why there is nothing
	fault   error            // why the message cannot be read, of which nothing else is known then
}

func (s *MessageHandlingServer) newJob(in transport.Incoming) *job {
	req := in.Request()
	j := &job{in: in, request: req}
	if m, ok := in.(transport.Malformed); ok && m.Malformed() != nil {
		j.fault = m.Malformed()
		return j
	}
	j.err = recovered(func() (err error) { // an access policy may be the user's own
		j.call, err = s.dispatcher.Find(&dispatcher.Request{
			Method: req.Method, Namespace: req.Namespace, Version: req.Version, Fault: req.Fault,
		})
		return err
	})
	return j
}

// limit is how many requests for the same method may run at once; 0 is any number.
func (j *job) limit() int {
	if j.call == nil {
		return 0
	}
	return j.call.Limit()
}

// expired tells that the caller has stopped waiting.
func (j *job) expired() bool {
	return !j.request.Deadline.IsZero() && !time.Now().Before(j.request.Deadline)
}

// loop runs body until it returns nil, for ever again until ctx ends, and closes ended. A blocking executor runs handlers on this
// goroutine: one that ends it (runtime.Goexit) must not end the loop, which goes on on another.
func (s *MessageHandlingServer) loop(ctx context.Context, r *run, ended chan<- struct{}, body func(*run) error) {
	finished := false
	defer func() {
		if finished {
			close(ended)
		} else {
			go s.loop(ctx, r, ended, body)
		}
	}()
	forever(ctx, s.log, func() error { return body(r) })
	finished = true
}

// poll takes messages until the listener is stopped. The executor decides when the next one is taken: a
// message waits unacknowledged until there is a place for its handler.
func (s *MessageHandlingServer) poll(r *run) error {
	for {
		in, err := r.next()
		if err != nil {
			return pollError(err)
		}
		if j := s.newJob(in); r.limits.admit(j) {
			if err := s.place(r, j, r.turns); err != nil {
				return err
			}
		}
	}
}

// next takes the next message, for the poll loop.
func (r *run) next() (in transport.Incoming, err error) {
	err = r.turns.wait(func(ctx context.Context) (err error) {
		in, err = r.listener.Poll(ctx)
		return err
	})
	return in, err
}

// pollError is how polling ends: without an error where the listener was stopped.
func pollError(err error) error {
	if errors.Is(err, transport.ErrClosed) {
		return nil
	}
	return fmt.Errorf("poll: %w", err)
}

// resume runs what waits in limits until nothing that waits there is to be begun any more.
func (s *MessageHandlingServer) resume(r *run) error {
	waits := newTurns(r.resuming, new(atomic.Uint64)) // of which nobody makes anything: it is the poll loop that is watched
	for {
		j := r.limits.next(r.resuming)
		if j == nil {
			return nil
		}
		if err := s.place(r, j, waits); err != nil {
			return err
		}
	}
}

// place waits, in the way of the loop that calls it, for a place to run j; where there will be none, j goes back to the
// broker.
func (s *MessageHandlingServer) place(r *run, j *job, waits *turns) error {
	err := waits.wait(func(ctx context.Context) error {
		return r.executor.Submit(ctx, func() { s.serve(r, j) })
	})
	if err == nil {
		return nil
	}
	r.limits.release(j)
	if s.config.ack == AckOnReceive {
		s.abandon(r, j)
		return submitError(err)
	}
	return errors.Join(submitError(err), j.in.Requeue(context.WithoutCancel(r.polling)))
}

func submitError(err error) error {
	if errors.Is(err, executor.ErrShutdown) {
		return nil
	}
	return fmt.Errorf("submit: %w", err)
}

// serve handles one message, on the goroutine that the executor gives it.
func (s *MessageHandlingServer) serve(r *run, j *job) {
	defer r.limits.release(j)
	debug := debugging(s.log)
	if debug {
		s.requestLog(j.request).Debug("received")
	}
	s.received.Add(1)
	if redelivered(j.in) {
		s.redelivered.Add(1)
	}
	if j.fault != nil {
		s.parkMalformed(r, j)
		return
	}
	// The slot is held: acknowledge, and only then run. RPC is at most once
	// (oslo_messaging/rpc/server.py, _process_incoming), unless the server is told otherwise.
	if !s.accept(r, j) {
		return
	}
	if j.expired() {
		s.logExpired(j.request)
		s.settle(r, j)
		return
	}
	exited := true // until proved otherwise: runtime.Goexit leaves no other trace
	defer func() {
		if exited {
			s.finishExit(r, j)
		}
	}()
	if debug {
		s.requestLog(j.request).Debug("dispatch")
	}
	begun := time.Now()
	reply, err := s.execute(r, j)
	exited = false
	s.finish(r, j, reply, err)
	if debug {
		s.requestLog(j.request).WithFields(logrus.Fields{"elapsed": time.Since(begun), "success": err == nil}).Debug("replied")
	}
}

// execute dispatches, with heartbeats to the caller meanwhile. They have ended when it returns, on every path: none
// may follow the reply.
func (s *MessageHandlingServer) execute(r *run, j *job) (*transport.Reply, error) {
	s.running.begin(j)
	defer s.running.end(j)
	defer s.startHeartbeats(r, j.in).stop()
	defer s.watch(j.request)()
	return s.dispatch(r, j)
}

// dispatch calls the endpoint method and makes the reply. A panic of the method becomes an error, and so does one
// of the error that it returns: a nil pointer in an error interface panics only when its text is asked for.
func (s *MessageHandlingServer) dispatch(r *run, j *job) (*transport.Reply, error) {
	codec := s.serializers.of(j.request.ContentType)
	reply := &transport.Reply{Ending: true}
	err := recovered(func() (err error) {
		reply.Result, err = s.call(r, j, codec)
		return err
	})
	if err == nil {
		return reply, nil
	}
	reply.Result = nil // of a method whose interceptor failed afterwards
	if panicked := recovered(func() error { reply.Failure = s.config.failures.encode(err, codec); return nil }); panicked != nil {
		err = panicked
		reply.Failure = s.config.failures.encode(err, codec)
	}
	return reply, err
}

// call runs the interceptors and, inside of them, the method.
func (s *MessageHandlingServer) call(r *run, j *job, codec serializer.Serializer) (result []byte, err error) {
	rpc := s.receivedRPC(j.in)
	ctx, cancel := methodContext(r.handling, j.request, rpc, codec)
	defer cancel()
	err = s.config.interceptors.around(ctx, rpc, func(ctx context.Context) (err error) {
		if j.err != nil {
			return j.err
		}
		if err := s.checkAccess(ctx, j); err != nil {
			return err
		}
		result, err = j.call.Do(ctx, j.request.Args, codec)
		return err
	})
	return result, err
}

// errCallerGone is the cause with which a method's context ends at its caller's deadline.
var errCallerGone = errors.New("the caller has stopped waiting")

// methodContext is what an endpoint method is called with: the server's context with what came with the request,
// until the caller stops waiting.
func methodContext(ctx context.Context, req *transport.Request, rpc *RPC, codec serializer.Serializer) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(withReceived(ctx, req, codec), rpcKey, rpc)
	if req.Deadline.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, req.Deadline, errCallerGone)
}

// answer sends a reply to who waits for one.
func (s *MessageHandlingServer) answer(r *run, in transport.Incoming, reply *transport.Reply) {
	if in.Request().Call() {
		_ = s.send(r, in.Request(), reply, in.Reply) // is logged
	}
}

// send sends a reply, and logs where that fails.
func (s *MessageHandlingServer) send(
	r *run, req *transport.Request, reply *transport.Reply, send func(context.Context, *transport.Reply) error,
) error {
	ctx := context.WithoutCancel(r.handling)
	err := send(ctx, reply)
	if errors.Is(err, transport.ErrTooLarge) { // the caller must learn of it
		s.requestLog(req).WithError(err).Error("the result is too large")
		codec := s.serializers.of(req.ContentType)
		err = send(ctx, &transport.Reply{Failure: s.config.failures.encode(err, codec), Ending: true})
	}
	if err != nil {
		s.requestLog(req).WithError(err).Error("cannot send the reply")
	}
	return err
}

// finishExit is finish for a method that has ended its goroutine. It runs deferred, on what is left of that.
func (s *MessageHandlingServer) finishExit(r *run, j *job) {
	err := &exitError{stack: debug.Stack()}
	codec := s.serializers.of(j.request.ContentType)
	s.finish(r, j, &transport.Reply{Failure: s.config.failures.encode(err, codec), Ending: true}, err)
}

func (s *MessageHandlingServer) logUnacknowledged(req *transport.Request, err error) {
	log := s.requestLog(req).WithError(err)
	switch {
	case errors.Is(err, transport.ErrDuplicate):
		if held, ok := s.limit.Pass("duplicate"); ok {
			log.WithField("held_back", held).Info("dropped a duplicate")
		}
	case errors.Is(err, transport.ErrStale):
		log.Debug("not run: the message will be delivered again")
	default:
		log.Warn("not run: cannot acknowledge")
	}
}

// logExpired notes a request that is not run: its caller has stopped waiting, and gets no answer.
func (s *MessageHandlingServer) logExpired(req *transport.Request) {
	s.expired.Add(1)
	if held, ok := s.limit.Pass("expired"); ok {
		s.requestLog(req).WithFields(logrus.Fields{"deadline": req.Deadline, "held_back": held}).
			Warn("not run: the caller has stopped waiting")
	}
}

// logFailure logs what went wrong at the level oslo.messaging does: an error for a person to look at, unless
// the method meant to fail (see [Expected]) or the caller tried a method it does not count on.
func (s *MessageHandlingServer) logFailure(req *transport.Request, err error) {
	var (
		noMethod *dispatcher.NoSuchMethodError
		panicked *panicError
		exited   *exitError
	)
	switch {
	case expected(err):
		s.failed.Add(1)
		s.requestLog(req).WithError(err).Debug("the endpoint method failed as it meant to")
	case errors.As(err, &panicked):
		s.failed.Add(1)
		s.requestLog(req).WithError(err).WithField("stack", string(panicked.stack)).Error("the endpoint method panicked")
	case errors.As(err, &exited):
		s.failed.Add(1)
		s.requestLog(req).WithField("stack", string(exited.stack)).Error("the endpoint method ended its goroutine")
	case !refused(err):
		s.failed.Add(1)
		s.requestLog(req).WithError(err).Error("the endpoint method failed")
	case errors.As(err, &noMethod) && strings.HasSuffix(noMethod.Method, "_ignore_errors"):
		s.refused.Add(1)
		s.refusalLog(req, err).Debug("method not found")
	default:
		s.refused.Add(1)
		if held, ok := s.limit.Pass("refused"); ok { // how often this comes is up to the peers
			s.refusalLog(req, err).WithField("held_back", held).Error("request refused")
		}
	}
}

// refused tells errors about the request itself from those of a method that ran.
func refused(err error) bool {
	var (
		noMethod    *dispatcher.NoSuchMethodError
		unsupported *dispatcher.UnsupportedVersionError
		argument    *dispatcher.ArgumentError
		version     *target.MalformedVersionError
		access      *accessError
	)
	return errors.As(err, &access) || errors.As(err, &noMethod) || errors.As(err, &unsupported) || errors.As(err, &argument) || errors.As(err, &version)
}

// refusalLog is requestLog with an error that repeats what the peer has sent.
func (s *MessageHandlingServer) refusalLog(req *transport.Request, err error) *logrus.Entry {
	return s.requestLog(req).WithField(logrus.ErrorKey, loglimit.Quote(err.Error()))
}

// requestLog has the request's context for formatters that ask for [RequestIDs]. It is decoded without the user's serializer:
// a log does not run what may panic.
func (s *MessageHandlingServer) requestLog(req *transport.Request) *logrus.Entry {
	id, _ := req.MsgID.Text()
	received := withReceived(context.Background(), req, builtinSerializers.of(req.ContentType))
	return s.log.WithFields(logrus.Fields{
		"msg_id": loglimit.Quote(id), "method": loglimit.Quote(req.Method), "namespace": loglimit.Quote(req.Namespace.Text),
	}).WithContext(received)
}

// debugging spares the fields where nobody reads them.
func debugging(log logrus.FieldLogger) bool {
	switch l := log.(type) {
	case *logrus.Logger:
		return l.IsLevelEnabled(logrus.DebugLevel)
	case *logrus.Entry:
		return l.Logger.IsLevelEnabled(logrus.DebugLevel)
	}
	return true
}
