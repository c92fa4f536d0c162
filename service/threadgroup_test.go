package service

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestThreadGroupHasItsSize(t *testing.T) {
	t.Parallel()
	if got := cap(NewThreadGroup(0, nil).places); got != 10 {
		t.Errorf("a group of its own runs %d tasks, want 10", got)
	}
	if got := cap(NewThreadGroup(DefaultServiceThreads, nil).places); got != 1000 {
		t.Errorf("the group of a service runs %d tasks, want 1000", got)
	}
}

func TestThreadGroupBlocksItsCallerWhileItIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewThreadGroup(1, silentLog())
		half := func(context.Context) error { <-time.After(500 * time.Millisecond); return nil }
		begin := time.Now()
		if _, err := g.Go(t.Context(), half); err != nil {
			t.Fatal(err)
		}
		if _, err := g.TryGo(half); !errors.Is(err, ErrFull) {
			t.Errorf("TryGo = %v, want ErrFull", err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Go(short, half); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Go = %v, want that the context has ended", err)
		}
		if _, err := g.Go(t.Context(), half); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 500*time.Millisecond {
			t.Errorf("the second task has waited %s, want 500ms", took)
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestThreadGroupStopEndsContextsAndDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewThreadGroup(0, silentLog())
		tm := newTimer()
		if err := g.AddTimer(tm); err != nil {
			t.Fatal(err)
		}
		var ended time.Time
		_, _ = g.Go(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(time.Second)
			ended = time.Now()
			return ctx.Err()
		})
		begin := time.Now()
		g.Stop(t.Context())
		if !time.Now().Equal(begin) {
			t.Error("Stop has waited")
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
		if took := ended.Sub(begin); took != time.Second {
			t.Errorf("the task ended after %s, want 1s", took)
		}

		// The group can be used again, with a context that has not ended.
		task, err := g.Go(t.Context(), func(ctx context.Context) error { return ctx.Err() })
		if err != nil {
			t.Fatal(err)
		}
		if err := task.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestThreadGroupDrainLetsTasksEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewThreadGroup(0, silentLog())
		tm := newTimer()
		tm.rest = 2 * time.Second // of a call under way
		_ = g.AddTimer(tm)
		var err error
		_, _ = g.Go(t.Context(), func(ctx context.Context) error {
			<-time.After(time.Second)
			err = ctx.Err()
			return nil
		})
		begin := time.Now()
		if err := g.Drain(t.Context()); err != nil {
			t.Errorf("Drain = %v", err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("Drain took %s, want 2s", took)
		}
		if err != nil {
			t.Errorf("the task's context has ended: %v", err)
		}
	})
}

func TestThreadGroupWaitWaitsForATimerUntilItIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewThreadGroup(0, silentLog())
		tm := newTimer()
		_ = g.AddTimer(tm)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := g.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want that the context has ended", err)
		}
		tm.Stop()
		if err := g.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestThreadGroupTimerThatDoesNotStartIsNotInTheGroup(t *testing.T) {
	t.Parallel()
	g := NewThreadGroup(0, silentLog())
	if err := g.AddTimer(&timer{err: errNo}); !errors.Is(err, errNo) {
		t.Errorf("AddTimer = %v, want the timer's error", err)
	}
	if err := g.Wait(t.Context()); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestThreadGroupSwallowsErrorsAndPanics(t *testing.T) {
	t.Parallel()
	g := NewThreadGroup(0, silentLog())
	_, _ = g.Go(t.Context(), fail)
	_, _ = g.Go(t.Context(), func(context.Context) error { panic("no") })
	if err := g.Wait(t.Context()); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestThreadGroupTellsTheEndOfATask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notes
		g := NewThreadGroup(0, silentLog())
		task, _ := g.Go(t.Context(), untilEnd)
		task.OnDone(func() { n.add("first") })
		task.OnDone(func() { n.add("second") })
		synctest.Wait()
		expectNotes(t, &n)
		task.Cancel()
		_ = task.Wait(t.Context())
		task.OnDone(func() { n.add("late") })
		expectNotes(t, &n, "first", "second", "late")
	})
}

func TestThreadGroupBearsAPanicOfWhoHearsOfTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notes
		log := &buffer{}
		logger := silentLog()
		logger.SetOutput(log)
		g := NewThreadGroup(1, logger)
		task, _ := g.Go(t.Context(), untilEnd)
		task.OnDone(func() { panic("out of cheese") })
		task.OnDone(func() { n.add("second") })
		task.Cancel()
		if err := g.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
		task.OnDone(func() { panic("out of crackers") })
		expectNotes(t, &n, "second")
		for _, want := range []string{"out of cheese", "out of crackers"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not have %q", want)
			}
		}
		if _, err := g.TryGo(func(context.Context) error { return nil }); err != nil {
			t.Errorf("the place of the task is not free: %v", err)
		}
		synctest.Wait()
	})
}

func TestThreadGroupTaskCanStopItsOwnGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewThreadGroup(0, silentLog())
		other, _ := g.Go(t.Context(), untilEnd)
		task, _ := g.Go(t.Context(), func(ctx context.Context) error {
			g.Stop(ctx)
			if err := g.Drain(ctx); err != nil {
				t.Errorf("Drain = %v", err)
			}
			if err := ctx.Err(); err != nil {
				t.Errorf("the task has stopped itself: %v", err)
			}
			return nil
		})
		_ = task.Wait(t.Context())
		_ = other.Wait(t.Context())
	})
}

// timer is a looping call that never calls.
type timer struct {
	err   error
	rest  time.Duration // that a call under way takes after Stop
	stop  chan struct{}
	once  sync.Once
	ended chan struct{}
}

func newTimer() *timer { return &timer{stop: make(chan struct{}), ended: make(chan struct{})} }

func (t *timer) Start(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	go func() {
		defer close(t.ended)
		select {
		case <-t.stop:
		case <-ctx.Done():
		}
		<-time.After(t.rest)
	}()
	return nil
}

func (t *timer) Stop() { t.once.Do(func() { close(t.stop) }) }

func (t *timer) Wait(ctx context.Context) (any, error) { return true, await(ctx, t.ended) }
