package service

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// runner runs services in this process until something ends it: a whole program, or a worker.
//
// Signals come in on the mux's goroutine, which only takes note of them; the goroutine that waits does everything else. What
// must not wait for that one happens at once: an interrupt, and the end of the time for a graceful stop.
type runner struct {
	conf     Config
	log      logrus.FieldLogger
	services *Services
	signals  *SignalMux
	reports  *SignalMux // of its own, since a report may take long

	hangups     chan struct{}
	terminated  chan struct{} // closed by terminate
	termination sync.Once
	code        int // with which a graceful stop ends; set by terminate
	timer       *time.Timer
	again       logrus.Level // of the log line for a stop that is asked for again

	// hangup tells what a SIGHUP means.
	hangup func() hangup
	// ready is called when all services have started, and again after a restart.
	ready func()

	// beat tells that the services make progress, if anybody wants to know: so often.
	beat      func()
	beatEvery time.Duration

	starts   int      // times that services were started or reset
	started  chan int // which of them is complete
	watching sync.WaitGroup
	watch    context.Context //nolint:containedctx // of the goroutines that wait for Start; ends with wait
	cancel   context.CancelFunc
}

// hangup is what a SIGHUP means.
type hangup int

const (
	hangupRestarts hangup = iota // reload or mutate
	hangupStops
)

// queuedHangups is how many SIGHUP may come while one is served.
const queuedHangups = 16

func newRunner(conf Config) *runner {
	r := &runner{
		conf: conf, log: conf.Log, services: NewServices(conf.Log), signals: NewSignalMux(), reports: NewSignalMux(),
		hangups: make(chan struct{}, queuedHangups), terminated: make(chan struct{}), started: make(chan int),
		again: logrus.InfoLevel,
	}
	r.watch, r.cancel = context.WithCancel(context.Background())
	return r
}

// listen makes the process heed signals.
func (r *runner) listen() {
	r.signals.Handle("SIGTERM", func(sig os.Signal) { r.terminate(exitStopped, signalName(sig)) })
	r.signals.Handle("SIGHUP", func(os.Signal) {
		select {
		case r.hangups <- struct{}{}:
		default: // as many wait to be served, which is more than enough
		}
	})
	for _, name := range []string{"SIGINT", "SIGQUIT"} {
		r.signals.Handle(name, func(sig os.Signal) {
			r.log.WithField("signal", signalName(sig)).Info("interrupted, exiting at once")
			r.conf.exit(exitFailed)
		})
	}
	ignoreBrokenPipe()
	handleReports(r.reports, r.conf)
}

// handleReports writes a report at USR1 and USR2.
func handleReports(signals *SignalMux, conf Config) {
	for _, name := range []string{"SIGUSR1", "SIGUSR2"} {
		signals.Handle(name, func(os.Signal) { conf.report() })
	}
}

// launch starts a service, unless the process shall stop; one that comes at that very moment is stopped with the others.
func (r *runner) launch(svc Service) {
	if !r.terminating() {
		r.services.Add(svc)
	}
}

// terminate begins a graceful stop, the first time that it is called: from here on the time runs, whatever else is under
// way.
func (r *runner) terminate(code int, reason string) {
	first := false
	r.termination.Do(func() {
		first = true
		r.log.WithField("reason", reason).Info("stopping")
		r.code = code
		r.armTimer()
		close(r.terminated)
	})
	if !first {
		r.log.WithField("reason", reason).Log(r.again, "already stopping")
	}
}

// armTimer ends the process when the time for a graceful stop is over.
func (r *runner) armTimer() {
	if r.conf.GracefulShutdownTimeout == 0 {
		return
	}
	r.timer = time.AfterFunc(r.conf.GracefulShutdownTimeout, func() {
		r.logTimeout()
		r.conf.exit(exitFailed)
	})
}

func (r *runner) logTimeout() {
	r.log.WithField("timeout", r.conf.GracefulShutdownTimeout.String()).Error("graceful shutdown timeout exceeded, exiting at once")
}

// wait returns the exit status when everything has stopped.
func (r *runner) wait() int {
	defer r.close()
	r.conf.logOptions()
	r.begin()
	if r.beatEvery > 0 {
		r.watching.Go(r.watchProgress)
	}
	for {
		if r.terminating() {
			return r.stop()
		}
		select {
		case <-r.terminated:
		case err := <-r.services.Failed():
			r.terminate(exitCode(err), "a service did not start")
		case n := <-r.started:
			if n == r.starts {
				r.ready()
			}
		case <-r.hangups:
			r.restart()
		}
	}
}

func (r *runner) terminating() bool {
	select {
	case <-r.terminated:
		return true
	default:
		return false
	}
}

// begin waits for the services to start, unless the notifier shall hear at once.
func (r *runner) begin() {
	if r.conf.NotifyEarly {
		r.ready()
		return
	}
	r.watchStart()
}

// watchStart tells the loop when all services have started.
func (r *runner) watchStart() {
	r.starts++
	n := r.starts
	r.watching.Go(func() {
		if r.services.Started(r.watch) != nil {
			return // Failed tells
		}
		select {
		case r.started <- n:
		case <-r.watch.Done():
		}
	})
}

// watchProgress goes on while the services stop: a stop takes its time, and the launcher sees to it that it ends.
func (r *runner) watchProgress() {
	ticker := time.NewTicker(r.beatEvery)
	defer ticker.Stop()
	stuck := false
	for {
		select {
		case <-ticker.C:
			stuck = r.watchOnce(stuck)
		case <-r.watch.Done():
			return
		}
	}
}

// watchOnce tells of progress, and returns whether there is none; only a change is logged.
func (r *runner) watchOnce(stuck bool) bool {
	if r.conf.Progress != nil && !r.terminating() {
		if err := r.conf.Progress(); err != nil {
			if !stuck {
				r.log.WithError(err).Error("the service makes no progress")
			}
			return true
		}
	}
	if stuck {
		r.log.Info("the service makes progress again")
	}
	r.beat()
	return false
}

// restart serves a SIGHUP.
func (r *runner) restart() {
	if r.hangup() == hangupStops {
		r.terminate(exitStopped, "SIGHUP")
		return
	}
	log := r.log.WithField("restart_method", string(r.conf.RestartMethod))
	log.Info("SIGHUP received, reading the configuration")
	r.conf.Notifier.Reloading() // also of one that fails: systemd waits for it, and then for Ready
	defer r.watchStart()
	select {
	case err := <-r.conf.reading():
		if err != nil {
			logFailure(log, err, "the configuration was not read, nothing is changed")
			return
		}
	case <-r.terminated:
		return
	}
	r.conf.logOptions()
	r.restartServices()
}

// restartServices is [Services.Restart], but starts nothing again when the process shall stop by then.
func (r *runner) restartServices() {
	ctx, cancel := r.stopContext()
	defer cancel()
	if r.conf.RestartMethod == Mutate {
		_ = r.services.reset(ctx) // logged
		return
	}
	_ = r.services.Stop(ctx)
	if !r.terminating() {
		_ = r.services.startAgain(ctx)
	}
}

// stop stops the services and waits for them.
func (r *runner) stop() int {
	r.conf.Notifier.Stopping()
	ctx, cancel := r.stopContext()
	defer cancel()
	_ = r.services.Stop(ctx) // logged, as are those of Wait
	_ = r.services.Wait(ctx)
	if ctx.Err() != nil {
		r.logTimeout()
		return exitFailed
	}
	r.log.WithField("code", r.code).Info("stopped")
	return r.code
}

// stopContext bounds the stop of services.
func (r *runner) stopContext() (context.Context, context.CancelFunc) {
	timeout := r.conf.GracefulShutdownTimeout
	if timeout == 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeoutCause(context.Background(), timeout-stopMargin(timeout),
		fmt.Errorf("the time for a graceful stop is over: %w", context.DeadlineExceeded))
}

// stopMargin is how long before the end of the process the context of Stop ends.
func stopMargin(timeout time.Duration) time.Duration { return min(timeout/10, time.Second) }

func (r *runner) close() {
	r.cancel()
	briefly(r.watching.Wait) // Progress may hang
	r.signals.Close()
	briefly(r.reports.Close) // and so may a report
	if r.timer != nil {
		r.timer.Stop()
	}
}
