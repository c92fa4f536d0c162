package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

const (
	// probeTimeout is how long a probe may be under way once the broker has taken it.
	probeTimeout = 2 * time.Second
	// consumeAgain is how long a reply queue may be missing, or not consumed, until it is given up; and how long calls
	// wait for an answer whose queue was deleted, which is time for servers to repeat it.
	consumeAgain = 800 * time.Millisecond
	// justSent is how old a call may be to be given up when its queue is deleted.
	justSent = time.Second
	// silence is for how long no reply must have come, with calls in flight, for the path to be doubted.
	silence = time.Minute
	// probePause is between two probes: a burst of calls that time out is one doubt.
	probePause = time.Second
	// ignoredInRow is how many probes a host may leave unconfirmed before the queue's host is taken for cut off from it.
	ignoredInRow = 2
	// probeRepeat is how soon a probe that found no queue is sent again.
	probeRepeat = 100 * time.Millisecond
)

// prober proves that replies arrive. A connection can look healthy while the queue on which replies come is gone, or
// is consumed by nobody: the client is deaf then, and its calls can only time out. On a doubt, the client sends a
// message to itself the way that replies come. Where that is lost, replies get a queue with another name, and the
// calls that wait fail with [transport.ErrReplyPathLost].
//
// A broker that cancels the consumer tells more: the queue was deleted, and what was on its way through it is lost.
// The queue that is declared in its place proves nothing about that, and nobody knows whose replies it was. Calls that
// had just been sent, and are not answered soon, end with [transport.ErrReplyPathLost]: most calls take milliseconds, and
// those may have been answered at that moment. A call that had been running for longer goes on. That its reply fell into
// just these milliseconds is unlikely, and to give it up would have its caller run it twice. So does one that is
// monitored: where its heartbeats do not come, it ends by that.
//
// Doubts are a call that was taken and not answered in time, a new session, a minute without any reply while calls
// wait, and a consumer that the broker cancelled. The first session is none: the queue was made a moment ago, and the
// first call will prove it.
//
// A probe is a reply to no call: who reads it by mistake drops it. Its goroutine, run, begins with the first reply
// queue and ends with the driver; it sends one probe at a time. So do those that wait for the answers of such calls.
type prober struct {
	replies *replies
	ignored int             // probes in a row that one host did not confirm for a queue of another; of run
	ctx     context.Context //nolint:containedctx // the prober's own life, ended by stop
	cancel  context.CancelFunc
	running sync.WaitGroup
	doubts  chan struct{} // holds a token while there is a doubt
	gone    chan struct{} // holds a token when the broker has cancelled the consumer

	mu    sync.Mutex // protects what follows
	id    string     // of the probe under way
	heard chan struct{}
	last  time.Time // when a reply came, whatever its call
}

func newProber(r *replies) *prober {
	p := &prober{replies: r, doubts: make(chan struct{}, 1), gone: make(chan struct{}, 1), last: time.Now()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// start begins to probe.
func (p *prober) start() { p.running.Go(p.run) }

// stop ends the prober and waits for it. Nothing may start it any more.
func (p *prober) stop() {
	p.mu.Lock()
	p.cancel() // nothing is added to running from here on
	p.mu.Unlock()
	p.running.Wait()
}

// doubt asks for a probe.
func (p *prober) doubt() { leave(p.doubts) }

// consumerGone asks for proof that the reply queue is consumed again, and has the calls end that may have lost their
// replies with it. Those that are sent from now on have not: the broker finds no queue for replies, and servers repeat
// them.
func (p *prober) consumerGone() {
	calls := p.replies.calls.SentWithin(justSent)
	p.mu.Lock()
	if p.ctx.Err() == nil && len(calls) > 0 {
		p.running.Go(func() { p.giveUp(calls) })
	}
	p.mu.Unlock()
	leave(p.gone)
}

// giveUp ends calls that are not answered soon, though their reply queue may be consumed again.
func (p *prober) giveUp(calls []*transport.PendingCall) {
	timer := time.NewTimer(consumeAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
		return
	}
	err := fmt.Errorf("%w: %w", transport.ErrReplyPathLost, errDeleted)
	if failed := p.replies.calls.FailThose(calls, err); failed > 0 {
		p.replies.driver.log.WithFields(logrus.Fields{"error": errDeleted, "calls": failed}).Warn("calls given up")
	}
}

// leave puts a token into a channel that holds one.
func leave(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// hear notes that a reply came, and reports whether it is the probe under way.
func (p *prober) hear(reply *transport.Reply) bool {
	id, _ := reply.MsgID.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	if p.id == "" || id != p.id {
		return false
	}
	close(p.heard)
	p.id = ""
	return true
}

func (p *prober) run() {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for {
		within := probeTimeout
		select {
		case <-p.gone:
			within = consumeAgain
		case <-p.doubts:
		case <-timer.C:
			if quiet := p.quiet(); quiet < silence {
				timer.Reset(silence - quiet)
				continue
			}
			timer.Reset(silence)
			if p.replies.calls.Waiting() == 0 {
				continue
			}
		case <-p.ctx.Done():
			return
		}
		if err := p.prove(within); err != nil && p.ctx.Err() == nil {
			p.replies.renew(err)
		}
		p.rest()
	}
}

// quiet is for how long no reply came.
func (p *prober) quiet() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last)
}

// rest waits before the next probe, unless that is urgent.
func (p *prober) rest() {
	timer := time.NewTimer(probePause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.gone:
		leave(p.gone)
	case <-p.ctx.Done():
	}
}

// Why a path is lost.
var (
	errDeleted     = errors.New("the reply queue was deleted, and replies with it")
	errNotConsumed = errors.New("the reply queue could not be consumed again")
	errCutOff      = errors.New("the host of the reply queue is cut off from the other hosts")
	errNoQueue     = errors.New("the reply queue does not exist")
	errNotHeard    = fmt.Errorf("a message to the reply queue did not arrive within %s", probeTimeout)
	errExpired     = errors.New("the client was away for longer than its reply queue lasts")
)

// prove sends probes until one is heard or it is clear why none is, and returns why the path is lost. It returns
// nil also where a connection is in the way: calls learn of that elsewhere, and the next session is the next doubt.
// within bounds the wait for its consumer.
func (p *prober) prove(within time.Duration) error {
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	for begun := time.Now(); ; {
		a := p.replies.attached(ctx)
		if a == nil && p.replies.driver.consumer.link.connected() {
			return errNotConsumed
		}
		if a == nil || !p.replies.driver.publisher.connected() || p.replies.driver.obstacle() != nil {
			return nil
		}
		err := p.send(a)
		again := errors.Is(err, errNotConsumed) || errors.Is(err, errNoQueue) && time.Since(begun) < consumeAgain
		if !again {
			return err
		}
		select {
		case <-time.After(probeRepeat): // its consumer was cancelled just now: it is about to be declared again
		case <-ctx.Done():
		}
		if ctx.Err() != nil && errors.Is(err, errNoQueue) {
			return err
		}
	}
}

// send sends one probe to the queue of an attachment. It fails with errNoQueue or errNotHeard, or with errNotConsumed
// where the attachment ended meanwhile, be it that there is no further one; nil also tells that nothing is known.
func (p *prober) send(a *attachment) error {
	id, heard := p.begin()
	defer p.end()
	body := wire.AppendReply(nil, &transport.Reply{MsgID: wire.TextValue(id), Ending: true, UniqueID: id})
	message, err := newMessage(wire.ContentTypeJSON, "", body)
	if err != nil {
		return nil
	}
	settled := make(chan error, 1)
	probe := &publication{
		key: a.sub.queues[0].name, mandatory: true, uniqueID: id, message: message, settle: func(err error) { settled <- err },
	}
	begun := time.Now()
	timer := time.NewTimer(probeTimeout)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(p.ctx, probeTimeout)
	defer cancel()
	driver := p.replies.driver
	if driver.direct.submit(ctx, probe) != nil {
		return nil
	}
	driver.stats.probes.Add(1)
	taken := false
	for {
		select {
		case <-heard:
			p.ignored = 0
			return nil
		case err := <-settled:
			if errors.Is(err, transport.ErrUndeliverable) {
				return errNoQueue
			}
			if err != nil {
				return nil
			}
			taken = true
			p.ignored = 0
			timer.Reset(probeTimeout)
		case <-timer.C:
			if !taken {
				if probe.withdraw() {
					return nil
				}
				return p.notConfirmed(a, begun)
			}
			if p.quiet() < probeTimeout { // replies arrive, so many that the probe is behind others
				return nil
			}
			return errNotHeard
		case <-a.ended:
			return errNotConsumed
		case <-p.ctx.Done():
			return nil
		}
	}
}

// notConfirmed looks at a probe that was written and not confirmed in time. Where the queue is consumed on another host than
// the one that publishes, and that one has confirmed requests meanwhile, the other one is cut off from the rest: it is given
// up, and the queue, which is there, too. Where no requests are confirmed, it may as well be the publisher's host, or both
// wait for the same: that is not for a probe to find out.
func (p *prober) notConfirmed(a *attachment, since time.Time) error {
	publisher := p.replies.driver.publisher.current.Load()
	if publisher == nil || publisher.host == a.session.host || publisher.takes.Load() < since.UnixNano() {
		return nil
	}
	if p.ignored++; p.ignored < ignoredInRow {
		p.doubt()
		return nil
	}
	p.ignored = 0
	if !p.replies.driver.consumer.link.distrust(a.session, errCutOff) {
		return nil
	}
	return errCutOff
}

func (p *prober) begin() (id string, heard <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id, p.heard = wire.NewID(), make(chan struct{})
	return p.id, p.heard
}

func (p *prober) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = ""
}
