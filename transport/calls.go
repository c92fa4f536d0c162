package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/wire"
)

// Calls are the calls of one client that wait for their replies: what a driver needs between the queue on
// which replies arrive and the goroutines that wait for them. The zero value is ready; all methods but
// Deliver are safe for concurrent use.
type Calls struct {
	mu      sync.Mutex
	waiting map[string]*PendingCall
	closed  error
}

// PendingCall is one call, from its begin to its end, with what has become of it. All methods but Wait are safe for
// concurrent use.
type PendingCall struct {
	calls     *Calls
	id        string
	replies   chan *Reply // holds one reply: the last message of a call, or the newest heartbeat
	failed    chan error
	monitor   time.Duration
	mandatory bool
	withdraw  func() bool
	obstacle  func() error

	mu       sync.Mutex // a leaf
	timeline Timeline
}

// New notes that a call begins, so that its time line counts from here. opts are those it is sent with.
func (c *Calls) New(opts SendOptions) *PendingCall {
	return &PendingCall{
		calls: c, replies: make(chan *Reply, 1), failed: make(chan error, 1),
		monitor: opts.Monitor, mandatory: opts.Mandatory, timeline: Timeline{Began: time.Now()},
	}
}

// Await makes the call wait for the replies to message id; it must come before the request is sent. The caller must
// end it with Wait or Abandon. withdraw takes the request back where it was not sent yet, and reports whether it
// could; it is asked once, when the call ends without a reply. nil is for requests that cannot be taken back.
func (p *PendingCall) Await(id string, withdraw func() bool) error {
	p.id, p.withdraw = id, withdraw
	c := p.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return c.closed
	}
	if c.waiting == nil {
		c.waiting = make(map[string]*PendingCall)
	}
	c.waiting[id] = p
	return nil
}

// Explain has the call ask, where it ends without a word of the broker, what keeps requests from being sent: nil, or an
// error that matches [ErrBlocked].
func (p *PendingCall) Explain(obstacle func() error) { p.obstacle = obstacle }

// blocked is that obstacle.
func (p *PendingCall) blocked() error {
	if p.obstacle == nil {
		return nil
	}
	return p.obstacle()
}

// Deliver hands a reply to the call that waits for it. It reports whether one does: replies to calls that
// have ended, or never were, are dropped (oslo_messaging/_drivers/amqpdriver.py, ReplyWaiters.put). Replies must be
// delivered by one goroutine, in the order in which they arrive: the newest message of a call counts.
func (c *Calls) Deliver(reply *Reply) bool {
	id, _ := reply.MsgID.Text()
	c.mu.Lock()
	p := c.waiting[id]
	if p != nil && reply.Ending {
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	if p == nil {
		return false
	}
	p.deliver(reply)
	return true
}

// Fail ends every waiting call with err.
func (c *Calls) Fail(err error) {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, p := range waiting {
		p.Fail(err)
	}
}

// SentWithin are the calls that wait, whose requests were sent at most age ago, and of which no heartbeats tell that
// their methods still run.
func (c *Calls) SentWithin(age time.Duration) []*PendingCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	var calls []*PendingCall
	for _, p := range c.waiting {
		if p.monitor == 0 && p.sentWithin(age) {
			calls = append(calls, p)
		}
	}
	return calls
}

// FailThose ends with err which of those calls still wait, and returns how many did.
func (c *Calls) FailThose(calls []*PendingCall, err error) (failed int) {
	for _, p := range calls {
		c.mu.Lock()
		waits := c.waiting[p.id] == p
		if waits {
			delete(c.waiting, p.id)
		}
		c.mu.Unlock()
		if waits {
			p.Fail(err)
			failed++
		}
	}
	return failed
}

// Close ends every waiting call, and each that begins later, with err.
func (c *Calls) Close(err error) {
	c.mu.Lock()
	if c.closed == nil {
		c.closed = err
	}
	c.mu.Unlock()
	c.Fail(err)
}

// Waiting is how many calls wait.
func (c *Calls) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}

// deliver keeps the newest message. Only one goroutine receives replies, so that it is the only sender.
func (p *PendingCall) deliver(reply *Reply) {
	if reply.Heartbeat() {
		p.alive()
	}
	for {
		select {
		case p.replies <- reply:
			return
		case earlier := <-p.replies: // a heartbeat or the first half of an old-style reply that nobody took yet
			join(reply, earlier)
		}
	}
}

// join carries the result of an old-style reply (first a message with the result, then one that ends the
// call) over to the message that ends it. It returns reply; earlier may be nil.
func join(reply, earlier *Reply) *Reply {
	if earlier != nil && reply.Failure == nil && reply.Result.Null() {
		reply.Result, reply.Failure = earlier.Result, earlier.Failure
	}
	return reply
}

// Sent notes that the request is being handed to the connection.
func (p *PendingCall) Sent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeline.Sent = p.timeline.now()
}

func (p *PendingCall) sentWithin(age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timeline.Sent > 0 && p.timeline.now()-p.timeline.Sent <= age
}

// Settled notes what the broker made of the request: nil is that it took it. ErrUndeliverable ends the call only
// where it is mandatory: others wait until their end, as oslo.messaging's do, for their callers repeat a call that
// times out and are paced by that. Any other error ends the call.
func (p *PendingCall) Settled(err error) {
	returned := errors.Is(err, ErrUndeliverable)
	if err == nil || returned {
		p.decided(returned)
	}
	if err != nil && (p.mandatory || !returned) {
		p.Fail(err)
	}
}

func (p *PendingCall) decided(returned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.timeline
	now := t.now()
	if t.Sent == 0 { // by a driver that sends and settles at once
		t.Sent = now
	}
	if returned {
		t.Returned = now
	} else {
		t.Confirmed = now
	}
}

// alive notes a heartbeat.
func (p *PendingCall) alive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeline.Heartbeats++
	p.timeline.LastHeartbeat = p.timeline.now()
}

// Fail ends the call with err, unless it has ended.
func (p *PendingCall) Fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// Abandon forgets the call.
func (p *PendingCall) Abandon() {
	p.calls.mu.Lock()
	delete(p.calls.waiting, p.id)
	p.calls.mu.Unlock()
}

// Wait waits for the end of the call: its reply, a failure to send it, the end of ctx or, with monitoring, a
// heartbeat that does not come. Heartbeats restart the monitor's time, never that of ctx. A reply that is there
// wins over everything else: the method has run.
//
// The end of time is a [*TimeoutError]. Where ctx was cancelled, the error matches ctx's error and its cause, and the
// sentinel of how far the call had come: ErrNotConnected, ErrUnconfirmed, ErrUndeliverable, or none.
func (p *PendingCall) Wait(ctx context.Context) (*Reply, error) {
	defer p.Abandon()
	var silence <-chan time.Time
	var timer *time.Timer
	if p.monitor > 0 {
		timer = time.NewTimer(p.monitor)
		defer timer.Stop()
		silence = timer.C
	}
	var earlier *Reply
	for {
		var failed error
		var silent bool
		select {
		case reply := <-p.replies:
			if earlier = join(reply, earlier); reply.Ending {
				return reply, nil
			}
			if timer != nil {
				timer.Reset(p.monitor)
			}
			continue
		case failed = <-p.failed:
		case <-silence:
			if len(p.replies) > 0 { // a sign of life, which lay there while nobody looked
				continue
			}
			silent = true
		case <-ctx.Done():
		}
		select {
		case reply := <-p.replies:
			if join(reply, earlier); reply.Ending {
				return reply, nil
			}
		default:
		}
		return nil, p.failure(ctx, failed, silent)
	}
}

// failure is how the call ends without a reply: by what failed, by silence or else by the end of ctx.
func (p *PendingCall) failure(ctx context.Context, failed error, silent bool) error {
	unsent := p.withdraw != nil && p.withdraw()
	switch {
	case failed != nil && unsent:
		return fmt.Errorf("%w: %w", ErrNotConnected, failed)
	case failed != nil:
		return failed
	case silent:
		return p.silence(unsent)
	case unsent:
		reason, why := p.unsent()
		return p.ended(ctx, reason, fmt.Errorf("%w: %w", why, context.Cause(ctx)))
	}
	reason, cause := p.progress(), context.Cause(ctx)
	if why := p.blocked(); why != nil && reason == ReasonUnconfirmed {
		cause = fmt.Errorf("%w: %w", why, cause)
	}
	return p.ended(ctx, reason, cause)
}

// unsent is why a request was not sent.
func (p *PendingCall) unsent() (TimeoutReason, error) {
	if why := p.blocked(); why != nil {
		return ReasonBlocked, why
	}
	return ReasonNotSent, ErrNotConnected
}

// Unsent is the error of a call that nothing was sent of because of err: where err is the end of ctx, a
// [*TimeoutError] if that was its deadline, else err itself with what became of the call.
func (p *PendingCall) Unsent(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause == nil || !errors.Is(err, cause) {
		return err
	}
	reason := ReasonNotSent
	if errors.Is(err, ErrBlocked) {
		reason = ReasonBlocked
	}
	return p.ended(ctx, reason, err)
}

// silence is the error of a call that its monitor gives up.
func (p *PendingCall) silence(unsent bool) error {
	e := &TimeoutError{MsgID: p.id, Reason: p.progress(), Monitor: p.monitor, Timeline: p.end()}
	switch {
	case unsent:
		e.Reason, e.cause = p.unsent()
	case e.Reason == ReasonUnanswered:
		e.Reason = ReasonSilent
	}
	return e
}

// ended is the error of a call whose context ended.
func (p *PendingCall) ended(ctx context.Context, reason TimeoutReason, cause error) error {
	e := TimeoutError{MsgID: p.id, Reason: reason, Timeline: p.end(), ended: ctx.Err(), cause: cause}
	if errors.Is(e.ended, context.DeadlineExceeded) {
		return &e
	}
	return &cancelledError{e}
}

// progress is how far a request has come that was not withdrawn.
func (p *PendingCall) progress() TimeoutReason {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.timeline
	switch {
	case t.Returned > 0:
		return ReasonNoQueue
	case t.Confirmed == 0 && t.Heartbeats == 0:
		return ReasonUnconfirmed
	}
	return ReasonUnanswered
}

// end is the time line of a call that ends now.
func (p *PendingCall) end() Timeline {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeline.Ended = p.timeline.now()
	return p.timeline
}

// Prepare fills in what a driver owes a request before it is sent: fresh ids and, for a call, where its
// reply goes and how often the caller wants to see a heartbeat. A cast has no reply queue; whatever the request
// was before, it is none then. It returns the message id.
func Prepare(req *Request, replyQueue string, monitor time.Duration) (msgID string) {
	req.UniqueID = wire.NewID()
	req.MsgID, req.ReplyQueue, req.MonitorTimeout = nil, "", nil
	if replyQueue == "" {
		return ""
	}
	msgID = wire.NewID()
	req.MsgID, req.ReplyQueue = wire.TextValue(msgID), replyQueue
	if monitor > 0 {
		req.MonitorTimeout = wire.Seconds(monitor)
	}
	return msgID
}
