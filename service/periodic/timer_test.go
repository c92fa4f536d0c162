package periodic_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/service/loopcall"
	"github.com/goslo/goslo/service/periodic"
)

// watch runs a timer for d and ends it.
func watch(t *testing.T, timer *loopcall.Loop, d time.Duration) {
	t.Helper()
	if err := timer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pass(d)
	timer.Stop()
	if _, err := timer.Wait(t.Context()); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestTheTimerRunsTasksWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "ten", 10*time.Second, j.task("ten", 0, errBoom))
		add(t, tasks, "forty", 40*time.Second, j.task("forty", 0, nil), periodic.RunImmediately())
		watch(t, periodic.NewTimer(tasks, periodic.Schedule{}), 41*time.Second)
		j.want(t, "forty@0s", "ten@10s", "ten@20s", "ten@30s", "ten@40s", "forty@40s")
	})
}

func TestTheRunTimeOfTasksComesOnTopOfTheIdleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "slow", 10*time.Second, j.task("slow", 3*time.Second, nil), periodic.RunImmediately())
		watch(t, periodic.NewTimer(tasks, periodic.Schedule{}), 30*time.Second)
		// Idle 10 s after 3 s of work makes 13; there the boundary is 10, so idle is 10 once more.
		j.want(t, "slow@0s", "slow@13s", "slow@26s")
	})
}

func TestTheGreatestIntervalCapsTheIdleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "slow", 10*time.Second, j.task("slow", 3*time.Second, nil), periodic.RunImmediately())
		watch(t, periodic.NewTimer(tasks, periodic.Schedule{IntervalMax: time.Second}), 24*time.Second)
		j.want(t, "slow@0s", "slow@10s", "slow@20s")
	})
}

func TestTheFixedTimerAsksAtItsInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "ten", 10*time.Second, j.task("ten", 0, nil))
		watch(t, periodic.NewTimer(tasks, periodic.Schedule{Interval: 7 * time.Second}), 36*time.Second)
		j.want(t, "ten@14s", "ten@21s", "ten@35s")
	})
}

func TestTheFirstRunIsDelayedAtRandom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks, _ := newTasks(0)
		j := newJournal()
		add(t, tasks, "job", time.Minute, j.task("job", 0, nil), periodic.RunImmediately())
		var bound int64
		draw := func(n int64) int64 { bound = n; return 42 }
		watch(t, periodic.NewTimer(tasks, periodic.Schedule{FuzzyDelay: time.Minute, Delay: draw}), 50*time.Second)
		j.want(t, "job@42s")
		if bound != 61 {
			t.Errorf("drawn from %d numbers, want 61: 0 to 60 s, both of them", bound)
		}
	})
}

func TestTheRandomDelayStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			tasks, _ := newTasks(0)
			j := newJournal()
			add(t, tasks, "job", time.Hour, j.task("job", 0, nil), periodic.RunImmediately())
			watch(t, periodic.NewTimer(tasks, periodic.Schedule{FuzzyDelay: 3 * time.Second}), 3001*time.Millisecond)
			if len(j.lines) != 1 {
				t.Errorf("runs = %v, want one within 3 s", j.lines)
			}
		})
	}
}
