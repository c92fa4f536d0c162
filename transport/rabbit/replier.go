package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

const (
	// replyRetryPause is how long a reply waits before it is sent to a missing queue again
	// (oslo_messaging/_drivers/amqpdriver.py, _send_reply).
	replyRetryPause = 250 * time.Millisecond
	// maxRetrying is how many replies may wait for their queues at once; more are dropped. oslo.messaging lets
	// each hold a worker thread, so that callers that are gone starve the others.
	maxRetrying = 1000
	// Reply queues that stayed missing are remembered, so that further replies to them cost nothing.
	maxDeadQueues = 200
	deadQueueAge  = time.Minute
	// maxReplyRepeats bounds how often a reply is sent again that the broker refused or did not confirm.
	maxReplyRepeats = 10
)

// replier sends the server's replies and follows each until the broker has it: nobody waits for that. A caller
// drops a second copy of a reply, so that sending again is safe.
type replier struct {
	driver *Driver

	mu       sync.Mutex // protects what follows
	retrying int
	dead     map[string]time.Time
	timers   sync.WaitGroup // functions of timers that have not run to their end
}

// reply is one reply on its way.
type reply struct {
	msgID       wire.Value
	queue       string
	contentType string
	body        []byte
	uniqueID    string
	since       time.Time
	repeats     int
	done        func(error) // called once: the broker has it, or why it is not waited for any more
}

// tooLarge turns the reply into a failure that says so. It reports false where it is one already.
func (rep *reply) tooLarge(err error) bool {
	if rep.msgID == nil {
		return false
	}
	failure := &transport.Failure{Class: "ValueError", Module: "builtins", Message: err.Error()}
	rep.body = wire.AppendReply(nil, &transport.Reply{
		MsgID: rep.msgID, Failure: failure, Ending: true, UniqueID: rep.uniqueID, ContentType: rep.contentType,
	})
	rep.msgID = nil
	return true
}

// outstanding counts replies that are not with the broker yet.
type outstanding struct {
	mu    sync.Mutex
	n     int
	empty chan struct{} // set while somebody waits; closed when n is 0
}

func (o *outstanding) add() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
}

func (o *outstanding) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n--
	if o.n == 0 && o.empty != nil {
		close(o.empty)
		o.empty = nil
	}
}

func (o *outstanding) wait(ctx context.Context) error {
	o.mu.Lock()
	if o.n == 0 {
		o.mu.Unlock()
		return nil
	}
	if o.empty == nil {
		o.empty = make(chan struct{})
	}
	empty := o.empty
	o.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rabbit: wait for the broker to take the replies: %w", context.Cause(ctx))
	}
}

// send hands a reply to the publisher. settled is told what becomes of it, unless send fails; it must not block.
func (r *replier) send(ctx context.Context, queue string, message *transport.Reply, count *outstanding, settled func(error)) error {
	if r.driver.isClosing() {
		return fmt.Errorf("rabbit: send a reply: %w", transport.ErrClosed)
	}
	if err := r.refuse(queue); err != nil {
		r.drop(queue, err)
		settled(err)
		return nil
	}
	message.UniqueID = wire.NewID()
	body := wire.AppendReply(make([]byte, 0, len(message.Result)*5/4+256), message)
	if len(body) > wire.MaxSize {
		return fmt.Errorf("%w: the reply has %d bytes, the limit is %d", transport.ErrTooLarge, len(body), wire.MaxSize)
	}
	rep := &reply{
		msgID: message.MsgID, queue: queue, contentType: message.ContentType, body: body, uniqueID: message.UniqueID,
		since: time.Now(), done: func(err error) { settled(err); count.done() },
	}
	count.add()
	if err := r.publish(ctx, rep); err != nil {
		count.done()
		return fmt.Errorf("rabbit: send a reply: %w", err)
	}
	return nil
}

// heartbeat sends a sign of life, once.
func (r *replier) heartbeat(ctx context.Context, req *transport.Request) error {
	queue := req.ReplyQueue
	if err := r.refuse(queue); err != nil {
		return err
	}
	r.driver.publisher.start()
	id := wire.NewID()
	body := wire.AppendReply(nil, &transport.Reply{MsgID: req.MsgID, ContentType: req.ContentType, UniqueID: id})
	message, err := newMessage(req.ContentType, r.driver.options.Compression, body)
	if err != nil {
		return err
	}
	return r.driver.direct.submit(ctx, &publication{
		key: queue, mandatory: r.driver.options.DirectMandatory, message: message, uniqueID: id,
		settle: func(error) {},
	})
}

func (r *replier) publish(ctx context.Context, rep *reply) error {
	r.driver.publisher.start()
	message, err := newMessage(rep.contentType, r.driver.options.Compression, rep.body)
	if err != nil {
		return err
	}
	return r.driver.laneOf(len(rep.body)).submit(ctx, &publication{
		key: rep.queue, mandatory: r.driver.options.DirectMandatory, message: message, uniqueID: rep.uniqueID,
		settle: func(err error) { r.settled(rep, err) },
	})
}

var (
	errDeadQueue    = errors.New("the caller's reply queue does not exist")
	errNoReplyQueue = errors.New("the caller's reply queue is not named as reply queues are")
)

// refuse tells why nothing is sent to a reply queue, nil where it may be.
func (r *replier) refuse(queue string) error {
	switch {
	case !r.driver.options.canReply(queue):
		return errNoReplyQueue
	case r.isDead(queue):
		return errDeadQueue
	}
	return nil
}

// settled decides what comes after an attempt. It runs on the publisher's goroutine.
func (r *replier) settled(rep *reply, err error) {
	switch {
	case err == nil:
		rep.done(nil)
		return
	case errors.Is(err, transport.ErrClosed):
	case errors.Is(err, transport.ErrUndeliverable):
		// From here on it is tried aside: who waits for replies to be with the broker does not wait for this one.
		rep.done(err)
		rep.done = func(error) {}
		if time.Since(rep.since) < r.driver.options.MissingConsumerTimeout && !r.isDead(rep.queue) && r.again(rep) {
			return
		}
		r.markDead(rep.queue)
		err = errDeadQueue
	case errors.Is(err, transport.ErrTooLarge) && rep.tooLarge(err) && r.again(rep): // the caller learns of it
		return
	default: // refused, or the connection ended before the confirm
		if rep.repeats++; rep.repeats <= maxReplyRepeats && r.again(rep) {
			return
		}
	}
	r.drop(rep.queue, err)
	rep.done(err)
}

// again sends a reply once more after a pause. It reports false where too many wait already.
func (r *replier) again(rep *reply) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retrying >= maxRetrying || r.driver.isClosing() {
		return false
	}
	r.retrying++
	r.driver.stats.retried.Add(1)
	r.timers.Go(func() {
		timer := time.NewTimer(replyRetryPause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.driver.closing:
		}
		r.mu.Lock()
		r.retrying--
		r.mu.Unlock()
		if err := r.publish(context.Background(), rep); err != nil { // ends with closing at the latest
			r.drop(rep.queue, err)
			rep.done(err)
		}
	})
	return true
}

func (r *replier) drop(queue string, err error) {
	r.driver.stats.dropped.Add(1)
	if log := r.driver.rarely("dropped reply"); log != nil {
		log.WithError(err).WithField("reply_queue", loglimit.Quote(queue)).Warn("reply dropped")
	}
}

func (r *replier) isDead(queue string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.dead[queue]
	if ok && time.Since(at) > deadQueueAge {
		delete(r.dead, queue)
		return false
	}
	return ok
}

// markDead remembers a queue, in place of the oldest where there are too many.
func (r *replier) markDead(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead == nil {
		r.dead = make(map[string]time.Time)
	}
	if _, known := r.dead[queue]; !known && len(r.dead) >= maxDeadQueues {
		oldest := queue
		for name, at := range r.dead {
			if oldest == queue || at.Before(r.dead[oldest]) {
				oldest = name
			}
		}
		delete(r.dead, oldest)
	}
	r.dead[queue] = time.Now()
}
