package service

import (
	"fmt"
	"sync"
)

// ServiceLauncher runs services in this process and heeds signals (see the package). It is safe for concurrent use.
type ServiceLauncher struct { //nolint:revive // oslo.service's word, beside ProcessLauncher
	runner *runner
	reaper *reaper
	waited sync.Once
	code   int
}

// NewServiceLauncher makes a launcher, which heeds signals from then on: a TERM that comes before Wait is served by Wait.
// Wait must be called, it is what ends the launcher. It fails with [ErrBadRestartMethod], with an error that names another bad
// field, and with [ErrNotParent] in a worker process.
func NewServiceLauncher(conf Config) (*ServiceLauncher, error) {
	conf = conf.withDefaults()
	if err := conf.check(); err != nil {
		return nil, err
	}
	id, err := currentIdentity()
	if err != nil {
		return nil, err
	}
	if id != nil {
		return nil, ErrNotParent
	}
	return newServiceLauncher(conf), nil
}

func newServiceLauncher(conf Config) *ServiceLauncher {
	r := newRunner(conf)
	r.hangup = func() hangup {
		if conf.isDaemon() {
			return hangupRestarts
		}
		return hangupStops
	}
	var once sync.Once
	r.ready = func() {
		conf.tellReady()
		once.Do(func() { conf.Log.Info("ready") })
	}
	r.beat, r.beatEvery = conf.Notifier.Watchdog, halfOf(conf.WatchdogInterval)
	r.listen()
	return &ServiceLauncher{runner: r, reaper: newReaper(conf.Log)}
}

// LaunchService starts a service, in a goroutine of its own. It fails with [ErrMultipleWorkers] if it is asked for several
// workers, and with [ErrNilService]; then the service is not added. Once the launcher stops it does nothing.
func (l *ServiceLauncher) LaunchService(svc Service, opts ...Option) error {
	o := newLaunch(opts)
	if err := o.checkLate(svc); err != nil {
		return err
	}
	if o.workers > 1 {
		return fmt.Errorf("%w, got %d", ErrMultipleWorkers, o.workers)
	}
	l.runner.launch(svc)
	return nil
}

// Stop begins a graceful stop, as SIGTERM does, and does not wait for it.
func (l *ServiceLauncher) Stop() { l.runner.terminate(exitStopped, "Stop") }

// Wait returns the exit status when a signal, Stop or a service that did not start has ended the launcher, and everything has
// stopped. Services that have nothing left to do do not end it. Signals are then left to their defaults.
func (l *ServiceLauncher) Wait() int {
	l.waited.Do(func() {
		l.code = l.runner.wait()
		l.reaper.close()
	})
	return l.code
}
