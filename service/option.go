package service

import "fmt"

// Option is a choice about what is launched.
type Option func(*launch)

// launch is what the options of one call say.
type launch struct {
	workers  int
	name     string
	noFork   bool
	method   *RestartMethod
	strategy *ReloadStrategy
}

// WithWorkers asks for n worker processes; the default is 1. [Launch] runs the service in this process if n is 1.
func WithWorkers(n int) Option { return func(l *launch) { l.workers = n } }

// WithName names a pool of workers, in log lines and in front of what its workers print. Default: "worker", and "worker2"
// and so on for further pools of a parent.
func WithName(pool string) Option { return func(l *launch) { l.name = pool } }

// WithRestartMethod chooses what SIGHUP does, in place of [Config.RestartMethod]. It is an option of [Launch] only.
func WithRestartMethod(m RestartMethod) Option { return func(l *launch) { l.method = &m } }

// WithRollingReload replaces workers one after the other at a reload, in place of [Config.ReloadStrategy]. It is an option
// of [Launch] only.
func WithRollingReload() Option {
	return func(l *launch) {
		rolling := Rolling
		l.strategy = &rolling
	}
}

// WithNoFork runs the service in this process however many workers are asked for, for debuggers. It is an option of
// [Launch] only.
func WithNoFork() Option { return func(l *launch) { l.noFork = true } }

func newLaunch(opts []Option) launch {
	l := launch{workers: 1}
	for _, opt := range opts {
		opt(&l)
	}
	return l
}

func (l launch) check(svc Service) error {
	if l.workers < 1 {
		return fmt.Errorf("%w, got %d", ErrWorkersNotPositive, l.workers)
	}
	if svc == nil {
		return ErrNilService
	}
	return nil
}

// checkLate is check for LaunchService.
func (l launch) checkLate(svc Service) error {
	if l.noFork || l.method != nil || l.strategy != nil {
		return ErrNotHere
	}
	return l.check(svc)
}

// apply writes into a configuration what options say of it.
func (l launch) apply(conf Config) Config {
	if l.method != nil {
		conf.RestartMethod = *l.method
	}
	if l.strategy != nil {
		conf.ReloadStrategy = *l.strategy
	}
	return conf
}
