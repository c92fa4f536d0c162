package messaging

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// pollLoop is the server's one loop. A blocking executor runs handlers on its goroutine: one that ends it
// (runtime.Goexit) must not end the loop, which goes on on another.
func (s *MessageHandlingServer) pollLoop(r *run) {
	ended := false
	defer func() {
		if ended {
			close(r.polled)
		} else {
			go s.pollLoop(r)
		}
	}()
	forever(r.polling, s.log, func() error { return s.poll(r) })
	ended = true
}

// poll takes messages until the listener is stopped. The executor decides when the next one is taken: a
// message waits unacknowledged until there is a place for its handler.
func (s *MessageHandlingServer) poll(r *run) error {
	for {
		in, err := r.listener.Poll(r.polling)
		if errors.Is(err, transport.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if err := r.executor.Submit(r.polling, func() { s.serve(r, in) }); err != nil {
			return errors.Join(submitError(err), in.Requeue(context.WithoutCancel(r.polling)))
		}
	}
}

func submitError(err error) error {
	if errors.Is(err, executor.ErrShutdown) {
		return nil
	}
	return fmt.Errorf("submit: %w", err)
}

// serve handles one message, on the goroutine that the executor gives it.
func (s *MessageHandlingServer) serve(r *run, in transport.Incoming) {
	req := in.Request()
	exited := true // until proved otherwise: runtime.Goexit leaves no other trace
	defer func() {
		if exited {
			s.requestLog(req).Error("the endpoint method ended its goroutine: no reply is sent")
		}
	}()
	// The slot is held: acknowledge, and only then run. RPC is at most once
	// (oslo_messaging/rpc/server.py, _process_incoming).
	s.received.Add(1)
	if err := in.Ack(r.handling); err != nil {
		s.logUnacknowledged(req, err)
		exited = false
		return
	}
	begun := time.Now()
	beats := s.startHeartbeats(r, in)
	var reply *transport.Reply
	err := func() (err error) {
		defer beats.stop() // on every path, and before the reply: none may follow it
		reply, err = s.dispatch(r, req)
		return err
	}()
	exited = false
	s.reply(r, in, reply, err)
	if debugging(s.log) {
		s.requestLog(req).WithFields(logrus.Fields{"elapsed": time.Since(begun), "success": err == nil}).Debug("replied")
	}
}

// dispatch calls the endpoint method and makes the reply. A panic of the method becomes an error, and so does one
// of the error that it returns: a nil pointer in an error interface panics only when its text is asked for.
func (s *MessageHandlingServer) dispatch(r *run, req *transport.Request) (*transport.Reply, error) {
	reply := &transport.Reply{Ending: true}
	err := recovered(func() (err error) {
		ctx := withReceived(r.handling, req, s.config.serializer)
		reply.Result, err = s.dispatcher.Dispatch(ctx, &dispatcher.Request{
			Method: req.Method, Namespace: req.Namespace, Version: req.Version, Args: req.Args, Fault: req.Fault,
		})
		return err
	})
	if err == nil {
		return reply, nil
	}
	if panicked := recovered(func() error { reply.Failure = failure(err, s.config.serializer); return nil }); panicked != nil {
		err = panicked
		reply.Failure = failure(err, s.config.serializer)
	}
	return reply, err
}

func (s *MessageHandlingServer) reply(r *run, in transport.Incoming, reply *transport.Reply, err error) {
	req := in.Request()
	if err != nil {
		s.logFailure(req, err)
	}
	if !req.Call() {
		return
	}
	ctx := context.WithoutCancel(r.handling)
	err = in.Reply(ctx, reply)
	if errors.Is(err, transport.ErrTooLarge) { // the caller must learn of it
		s.requestLog(req).WithError(err).Error("the result is too large")
		err = in.Reply(ctx, &transport.Reply{Failure: failure(err, s.config.serializer), Ending: true})
	}
	if err != nil {
		s.requestLog(req).WithError(err).Error("cannot send the reply")
	}
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

// logFailure logs what went wrong at the level oslo.messaging does: an error for a person to look at, unless
// the method meant to fail (a RemoteError) or the caller tried a method it does not count on.
func (s *MessageHandlingServer) logFailure(req *transport.Request, err error) {
	var (
		remote   *RemoteError
		noMethod *dispatcher.NoSuchMethodError
		panicked *panicError
	)
	switch {
	case errors.As(err, &remote):
		s.failed.Add(1)
		s.requestLog(req).WithError(err).Debug("the endpoint method failed as it meant to")
	case errors.As(err, &panicked):
		s.failed.Add(1)
		s.requestLog(req).WithError(err).WithField("stack", string(panicked.stack)).Error("the endpoint method panicked")
	case !refused(err):
		s.failed.Add(1)
		s.requestLog(req).WithError(err).Error("the endpoint method failed")
	case errors.As(err, &noMethod) && strings.HasSuffix(noMethod.Method, "_ignore_errors"):
		s.refused.Add(1)
		s.requestLog(req).WithError(err).Debug("method not found")
	default:
		s.refused.Add(1)
		if held, ok := s.limit.Pass("refused"); ok { // how often this comes is up to the peers
			s.requestLog(req).WithError(err).WithField("held_back", held).Error("request refused")
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
	)
	return errors.As(err, &noMethod) || errors.As(err, &unsupported) || errors.As(err, &argument) || errors.As(err, &version)
}

func (s *MessageHandlingServer) requestLog(req *transport.Request) *logrus.Entry {
	id, _ := req.MsgID.Text()
	return s.log.WithFields(logrus.Fields{
		"msg_id": loglimit.Cut(id), "method": loglimit.Cut(req.Method), "namespace": loglimit.Cut(req.Namespace.Text),
	})
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
