package rabbit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/transport"
)

const (
	firstBackoff   = 500 * time.Millisecond
	longestBackoff = 30 * time.Second
	// longestAbsent bounds the pause where nobody answered as a broker: such an attempt costs it nothing, and one
	// that restarts is served again within this time. The longer bound is for brokers that answer and refuse.
	longestAbsent = 3 * time.Second
	// shortOutage is for how long the pauses do not grow while nobody answers: what was away for no longer, a network
	// for instance, is found again within the bound of the first pause. A broker takes longer to start, and its clients
	// must not all come within half a second.
	shortOutage = 4 * time.Second
	// settled is how long a session lasts on a host that is of use. One that the broker ends before counts as a failed
	// attempt, so that what it ends it for, such as a queue that it does not make (541), is neither repeated in a busy
	// loop nor on the same host where there are others.
	settled = 2 * time.Second
	// distrustPause is how soon a link gives up another session, since its host does not do what others may. What no host
	// of a cluster does, such as taking messages for a queue that is full, must not cost one connection after another.
	distrustPause = 5 * time.Minute
)

// link keeps one session after another alive, for one purpose, from the time it is first needed until it is
// closed. Its goroutine owns the sessions; serve, which it is given, works with each until the session ends or
// ctx does.
type link struct {
	purpose string
	hosts   *hosts
	virtual string
	gates   *gates
	options *Options
	log     logrus.FieldLogger
	stats   *counters
	serve   func(ctx context.Context, s *session)
	dial    func(ctx context.Context, host transport.Host) (*session, error)

	ctx    context.Context //nolint:containedctx // the link's own life, ended by close
	cancel context.CancelFunc
	begin  sync.Once
	wg     sync.WaitGroup

	current atomic.Pointer[session] // the latest, which may have ended

	mu      sync.Mutex // protects what follows
	up      bool
	err     error         // why the last attempt failed; nil before the first and while up
	failed  int           // attempts (each is a round of all hosts) failed since the last success
	changed chan struct{} // closed and renewed at every change of the above

	distrusted time.Time // when a session was last given up for its host; zero before
}

func newLink(purpose string, d *Driver, serve func(ctx context.Context, s *session)) *link {
	l := &link{
		purpose: purpose, hosts: d.hosts, virtual: d.virtualHost, gates: d.gates, options: &d.options, stats: &d.stats, serve: serve,
		log: d.log.WithField("purpose", purpose), changed: make(chan struct{}),
	}
	l.dial = func(ctx context.Context, host transport.Host) (*session, error) {
		return dial(ctx, host, l.virtual, purpose, l.options)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// start dials for the first time; later calls do nothing.
func (l *link) start() {
	l.begin.Do(func() { l.wg.Go(l.keep) })
}

// stop ends the session and the goroutine, and waits for them.
func (l *link) stop() {
	l.cancel()
	l.begin.Do(func() {}) // nothing may start any more
	l.wg.Wait()
	l.set(false, transport.ErrClosed)
}

// kill closes the socket of the present session, whatever the broker does.
func (l *link) kill() {
	if s := l.current.Load(); s != nil {
		s.conn.kill()
	}
}

// keep makes sessions until the link is closed. A failed handshake is never final: a connection cut during it
// looks like a wrong password, and a password can be mended.
func (l *link) keep() {
	search := l.hosts.search()
	useless := 0 // sessions in a row
	for l.ctx.Err() == nil {
		s := l.find(search)
		if s == nil {
			return
		}
		begun := time.Now()
		l.use(s)
		if l.ctx.Err() != nil {
			return
		}
		cause := s.cause()
		l.set(false, l.about(s.host, cause))
		l.log.WithFields(logrus.Fields{"host": s.host.String(), "error": cause}).
			Warn("connection to the broker lost, reconnecting")
		switch {
		case isUseless(time.Since(begun), cause):
			useless++
			search.avoid()
		case errors.Is(cause, errDistrusted):
			search.avoid()
		default:
			useless = 0
		}
		l.rest(l.options.reconnectPause() + l.options.backoff(max(useless, 1), refusal(cause)))
	}
}

// rest pauses. Where the other link finds a broker meanwhile, there is no reason to wait for long: little of the pause is
// left then, a random part, so that the links of many drivers do not come in pairs.
func (l *link) rest(d time.Duration) {
	end := time.Now().Add(d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hosts.answers():
		if left := min(time.Until(end), l.options.RetryInterval); left > 0 {
			pause(l.ctx, rand.N(left))
		}
	case <-l.ctx.Done():
	}
}

// find dials the hosts until one answers. It returns nil when the link is closed.
func (l *link) find(search *search) *session {
	begun, report := time.Now(), time.Time{}
	rounds := 0     // that failed and make pauses longer
	refused := true // every host of this round answered as a broker
	for dials := 1; ; dials++ {
		host := search.next()
		s, err := l.connect(host)
		switch {
		case err == nil:
			search.found()
			l.log.WithField("host", host.String()).Info("connected to the broker")
			return s
		case l.ctx.Err() != nil:
			return nil
		}
		refused = refused && refusal(err)
		l.note(l.about(host, err), search.roundEnded())
		if now := time.Now(); now.Sub(report) >= loglimit.Interval {
			report = now
			l.log.WithFields(logrus.Fields{"host": host.String(), "attempts": dials, "error": err}).
				Warn("cannot connect to the broker, retrying")
		}
		if search.roundEnded() {
			if refused || time.Since(begun) >= shortOutage {
				rounds++
			}
			l.rest(l.options.backoff(max(rounds, 1), refused))
			refused = true
		}
	}
}

// about says with what host an error came up, and as who this side spoke to it: brokers do not always say that.
func (l *link) about(host transport.Host, err error) error {
	who := fmt.Sprintf("user %q", orDefault(host.User, defaultUser))
	switch {
	case l.options.LoginMethod == loginExternal:
		who = "by certificate"
	case l.options.UsernameFile != "": // what it holds may be a password by mistake
		who = "user of rabbit_username_file"
	}
	return fmt.Errorf("%s, %s, virtual host %q: %w", addressOf(host), who, orDefault(l.virtual, "/"), err)
}

// connect dials a host when it is this link's turn.
func (l *link) connect(host transport.Host) (*session, error) {
	leave, err := l.gates.enter(l.ctx, addressOf(host))
	if err != nil {
		return nil, err
	}
	defer leave()
	return l.dial(l.ctx, host)
}

// use works with a session until it has ended.
func (l *link) use(s *session) {
	l.stats.sessions.Add(1)
	l.current.Store(s) // who waits for a session finds it there
	l.set(true, nil)
	stop := context.AfterFunc(l.ctx, s.close) // wakes what waits for the broker
	l.serve(l.ctx, s)
	stop()
	s.close()
}

// isUseless tells a session that the broker ended soon after it began. What the network cuts says nothing of the
// host: where that is of no use, dialling it again will show.
func isUseless(lasted time.Duration, cause error) bool { return lasted < settled && refusal(cause) }

var errDistrusted = errors.New("another host may do better")

// distrust gives a session up for one with another host. It does nothing, and reports that, where there is none, and soon
// after the last time.
func (l *link) distrust(s *session, reason error) bool {
	if !l.hosts.several() || !l.mayDistrust() {
		return false
	}
	l.leave(s, reason)
	return true
}

// leave gives a session up for one with another host.
func (l *link) leave(s *session, reason error) {
	l.log.WithFields(logrus.Fields{"host": s.host.String(), "error": reason}).Warn("giving up the host for another")
	s.giveUp(fmt.Errorf("%w: %w", errDistrusted, reason))
}

func (l *link) mayDistrust() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.distrusted.IsZero() && now.Sub(l.distrusted) < distrustPause {
		return false
	}
	l.distrusted = now
	return true
}

// refusal tells a broker that answers and refuses from one that is not there.
func refusal(err error) bool {
	var refused *BrokerError
	return errors.As(err, &refused)
}

// backoff is a random time below a bound that grows with each failure (full jitter).
func (o *ConnectionOptions) backoff(failures int, refused bool) time.Duration {
	longest := o.IntervalMax
	if !refused {
		longest = min(longest, longestAbsent)
	}
	bound := min(o.RetryInterval, longest)
	for n := 1; n < failures && bound < longest && o.RetryBackoff != 0; n++ {
		if o.RetryBackoff < 0 {
			bound *= 2
		} else {
			bound += o.RetryBackoff
		}
		bound = min(bound, longest)
	}
	return rand.N(bound)
}

// reconnectPause is the extra pause after a connection was lost.
func (o *ConnectionOptions) reconnectPause() time.Duration {
	if o.ReconnectSplay == 0 {
		return o.ReconnectDelay
	}
	return o.ReconnectDelay + rand.N(o.ReconnectSplay)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// set notes a change of state.
func (l *link) set(up bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
	if up {
		l.failed = 0
	}
	l.change(err, !up)
}

// note notes that a host did not answer, which is a failed attempt where it was the last one of its round.
func (l *link) note(err error, roundEnded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change(err, roundEnded)
}

// change is called with the lock held.
func (l *link) change(err error, failed bool) {
	l.err = err
	if failed {
		l.failed++
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// connected tells whether there is a session.
func (l *link) connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// await waits for a session, starting the link where that has not happened. retry is how many attempts
// may fail after the first before it fails with ErrNotConnected; where the link is down already, the attempt it
// made last counts as the first.
func (l *link) await(ctx context.Context, retry int) error {
	if l.ctx.Err() != nil {
		return transport.ErrClosed
	}
	l.start()
	before := -1
	for {
		l.mu.Lock()
		up, err, failed, changed := l.up, l.err, l.failed, l.changed
		l.mu.Unlock()
		if up {
			return nil
		}
		if errors.Is(err, transport.ErrClosed) {
			return transport.ErrClosed
		}
		if before < 0 {
			before = max(failed-1, 0)
		}
		if retry >= 0 && err != nil && failed-before > retry {
			return fmt.Errorf("%w: %w", transport.ErrNotConnected, err)
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return transport.ErrClosed
		case <-ctx.Done():
			return waitError(ctx, err)
		}
	}
}

// waitError tells that ctx ended while there was no connection, and why there was none.
func waitError(ctx context.Context, err error) error {
	if err == nil {
		return fmt.Errorf("%w: %w", transport.ErrNotConnected, ended(ctx))
	}
	return fmt.Errorf("%w: %w (last attempt: %w)", transport.ErrNotConnected, ended(ctx), err)
}
