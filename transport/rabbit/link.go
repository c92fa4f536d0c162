package rabbit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
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
)

// link keeps one session after another alive, for one purpose, from the time it is first needed until it is
// closed. Its goroutine owns the sessions; serve, which it is given, works with each until the session ends or
// ctx does.
type link struct {
	purpose string
	hosts   []transport.Host
	virtual string
	options *Options
	log     logrus.FieldLogger
	stats   *counters
	serve   func(ctx context.Context, s *session)

	ctx    context.Context //nolint:containedctx // the link's own life, ended by close
	cancel context.CancelFunc
	begin  sync.Once
	wg     sync.WaitGroup

	mu      sync.Mutex // protects what follows
	up      bool
	err     error         // why the last attempt failed; nil before the first and while up
	failed  int           // attempts failed since the last success
	changed chan struct{} // closed and renewed at every change of the above
}

func newLink(purpose string, d *Driver, serve func(ctx context.Context, s *session)) *link {
	l := &link{
		purpose: purpose, hosts: d.hosts, virtual: d.virtualHost, options: &d.options, stats: &d.stats, serve: serve,
		log: d.log.WithField("purpose", purpose), changed: make(chan struct{}),
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

// keep makes sessions until the link is closed. A failed handshake is never final: a connection cut during it
// looks like a wrong password, and a password can be mended.
func (l *link) keep() {
	report := time.Time{}
	for attempt := 0; l.ctx.Err() == nil; attempt++ {
		host := l.hosts[attempt%len(l.hosts)]
		s, err := dial(l.ctx, host, l.virtual, l.purpose, l.options)
		if err != nil {
			if l.ctx.Err() != nil {
				return
			}
			failures := l.set(false, err)
			if now := time.Now(); now.Sub(report) >= loglimit.Interval {
				report = now
				l.log.WithFields(logrus.Fields{"host": host.String(), "attempts": failures, "error": err}).
					Warn("cannot connect to the broker, retrying")
			}
			l.pause(backoff(failures, err))
			continue
		}
		l.log.WithField("host", host.String()).Info("connected to the broker")
		l.stats.sessions.Add(1)
		l.set(true, nil)
		stop := context.AfterFunc(l.ctx, s.close) // wakes what waits for the broker
		l.serve(l.ctx, s)
		stop()
		s.close()
		report = time.Time{}
		if l.ctx.Err() == nil {
			l.set(false, s.cause())
			l.log.WithFields(logrus.Fields{"host": host.String(), "error": s.cause()}).
				Warn("connection to the broker lost, reconnecting")
			l.pause(backoff(1, s.cause()))
		}
	}
}

// backoff is a random time below a bound that doubles with each failure (full jitter).
func backoff(failures int, err error) time.Duration {
	longest := longestAbsent
	var refused *BrokerError
	if errors.As(err, &refused) {
		longest = longestBackoff
	}
	bound := longest
	if failures < 10 {
		bound = min(firstBackoff<<(failures-1), longest)
	}
	return rand.N(bound)
}

func (l *link) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	}
}

// set notes a change of state and returns how many attempts have failed in a row.
func (l *link) set(up bool, err error) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.err = up, err
	if up {
		l.failed = 0
	} else {
		l.failed++
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return l.failed
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
