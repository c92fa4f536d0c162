package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/internal/identity"
	"github.com/goslo/goslo/service/listen"
)

// testProgram is what the test binary does when it is started again: in the parent and, with the same environment, in workers.
type testProgram struct {
	Pools    []programPool
	Timeout  time.Duration // for a graceful stop
	Method   RestartMethod
	Strategy ReloadStrategy
	NoFork   bool
	// Job is how long each service works from its start on; a graceful stop waits for it.
	Job time.Duration
	// FailFile makes services fail to start while the file is there.
	FailFile string
	// DieFile makes workers end before they launch anything while the file is there, without adopting listeners.
	DieFile string
	// ShrinkFile makes the program launch one worker only, and RenameFile another pool, while the file is there.
	ShrinkFile, RenameFile string
	// Hang makes workers hang before they launch anything.
	Hang bool
	// Panic makes services panic at start.
	Panic bool
	// Watchdog is how often the parent must say that the service makes progress.
	Watchdog time.Duration
	// Done is a prefix of files that services make when their job is done.
	Done string
	// Stubborn services do not end before their job is done, whatever Stop's context says.
	Stubborn bool
	// Listen makes every worker inherit a listener and accept on it.
	Listen bool
	// Child has every service start a process, which prints its environment and descriptors.
	Child bool
	// Orphan has every worker leave a process behind that outlives it.
	Orphan bool
	// Raw passes on what workers print as it is, and has services tell which worker they are in.
	Raw bool
	// Subreaper has the parent adopt orphans.
	Subreaper bool
}

type programPool struct {
	Name    string
	Workers int
}

func init() {
	programMain = func(text string) int {
		var p testProgram
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			panic(err)
		}
		return p.main()
	}
}

func (p testProgram) main() int {
	id, err := identity.Current()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if id != nil && p.DieFile != "" && exists(p.DieFile) {
		return 3
	}
	if id != nil && p.Hang {
		fmt.Fprintln(os.Stdout, "hanging", os.Getpid())
		for { //nolint:revive,staticcheck // a busy loop is the worst that main can do
		}
	}
	if p.Subreaper && id == nil {
		if err := becomeSubreaper(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if p.Listen {
		if err := p.listen(id); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return p.launch()
}

func (p testProgram) launch() int {
	conf := DefaultConfig()
	conf.GracefulShutdownTimeout, conf.RestartMethod, conf.ReloadStrategy = p.Timeout, p.Method, p.Strategy
	log := logrus.New()
	log.SetOutput(os.Stderr)
	conf.Log, conf.RawOutput = log, p.Raw
	read := func(what string) func() error {
		return func() error {
			fmt.Fprintln(os.Stdout, what, os.Getpid())
			return nil
		}
	}
	conf.Reload, conf.Mutate = read("reload"), read("mutate")
	conf.LogOptions = func(logrus.FieldLogger) { fmt.Fprintln(os.Stdout, "waiting", os.Getpid()) }

	if p.Watchdog > 0 {
		conf.Notifier, conf.WatchdogInterval = printNotifier{}, p.Watchdog
		conf.Progress = func() error { return nil }
	}

	l, err := p.launcher(conf)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return l.Wait()
}

// printNotifier prints what a service manager would be told.
type printNotifier struct{}

func (printNotifier) Ready()     { fmt.Fprintln(os.Stdout, "READY=1") }
func (printNotifier) Reloading() { fmt.Fprintln(os.Stdout, "RELOADING=1") }
func (printNotifier) Stopping()  { fmt.Fprintln(os.Stdout, "STOPPING=1") }
func (printNotifier) Watchdog()  { fmt.Fprintln(os.Stdout, "WATCHDOG=1") }

// launcher launches one pool as most programs do, and several in a parent.
func (p testProgram) launcher(conf Config) (Launcher, error) {
	if p.ShrinkFile != "" && exists(p.ShrinkFile) {
		p.Pools[0].Workers = 1
	}
	if p.RenameFile != "" && exists(p.RenameFile) {
		p.Pools[0].Name = "renamed"
	}
	if len(p.Pools) == 1 {
		opts := []Option{WithWorkers(p.Pools[0].Workers), WithName(p.Pools[0].Name)}
		if p.NoFork {
			opts = append(opts, WithNoFork())
		}
		return Launch(conf, &jobs{program: p}, opts...)
	}
	l, err := NewProcessLauncher(conf)
	if err != nil {
		return nil, err
	}
	for _, pool := range p.Pools {
		if err := l.LaunchService(&jobs{program: p}, WithWorkers(pool.Workers), WithName(pool.Name)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// jobs is a service that works for a while and lets the work end at a graceful stop.
type jobs struct {
	program testProgram
	working sync.WaitGroup
}

func (j *jobs) Start(context.Context) error {
	if j.program.Panic {
		panic("no such luck")
	}
	if j.program.FailFile != "" && exists(j.program.FailFile) {
		return errors.New("the service cannot start")
	}
	if j.program.Child {
		if err := describe(); err != nil {
			return err
		}
	}
	if j.program.Orphan {
		if err := exec.Command("sh", "-c", "sleep 0.3 & echo orphan $!").Run(); err != nil {
			return err
		}
	}
	j.working.Go(func() {
		<-time.After(j.program.Job)
		fmt.Fprintln(os.Stdout, "job done", os.Getpid())
		if j.program.Done != "" {
			_ = touch(j.program.Done + strconv.Itoa(os.Getpid()))
		}
	})
	fmt.Fprintln(os.Stdout, "service started", os.Getpid())
	if worker, err := CurrentWorker(); j.program.Raw {
		fmt.Fprintf(os.Stdout, "service of %v, error %v\n", worker, err)
	}
	return nil
}

// describe starts a process that prints what it has inherited.
func describe() error {
	cmd := exec.Command("sh", "-c", `env | sed 's/^/env /'; for f in /proc/self/fd/*; do echo "fd $f $(readlink $f)"; done; exit 0`)
	cmd.Stdout = os.Stdout
	return cmd.Run()
}

func (j *jobs) Stop(context.Context) error {
	fmt.Fprintln(os.Stdout, "service stopping", os.Getpid())
	return nil
}

func (j *jobs) Wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		j.working.Wait()
		close(ended)
	}()
	if j.program.Stubborn {
		<-ended
		return nil
	}
	return await(ctx, ended)
}

func (j *jobs) Reset(context.Context) error {
	fmt.Fprintln(os.Stdout, "service reset", os.Getpid())
	return nil
}

// listen makes or adopts the listener. Workers accept on it.
func (p testProgram) listen(id *identity.Identity) error {
	l, err := listen.TCP("test", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if id == nil {
		fmt.Fprintln(os.Stdout, "listening", l.Addr())
		reportBlocking(listen.Inherited()[0].File)
		return nil
	}
	accepting, err := l.Accepting()
	if err != nil {
		return err
	}
	go answer(accepting)
	return nil
}

// reportBlocking prints whether the listener is still non-blocking, whenever USR1 asks.
func reportBlocking(socket syscall.Conn) {
	signals := NewSignalMux()
	signals.Handle("SIGUSR1", func(os.Signal) {
		raw, err := socket.SyscallConn()
		if err != nil {
			fmt.Fprintln(os.Stdout, err)
			return
		}
		flags := 0
		_ = raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) })
		fmt.Fprintln(os.Stdout, "nonblocking", err == nil && flags&unix.O_NONBLOCK != 0)
	})
}

func answer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(c, os.Getpid())
		_ = c.Close()
	}
}

func touch(path string) error { return os.WriteFile(path, nil, 0o600) }
