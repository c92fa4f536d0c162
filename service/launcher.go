package service

import "github.com/goslo/goslo/service/internal/identity"

// Launcher runs services until something ends it, and says with which status the program shall exit.
type Launcher interface {
	// LaunchService runs one more service, beside the others or in workers of its own.
	LaunchService(svc Service, opts ...Option) error
	// Stop begins a graceful stop and does not wait for it.
	Stop()
	// Wait returns the exit status when everything has stopped. In a worker process it does not return: it exits.
	Wait() int
}

// Launch runs a service: in this process, or in worker processes if [WithWorkers] asks for several. It checks everything before
// it starts anything, and fails with [ErrWorkersNotPositive], [ErrNilService], [ErrBadRestartMethod], or an error that names
// another bad field of conf.
//
// In a worker process it runs the service if it is the one that this worker is for.
func Launch(conf Config, svc Service, opts ...Option) (Launcher, error) {
	o := newLaunch(opts)
	if err := o.check(svc); err != nil {
		return nil, err
	}
	l, err := o.newLauncher(o.apply(conf))
	if err != nil {
		return nil, err
	}
	if o.noFork {
		o.workers = 1
	}
	return l, l.LaunchService(svc, WithWorkers(o.workers), WithName(o.name))
}

// newLauncher makes the launcher that fits. A worker stays one, even where its configuration, newer than its parent's, asks
// for one worker only.
func (l launch) newLauncher(conf Config) (Launcher, error) {
	id, err := currentIdentity()
	if err != nil {
		return nil, err
	}
	if id != nil || l.workers > 1 && !l.noFork {
		return NewProcessLauncher(conf)
	}
	return NewServiceLauncher(conf)
}

// currentIdentity is that of this process, nil if it is no worker.
func currentIdentity() (*identity.Identity, error) { return identity.Current() }
