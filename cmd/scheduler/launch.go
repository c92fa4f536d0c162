package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/systemd"
)

// pool is a service and how many processes run it.
type pool struct {
	name    string
	workers int
	service service.Service
	// state prints what the service does.
	state func(io.Writer)
	// progress grows as long as the service does what it should; nil is for one that has no loop which could hang.
	progress func() uint64
}

// launch runs pools until a signal ends them: all in this process if it is one with one worker, or if they are told to be in
// one.
func (s *settings) launch(signals chan os.Signal, stdout io.Writer, together bool, pools ...pool) error {
	together = together || len(pools) == 1 && pools[0].workers == 1
	if err := s.checkBackdoor(together, pools); err != nil {
		return err
	}
	conf, err := s.launchConfig(stdout, pools)
	if err != nil {
		return err
	}
	l, err := newLauncher(conf, together)
	if err != nil {
		return err
	}
	defer heed(signals, l)()
	here, err := s.launchAll(l, together, pools)
	if err != nil {
		l.Stop()
	}
	return errors.Join(err, ended(l.Wait(), here))
}

// launchAll returns what runs in this process, where that is not the parent of others.
func (s *settings) launchAll(l service.Launcher, together bool, pools []pool) (*process, error) {
	if together {
		all := s.newProcess(pools...)
		return all, l.LaunchService(all)
	}
	for _, p := range pools {
		if err := l.LaunchService(s.newProcess(p), service.WithWorkers(p.workers), service.WithName(p.name)); err != nil {
			return nil, err
		}
	}
	return nil, nil
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

// heed passes on SIGTERM and SIGINT from before there was a launcher to heed them; a SIGHUP of that time asks for what is done
// anyway. From then on the launcher hears what the process gets, and heed passes on what others send.
func heed(signals chan os.Signal, l service.Launcher) (stop func()) {
	signal.Stop(signals)
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
func ended(code int, here *process) error {
	if code == exitOK {
		return nil
	}
	if here != nil {
		if err := here.failure.Load(); err != nil {
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
	conf.Notifier = systemd.Notifier{Log: s.log}
	conf.OnReady = func() {
		if _, err := fmt.Fprintln(stdout, "READY"); err != nil {
			s.log.WithError(err).Warn("READY was not printed")
		}
	}
	conf.RawOutput = s.logs.JSON()
	conf.WatchdogInterval = interval
	conf.Progress = progressOf(pools)
	for _, p := range pools {
		conf.TotalWorkers += p.workers
	}
	return conf, nil
}

// progressOf fails when one of the services in this process hangs. The others, those of other workers, have nothing that
// could.
func progressOf(pools []pool) func() error {
	moving := make(map[string]func() error)
	for _, p := range pools {
		if p.progress != nil {
			moving[p.name] = systemd.Moving(p.progress)
		}
	}
	return func() error {
		for name, look := range moving {
			if err := look(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
}
