package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/service/internal/identity"
)

// The parent's loop is tested in fake time, with workers that are no processes.

// fakeStarter starts fakeProcesses and notes when.
type fakeStarter struct {
	begin time.Time
	// behave is what a new worker does on its own, if it is not nil.
	behave func(*fakeProcess)

	mu     sync.Mutex
	err    error // that starts fail with
	tried  []time.Duration
	all    []*fakeProcess
	closed bool
}

func (f *fakeStarter) start(id identity.Identity, _ int) (process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = append(f.tried, time.Since(f.begin))
	if f.err != nil {
		return nil, f.err
	}
	p := &fakeProcess{
		id: id, at: time.Since(f.begin), ready: make(chan struct{}), end: make(chan ending, 1), ended: make(chan struct{}),
		beats: make(chan struct{}), obeys: true,
	}
	f.all = append(f.all, p)
	if f.behave != nil {
		f.behave(p)
	}
	return p, nil
}

func (f *fakeStarter) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

func (f *fakeStarter) setErr(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// processes are all that were started, in order.
func (f *fakeStarter) processes() []*fakeProcess {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// attempts are the times at which workers were started or could not be.
func (f *fakeStarter) attempts() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tried)
}

// starts are the times at which workers of a pool were started.
func (f *fakeStarter) starts(pool string) []time.Duration {
	var times []time.Duration
	for _, p := range f.processes() {
		if p.id.Pool == pool {
			times = append(times, p.at)
		}
	}
	return times
}

// fakeProcess ends at TERM, if it obeys, and at INT and KILL.
type fakeProcess struct {
	id    identity.Identity
	at    time.Duration
	ready chan struct{}
	end   chan ending
	ended chan struct{}
	beats chan struct{}

	drain time.Duration // how long it takes to end at TERM

	mu      sync.Mutex
	obeys   bool
	served  bool // was ready
	signals []syscall.Signal
}

func (p *fakeProcess) Pid() int { return p.id.Generation }

func (p *fakeProcess) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signals = append(p.signals, sig)
	switch {
	case sig == syscall.SIGKILL:
		p.finish(ending{signal: sig})
	case sig == syscall.SIGINT:
		p.finish(ending{code: 1})
	case sig == syscall.SIGTERM && p.obeys && p.drain > 0:
		time.AfterFunc(p.drain, func() { p.finish(ending{}) })
	case sig == syscall.SIGTERM && p.obeys:
		p.finish(ending{})
	}
}

func (p *fakeProcess) finish(e ending) {
	select {
	case p.end <- e:
	default:
	}
}

func (p *fakeProcess) Heard() bool {
	select {
	case <-p.ready:
		p.ready = nil
		p.mu.Lock()
		defer p.mu.Unlock()
		p.served = true
		return true
	case <-p.beats:
		return true
	case <-p.ended:
		return false
	}
}

func (p *fakeProcess) Wait() ending {
	defer close(p.ended)
	return <-p.end
}

func (p *fakeProcess) got() []syscall.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.signals)
}

func (p *fakeProcess) wasReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served
}

func (p *fakeProcess) disobey() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.obeys = false
}

func (p *fakeProcess) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func beReady(p *fakeProcess)   { close(p.ready) }
func dieAtOnce(p *fakeProcess) { p.finish(ending{code: 1}) }

// notifier notes what it is told.
type noteNotifier struct{ *notes }

func (n noteNotifier) Ready()     { n.add("READY") }
func (n noteNotifier) Reloading() { n.add("RELOADING") }
func (n noteNotifier) Stopping()  { n.add("STOPPING") }
func (n noteNotifier) Watchdog()  { n.add("WATCHDOG") }

// family is a launcher with such workers, within a synctest bubble.
type family struct {
	*ProcessLauncher
	starter *fakeStarter
	notes   *notes
	log     *buffer
	exited  chan int // of Wait
}

func newFamily(t *testing.T, behave func(*fakeProcess), change func(*Config)) *family {
	t.Helper()
	f := &family{
		starter: &fakeStarter{begin: time.Now(), behave: behave}, notes: &notes{}, log: &buffer{}, exited: make(chan int, 1),
	}
	log := silentLog()
	log.SetOutput(f.log)
	conf := DefaultConfig()
	conf.Log, conf.Notifier = log, noteNotifier{f.notes}
	conf.exit = func(code int) { f.notes.add(fmt.Sprintf("exit %d", code)) }
	conf.isDaemon = func() bool { return true }
	conf.Reload = func() error { f.notes.add("reload"); return nil }
	conf.Mutate = func() error { f.notes.add("mutate"); return nil }
	conf.stdout, conf.stderr = io.Discard, io.Discard
	if change != nil {
		change(&conf)
	}
	f.ProcessLauncher = newProcessLauncher(conf.withDefaults(), f.starter)
	return f
}

// newSettledFamily is one with a pool of two workers, which are ready and were so for a minute. Further ones are ready when a
// test makes them.
func newSettledFamily(t *testing.T, change func(*Config)) *family {
	t.Helper()
	f := newFamily(t, nil, change)
	f.launch(t, "a", 2)
	for _, p := range f.starter.processes() {
		beReady(p)
	}
	f.begin()
	<-time.After(time.Minute) // until the throttle has forgotten them
	return f
}

func (f *family) launch(t *testing.T, name string, workers int) {
	t.Helper()
	if err := f.LaunchService(&recorder{}, WithWorkers(workers), WithName(name)); err != nil {
		t.Fatal(err)
	}
}

// begin waits in the background.
func (f *family) begin() {
	go func() { f.exited <- f.Wait() }()
	synctest.Wait()
}

func (f *family) send(sig os.Signal) {
	f.post(sig)
	synctest.Wait()
}

func (f *family) expectExit(t *testing.T, want int) {
	t.Helper()
	if code := <-f.exited; code != want {
		t.Errorf("exit status %d, want %d", code, want)
	}
	if !f.starter.closed {
		t.Error("the starter was not closed")
	}
}

// alive are the generations of the workers that live.
func (f *family) alive() []int {
	var generations []int
	for _, p := range f.starter.processes() {
		if p.alive() {
			generations = append(generations, p.id.Generation)
		}
	}
	return generations
}

func (f *family) expectAlive(t *testing.T, want ...int) {
	t.Helper()
	synctest.Wait()
	if got := f.alive(); !slices.Equal(got, want) {
		t.Errorf("workers %v live, want %v", got, want)
	}
}

func TestPoolsThrottleIndependently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, func(p *fakeProcess) {
			if p.id.Pool == "sick" {
				dieAtOnce(p)
			} else {
				beReady(p)
			}
		}, nil)
		f.launch(t, "sick", 2)
		f.launch(t, "healthy", 2)
		f.begin()
		<-time.After(2500 * time.Millisecond)
		for _, p := range f.starter.processes() {
			if p.id.Pool == "healthy" && p.id.Index == 1 {
				p.finish(ending{signal: syscall.SIGKILL})
				break
			}
		}
		<-time.After(3 * time.Second)
		const s = time.Second
		if got, want := f.starter.starts("sick"), []time.Duration{0, 0, 0, s, 2 * s, 2 * s, 3 * s, 4 * s, 4 * s, 5 * s}; !slices.Equal(got, want) {
			t.Errorf("workers of the sick pool were started at %v, want %v", got, want)
		}
		if got, want := f.starter.starts("healthy"), []time.Duration{0, 0, 2500 * time.Millisecond}; !slices.Equal(got, want) {
			t.Errorf("workers of the healthy pool were started at %v, want %v", got, want)
		}
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestWorkerThatCannotBeStartedIsTriedAgainThroughTheThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 1)
		f.begin()
		f.starter.setErr(errors.New("too many open files"))
		f.starter.processes()[0].finish(ending{code: 1})
		<-time.After(1500 * time.Millisecond)
		f.starter.setErr(nil)
		<-time.After(time.Second)
		const s = time.Second
		if got, want := f.starter.attempts(), []time.Duration{0, 0, s, s, 2 * s}; !slices.Equal(got, want) {
			t.Errorf("tried at %v, want %v", got, want)
		}
		f.expectAlive(t, 5)
		if n := strings.Count(f.log.String(), "too many open files"); n != 3 {
			t.Errorf("logged %d times, want 3", n)
		}
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestReadyIsToldOnceWhenAllWorkersAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, nil, nil)
		f.launch(t, "a", 2)
		f.launch(t, "b", 1)
		all := f.starter.processes()
		beReady(all[0])
		beReady(all[2])
		f.begin()
		expectNotes(t, f.notes)
		beReady(all[1])
		synctest.Wait()
		expectNotes(t, f.notes, "READY")

		all[0].finish(ending{code: 1}) // a replacement is no news
		synctest.Wait()
		beReady(f.starter.processes()[3])
		synctest.Wait()
		f.send(syscall.SIGTERM)
		f.expectExit(t, 0)
		expectNotes(t, f.notes, "STOPPING")
	})
}

func TestReadyIsNotToldBeforeWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 2)
		synctest.Wait()
		expectNotes(t, f.notes) // another pool may follow
		f.begin()
		expectNotes(t, f.notes, "READY")
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestReadyIsToldEarlyOnDemand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, nil, func(c *Config) { c.NotifyEarly = true })
		f.launch(t, "a", 2)
		f.begin()
		expectNotes(t, f.notes, "READY")
		for _, p := range f.starter.processes() {
			beReady(p)
		}
		synctest.Wait()
		expectNotes(t, f.notes)
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestWatchdogIsFedTwiceInItsInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, func(c *Config) { c.WatchdogInterval = 10 * time.Second })
		f.begin()
		<-time.After(21 * time.Second)
		if n := f.notes.count("WATCHDOG"); n != 4 {
			t.Errorf("fed %d times in 21 s, want 4", n)
		}
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestWatchdogIsNotFedWhileAWorkerMakesNoProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, func(c *Config) {
			c.WatchdogInterval = 10 * time.Second
			c.Progress = func() error { return nil }
		})
		f.launch(t, "a", 2)
		f.begin()
		all := f.starter.processes()
		if got, want := all[0].id.Progress, 2500*time.Millisecond; got != want {
			t.Errorf("a worker is asked for a word every %s, want %s", got, want)
		}
		beat := func(workers ...*fakeProcess) int {
			f.notes.take()
			for range 12 { // 30 s
				<-time.After(2500 * time.Millisecond)
				for _, p := range workers {
					p.beats <- struct{}{}
				}
			}
			synctest.Wait()
			return f.notes.count("WATCHDOG")
		}
		if n := beat(all...); n != 6 {
			t.Errorf("fed %d times while all is well, want 6", n)
		}
		if n := beat(all[1]); n != 2 {
			t.Errorf("fed %d times when a worker falls silent, want 2", n)
		}
		if n := beat(all...); n != 6 {
			t.Errorf("fed %d times when all is well again, want 6", n)
		}
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestHangupReloadAtOnceStopsAllWorkersAndReplacesEachAtItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 2)
		f.begin()
		f.notes.take()
		<-time.After(time.Minute)
		slow := f.starter.processes()[0]
		slow.disobey() // it finishes its work first
		f.send(syscall.SIGHUP)
		expectNotes(t, f.notes, "RELOADING", "reload")
		f.expectAlive(t, 1, 3)
		f.send(syscall.SIGHUP) // once more: the slow worker must not get a second TERM
		slow.finish(ending{})
		f.expectAlive(t, 4, 5)
		if got, want := slow.got(), []syscall.Signal{syscall.SIGTERM}; !slices.Equal(got, want) {
			t.Errorf("the slow worker got %v, want %v", got, want)
		}
		expectNotes(t, f.notes, "RELOADING", "reload", "READY")
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestHangupMutateReachesWorkersThatAreNotReadyYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, nil, func(c *Config) { c.RestartMethod = Mutate })
		f.launch(t, "a", 2)
		all := f.starter.processes()
		beReady(all[0])
		f.begin()
		f.send(syscall.SIGHUP)
		expectNotes(t, f.notes, "RELOADING", "mutate")
		if got := all[1].got(); len(got) != 0 {
			t.Errorf("a worker that is not ready got %v, want nothing: it would die of it", got)
		}
		beReady(all[1])
		synctest.Wait()
		for _, p := range all {
			if got, want := p.got(), []syscall.Signal{syscall.SIGHUP}; !slices.Equal(got, want) {
				t.Errorf("worker %d got %v, want %v", p.id.Index, got, want)
			}
		}
		expectNotes(t, f.notes, "READY")
		f.send(syscall.SIGHUP)
		f.send(syscall.SIGHUP)
		if n := len(all[0].got()); n != 3 {
			t.Errorf("a worker got %d signals, want 3", n)
		}
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestHangupWithAConfigurationThatCannotBeReadChangesNothing(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func() error{
		"since it is invalid": func() error { return errNo },
		"since that panics":   func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFamily(t, beReady, func(c *Config) { c.Reload = read })
				f.launch(t, "a", 2)
				f.begin()
				f.notes.take()
				f.send(syscall.SIGHUP)
				f.expectAlive(t, 1, 2)
				expectNotes(t, f.notes, "RELOADING", "READY") // systemd waits for both
				f.Stop()
				f.expectExit(t, 0)
			})
		})
	}
}

func TestAConfigurationThatIsNotReadHoldsUpNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := newFamily(t, beReady, func(c *Config) {
			read := c.Reload
			c.Reload = func() error { <-release; return read() }
		})
		f.launch(t, "a", 2)
		f.begin()
		f.notes.take()
		for range 3 {
			f.send(syscall.SIGHUP)
		}
		expectNotes(t, f.notes, "RELOADING")
		f.starter.processes()[0].finish(ending{signal: syscall.SIGKILL})
		synctest.Wait()
		f.expectAlive(t, 2, 3) // a worker that dies is replaced

		release <- struct{}{} // and the two that came meanwhile are one more reading
		release <- struct{}{}
		synctest.Wait()
		expectNotes(t, f.notes, "reload", "RELOADING", "reload")
		<-time.After(time.Minute)
		synctest.Wait()
		expectNotes(t, f.notes, "READY")

		f.send(syscall.SIGHUP)
		begin := time.Now()
		f.send(syscall.SIGTERM)
		f.expectExit(t, 0)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("stopped after %s", took)
		}
		close(release)
	})
}

func TestHangupBeforeWaitIsServedByWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 2)
		f.send(syscall.SIGHUP)
		expectNotes(t, f.notes)
		f.begin()
		expectNotes(t, f.notes, "RELOADING", "reload")
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestHangupInTheForegroundStopsTheParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, func(c *Config) { c.isDaemon = func() bool { return false } })
		f.launch(t, "a", 2)
		f.begin()
		f.send(syscall.SIGHUP)
		f.expectExit(t, 0)
		expectNotes(t, f.notes, "READY", "STOPPING")
	})
}

func rollingReload(c *Config) { c.ReloadStrategy = Rolling }

func TestRollingReloadTakesOneWorkerAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, nil, rollingReload)
		f.launch(t, "a", 2)
		f.launch(t, "b", 1)
		become := func(generation int) { beReady(f.starter.processes()[generation-1]); synctest.Wait() }
		for generation := range 3 {
			become(generation + 1)
			f.starter.processes()[generation].disobey()
		}
		f.begin()
		<-time.After(time.Minute)
		f.notes.take()
		f.send(syscall.SIGHUP)
		f.expectAlive(t, 1, 2, 3, 4) // the replacement, beside all old ones
		become(4)
		f.expectAlive(t, 1, 2, 3, 4) // the old one drains
		f.starter.processes()[0].finish(ending{})
		f.expectAlive(t, 2, 3, 4, 5)
		become(5)
		f.starter.processes()[1].finish(ending{})
		f.expectAlive(t, 3, 4, 5, 6)
		expectNotes(t, f.notes, "RELOADING", "reload")
		become(6)
		f.starter.processes()[2].finish(ending{})
		f.expectAlive(t, 4, 5, 6)
		expectNotes(t, f.notes, "READY")
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestRollingReloadEndsWithAReplacementThatDoesNotBecomeReady(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		then func(*fakeProcess)
		log  string
	}{
		{"since it dies", dieAtOnce, "the replacement ended before it was ready"},
		{"in time", func(*fakeProcess) { <-time.After(time.Minute) }, "the replacement is not ready in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newSettledFamily(t, rollingReload)
				f.notes.take()
				f.send(syscall.SIGHUP)
				f.expectAlive(t, 1, 2, 3)
				test.then(f.starter.processes()[2])
				f.expectAlive(t, 1, 2)
				expectNotes(t, f.notes, "RELOADING", "reload", "READY")
				if !strings.Contains(f.log.String(), test.log) {
					t.Errorf("the log does not say that %s", test.log)
				}
				f.Stop()
				f.expectExit(t, 0)
			})
		})
	}
}

func TestRollingReloadBearsTheEndOfTheOldWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newSettledFamily(t, rollingReload)
		f.send(syscall.SIGHUP)
		f.starter.processes()[0].finish(ending{signal: syscall.SIGKILL})
		f.expectAlive(t, 2, 3) // its replacement is on the way already
		beReady(f.starter.processes()[2])
		f.expectAlive(t, 2, 3, 4)
		beReady(f.starter.processes()[3])
		f.expectAlive(t, 3, 4)
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestHangupDuringARollingReloadBeginsItAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newSettledFamily(t, rollingReload)
		f.notes.take()
		f.send(syscall.SIGHUP)
		f.send(syscall.SIGHUP)            // generation 3 may have read the old configuration
		beReady(f.starter.processes()[2]) // for 1
		f.expectAlive(t, 2, 3, 4)         // 4 is for 3
		beReady(f.starter.processes()[3]) // 5 is for 2, after the throttle
		<-time.After(5 * time.Second)     //
		beReady(f.starter.processes()[4]) //
		f.expectAlive(t, 4, 5)            //
		expectNotes(t, f.notes, "RELOADING", "reload", "RELOADING", "reload", "READY")
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestTermDuringARollingReloadStopsTheReplacementToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newSettledFamily(t, rollingReload)
		f.send(syscall.SIGHUP)
		f.expectAlive(t, 1, 2, 3)
		f.send(syscall.SIGTERM)
		f.expectExit(t, 0)
		f.expectAlive(t)
	})
}

func TestTermStopsWorkersOnceAndASecondIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 2)
		f.begin()
		slow := f.starter.processes()[0]
		slow.disobey()
		f.send(syscall.SIGTERM)
		f.send(syscall.SIGTERM)
		f.send(syscall.SIGHUP)
		f.Stop()
		<-time.After(59 * time.Second)
		f.expectAlive(t, 1)
		slow.finish(ending{})
		f.expectExit(t, 0)
		if got, want := slow.got(), []syscall.Signal{syscall.SIGTERM}; !slices.Equal(got, want) {
			t.Errorf("the slow worker got %v, want %v", got, want)
		}
		expectNotes(t, f.notes, "READY", "STOPPING")
	})
}

func TestGracefulTimeoutKillsTheWorkersThatAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 2)
		f.begin()
		f.starter.processes()[0].disobey()
		begin := time.Now()
		f.send(syscall.SIGTERM)
		f.expectExit(t, 1)
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("ended after %s, want 1m", took)
		}
		if !strings.Contains(f.log.String(), "graceful shutdown timeout exceeded") {
			t.Error("the log does not say so")
		}
		f.expectAlive(t)
	})
}

func TestGracefulStopWithoutALimitWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, func(c *Config) { c.GracefulShutdownTimeout = 0 })
		f.launch(t, "a", 1)
		f.begin()
		f.starter.processes()[0].disobey()
		f.send(syscall.SIGTERM)
		<-time.After(24 * time.Hour)
		f.expectAlive(t, 1)
		f.starter.processes()[0].finish(ending{})
		f.expectExit(t, 0)
	})
}

func TestStatusTellsWhetherWorkersFinished(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  ending
		want int
	}{
		{"stopped", ending{}, 0},
		{"not in its own time", ending{code: 1}, 1},
		{"killed by somebody", ending{signal: syscall.SIGKILL}, 1},
		{"by TERM, before it could heed it", ending{signal: syscall.SIGTERM}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFamily(t, nil, nil)
				f.launch(t, "a", 1)
				f.begin()
				f.starter.processes()[0].disobey()
				f.send(syscall.SIGTERM)
				f.starter.processes()[0].finish(test.end)
				f.expectExit(t, test.want)
			})
		})
	}
}

func TestWorkerStuckAtAReloadIsKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 1)
		f.begin()
		f.starter.processes()[0].disobey()
		f.send(syscall.SIGHUP)
		<-time.After(30 * time.Second)
		f.send(syscall.SIGHUP) // which gives it no more time
		<-time.After(30*time.Second + reloadSlack - time.Millisecond)
		f.expectAlive(t, 1)
		<-time.After(time.Millisecond)
		f.expectAlive(t, 2)
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestInterruptIsForwardedAndExitsAtOnce(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		synctest.Test(t, func(t *testing.T) {
			f := newFamily(t, beReady, nil)
			f.launch(t, "a", 2)
			f.begin()
			before := f.starter.processes()
			f.send(sig)
			for _, p := range before {
				if got, want := p.got(), []syscall.Signal{syscall.SIGINT}; !slices.Equal(got, want) {
					t.Errorf("a worker got %v, want %v", got, want)
				}
			}
			expectNotes(t, f.notes, "READY", "exit 1")
			f.Stop()
			f.expectExit(t, 0) // the process would be gone
		})
	}
}

func TestAParentEndsThoughItsReportHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := newFamily(t, beReady, func(c *Config) { c.Report = func(io.Writer) { <-release } })
		f.launch(t, "a", 1)
		f.begin()
		f.reports.signals <- syscall.SIGUSR1
		f.send(syscall.SIGTERM)
		f.expectExit(t, 0)
		close(release)
	})
}

func TestLaunchAfterTheEndDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "a", 1)
		f.send(syscall.SIGTERM)
		f.launch(t, "b", 1)
		f.begin()
		f.expectExit(t, 0)
		f.launch(t, "c", 1)
		f.Stop()
		if code := f.Wait(); code != 0 {
			t.Errorf("Wait again = %d, want 0", code)
		}
		if n := len(f.starter.processes()); n != 1 {
			t.Errorf("%d workers were started, want 1", n)
		}
	})
}

func TestPoolsHaveNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, beReady, nil)
		f.launch(t, "", 1)
		f.launch(t, "", 1)
		f.launch(t, "rpc", 1)
		if err := f.LaunchService(&recorder{}, WithName("rpc")); !errors.Is(err, ErrDuplicatePool) {
			t.Errorf("LaunchService = %v, want ErrDuplicatePool", err)
		}
		if err := f.LaunchService(nil); !errors.Is(err, ErrNilService) {
			t.Errorf("LaunchService = %v, want ErrNilService", err)
		}
		var names []string
		for _, p := range f.starter.processes() {
			names = append(names, p.id.Pool)
		}
		if want := []string{"worker", "worker2", "rpc"}; !slices.Equal(names, want) {
			t.Errorf("pools %v, want %v", names, want)
		}
		f.Stop()
		f.begin()
		f.expectExit(t, 0)
	})
}
