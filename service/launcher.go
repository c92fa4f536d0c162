package service

import (
	"time"

	"github.com/goslo/goslo/service/internal/identity"
)

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
// another bad field of conf. Where the system does not let it start all workers, it fails when those that it did have ended.
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
	if err := l.LaunchService(svc, WithWorkers(o.workers), WithName(o.name)); err != nil {
		return nil, undone(l, err)
	}
	return l, nil
}

// undone ends a launcher that has nothing to run, since nobody else could, and returns why.
func undone(l Launcher, err error) error {
	l.Stop()
	l.Wait()
	return err
}

// closeGrace is how long the end of a launcher waits for what others keep it from.
const closeGrace = time.Second

// briefly waits for wait, but not for long: when all work has ended, nothing must hold up the end of the process.
func briefly(wait func()) {
	done := make(chan struct{})
	go func() { // ends with what it waits for, or the process
		defer close(done)
		wait()
	}()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
	}
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

// Worker tells which worker a process is.
type Worker struct {
	Pool  string // name of the pool
	Index int    // in the pool, from 0; a replacement has that of the worker before it
}

// CurrentWorker is what this process is, nil for one that no launcher has started: a program may have checks that are the
// parent's alone. It fails where GOSLO_WORKER in the environment is not that of a parent. It is safe for concurrent use.
func CurrentWorker() (*Worker, error) {
	id, err := currentIdentity()
	if err != nil || id == nil {
		return nil, err
	}
	return &Worker{Pool: id.Pool, Index: id.Index}, nil
}

// currentIdentity is that of this process, nil if it is no worker.
func currentIdentity() (*identity.Identity, error) { return identity.Current() }
