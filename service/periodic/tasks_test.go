package periodic_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/service/periodic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// journal notes who ran when.
type journal struct {
	begin time.Time
	lines []string
}

func newJournal() *journal { return &journal{begin: time.Now()} }

func (j *journal) task(name string, took time.Duration, err error) periodic.Func {
	return func(context.Context) error {
		j.lines = append(j.lines, fmt.Sprintf("%s@%v", name, time.Since(j.begin)))
		<-time.After(took)
		return err
	}
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, j.lines); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func newTasks(jitter float64) (*periodic.Tasks, *test.Hook) {
	log, hook := test.NewNullLogger()
	return &periodic.Tasks{Log: log, Jitter: func() float64 { return jitter }}, hook
}

func add(t *testing.T, tasks *periodic.Tasks, name string, spacing time.Duration, f periodic.Func, opts ...periodic.TaskOption) {
	t.Helper()
	if err := tasks.Periodic(name, spacing, f, opts...); err != nil {
		t.Fatal(err)
	}
}

// run runs what is due and checks the idle time.
func run(t *testing.T, tasks *periodic.Tasks, want time.Duration) {
	t.Helper()
	if got, err := tasks.RunPeriodicTasks(t.Context()); got != want || err != nil {
		t.Errorf("RunPeriodicTasks = %s, %v, want %s", got, err, want)
	}
}

func pass(d time.Duration) { <-time.After(d) }

func TestATaskIsDueOneSpacingAfterItWasAdded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "later", 10*time.Second, j.task("later", 0, nil))
		add(t, tasks, "now", 15*time.Second, j.task("now", 0, nil), periodic.RunImmediately())
		pass(3 * time.Second)
		run(t, tasks, 7*time.Second)
		pass(7 * time.Second)
		run(t, tasks, 8*time.Second) // now is due at 18 s
		pass(8 * time.Second)
		run(t, tasks, 2*time.Second)
		j.want(t, "now@3s", "later@10s", "now@18s")
	})
}

func TestIdleIsAtMostAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		run(t, tasks, time.Minute)
		j := newJournal()
		add(t, tasks, "daily", 24*time.Hour, j.task("daily", 0, nil), periodic.RunImmediately())
		run(t, tasks, time.Minute)
		add(t, tasks, "default", 0, j.task("default", 0, nil))
		pass(50 * time.Second)
		run(t, tasks, 10*time.Second)
		pass(10 * time.Second)
		run(t, tasks, time.Minute)
		j.want(t, "daily@0s", "default@1m0s")
	})
}

func TestRunsFallOnTheBoundaryAndMissedOnesAreSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0.999)
		j := newJournal()
		add(t, tasks, "ten", 10*time.Second, j.task("ten", 0, nil))
		pass(37 * time.Second) // due since 10 s: three runs became one
		run(t, tasks, 10*time.Second)
		run(t, tasks, 3*time.Second) // the boundary was 30 s, so the next is 40 s
		pass(3 * time.Second)
		run(t, tasks, 10*time.Second)
		j.want(t, "ten@37s", "ten@40s")
	})
}

func TestJitterIsWholeSecondsFromTwentySecondsOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		spacing time.Duration
		random  float64
		want    time.Duration
	}{
		{time.Second, 0.999999, 0},
		{19 * time.Second, 0.999999, 0},
		{20 * time.Second, 0.999999, 0},
		{21 * time.Second, 0.999999, time.Second},
		{21 * time.Second, 0.9, 0},
		{60 * time.Second, 0, 0},
		{60 * time.Second, 0.34, time.Second},
		{60 * time.Second, 0.999999, 2 * time.Second},
		{time.Hour, 0.5, 90 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s with %v", tt.spacing, tt.random), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tasks, _ := newTasks(tt.random)
				j := newJournal()
				add(t, tasks, "job", tt.spacing, j.task("job", 0, nil))
				pass(tt.spacing)
				run(t, tasks, min(tt.spacing, time.Minute)) // runs, and sets the boundary
				next := tt.spacing + tt.want
				pass(next - time.Nanosecond)
				run(t, tasks, time.Nanosecond)
				pass(time.Nanosecond)
				run(t, tasks, min(tt.spacing, time.Minute))
				j.want(t, fmt.Sprintf("job@%v", tt.spacing), fmt.Sprintf("job@%v", tt.spacing+next))
			})
		})
	}
}

func TestTheFirstImmediateRunHasNoJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0.999999)
		j := newJournal()
		add(t, tasks, "job", time.Minute, j.task("job", 0, nil), periodic.RunImmediately())
		run(t, tasks, time.Minute)
		pass(time.Minute)
		run(t, tasks, time.Minute)
		j.want(t, "job@0s", "job@1m0s")
	})
}

func TestSpacingsThatAreNotRegistered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, hook := newTasks(0)
		j := newJournal()
		add(t, tasks, "negative", -time.Second, j.task("negative", 0, nil), periodic.RunImmediately())
		add(t, tasks, "disabled", time.Second, j.task("disabled", 0, nil), periodic.RunImmediately(), periodic.Enabled(false))
		add(t, tasks, "enabled", time.Second, j.task("enabled", 0, nil), periodic.RunImmediately(), periodic.Enabled(true))
		run(t, tasks, time.Second)
		j.want(t, "enabled@0s")
		if diff := cmp.Diff([]string{"enabled"}, tasks.Names()); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		var lines []string
		for _, e := range hook.AllEntries() {
			lines = append(lines, fmt.Sprint(e.Level, " ", e.Data["task"], " ", e.Data["reason"]))
		}
		if diff := cmp.Diff([]string{"info negative its spacing is negative", "info disabled it is disabled"}, lines); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestExternalTasksAreLeftToOthersIfWanted(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			tasks, _ := newTasks(0)
			tasks.SkipExternal = skip
			j := newJournal()
			add(t, tasks, "external", time.Second, j.task("external", 0, nil), periodic.RunImmediately(), periodic.ExternalProcessOK())
			add(t, tasks, "own", 5*time.Second, j.task("own", 0, nil), periodic.RunImmediately())
			if skip { // and it does not count for the idle time
				run(t, tasks, 5*time.Second)
				j.want(t, "own@0s")
				return
			}
			run(t, tasks, time.Second)
			j.want(t, "external@0s", "own@0s")
		})
	}
}

func TestOrderIsThatOfAdding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		for _, name := range []string{"c", "a", "b"} {
			add(t, tasks, name, time.Second, j.task(name, 100*time.Millisecond, nil), periodic.RunImmediately())
		}
		run(t, tasks, time.Second) // the idle time does not know of the time they took
		j.want(t, "c@0s", "a@100ms", "b@200ms")
	})
}

func TestAFailingOrSlowTaskWaitsForItsNextBoundary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, hook := newTasks(0)
		j := newJournal()
		add(t, tasks, "fails", 10*time.Second, j.task("fails", 0, errBoom), periodic.RunImmediately())
		add(t, tasks, "panics", 10*time.Second, func(context.Context) error { panic("ouch") }, periodic.RunImmediately())
		add(t, tasks, "slow", 10*time.Second, j.task("slow", 4*time.Second, nil), periodic.RunImmediately())
		run(t, tasks, 10*time.Second)
		run(t, tasks, 6*time.Second) // nobody runs early
		pass(6 * time.Second)
		run(t, tasks, 10*time.Second)
		j.want(t, "fails@0s", "slow@0s", "fails@10s", "slow@10s")
		var failed []any
		for _, e := range hook.AllEntries() {
			if e.Level == logrus.ErrorLevel {
				failed = append(failed, e.Data["task"])
			}
		}
		if diff := cmp.Diff([]any{"fails", "panics", "fails", "panics"}, failed); diff != "" {
			t.Errorf("error lines (-want +got):\n%s", diff)
		}
	})
}

func TestRaiseOnErrorEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, hook := newTasks(0)
		j := newJournal()
		add(t, tasks, "fails", time.Second, j.task("fails", 0, errBoom), periodic.RunImmediately())
		add(t, tasks, "behind", time.Second, j.task("behind", 0, nil), periodic.RunImmediately())
		if _, err := tasks.RunPeriodicTasks(t.Context(), periodic.RaiseOnError()); !errors.Is(err, errBoom) {
			t.Errorf("RunPeriodicTasks = %v, want the task's error", err)
		}
		run(t, tasks, time.Second) // fails counts as run; behind's turn comes
		j.want(t, "fails@0s", "behind@0s")
		if n := len(hook.AllEntries()); n != 0 {
			t.Errorf("%d log lines, want none: the error was returned", n)
		}
	})
}

func TestTheRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		ctx, cancel := context.WithCancelCause(t.Context())
		j := newJournal()
		add(t, tasks, "cancels", time.Second, func(context.Context) error { cancel(errBoom); return nil }, periodic.RunImmediately())
		add(t, tasks, "behind", time.Second, j.task("behind", 0, nil), periodic.RunImmediately())
		if _, err := tasks.RunPeriodicTasks(ctx); !errors.Is(err, errBoom) {
			t.Errorf("RunPeriodicTasks = %v, want the cause", err)
		}
		j.want(t)
	})
}

func TestATaskMayAddATask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "first", time.Second, func(context.Context) error {
			return tasks.Periodic("second", time.Second, j.task("second", 0, nil), periodic.RunImmediately())
		}, periodic.RunImmediately())
		run(t, tasks, time.Second)
		run(t, tasks, time.Second)
		j.want(t, "second@0s")
	})
}

func TestWhatCannotBeAdded(t *testing.T) {
	t.Parallel()
	var tasks periodic.Tasks
	nothing := func(context.Context) error { return nil }
	add(t, &tasks, "job", time.Second, nothing)
	if err := tasks.Periodic("job", time.Second, nothing); !errors.Is(err, periodic.ErrDuplicate) {
		t.Errorf("Periodic = %v, want ErrDuplicate", err)
	}
	if err := tasks.Periodic("none", time.Second, nil); !errors.Is(err, periodic.ErrNoFunction) {
		t.Errorf("Periodic = %v, want ErrNoFunction", err)
	}
}
