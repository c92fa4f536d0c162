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

// PendingCall is one call that waits.
type PendingCall struct {
	calls   *Calls
	id      string
	replies chan *Reply // holds one reply: the last message of a call, or the newest heartbeat
	failed  chan error
	monitor time.Duration
}

// Begin notes that a call with message id waits. The caller must end it with Wait or Abandon.
func (c *Calls) Begin(id string, monitor time.Duration) (*PendingCall, error) {
	p := &PendingCall{calls: c, id: id, replies: make(chan *Reply, 1), failed: make(chan error, 1), monitor: monitor}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return nil, c.closed
	}
	if c.waiting == nil {
		c.waiting = make(map[string]*PendingCall)
	}
	c.waiting[id] = p
	return p, nil
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
		var err error
		select {
		case reply := <-p.replies:
			if earlier = join(reply, earlier); reply.Ending {
				return reply, nil
			}
			if timer != nil {
				timer.Reset(p.monitor)
			}
			continue
		case err = <-p.failed:
		case <-silence:
			if len(p.replies) > 0 { // a sign of life, which lay there while nobody looked
				continue
			}
			err = fmt.Errorf("%w within %s for message %s", ErrMonitorTimeout, p.monitor, p.id)
		case <-ctx.Done():
			err = WaitError(ctx, p.id)
		}
		select {
		case reply := <-p.replies:
			if join(reply, earlier); reply.Ending {
				return reply, nil
			}
		default:
		}
		return nil, err
	}
}

// WaitError turns the end of a call's context into an error: ErrTimeout where its deadline passed, else the
// reason it was cancelled for.
func WaitError(ctx context.Context, id string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w to message %s: %w", ErrTimeout, id, context.DeadlineExceeded)
	}
	return fmt.Errorf("wait for a reply to message %s: %w", id, context.Cause(ctx))
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
