package messaging

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/transport"
)

// AckMode says when a server acknowledges a request, which takes it off its queue for good. See [WithAck].
type AckMode string

const (
	// AckOnReceive acknowledges a request when it is taken from the broker, before there is a place to run it, as
	// oslo.messaging's servers do. What was taken and not begun is with this process alone: as many requests as the
	// prefetch allows, while oslo.messaging knows no bound. Stop takes no more; Wait runs what is left, and answers
	// with a failure what its context leaves no time for. A process that is killed loses all of it.
	AckOnReceive AckMode = "receive"
	// AckOnStart acknowledges a request once it has a place, right before its method runs: it is run at most once,
	// and a server that dies, however suddenly, loses what runs. The default.
	//
	// One doubt remains that AMQP leaves to every consumer, Python's too: an acknowledgement that is on its way when its
	// connection is cut, or closed by the broker, may not arrive, and nobody but the broker knows. The broker then hands a
	// request out again whose method runs. The same server drops it; another one runs it, and is told so by
	// RPC.Redelivered: an interceptor can refuse such requests where a method must by no means run twice, at the price of
	// refusing also what was handed out before and not begun.
	AckOnStart AckMode = "start"
	// AckOnFinish acknowledges a request when its method has ended and the broker has the reply: it is run at least
	// once. What a server had not finished that dies, loses its connection, or has no time left to stop, the broker
	// gives to another, or to the same one again: methods must bear to be run twice. A reply that waits for the broker
	// takes no handler's place. It counts to the prefetch, for ten seconds at most: then the request is acknowledged
	// without it.
	//
	// A method that fails has finished: its caller gets the failure. [Requeue] is the way to be run again.
	//
	// Within one server a request that runs is not begun a second time, and one that was finished within the last
	// minute or so is not run again, however often it is delivered. Where the connection is lost before the
	// acknowledgement, another server may get the request and run it again.
	//
	// What cannot be read as a request is parked (see [WithMaxDeliveries]). With the other modes it is rejected, counted
	// and logged.
	//
	// RabbitMQ closes the channel of a consumer that does not acknowledge within its consumer_timeout, 30 minutes by
	// default, and delivers everything that was not acknowledged again. Methods that take longer need a larger one.
	AckOnFinish AckMode = "finish"
)

// WithAck chooses when requests are acknowledged; the default is [AckOnStart].
func WithAck(mode AckMode) ServerOption {
	return serverOption(func(c *serverConfig) { c.ack = mode })
}

// DefaultMaxDeliveries is how often a request is delivered at most that nobody finishes, where [WithMaxDeliveries]
// says nothing else.
const DefaultMaxDeliveries = 5

// WithMaxDeliveries bounds, with [AckOnFinish], how often a request is delivered that no server finishes: one whose
// method asks to be run again (see [Requeue]), or that ends the process it runs in, again and again. The default is
// 5. A delivery counts also where a server gave the request back before it had begun.
//
// When that many were in vain the request is parked, as is at once what cannot be read: it goes to the queue of the
// topic's name with ".parking" behind it, which is durable and made where it does not exist. There it keeps its body,
// properties and headers, with why, when, from which queue and after how many deliveries in the headers goslo.reason,
// goslo.time, goslo.queue and goslo.deliveries. Whoever waits for it gets a failure that says so. Nobody consumes that
// queue: a person looks at the request, and drops it or publishes it again. Where it cannot be parked, it stays on its
// queue. No server of the topic may be named "parking": its queue would be that one.
func WithMaxDeliveries(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxDeliveries = n })
}

// parkingSuffix makes the name of a topic that of its parking queue.
const parkingSuffix = ".parking"

// Requeue marks the error of a method, or an interceptor, that wants its request to be run again, here or by another
// server: with [AckOnFinish] the request goes back to the end of its queue, unanswered, and after too many
// deliveries is parked (see [WithMaxDeliveries]). There is no pause in between. With the other modes it is too late
// for that, and the caller gets err as a failure. Requeue(nil) is nil.
func Requeue(err error) error {
	if err == nil {
		return nil
	}
	return &requeueError{err}
}

type requeueError struct{ err error }

func (e *requeueError) Error() string { return e.err.Error() }

func (e *requeueError) Unwrap() error { return e.err }

func asksAgain(err error) bool {
	var marked *requeueError
	return errors.As(err, &marked)
}

// parkedError is what the caller of a parked request is told.
type parkedError struct {
	queue      string
	deliveries int
	reason     error
}

func (e *parkedError) Error() string {
	return fmt.Sprintf("parked in queue %q after %d deliveries: %s", e.queue, e.deliveries, e.reason)
}

var (
	errUnfinished = errors.New("no server finished it")
	errAbandoned  = errors.New("not run: the server has stopped")
	errCannotMove = errors.New("the driver cannot move requests")
)

const (
	// moveTimeout is how long the broker may take to confirm a request that is moved. A blocked publisher must not
	// cost a place for longer.
	moveTimeout = 10 * time.Second
	// confirmTimeout is how long the broker may take to confirm a reply until its request is acknowledged all the same.
	confirmTimeout = 10 * time.Second
	// returnPause is how long a request keeps its place before it goes back because it could not be moved: it may
	// come again at once.
	returnPause = time.Second
)

func (c *serverConfig) checkAck() error {
	switch c.ack {
	case AckOnReceive, AckOnStart, AckOnFinish:
	default:
		return fmt.Errorf("unknown ack mode %q: want %s, %s or %s", string(c.ack), AckOnReceive, AckOnStart, AckOnFinish)
	}
	if c.maxDeliveries < 1 {
		return fmt.Errorf("the server's most deliveries must be at least 1, got %d", c.maxDeliveries)
	}
	if places := executor.Places(c.executor, c.poolSize); c.ack == AckOnFinish && c.prefetch > 0 && c.prefetch < places {
		return fmt.Errorf("the server's prefetch of %d must hold what runs before it is acknowledged, %d at once", c.prefetch, places)
	}
	return nil
}

// accept reports whether a request that has its place is to be run.
func (s *MessageHandlingServer) accept(r *run, j *job) bool {
	switch s.config.ack {
	case AckOnReceive: // done when it was polled
		r.backlog.leave()
		return true
	case AckOnFinish:
		return s.beginLate(r, j)
	default:
		return s.acknowledge(r, j)
	}
}

func (s *MessageHandlingServer) acknowledge(r *run, j *job) bool {
	if err := j.in.Ack(r.handling); err != nil {
		s.logUnacknowledged(j.request, err)
		return false
	}
	return true
}

// beginLate reports whether a request is to be run that is acknowledged later.
func (s *MessageHandlingServer) beginLate(r *run, j *job) bool {
	if stale(j.in) {
		s.logUnacknowledged(j.request, transport.ErrStale)
		return false
	}
	if !s.note(r, j) {
		return false
	}
	n, counted := deliveries(j.in)
	if n > s.config.maxDeliveries {
		s.park(r, j, n-1, errUnfinished)
		return false
	}
	return counted || !s.countAnew(r, j, n)
}

// note notes that a request runs from now on. It reports false where it runs already, or was finished: it is settled
// then.
func (s *MessageHandlingServer) note(r *run, j *job) bool {
	switch s.late.begin(j.in) {
	case lateNew:
		return true
	case lateFinished:
		_ = j.in.Ack(context.WithoutCancel(r.handling)) // else it comes again, to be dropped then
	case lateRuns: // this one is settled with it
	}
	s.logUnacknowledged(j.request, transport.ErrDuplicate)
	return false
}

// countAnew puts a request back whose deliveries nobody counts, with a number on it, so that one which ends its
// process each time is found out. It reports false where that is not possible: such a one is run as it is.
func (s *MessageHandlingServer) countAnew(r *run, j *job, n int) bool {
	err := s.putBack(r, j, n)
	if err == nil || errors.Is(err, transport.ErrStale) {
		return true
	}
	if held, ok := s.limit.Pass("uncounted"); ok {
		s.requestLog(j.request).WithError(err).WithField("held_back", held).Warn("cannot count the deliveries of a request")
	}
	return !s.note(r, j)
}

// putBack puts a request back onto its queue, with the number of its next delivery. What is noted of it ends before:
// its copy may come at once.
func (s *MessageHandlingServer) putBack(r *run, j *job, deliveries int) error {
	s.giveBackCopies(r, j)
	return move(r, j.in, transport.Destination{Deliveries: deliveries})
}

// finish answers, and settles what is acknowledged late.
func (s *MessageHandlingServer) finish(r *run, j *job, reply *transport.Reply, err error) {
	late := s.config.ack == AckOnFinish
	switch {
	case late && interrupted(r, err):
		s.giveBack(r, j)
	case late && asksAgain(err):
		s.again(r, j, err)
	default:
		if err != nil {
			s.logFailure(j.request, err)
		}
		s.answerOrNot(r, j, reply)
	}
}

// answerOrNot answers, unless that is an error after the caller's deadline: from a method that its context has ended, and
// which a caller that is a moment behind would get in place of its timeout.
func (s *MessageHandlingServer) answerOrNot(r *run, j *job, reply *transport.Reply) {
	switch {
	case reply.Failure != nil && j.expired():
		s.settle(r, j)
	case s.config.ack == AckOnFinish:
		s.answerLate(r, j, reply)
	default:
		s.answer(r, j.in, reply)
	}
}

// answerLate answers, and acknowledges when the broker has the answer: a server that dies before that would take it
// along. Nobody waits for that but Wait.
func (s *MessageHandlingServer) answerLate(r *run, j *job, reply *transport.Reply) {
	follower, ok := j.in.(transport.ReplyFollower)
	if !ok || !j.request.Call() {
		s.answer(r, j.in, reply)
		s.settle(r, j)
		return
	}
	settled := make(chan error, 1)
	err := s.send(r, j.request, reply, func(ctx context.Context, reply *transport.Reply) error {
		return follower.ReplyThen(ctx, reply, func(err error) { settled <- err })
	})
	if err != nil {
		settled <- err
	}
	r.settling.Go(func() { s.settleAnswered(r, j, settled) })
}

// settleAnswered settles a request when it is known what became of its reply. One that a driver which is closed has not
// sent is not finished.
func (s *MessageHandlingServer) settleAnswered(r *run, j *job, settled <-chan error) {
	timer := time.NewTimer(confirmTimeout)
	defer timer.Stop()
	select {
	case err := <-settled:
		if errors.Is(err, transport.ErrClosed) {
			s.giveBack(r, j)
			return
		}
	case <-timer.C:
		if held, ok := s.limit.Pass("unconfirmed"); ok {
			s.requestLog(j.request).WithField("held_back", held).Warn("acknowledged, though the broker has not confirmed the reply")
		}
	}
	s.settle(r, j)
}

// interrupted tells that the method did not finish because Wait's context ended.
func interrupted(r *run, err error) bool {
	return r.handling.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, errStopped))
}

// settle acknowledges a request that is done with, where that has not been done yet.
func (s *MessageHandlingServer) settle(r *run, j *job) {
	if s.config.ack != AckOnFinish {
		return
	}
	ctx := context.WithoutCancel(r.handling)
	for _, in := range append(s.late.end(j.in, true), j.in) {
		if err := in.Ack(ctx); err != nil && !errors.Is(err, transport.ErrDuplicate) {
			s.requestLog(j.request).WithError(err).Debug("finished, but not acknowledged: it comes again")
		}
	}
}

// again puts a request back whose method asked for it, or parks it.
func (s *MessageHandlingServer) again(r *run, j *job, reason error) {
	n, _ := deliveries(j.in)
	if n >= s.config.maxDeliveries {
		s.park(r, j, n, reason)
		return
	}
	s.requeued.Add(1)
	if held, ok := s.limit.Pass("requeued"); ok {
		s.requestLog(j.request).WithError(reason).WithFields(logrus.Fields{"deliveries": n, "held_back": held}).
			Warn("the endpoint method wants to be run again")
	}
	if err := s.putBack(r, j, n+1); err != nil && !errors.Is(err, transport.ErrStale) {
		s.giveBackLater(r, j, err)
	}
}

// park takes a request out of its queue that was delivered n times in vain, and tells its caller.
func (s *MessageHandlingServer) park(r *run, j *job, n int, reason error) {
	queue := s.target.Topic + parkingSuffix
	err := move(r, j.in, transport.Destination{Queue: queue, Headers: map[string]any{
		transport.ReasonHeader: loglimit.Quote(reason.Error()), transport.DeliveriesHeader: int64(n),
		transport.TimeHeader: time.Now().UTC().Format(time.RFC3339),
	}})
	switch {
	case errors.Is(err, transport.ErrStale):
		s.giveBackCopies(r, j)
		return
	case err != nil:
		s.giveBackCopies(r, j)
		s.giveBackLater(r, j, err)
		return
	}
	s.parked.Add(1)
	parked := &parkedError{queue: queue, deliveries: n, reason: reason}
	if held, ok := s.limit.Pass("parked"); ok {
		s.requestLog(j.request).WithError(reason).WithFields(logrus.Fields{"queue": queue, "deliveries": n, "held_back": held}).
			Error("request parked")
	}
	for _, in := range s.late.end(j.in, false) { // of one that is parked no copy is wanted
		_ = in.Ack(context.WithoutCancel(r.handling)) // else it comes again, and is parked too
	}
	s.answerFailure(r, j.in, parked)
}

// parkMalformed takes out of its queue what cannot be read.
func (s *MessageHandlingServer) parkMalformed(r *run, j *job) {
	n, _ := deliveries(j.in)
	s.park(r, j, n, j.fault)
}

// answerFailure answers a call whose method did not run to its end.
func (s *MessageHandlingServer) answerFailure(r *run, in transport.Incoming, err error) {
	codec := s.serializers.of(in.Request().ContentType)
	s.answer(r, in, &transport.Reply{Failure: s.config.failures.encode(err, codec), Ending: true})
}

// giveBackLater gives back a request that could not be moved.
func (s *MessageHandlingServer) giveBackLater(r *run, j *job, err error) {
	if held, ok := s.limit.Pass("not moved"); ok {
		s.requestLog(j.request).WithError(err).WithField("held_back", held).Error("cannot move a request, which stays on its queue")
	}
	timer := time.NewTimer(returnPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.polling.Done(): // another server may do better
	}
	s.requeue(r, j.in)
}

// giveBack returns a request to its queue.
func (s *MessageHandlingServer) giveBack(r *run, j *job) {
	s.giveBackCopies(r, j)
	s.requeue(r, j.in)
}

// giveBackCopies ends what is noted of a request that is not finished, and returns the copies that came meanwhile.
func (s *MessageHandlingServer) giveBackCopies(r *run, j *job) {
	for _, in := range s.late.end(j.in, false) {
		s.requeue(r, in)
	}
}

func (s *MessageHandlingServer) requeue(r *run, in transport.Incoming) {
	if err := in.Requeue(context.WithoutCancel(r.handling)); err != nil {
		s.requestLog(in.Request()).WithError(err).Debug("not handed back: it comes again when the connection ends")
	}
}

// move moves a request within a bounded time.
func move(r *run, in transport.Incoming, to transport.Destination) error {
	mover, ok := in.(transport.Mover)
	if !ok {
		return errCannotMove
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.handling), moveTimeout)
	defer cancel()
	return mover.Move(ctx, to)
}

func stale(in transport.Incoming) bool {
	s, ok := in.(transport.Staleness)
	return ok && s.Stale()
}

// deliveries is how often a request was delivered, as far as that is known.
func deliveries(in transport.Incoming) (n int, counted bool) {
	if c, ok := in.(transport.DeliveryCount); ok {
		return c.Deliveries()
	}
	if redelivered(in) {
		return 2, true // there is no way to count better
	}
	return 1, true
}
