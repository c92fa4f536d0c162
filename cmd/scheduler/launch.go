package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/report"
	"github.com/goslo/goslo/service/systemd"
)

// pool is a service and how many processes run it.
type pool struct {
	name    string
	workers int
	service *busService
}

// launch runs pools until a signal ends them: all in this process if it is one with one worker, or if they are told to be in
// one.
func (s *settings) launch(signals <-chan os.Signal, stdout io.Writer, together bool, pools ...pool) error {
	conf, err := s.launchConfig(stdout, pools)
	if err != nil {
		return err
	}
	l, err := newLauncher(conf, together || len(pools) == 1 && pools[0].workers == 1)
	if err != nil {
		return err
	}
	defer heed(signals, l)()
	if err := launchAll(l, together, pools); err != nil {
		l.Stop()
		return errors.Join(err, ended(l.Wait(), pools))
	}
	return ended(l.Wait(), pools)
}

func launchAll(l service.Launcher, together bool, pools []pool) error {
	if together {
		var all sequence
		for _, p := range pools {
			all = append(all, p.service)
		}
		return l.LaunchService(all)
	}
	for _, p := range pools {
		if err := l.LaunchService(p.service, service.WithWorkers(p.workers), service.WithName(p.name)); err != nil {
			return err
		}
	}
	return nil
}

// newLauncher makes a launcher of one process or of several. A worker stays one, whatever its configuration says by now.
func newLauncher(conf service.Config, one bool) (service.Launcher, error) {
	if one {
		l, err := service.NewServiceLauncher(conf)
		if !errors.Is(err, service.ErrNotParent) {
			return l, err
		}
	}
	return service.NewProcessLauncher(conf)
}

// heed passes on SIGTERM from before there was a launcher to heed it, and SIGINT of that time; the launcher itself heeds both
// from then on, and takes no harm from hearing of the first twice. A SIGHUP of that time asks for what is done anyway.
func heed(signals <-chan os.Signal, l service.Launcher) (stop func()) {
	select {
	case sig := <-signals:
		if sig != syscall.SIGHUP {
			l.Stop()
		}
	default:
	}
	done := make(chan struct{})
	var heeding sync.WaitGroup
	heeding.Go(func() {
		for {
			select {
			case sig := <-signals:
				if sig == syscall.SIGTERM {
					l.Stop()
				}
			case <-done:
				return
			}
		}
	})
	return func() { close(done); heeding.Wait() }
}

// ended is the error that the command ends with.
func ended(code int, pools []pool) error {
	if code == exitOK {
		return nil
	}
	for _, p := range pools {
		if err := p.service.failure.Load(); err != nil {
			return &statusError{code, *err}
		}
	}
	return &statusError{code, nil}
}

// statusError is a launcher's exit status. Without an error the log has said what there is to say.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

func (s *settings) launchConfig(stdout io.Writer, pools []pool) (service.Config, error) {
	interval, err := systemd.WatchdogInterval()
	if err != nil {
		return service.Config{}, &usageError{err: err}
	}
	conf := service.DefaultConfig()
	conf.GracefulShutdownTimeout = gracefulOption.Get(s.Config)
	conf.RestartMethod = service.RestartMethod(restartMethodOption.Get(s.Config))
	conf.ReloadStrategy = service.ReloadStrategy(reloadStrategyOption.Get(s.Config))
	conf.Log = s.log
	if logOptionsOption.Get(s.Config) {
		conf.LogOptions = s.LogOptions
	}
	conf.Reload, conf.Mutate = s.Reload, s.Mutate
	conf.Report = s.report
	conf.Notifier = &notifier{systemd: systemd.Notifier{Log: s.log}, stdout: stdout, log: s.log}
	conf.WatchdogInterval = interval
	conf.Progress = progressOf(pools)
	for _, p := range pools {
		conf.TotalWorkers += p.workers
	}
	return conf, nil
}

// report answers USR1 and USR2.
func (s *settings) report(w io.Writer) {
	options := func(w io.Writer) {
		for _, o := range s.Settings() {
			_, _ = fmt.Fprintf(w, "%s = %s (%s)\n", o.Key, o.Value, o.Source)
		}
	}
	err := report.Write(w, report.Process(), report.Goroutines(), report.Memory(), report.Configuration(options))
	if err != nil {
		s.log.WithError(err).Warn("the report was not written")
	}
}

// progressOf fails when one of the services hangs.
func progressOf(pools []pool) func() error {
	return func() error {
		for _, p := range pools {
			if err := p.service.progress(); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		return nil
	}
}

// notifier tells systemd, and whoever reads standard output, that the service is ready.
type notifier struct {
	systemd systemd.Notifier
	stdout  io.Writer
	log     logrus.FieldLogger
	once    sync.Once
}

// Ready prints READY the first time. Only a parent, or a process without one, does.
func (n *notifier) Ready() {
	n.once.Do(func() {
		if _, err := fmt.Fprintln(n.stdout, "READY"); err != nil {
			n.log.WithError(err).Warn("READY was not printed")
		}
	})
	n.systemd.Notify(systemd.Ready)
}

// Reloading tells that a reload has begun.
func (n *notifier) Reloading() { n.systemd.Reloading() }

// Stopping tells that a stop has begun.
func (n *notifier) Stopping() { n.systemd.Notify(systemd.Stopping) }

// Watchdog tells that the services make progress.
func (n *notifier) Watchdog() { n.systemd.Notify(systemd.Alive) }

// part is what a service runs on the bus in one of its lives.
type part interface {
	Start(ctx context.Context) error
	// Stop takes nothing new, finishes what runs, and returns when nothing runs any more.
	Stop(ctx context.Context) error
	// Progress grows at least once in two seconds while all is well; it is 0 for a part that has no loop.
	Progress() uint64
}

// busService is a service for a launcher. Each of its lives makes its part anew, on a transport of its own, so that a reload
// takes over whatever is configured by then.
type busService struct {
	name string
	make func() (life, error)
	log  logrus.FieldLogger

	mu       sync.Mutex
	life     *life // nil before Start and after Stop
	watching func() error

	failure atomic.Pointer[error] // of Start
}

// life is one life of a service.
type life struct {
	part
	close func(context.Context) error // of the transport
}

// check makes the part once and throws it away: what is wrong with the configuration is found before anything is launched.
func (b *busService) check() error {
	l, err := b.make()
	if err != nil {
		return err
	}
	return l.close(context.Background())
}

// Start implements service.Service.
func (b *busService) Start(ctx context.Context) error {
	err := b.start(ctx)
	if err != nil {
		b.failure.Store(&err)
	}
	return err
}

func (b *busService) start(ctx context.Context) error {
	l, err := b.make()
	if err != nil {
		return err
	}
	b.log.WithField("service", b.name).Info("starting")
	if err := l.Start(ctx); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(err, l.close(closing))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life, b.watching = &l, systemd.Moving(l.Progress)
	return nil
}

// closeTimeout bounds the end of a transport whose service did not start.
const closeTimeout = 5 * time.Second

// Stop implements service.Service.
func (b *busService) Stop(ctx context.Context) error {
	b.mu.Lock()
	l := b.life
	b.life, b.watching = nil, nil
	b.mu.Unlock()
	if l == nil {
		return nil
	}
	err := l.Stop(ctx)
	return errors.Join(err, l.close(ctx))
}

// Wait implements service.Service: nothing runs after Stop, which waits itself.
func (b *busService) Wait(context.Context) error { return nil }

// Reset implements service.Service: mutable options are read where they count.
func (b *busService) Reset(context.Context) error { return nil }

// progress fails when the part's loop stands still.
func (b *busService) progress() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life == nil || b.life.Progress() == 0 {
		return nil
	}
	return b.watching()
}
