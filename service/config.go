package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// RestartMethod is what SIGHUP does (oslo.service: restart_method).
type RestartMethod string

// Restart methods.
const (
	// Reload reads the configuration again and restarts the services: in one process the same objects, else by new
	// workers. It is the default, also for the empty value.
	Reload RestartMethod = "reload"
	// Mutate reads those options again that may change in a running process, and resets the services; work in flight
	// is not disturbed.
	Mutate RestartMethod = "mutate"
)

// ReloadStrategy is how a parent replaces its workers at a reload.
type ReloadStrategy string

// Reload strategies.
const (
	// AtOnce stops all workers and replaces each when it has ended, as oslo.service does. While they drain, nobody may be
	// there to take new work. It is the default, also for the empty value.
	AtOnce ReloadStrategy = "at-once"
	// Rolling replaces one worker after the other: it starts the replacement, waits until that is ready, and then stops
	// the old one. At every moment as many workers serve as were asked for.
	Rolling ReloadStrategy = "rolling"
)

// Notifier tells a service manager how the service does; package service/systemd speaks to systemd. It must be safe for
// concurrent use. What goes wrong is its own matter.
type Notifier interface {
	Ready()     // every worker is ready, at start and after a reload
	Reloading() // a reload has begun, which Ready ends; also where the configuration turns out to be invalid
	Stopping()
	Watchdog() // the service makes progress; see [Config.WatchdogInterval]
}

// Config is what launchers are told. The zero value is usable and waits without limit at a stop; [DefaultConfig] has the
// defaults of oslo.service.
type Config struct {
	// GracefulShutdownTimeout bounds a graceful stop; 0 means no limit. Default: 60 s (oslo: graceful_shutdown_timeout).
	//
	// The context that services are stopped with ends a tenth earlier, at most one second, so that a service has time to
	// hand back what it could not finish.
	GracefulShutdownTimeout time.Duration
	// RestartMethod is what SIGHUP does. Default: Reload.
	RestartMethod RestartMethod
	// ReloadStrategy is how a parent replaces its workers. Default: AtOnce.
	ReloadStrategy ReloadStrategy
	// ReadyTimeout bounds how long a rolling reload waits for one replacement; 0 means no limit. Default: 60 s.
	ReadyTimeout time.Duration
	// Log is where launchers log. Default: logrus.StandardLogger().
	Log logrus.FieldLogger
	// LogOptions logs the configuration, at debug level and with secrets masked, when waiting begins and after a reload. The
	// launcher waits for it. Default: nothing is logged (oslo: log_options).
	LogOptions func(logrus.FieldLogger)
	// Reload reads the configuration files again, and Mutate those options of them that may change in a running process.
	// After an error, or a panic, nothing is restarted or reset. They run in a goroutine of their own, one at a time; a stop does not wait
	// for them. Default: nothing is read.
	Reload, Mutate func() error
	// Report writes what USR1 and USR2 ask for to standard error. Default: the stacks of all goroutines.
	Report func(io.Writer)
	// RawOutput passes on what workers print as it is, line by line up to 1 MiB: for logs of JSON, in which each line tells its worker (see
	// [CurrentWorker]). Default: false, [pool/index] stands before each line.
	RawOutput bool
	// Notifier is told how the service does. Default: nobody is.
	Notifier Notifier
	// OnReady is called once, when all is ready for the first time, in a parent or a process without one: for who waits for
	// a line of output or a file. The launcher waits for it. Default: nothing is done.
	OnReady func()
	// NotifyEarly tells the notifier Ready when waiting begins, as oslo.service does, rather than when all is ready.
	NotifyEarly bool
	// WatchdogInterval is how often the service manager wants to hear that the service makes progress; it is told twice as
	// often, as long as that is so. Default: 0, never.
	WatchdogInterval time.Duration
	// Progress fails when the work of the services in this process hangs, as when their consume loop does not go round. It is
	// asked in the process that runs them, several times in an interval and from a goroutine of its own; a worker tells its
	// parent. It is not asked while the process stops. Default: it never fails.
	Progress func() error
	// WorkerGOMAXPROCS is GOMAXPROCS of every worker. Default: that of the parent divided by the number of workers, at
	// least 1; what the environment says goes first.
	WorkerGOMAXPROCS int
	// TotalWorkers is by what GOMAXPROCS and GOMEMLIMIT are divided among workers, for a parent with several pools. Default:
	// the number of workers of a pool.
	TotalWorkers int

	firstReady *sync.Once     // of OnReady
	exit       func(code int) // os.Exit, but in tests
	isDaemon   func() bool    // isDaemon, but in tests
	stdout     io.Writer      // of parents, for the lines of their workers
	stderr     io.Writer
}

// DefaultConfig is a configuration with the defaults of oslo.service.
func DefaultConfig() Config {
	return Config{
		GracefulShutdownTimeout: 60 * time.Second,
		RestartMethod:           Reload,
		ReloadStrategy:          AtOnce,
		ReadyTimeout:            60 * time.Second,
		Log:                     logrus.StandardLogger(),
	}
}

// withDefaults fills in what is empty.
func (c Config) withDefaults() Config {
	if c.RestartMethod == "" {
		c.RestartMethod = Reload
	}
	if c.ReloadStrategy == "" {
		c.ReloadStrategy = AtOnce
	}
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	if c.Report == nil {
		c.Report = writeGoroutines
	}
	if c.Notifier == nil {
		c.Notifier = silent{}
	}
	c.firstReady = new(sync.Once)
	if c.exit == nil {
		c.exit = os.Exit //nolint:forbidigo // INT ends a process without a word to anybody, as oslo.service's does
	}
	if c.isDaemon == nil {
		c.isDaemon = isDaemon
	}
	if c.stdout == nil {
		c.stdout = os.Stdout
	}
	if c.stderr == nil {
		c.stderr = os.Stderr
	}
	return c
}

func (c Config) check() error {
	switch c.RestartMethod {
	case Reload, Mutate:
	default:
		return fmt.Errorf("%w: %q", ErrBadRestartMethod, c.RestartMethod)
	}
	switch c.ReloadStrategy {
	case AtOnce, Rolling:
	default:
		return fmt.Errorf("%w: %q", ErrBadReloadStrategy, c.ReloadStrategy)
	}
	switch {
	case c.GracefulShutdownTimeout < 0:
		return fmt.Errorf("service: GracefulShutdownTimeout must not be negative, got %s", c.GracefulShutdownTimeout)
	case c.ReadyTimeout < 0:
		return fmt.Errorf("service: ReadyTimeout must not be negative, got %s", c.ReadyTimeout)
	case c.WatchdogInterval < 0:
		return fmt.Errorf("service: WatchdogInterval must not be negative, got %s", c.WatchdogInterval)
	case c.WorkerGOMAXPROCS < 0:
		return fmt.Errorf("service: WorkerGOMAXPROCS must not be negative, got %d", c.WorkerGOMAXPROCS)
	case c.TotalWorkers < 0:
		return fmt.Errorf("service: TotalWorkers must not be negative, got %d", c.TotalWorkers)
	}
	return nil
}

// read reads the configuration again as the restart method asks.
func (c Config) read() error {
	read := c.Reload
	if c.RestartMethod == Mutate {
		read = c.Mutate
	}
	if read == nil {
		return nil
	}
	return read()
}

// tellReady tells that all is ready, at the start and after a reload.
func (c Config) tellReady() {
	c.Notifier.Ready()
	c.firstReady.Do(func() {
		if c.OnReady != nil {
			c.OnReady()
		}
	})
}

// reading is read in a goroutine, which ends with it: files may be on a disk that does not answer, and nothing else must
// wait for that. A panic in it is an error like others.
func (c Config) reading() <-chan error {
	done := make(chan error, 1)
	go func() { done <- guard(context.Background(), func(context.Context) error { return c.read() }) }()
	return done
}

// report is Report. A panic in it, as may happen to one that looks at a broken service, is no reason to end that.
func (c Config) report() {
	defer func() {
		if v := recover(); v != nil {
			logFailure(c.Log, &PanicError{Value: v, Stack: debug.Stack()}, "the report was not written")
		}
	}()
	c.Report(c.stderr)
}

func (c Config) logOptions() {
	if c.LogOptions != nil {
		c.LogOptions(c.Log)
	}
}

// silent is the notifier of a service that nobody manages.
type silent struct{}

func (silent) Ready()     {}
func (silent) Reloading() {}
func (silent) Stopping()  {}
func (silent) Watchdog()  {}
