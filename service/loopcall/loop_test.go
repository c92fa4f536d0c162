package loopcall_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/service/loopcall"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// script is a loop's function: each call is noted, takes as long as its entry says and returns what it says.
type script struct {
	begin time.Time
	calls []time.Duration
	do    func(n int) error
}

func newScript(do func(n int) error) *script { return &script{begin: time.Now(), do: do} }

func (s *script) call(context.Context) error {
	s.calls = append(s.calls, time.Since(s.begin))
	return s.do(len(s.calls))
}

func take(d time.Duration) { <-time.After(d) }

func ms(n ...int) []time.Duration {
	out := make([]time.Duration, len(n))
	for i := range n {
		out[i] = time.Duration(n[i]) * time.Millisecond
	}
	return out
}

func quiet() (loopcall.CommonOption, *test.Hook) {
	log, hook := test.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return loopcall.WithLog(log), hook
}

// finish starts a loop and returns its outcome.
func finish(t *testing.T, l *loopcall.Loop) (any, error) {
	t.Helper()
	if err := l.Start(t.Context()); err != nil {
		t.Fatalf("Start = %v", err)
	}
	return l.Wait(t.Context())
}

func wantCalls(t *testing.T, s *script, want []time.Duration) {
	t.Helper()
	if diff := cmp.Diff(want, s.calls); diff != "" {
		t.Errorf("times of calls (-want +got):\n%s", diff)
	}
}

func TestFixedCallsByTheTable(t *testing.T) {
	t.Parallel()
	const interval = 200 * time.Millisecond
	for _, tt := range []struct {
		name     string
		interval time.Duration
		took     time.Duration
		delay    time.Duration
		want     []time.Duration
		warnings int
	}{
		{"the first call is immediate, then one an interval", interval, 0, 0, ms(0, 200, 400), 0},
		{"an initial delay comes first", interval, 0, time.Second, ms(1000, 1200, 1400), 0},
		{"the time a call took is taken off", interval, 150 * time.Millisecond, 0, ms(0, 200, 400), 0},
		{"what is left is rounded to 10 ms", interval, 153 * time.Millisecond, 0, ms(0, 203, 406), 0},
		{"an overrun is followed at once, without a burst", interval, 300 * time.Millisecond, 0, ms(0, 300, 600), 2},
		{"an overrun that rounds to nothing is none", interval, 204 * time.Millisecond, 0, ms(0, 204, 408), 0},
		{"an interval under 10 ms is not rounded away", 4 * time.Millisecond, time.Millisecond, 0, ms(0, 4, 8), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, hook := quiet()
				s := newScript(func(n int) error {
					if n == 3 {
						return loopcall.Done("enough")
					}
					take(tt.took)
					return nil
				})
				v, err := finish(t, loopcall.Fixed(tt.interval, s.call, log, loopcall.WithInitialDelay(tt.delay)))
				if v != "enough" || err != nil {
					t.Errorf("Wait = %v, %v, want the value of Done", v, err)
				}
				wantCalls(t, s, tt.want)
				if got := len(hook.AllEntries()); got != tt.warnings {
					t.Errorf("%d log lines, want %d", got, tt.warnings)
				}
			})
		})
	}
}

func TestOverrunIsLoggedWithTheExcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, hook := quiet()
		s := newScript(func(n int) error {
			take(300 * time.Millisecond)
			if n == 2 {
				return loopcall.Done(nil)
			}
			return nil
		})
		if _, err := finish(t, loopcall.Fixed(200*time.Millisecond, s.call, log, loopcall.WithName("beat"))); err != nil {
			t.Fatal(err)
		}
		e := hook.LastEntry()
		if e.Level != logrus.WarnLevel || e.Data["excess"] != 100*time.Millisecond || e.Data["loop"] != "beat" {
			t.Errorf("log line = %v %v, want a warning with excess 100ms of beat", e.Level, e.Data)
		}
	})
}

func TestStopEndsTheWaitAndNotTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := newScript(func(int) error { take(3 * time.Second); return nil })
		l := loopcall.Fixed(10*time.Second, s.call)
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		take(time.Second)
		l.Stop() // in the call
		if v, err := l.Wait(t.Context()); v != true || err != nil {
			t.Errorf("Wait = %v, %v, want true", v, err)
		}
		if got := time.Since(begin); got != 3*time.Second {
			t.Errorf("ended after %s, want the call's 3s", got)
		}

		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		take(4 * time.Second)
		l.Stop() // in the wait
		l.Stop()
		if v, err := l.Wait(t.Context()); v != true || err != nil {
			t.Errorf("Wait = %v, %v, want true", v, err)
		}
		if got := time.Since(begin); got != 7*time.Second {
			t.Errorf("ended after %s, want 7s: Stop wakes the wait", got)
		}
		wantCalls(t, s, ms(0, 3000))
	})
}

func TestStopDuringTheInitialDelayMeansNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(func(int) error { return nil })
		l := loopcall.Fixed(time.Second, s.call, loopcall.WithInitialDelay(time.Minute))
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		take(time.Second)
		l.Stop()
		if v, err := l.Wait(t.Context()); v != true || err != nil || len(s.calls) != 0 {
			t.Errorf("Wait = %v, %v after %d calls, want true after none", v, err, len(s.calls))
		}
	})
}

func TestFunctionStopsItsOwnLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *loopcall.Loop
		s := newScript(func(n int) error {
			if n == 2 {
				l.Stop()
			}
			return nil
		})
		l = loopcall.Fixed(time.Second, s.call)
		if v, err := finish(t, l); v != true || err != nil {
			t.Errorf("Wait = %v, %v, want true", v, err)
		}
		wantCalls(t, s, ms(0, 1000))
	})
}

func TestOneLoopAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := loopcall.Fixed(time.Second, func(context.Context) error { return nil })
		l.Stop() // before Start: harmless
		if _, err := l.Wait(t.Context()); !errors.Is(err, loopcall.ErrNotStarted) {
			t.Errorf("Wait before Start = %v, want ErrNotStarted", err)
		}
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Start(t.Context()); !errors.Is(err, loopcall.ErrRunning) {
			t.Errorf("second Start = %v, want ErrRunning", err)
		}
		if !l.Running() {
			t.Error("Running = false while it runs")
		}
		l.Stop()
		if _, err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.Running() {
			t.Error("Running = true after its end")
		}
		if err := l.Start(t.Context()); err != nil {
			t.Errorf("Start after its end = %v, want none", err)
		}
		l.Stop()
		if v, err := l.Wait(t.Context()); v != true || err != nil {
			t.Errorf("Wait = %v, %v, want true", v, err)
		}
	})
}

func TestAnErrorEndsTheLoopAndReachesWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(int) error
		want func(error) bool
	}{
		{"an error", func(int) error { return errBoom }, func(err error) bool { return errors.Is(err, errBoom) }},
		{"a panic", func(int) error { panic("ouch") }, func(err error) bool {
			var p *loopcall.PanicError
			return errors.As(err, &p) && p.Value == "ouch" && strings.Contains(string(p.Stack), "loop_test.go")
		}},
		{"an ended goroutine", func(int) error { runtime.Goexit(); return nil }, func(err error) bool {
			return errors.Is(err, loopcall.ErrExited)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, hook := quiet()
				s := newScript(tt.do)
				v, err := finish(t, loopcall.Fixed(time.Second, s.call, log))
				if v != nil || !tt.want(err) {
					t.Errorf("Wait = %v, %v", v, err)
				}
				if e := hook.LastEntry(); e == nil || e.Level != logrus.ErrorLevel {
					t.Errorf("log line = %v, want an error", e)
				}
				wantCalls(t, s, ms(0))
			})
		})
	}
}

func TestDoneMayBeWrapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(func(int) error { return fmt.Errorf("all read: %w", loopcall.Done(42)) })
		if v, err := finish(t, loopcall.Fixed(time.Second, s.call, loopcall.ContinueOnError())); v != 42 || err != nil {
			t.Errorf("Wait = %v, %v, want 42", v, err)
		}
	})
}

func TestContinueOnErrorKeepsTheSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, hook := quiet()
		s := newScript(func(n int) error {
			switch n {
			case 1:
				return errBoom
			case 2:
				panic("ouch")
			case 4:
				return loopcall.Done(nil)
			}
			return nil
		})
		if v, err := finish(t, loopcall.Fixed(time.Second, s.call, log, loopcall.ContinueOnError())); v != nil || err != nil {
			t.Errorf("Wait = %v, %v, want nothing", v, err)
		}
		wantCalls(t, s, ms(0, 1000, 2000, 3000))
		if n := len(hook.AllEntries()); n != 2 {
			t.Errorf("%d log lines, want one for each error", n)
		}
	})
}

func TestTheEndOfTheContextEndsTheLoopQuietly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"in a wait", func(context.Context) error { return nil }},
		{"in a call", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, hook := quiet()
				ctx, cancel := context.WithCancelCause(t.Context())
				l := loopcall.Fixed(time.Minute, tt.do, log, loopcall.ContinueOnError())
				if err := l.Start(ctx); err != nil {
					t.Fatal(err)
				}
				take(time.Second)
				cancel(errBoom)
				if v, err := l.Wait(t.Context()); v != nil || !errors.Is(err, errBoom) {
					t.Errorf("Wait = %v, %v, want the cause", v, err)
				}
				if e := hook.LastEntry(); e != nil {
					t.Errorf("log line %q, want none", e.Message)
				}
			})
		})
	}
}

func TestWaitIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := loopcall.Fixed(time.Second, func(context.Context) error { return nil })
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want DeadlineExceeded", err)
		}
		l.Stop()
		if _, err := l.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTimeoutIsTestedAfterACallAndStrictlyGreater(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		took    time.Duration
		delay   time.Duration
		elapsed time.Duration
		calls   int
		text    string
	}{
		{"half a second ends it at 0.6", 500 * time.Millisecond, 0, 0, 600 * time.Millisecond, 4, "timed out after 0.60 seconds"},
		{"the very moment is not too late", 400 * time.Millisecond, 0, 0, 600 * time.Millisecond, 4, "timed out after 0.60 seconds"},
		{"a call that hangs is not interrupted", 500 * time.Millisecond, 9 * time.Second, 0, 9 * time.Second, 1, "timed out after 9.00 seconds"},
		{"the initial delay counts", 500 * time.Millisecond, 0, time.Second, time.Second, 1, "timed out after 1.00 seconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, _ := quiet()
				s := newScript(func(int) error { take(tt.took); return nil })
				_, err := finish(t, loopcall.FixedWithTimeout(200*time.Millisecond, tt.timeout, s.call, log,
					loopcall.WithInitialDelay(tt.delay), loopcall.ContinueOnError()))
				var timeout *loopcall.TimeoutError
				if !errors.As(err, &timeout) || timeout.Elapsed != tt.elapsed || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Wait = %v, want a TimeoutError after %s", err, tt.elapsed)
				}
				if len(s.calls) != tt.calls {
					t.Errorf("%d calls, want %d", len(s.calls), tt.calls)
				}
			})
		})
	}
}

func TestNoTimeoutMeansNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(func(n int) error {
			if n == 1000 {
				return loopcall.Done(nil)
			}
			return nil
		})
		if _, err := finish(t, loopcall.FixedWithTimeout(time.Hour, 0, s.call)); err != nil {
			t.Errorf("Wait = %v, want no timeout", err)
		}
	})
}

func TestALoopThatIsStoppedInItsLastCallDoesNotTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *loopcall.Loop
		l = loopcall.FixedWithTimeout(time.Second, time.Second, func(context.Context) error {
			take(time.Minute)
			l.Stop()
			return nil
		})
		if v, err := finish(t, l); v != true || err != nil {
			t.Errorf("Wait = %v, %v, want true", v, err)
		}
	})
}

func TestDynamicWaitsAsLongAsItsFunctionSays(t *testing.T) {
	t.Parallel()
	const none = loopcall.NoInterval
	for _, tt := range []struct {
		name   string
		wishes []time.Duration
		max    time.Duration // 0: unset
		want   []time.Duration
		err    error
	}{
		{"its wish", []time.Duration{time.Second, 3 * time.Second}, 0, ms(0, 1000, 4000), nil},
		{"no wait at all", []time.Duration{0, 0}, 0, ms(0, 0, 0), nil},
		{"capped by the greatest interval", []time.Duration{time.Second, time.Minute}, 2 * time.Second, ms(0, 1000, 3000), nil},
		{"the greatest interval without a wish", []time.Duration{none, none}, 2 * time.Second, ms(0, 2000, 4000), nil},
		{"neither is an error", []time.Duration{time.Second, none}, 0, ms(0, 1000), loopcall.ErrNoInterval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log, _ := quiet()
				opts := []loopcall.DynamicOption{log}
				if tt.max != 0 {
					opts = append(opts, loopcall.WithPeriodicIntervalMax(tt.max))
				}
				begin, calls := time.Now(), []time.Duration(nil)
				l := loopcall.Dynamic(func(context.Context) (time.Duration, error) {
					calls = append(calls, time.Since(begin))
					if len(calls) > len(tt.wishes) {
						return 0, loopcall.Done(nil)
					}
					return tt.wishes[len(calls)-1], nil
				}, opts...)
				if _, err := finish(t, l); !errors.Is(err, tt.err) {
					t.Errorf("Wait = %v, want %v", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, calls); diff != "" {
					t.Errorf("times of calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAFailingDynamicLoopDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, hook := quiet()
		begin, calls := time.Now(), []time.Duration(nil)
		l := loopcall.Dynamic(func(context.Context) (time.Duration, error) {
			calls = append(calls, time.Since(begin))
			if len(calls) == 4 {
				return 0, loopcall.Done("at last")
			}
			return time.Hour, errBoom
		}, log, loopcall.ContinueOnError())
		if v, err := finish(t, l); v != "at last" || err != nil {
			t.Errorf("Wait = %v, %v", v, err)
		}
		if diff := cmp.Diff(ms(0, 10, 20, 30), calls); diff != "" {
			t.Errorf("times of calls (-want +got):\n%s", diff)
		}
		if n := len(hook.AllEntries()); n != 3 {
			t.Errorf("%d log lines, want 3", n)
		}
	})
}

func TestStopEndsALoopWithoutWaits(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 1)
	l := loopcall.Dynamic(func(context.Context) (time.Duration, error) {
		select {
		case called <- struct{}{}:
		default:
		}
		return 0, nil
	})
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-called
	l.Stop()
	if v, err := l.Wait(t.Context()); v != true || err != nil {
		t.Errorf("Wait = %v, %v, want true", v, err)
	}
}

func TestStartNamesWhatCannotBe(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context) error { return nil }
	try := func(context.Context) (bool, error) { return true, nil }
	wish := func(context.Context) (time.Duration, error) { return 0, nil }
	for _, tt := range []struct {
		loop *loopcall.Loop
		want string
	}{
		{loopcall.Fixed(0, nothing), "interval 0s is not positive"},
		{loopcall.Fixed(-time.Second, nothing), "interval -1s is not positive"},
		{loopcall.Fixed(time.Second, nil), "the function is nil"},
		{loopcall.Fixed(time.Second, nothing, loopcall.WithInitialDelay(-1)), "initial delay -1ns is negative"},
		{loopcall.FixedWithTimeout(time.Second, -1, nothing), "timeout -1ns is negative"},
		{loopcall.Dynamic(nil), "the function is nil"},
		{loopcall.Dynamic(wish, loopcall.WithPeriodicIntervalMax(0)), "periodic interval max 0s is not positive"},
		{loopcall.Backoff(nil, loopcall.BackoffOptions{}), "the function is nil"},
		{loopcall.Backoff(try, loopcall.BackoffOptions{StartingInterval: -1}), "starting interval"},
		{loopcall.Backoff(try, loopcall.BackoffOptions{MaxInterval: -1}), "max interval"},
		{loopcall.Backoff(try, loopcall.BackoffOptions{MinInterval: -1}), "min interval"},
		{loopcall.Backoff(try, loopcall.BackoffOptions{MinInterval: time.Hour}), "longer than max interval"},
		{loopcall.Backoff(try, loopcall.BackoffOptions{Jitter: -1}), "jitter -1"},
	} {
		if err := tt.loop.Start(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Start = %v, want %q", err, tt.want)
		}
	}
}
