package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// single is a launcher of one process, within a synctest bubble.
type single struct {
	*ServiceLauncher
	notes  *notes
	log    *buffer
	exited chan int // of Wait
}

func newSingle(t *testing.T, change func(*Config)) *single {
	t.Helper()
	s := &single{notes: &notes{}, log: &buffer{}, exited: make(chan int, 1)}
	log := silentLog()
	log.SetOutput(s.log)
	conf := DefaultConfig()
	conf.Log, conf.Notifier = log, noteNotifier{s.notes}
	conf.exit = func(code int) { s.notes.add(fmt.Sprintf("exit %d", code)) }
	conf.isDaemon = func() bool { return true }
	conf.Reload = func() error { s.notes.add("reload"); return nil }
	conf.Mutate = func() error { s.notes.add("mutate"); return nil }
	if change != nil {
		change(&conf)
	}
	s.ServiceLauncher = newServiceLauncher(conf.withDefaults())
	return s
}

func (s *single) launch(t *testing.T, r *recorder) {
	t.Helper()
	r.notes = s.notes
	if r.name == "" {
		r.name = "a"
	}
	if err := s.LaunchService(r); err != nil {
		t.Fatal(err)
	}
}

func (s *single) begin() {
	go func() { s.exited <- s.Wait() }()
	synctest.Wait()
}

func (s *single) send(sig os.Signal) {
	s.runner.signals.signals <- sig
	synctest.Wait()
}

func (s *single) expectExit(t *testing.T, want int) {
	t.Helper()
	if code := <-s.exited; code != want {
		t.Errorf("exit status %d, want %d", code, want)
	}
}

func TestOneProcessTermStopsGracefullyAndASecondIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, nil)
		s.launch(t, &recorder{wait: func(context.Context) error { <-time.After(30 * time.Second); return nil }})
		s.begin()
		expectNotes(t, s.notes, "a start", "READY")
		begin := time.Now()
		s.send(syscall.SIGTERM)
		s.send(syscall.SIGTERM)
		s.send(syscall.SIGHUP)
		s.expectExit(t, 0)
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("stopped after %s, want 30s", took)
		}
		expectNotes(t, s.notes, "STOPPING", "a stop", "a wait")
	})
}

func TestOneProcessTermBeforeWaitIsServedByWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, nil)
		s.launch(t, &recorder{})
		s.send(syscall.SIGTERM)
		s.launch(t, &recorder{name: "late"})
		s.begin()
		s.expectExit(t, 0)
		expectNotes(t, s.notes, "a start", "STOPPING", "a stop", "a wait")
	})
}

func TestOneProcessGracefulTimeout(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		stop func(ctx context.Context) error
		took time.Duration
		exit bool // not by returning from Wait
	}{
		{"a service that heeds its context has time to hand back its work", untilEnd, 59 * time.Second, false},
		{"one that does not is cut off", func(context.Context) error { <-time.After(time.Hour); return nil }, time.Minute, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				cut := make(chan time.Duration, 1)
				s := newSingle(t, func(c *Config) {
					c.exit = func(int) { cut <- time.Since(begin) }
				})
				s.launch(t, &recorder{stop: test.stop})
				s.begin()
				s.send(syscall.SIGTERM)
				s.expectExit(t, 1)
				took := time.Since(begin)
				if test.exit {
					took = <-cut
				}
				if took != test.took {
					t.Errorf("ended after %s, want %s", took, test.took)
				}
				if !strings.Contains(s.log.String(), "graceful shutdown timeout exceeded") {
					t.Error("the log does not say so")
				}
			})
		})
	}
}

func TestOneProcessInterruptExitsWithoutAStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		synctest.Test(t, func(t *testing.T) {
			s := newSingle(t, nil)
			s.launch(t, &recorder{})
			s.begin()
			s.send(sig)
			expectNotes(t, s.notes, "a start", "READY", "exit 1")
			s.Stop()
			s.expectExit(t, 0)
		})
	}
}

func TestOneProcessInterruptIsNotHeldUpByAService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, nil)
		s.launch(t, &recorder{reset: func(context.Context) error { <-time.After(time.Hour); return nil }})
		s.begin()
		s.send(syscall.SIGHUP)
		s.send(syscall.SIGINT)
		if s.notes.count("exit 1") != 1 {
			t.Errorf("happened: %v, want an exit", s.notes.all())
		}
		s.Stop()
		s.expectExit(t, 0)
	})
}

func TestOneProcessHangup(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"reloads", nil, []string{"RELOADING", "reload", "a stop", "a reset", "a start", "READY"}},
		{"mutates", func(c *Config) { c.RestartMethod = Mutate }, []string{"RELOADING", "mutate", "a reset", "READY"}},
		{
			"changes nothing if the configuration cannot be read", func(c *Config) { c.Reload = func() error { return errNo } },
			[]string{"RELOADING", "READY"}, // systemd waits for both
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSingle(t, test.change)
				s.launch(t, &recorder{})
				s.begin()
				s.notes.take()
				for range 2 {
					s.send(syscall.SIGHUP)
					expectNotes(t, s.notes, test.want...)
				}
				s.Stop()
				s.expectExit(t, 0)
			})
		})
	}
}

func TestOneProcessStopsWhileItsConfigurationIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newSingle(t, func(c *Config) { c.Reload = func() error { <-release; return nil } })
		s.launch(t, &recorder{})
		s.begin()
		s.notes.take()
		s.send(syscall.SIGHUP)
		begin := time.Now()
		s.send(syscall.SIGTERM)
		s.expectExit(t, 0)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("stopped after %s", took)
		}
		expectNotes(t, s.notes, "RELOADING", "STOPPING", "a stop", "a wait")
		close(release)
	})
}

func TestOneProcessTwoHangupsAreTwoPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, func(c *Config) { c.RestartMethod = Mutate })
		s.launch(t, &recorder{reset: func(context.Context) error { <-time.After(time.Second); return nil }})
		s.begin()
		s.send(syscall.SIGHUP)
		s.send(syscall.SIGHUP)
		<-time.After(3 * time.Second)
		if n := s.notes.count("a reset"); n != 2 {
			t.Errorf("reset %d times, want twice", n)
		}
		s.Stop()
		s.expectExit(t, 0)
	})
}

func TestOneProcessHangupInTheForegroundStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, func(c *Config) { c.isDaemon = func() bool { return false } })
		s.launch(t, &recorder{})
		s.begin()
		s.send(syscall.SIGHUP)
		s.expectExit(t, 0)
		expectNotes(t, s.notes, "a start", "READY", "STOPPING", "a stop", "a wait")
	})
}

func TestOneProcessTermDuringAReloadStartsNothingAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, nil)
		s.launch(t, &recorder{stop: func(context.Context) error { <-time.After(time.Second); return nil }})
		s.begin()
		s.send(syscall.SIGHUP)
		s.send(syscall.SIGTERM)
		s.expectExit(t, 0)
		if n := s.notes.count("a start"); n != 1 {
			t.Errorf("started %d times, want once", n)
		}
	})
}

func TestOneProcessStartFailureStopsEverythingOnceAndIsStatusOne(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"first", "last"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSingle(t, nil)
			bad := &recorder{name: "bad", start: fail}
			if order == "first" {
				s.launch(t, bad)
			}
			s.launch(t, &recorder{name: "a"})
			s.launch(t, &recorder{name: "b", start: untilEnd})
			if order == "last" {
				s.launch(t, bad)
			}
			begin := time.Now()
			s.begin()
			s.expectExit(t, 1)
			if took := time.Since(begin); took != 0 {
				t.Errorf("%s: ended after %s, want at once", order, took)
			}
			for _, name := range []string{"a", "b", "bad"} {
				if n := s.notes.count(name + " stop"); n != 1 {
					t.Errorf("%s: service %s was stopped %d times, want once", order, name, n)
				}
			}
			if s.notes.count("READY") != 0 {
				t.Errorf("%s: READY was told", order)
			}
		})
	}
}

func TestOneProcessStartFailureAfterAReloadIsStatusOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, nil)
		first := true
		s.launch(t, &recorder{start: func(context.Context) error {
			if first {
				first = false
				return nil
			}
			return errNo
		}})
		s.begin()
		s.send(syscall.SIGHUP)
		s.expectExit(t, 1)
	})
}

func TestOneProcessDoesNotEndWithItsServicesWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, nil)
		s.launch(t, &recorder{})
		s.begin()
		<-time.After(24 * time.Hour)
		select {
		case code := <-s.exited:
			t.Errorf("ended with %d", code)
		default:
		}
		s.Stop()
		s.expectExit(t, 0)
	})
}

func TestOneProcessIsReadyWhenItsServicesHaveStarted(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSingle(t, func(c *Config) { c.NotifyEarly = early })
			s.launch(t, &recorder{start: func(context.Context) error { <-time.After(time.Second); return nil }})
			s.begin()
			if got := s.notes.count("READY") == 1; got != early {
				t.Errorf("READY while starting: %t, want %t", got, early)
			}
			<-time.After(2 * time.Second)
			if n := s.notes.count("READY"); n != 1 {
				t.Errorf("READY %d times, want once", n)
			}
			s.Stop()
			s.expectExit(t, 0)
		})
	}
}

func TestOneProcessFeedsTheWatchdogWhileItsServicesMakeProgressOrStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		s := newSingle(t, func(c *Config) {
			c.WatchdogInterval = 2 * time.Second
			c.Progress = func() error {
				if stuck.Load() {
					return errNo
				}
				return nil
			}
		})
		s.launch(t, &recorder{stop: func(context.Context) error { <-time.After(10 * time.Second); return nil }})
		s.begin()
		fed := func() int {
			s.notes.take()
			<-time.After(4500 * time.Millisecond)
			return s.notes.count("WATCHDOG")
		}
		if n := fed(); n != 4 {
			t.Errorf("fed %d times while all is well, want 4", n)
		}
		stuck.Store(true)
		if n := fed(); n != 0 {
			t.Errorf("fed %d times while nothing goes on, want never", n)
		}
		s.send(syscall.SIGTERM)
		if n := fed(); n < 4 {
			t.Errorf("fed %d times during the stop, want 4", n)
		}
		s.expectExit(t, 0)
		if n := strings.Count(s.log.String(), "makes no progress"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

func TestOneProcessEndsThoughItsProgressAndItsReportHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newSingle(t, func(c *Config) {
			c.WatchdogInterval, c.Progress = 2*time.Second, func() error { <-release; return nil }
			c.Report = func(io.Writer) { <-release }
		})
		s.launch(t, &recorder{})
		s.begin()
		<-time.After(time.Minute)
		s.runner.reports.signals <- syscall.SIGUSR2
		synctest.Wait()
		begin := time.Now()
		s.send(syscall.SIGTERM)
		s.expectExit(t, 0)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("ended after %s", took)
		}
		close(release)
	})
}

func TestOneProcessFeedsTheWatchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSingle(t, func(c *Config) { c.WatchdogInterval = 2 * time.Second })
		s.begin()
		<-time.After(3500 * time.Millisecond)
		if n := s.notes.count("WATCHDOG"); n != 3 {
			t.Errorf("fed %d times in 3.5 s, want 3", n)
		}
		s.Stop()
		s.expectExit(t, 0)
	})
}
