package service

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
)

// ProcessLauncher is the parent of worker processes; it runs no service itself. Each LaunchService makes a pool of workers.
// In a worker process the same object runs the service of that worker's pool. It is safe for concurrent use.
//
// A worker that ends is replaced at once. More ends than workers within as many seconds are throttled: each start then
// costs one second, for ever if need be, and every pool has its own count. Workers inherit the listeners of package
// service/listen; what they print is passed on line by line behind "[pool/index] ". Whatever ends the parent ends the
// workers: they notice within milliseconds, and finish what they are at, bounded by [Config.GracefulShutdownTimeout].
type ProcessLauncher struct {
	worker *workerRunner // nil in a parent

	parent  *parent
	signals *SignalMux
	reports *SignalMux
	reaper  *reaper
	waited  sync.Once
	code    int

	mu    sync.Mutex
	pools map[string]struct{}
}

// NewProcessLauncher makes a launcher, which heeds signals from then on. Wait must be called, it is what ends the launcher. It
// fails with [ErrBadRestartMethod], with an error that names another bad field, and if GOSLO_WORKER in the environment is not
// that of a parent.
func NewProcessLauncher(conf Config) (*ProcessLauncher, error) {
	conf = conf.withDefaults()
	if err := conf.check(); err != nil {
		return nil, err
	}
	id, err := currentIdentity()
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	if id != nil {
		return &ProcessLauncher{worker: newWorkerRunner(conf, *id), pools: make(map[string]struct{})}, nil
	}
	workers, err := newExecutable(conf)
	if err != nil {
		return nil, err
	}
	return newProcessLauncher(conf, workers), nil
}

func newProcessLauncher(conf Config, workers starter) *ProcessLauncher {
	l := &ProcessLauncher{
		parent: newParent(conf, workers), signals: NewSignalMux(), reports: NewSignalMux(), reaper: newReaper(conf.Log),
		pools: make(map[string]struct{}),
	}
	for _, name := range []string{"SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"} {
		l.signals.Handle(name, l.post)
	}
	ignoreBrokenPipe()
	handleReports(l.reports, conf)
	go l.parent.run() // until Wait; ended tells
	return l
}

// post hands a signal to the parent's loop.
func (l *ProcessLauncher) post(sig os.Signal) {
	select {
	case l.parent.signals <- sig:
	case <-l.parent.ended:
	}
}

// LaunchService makes a pool of workers for a service and starts them; it returns when all were started, which is before they
// are ready. The service itself is used in the workers only. It fails with [ErrWorkersNotPositive], [ErrNilService],
// [ErrDuplicatePool], and where the system does not let a worker be started; those of the pool that were are stopped then,
// and its name stays taken, since workers name their pools by the same calls. Once the launcher stops it does nothing.
func (l *ProcessLauncher) LaunchService(svc Service, opts ...Option) error {
	o := newLaunch(opts)
	if err := o.checkLate(svc); err != nil {
		return err
	}
	name, err := l.register(o.name)
	if err != nil {
		return err
	}
	if l.worker != nil {
		l.worker.launch(name, svc)
		return nil
	}
	r := launchRequest{name: name, workers: o.workers, done: make(chan error, 1)}
	select {
	case l.parent.launches <- r:
		if err := <-r.done; err != nil {
			return fmt.Errorf("service: start a worker of pool %s: %w", name, err)
		}
	case <-l.parent.ended:
	}
	return nil
}

// register finds the name of a pool, which is the same in parent and workers because both launch in the same order.
func (l *ProcessLauncher) register(name string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name == "" {
		name = "worker"
		if n := len(l.pools); n > 0 {
			name += strconv.Itoa(n + 1)
		}
	}
	if _, taken := l.pools[name]; taken {
		return "", fmt.Errorf("%w: %q", ErrDuplicatePool, name)
	}
	l.pools[name] = struct{}{}
	return name, nil
}

// Stop begins a graceful stop, as SIGTERM does, and does not wait for it.
func (l *ProcessLauncher) Stop() {
	if l.worker != nil {
		l.worker.runner.terminate(exitStopped, "Stop")
		return
	}
	select {
	case l.parent.stops <- struct{}{}:
	case <-l.parent.ended:
	}
}

// Wait returns the exit status when a signal or Stop has ended the launcher and no worker is left: 0, or 1 if workers did not
// finish their work in time. Signals are then left to their defaults. In a worker it does not return: it ends the process.
func (l *ProcessLauncher) Wait() int {
	if l.worker != nil {
		return l.worker.wait()
	}
	l.waited.Do(func() { l.code = l.wait() })
	return l.code
}

func (l *ProcessLauncher) wait() int {
	select {
	case l.parent.waits <- struct{}{}:
	case <-l.parent.ended:
	}
	<-l.parent.ended
	l.parent.starter.close()
	if len(l.parent.living) == 0 { // or not even a kill has ended them
		l.parent.watching.Wait()
	}
	l.reaper.close()
	l.signals.Close()
	briefly(l.reports.Close) // one may be under way, on a disk that does not answer
	l.parent.log.WithField("code", l.parent.code).Info("stopped")
	return l.parent.code
}

// errNoPool tells that the program has changed under its parent.
var errNoPool = errors.New("the program launches no pool of that name")
