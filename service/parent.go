package service

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/internal/identity"
)

const (
	// never is further away than anything that the loop waits for.
	never = time.Duration(1<<63 - 1)
	// reloadSlack is for how much longer than its own timeout a worker may take that was asked to end by a reload: it
	// ends itself, unless it is stuck as a whole.
	reloadSlack = 5 * time.Second
	// killGrace is how long the parent waits for workers that it has killed.
	killGrace = 5 * time.Second
)

// parent keeps pools of workers at their size. One goroutine, that of run, owns all that changes; everything else sends to
// it. It never waits for anything but the next event.
type parent struct {
	conf    Config
	log     logrus.FieldLogger
	starter starter

	launches chan launchRequest
	waits    chan struct{}
	stops    chan struct{}
	signals  chan os.Signal
	words    chan *worker // of workers, see process.Heard
	exits    chan *worker
	ended    chan struct{} // closed when run has returned; then code is final
	watching sync.WaitGroup

	// Of run's goroutine.
	pools      []*pool
	living     map[*worker]struct{}
	generation int
	waited     bool         // Wait was called
	hungUp     bool         // before that, or while the configuration is read
	reading    <-chan error // of the configuration; nil while it is not read
	announce   bool         // the notifier must hear when all is ready
	rolling    *rolling
	stopping   bool
	killed     bool      // the time for a graceful stop is over
	deadline   time.Time // of a graceful stop, then of killed workers; zero is never
	code       int
}

type launchRequest struct {
	name    string
	workers int
	done    chan error // gets one, nil when each worker was started once, or will not be; its size is 1
}

func newParent(conf Config, s starter) *parent {
	return &parent{
		conf: conf, log: conf.Log, starter: s,
		launches: make(chan launchRequest), waits: make(chan struct{}), stops: make(chan struct{}), signals: make(chan os.Signal),
		words: make(chan *worker), exits: make(chan *worker), ended: make(chan struct{}),
		living: make(map[*worker]struct{}),
	}
}

// run is the loop. It stays on one thread, with which workers would end that have just been started (see endsWithParent).
func (p *parent) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.ended)
	watchdog := newWatchdog(p.conf)
	defer watchdog.Stop()
	for {
		wait := p.act(time.Now())
		if p.over() {
			return
		}
		p.next(wait, watchdog.C)
	}
}

// next serves one event, or returns when something is due.
func (p *parent) next(wait time.Duration, watchdog <-chan time.Time) {
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-due.C:
	case r := <-p.launches:
		p.launch(r)
	case <-p.waits:
		p.beginWait()
	case <-p.stops:
		p.stop("Stop")
	case sig := <-p.signals:
		p.signal(sig)
	case w := <-p.words:
		p.heard(w)
	case w := <-p.exits:
		p.exited(w)
	case err := <-p.reading:
		p.haveRead(err)
	case <-watchdog:
		p.feed(time.Now())
	}
}

// over tells whether the parent has stopped: no worker is left, or only such as even a kill does not end.
func (p *parent) over() bool {
	return p.stopping && (len(p.living) == 0 || p.killed && !time.Now().Before(p.deadline))
}

// act does what is due, and returns how long it is until the next thing is.
func (p *parent) act(now time.Time) time.Duration {
	if p.stopping {
		return p.killLate(now)
	}
	wait := p.killStuck(now)
	for _, pool := range p.pools {
		wait = min(wait, p.fill(pool, now))
	}
	wait = min(wait, p.roll(now))
	p.announceReady()
	return wait
}

// launch makes a pool and starts its workers.
func (p *parent) launch(r launchRequest) {
	if p.stopping {
		r.done <- nil
		return
	}
	pool := newPool(r.name, r.workers)
	err := p.populate(pool)
	if err == nil {
		p.pools = append(p.pools, pool)
		p.announce = true
	}
	r.done <- err
}

// populate starts the first workers of a pool, all or none: a program that cannot start them, for want of descriptors or
// processes, is to say so and end. Later ones are tried again and again.
func (p *parent) populate(pool *pool) error {
	for i := range pool.slots {
		p.throttled(pool, time.Now()) // which the first do not exceed
		w, err := p.spawn(pool, i)
		if err != nil {
			for _, s := range pool.slots[:i] {
				p.terminate(s.current)
			}
			return err
		}
		pool.slots[i].current = w
	}
	return nil
}

// fill starts workers in empty slots as far as the throttle permits, and returns how long that makes it wait. A worker that
// could not be started is tried again like one that died.
func (p *parent) fill(pool *pool, now time.Time) time.Duration {
	for i := range pool.slots {
		for pool.slots[i].current == nil {
			if wait := p.throttled(pool, now); wait > 0 {
				return wait
			}
			pool.slots[i].current = p.trySpawn(pool, i)
		}
	}
	return never
}

func (p *parent) throttled(pool *pool, now time.Time) time.Duration {
	wait, first := pool.throttle.take(now)
	if first {
		p.log.WithField("pool", pool.name).Warn("starting workers too fast, waiting")
	}
	return wait
}

// trySpawn is spawn, but nil where that fails.
func (p *parent) trySpawn(pool *pool, index int) *worker {
	w, err := p.spawn(pool, index)
	if err != nil {
		p.log.WithError(err).WithFields(logrus.Fields{"pool": pool.name, "worker": index}).Error("a worker could not be started")
	}
	return w
}

// spawn starts a worker and has it watched.
func (p *parent) spawn(pool *pool, index int) (*worker, error) {
	p.generation++
	id := identity.Identity{Pool: pool.name, Index: index, Generation: p.generation, Progress: p.progressInterval()}
	process, err := p.starter.start(id, len(pool.slots))
	if err != nil {
		return nil, err
	}
	w := &worker{process: process, pool: pool, index: index, generation: p.generation}
	p.living[w] = struct{}{}
	p.log.WithFields(w.fields()).Info("worker started")
	p.watching.Go(func() {
		for w.Heard() {
			p.send(p.words, w)
		}
	})
	p.watching.Go(func() {
		w.ending = w.Wait()
		p.send(p.exits, w)
	})
	return w, nil
}

func (p *parent) send(to chan<- *worker, w *worker) {
	select {
	case to <- w:
	case <-p.ended:
	}
}

func (p *parent) heard(w *worker) {
	w.heard = time.Now()
	if w.state != workerStarting {
		return // it makes progress, or was told to stop meanwhile
	}
	if _, living := p.living[w]; !living {
		return // its end was heard of first
	}
	w.state = workerReady
	p.log.WithFields(w.fields()).Info("worker ready")
	if w.mutate {
		w.mutate = false
		w.Signal(syscall.SIGHUP)
	}
	p.rolled(w)
}

func (p *parent) exited(w *worker) {
	delete(p.living, w)
	p.logEnding(w)
	w.pool.remove(w)
	if p.stopping && !w.ending.clean() {
		p.code = exitFailed // it has not finished its work
	}
	p.rolledOut(w)
}

func (p *parent) logEnding(w *worker) {
	log := p.log.WithFields(w.fields())
	if w.ending.signal != 0 {
		log.WithField("signal", signalName(w.ending.signal)).Info("worker killed by a signal")
		return
	}
	log.WithField("code", w.ending.code).Info("worker exited")
}

// progressInterval is how often workers say that they make progress: often enough that a late word is no alarm.
func (p *parent) progressInterval() time.Duration {
	if p.conf.Progress == nil {
		return 0
	}
	return p.conf.WatchdogInterval / 4
}

// feed tells the service manager that all is well, unless a worker hangs.
func (p *parent) feed(now time.Time) {
	if p.conf.Progress != nil {
		for w := range p.living {
			if w.state == workerReady && now.Sub(w.heard) > p.conf.WatchdogInterval {
				p.log.WithFields(w.fields()).Error("worker makes no progress, the service manager is not told that all is well")
				return
			}
		}
	}
	p.conf.Notifier.Watchdog()
}

// beginWait is Wait's.
func (p *parent) beginWait() {
	if p.waited || p.stopping {
		return
	}
	p.waited = true
	p.conf.logOptions()
	if p.conf.NotifyEarly {
		p.announce = false
		p.conf.tellReady()
	}
	if p.hungUp {
		p.hangup()
	}
}

// announceReady tells the notifier when every worker is ready, at the start and after each reload.
func (p *parent) announceReady() {
	if !p.announce || !p.waited || p.rolling != nil || p.reading != nil {
		return
	}
	for _, pool := range p.pools {
		if !pool.ready() {
			return
		}
	}
	p.announce = false
	p.log.Info("all workers are ready")
	p.conf.tellReady()
}

func (p *parent) signal(sig os.Signal) {
	switch sig {
	case syscall.SIGTERM:
		p.stop(signalName(sig))
	case syscall.SIGHUP:
		p.hangup()
	default:
		p.interrupt(sig)
	}
}

// interrupt ends everything at once. Workers that have not heard of it see the end of the liveness pipe.
func (p *parent) interrupt(sig os.Signal) {
	p.log.WithField("signal", signalName(sig)).Info("interrupted, exiting at once")
	for w := range p.living {
		w.Signal(syscall.SIGINT)
	}
	p.conf.exit(exitFailed)
}

// stop begins a graceful stop.
func (p *parent) stop(reason string) {
	log := p.log.WithField("reason", reason)
	if p.stopping {
		log.Info("already stopping")
		return
	}
	log.Info("stopping")
	p.stopping, p.rolling = true, nil
	p.conf.Notifier.Stopping()
	if timeout := p.conf.GracefulShutdownTimeout; timeout > 0 {
		p.deadline = time.Now().Add(timeout)
	}
	for w := range p.living {
		w.stop()
	}
}

// killLate ends what is left when the time for a graceful stop is over.
func (p *parent) killLate(now time.Time) time.Duration {
	if p.deadline.IsZero() {
		return never
	}
	if wait := p.deadline.Sub(now); wait > 0 || p.killed || len(p.living) == 0 {
		return wait
	}
	p.killed, p.code = true, exitFailed
	p.deadline = now.Add(killGrace)
	p.log.WithFields(logrus.Fields{
		"timeout": p.conf.GracefulShutdownTimeout.String(), "workers": len(p.living),
	}).Error("graceful shutdown timeout exceeded, killing the workers")
	for w := range p.living {
		w.Signal(syscall.SIGKILL)
	}
	return killGrace
}

// terminate asks one worker to end, for a reload.
func (p *parent) terminate(w *worker) {
	w.stop()
	if timeout := p.conf.GracefulShutdownTimeout; timeout > 0 {
		w.killAt = time.Now().Add(timeout + reloadSlack)
	}
}

// killStuck ends workers that a reload has asked to end and that have not even kept their own time.
func (p *parent) killStuck(now time.Time) time.Duration {
	next := never
	for w := range p.living {
		if w.killAt.IsZero() {
			continue
		}
		wait := w.killAt.Sub(now)
		if wait > 0 {
			next = min(next, wait)
			continue
		}
		p.log.WithFields(w.fields()).Error("worker does not end, killing it")
		w.killAt = time.Time{}
		w.Signal(syscall.SIGKILL)
	}
	return next
}

// newWatchdog ticks when the service manager must hear of this process: twice in each interval.
func newWatchdog(conf Config) *time.Ticker {
	if conf.WatchdogInterval == 0 {
		ticker := time.NewTicker(time.Hour)
		ticker.Stop()
		return ticker
	}
	return time.NewTicker(halfOf(conf.WatchdogInterval))
}

// halfOf an interval is a ticker's: never 0, for one that is not.
func halfOf(interval time.Duration) time.Duration { return interval/2 + interval%2 }
