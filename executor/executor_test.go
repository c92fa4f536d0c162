package executor_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/goslo/goslo/executor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var types = []executor.Type{executor.Blocking, executor.Threading, executor.Pool}

func each(t *testing.T, f func(t *testing.T, kind executor.Type)) {
	t.Helper()
	for _, kind := range types {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, kind) })
		})
	}
}

func start(t *testing.T, kind executor.Type, size int) executor.Executor {
	t.Helper()
	e, err := executor.New(kind, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
	})
	return e
}

func TestEveryAcceptedTaskRunsOnceWithinTheBound(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind executor.Type) {
		e := start(t, kind, 3)
		var running, most, ran atomic.Int32
		for range 50 {
			err := e.Submit(t.Context(), func() {
				now := running.Add(1)
				storeMax(&most, now)
				<-time.After(time.Second)
				running.Add(-1)
				ran.Add(1)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ran.Load() != 50 {
			t.Errorf("%d tasks ran, want 50", ran.Load())
		}
		if want := int32(executor.Places(kind, 3)); most.Load() != want {
			t.Errorf("%d tasks ran at once, want %d", most.Load(), want)
		}
	})
}

func TestSubmitWaitsWhileAllPlacesAreTakenAndHeedsItsContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind executor.Type) {
		e := start(t, kind, 1)
		release := make(chan struct{})
		block := func() { <-release }
		go e.Submit(t.Context(), block) //nolint:errcheck // its outcome is the test's release below
		synctest.Wait()
		if kind == executor.Pool { // one task more waits in the hand-over
			if err := e.Submit(t.Context(), func() {}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := e.Submit(ctx, func() { t.Error("a task ran that was not accepted") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit = %v, want the deadline's error", err)
		}
		close(release)
		synctest.Wait()
	})
}

func TestShutdownWaitsForTasksUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind executor.Type) {
		e := start(t, kind, 2)
		go e.Submit(t.Context(), func() { <-time.After(time.Minute) }) //nolint:errcheck // always accepted: the executor is idle
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v, want the deadline's error", err)
		}
		begun := time.Now()
		if err := e.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown = %v", err)
		}
		if waited := time.Since(begun); waited != 59*time.Second {
			t.Errorf("second Shutdown waited %s, want 59s", waited)
		}
		if err := e.Submit(t.Context(), func() {}); !errors.Is(err, executor.ErrShutdown) {
			t.Errorf("Submit after Shutdown = %v, want ErrShutdown", err)
		}
	})
}

func TestShutdownWakesASubmitterThatWaits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind executor.Type) {
		e := start(t, kind, 1)
		for range 2 { // a pool takes one more in its hand-over
			go e.Submit(t.Context(), func() { <-time.After(time.Minute) }) //nolint:errcheck // either outcome will do
		}
		synctest.Wait()
		refused := make(chan error, 1)
		go func() { refused <- e.Submit(t.Context(), func() {}) }()
		synctest.Wait()
		go e.Shutdown(t.Context()) //nolint:errcheck // the clean-up looks at it
		if err := <-refused; !errors.Is(err, executor.ErrShutdown) {
			t.Errorf("Submit = %v, want ErrShutdown", err)
		}
	})
}

func TestGoexitInATaskCostsNoPlace(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			e := start(t, kind, 2)
			for range 10 {
				if err := e.Submit(t.Context(), runtime.Goexit); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Shutdown(t.Context()); err != nil {
				t.Errorf("%s: Shutdown = %v", kind, err)
			}
		})
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	var unknown *executor.UnknownTypeError
	if _, err := executor.New("greenlet", 1); !errors.As(err, &unknown) || unknown.Type != "greenlet" {
		t.Errorf("New(greenlet) = %v, want an UnknownTypeError", err)
	}
	if _, err := executor.New(executor.Pool, -1); err == nil {
		t.Error("New with size -1 succeeds")
	}
	for _, kind := range []executor.Type{"", "eventlet"} {
		e, err := executor.New(kind, 0)
		if err != nil {
			t.Fatalf("New(%q) = %v", kind, err)
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := executor.Places(executor.Threading, 0); got != executor.DefaultSize {
		t.Errorf("Places(threading, 0) = %d", got)
	}
}

func BenchmarkSubmit(b *testing.B) {
	for _, kind := range types {
		b.Run(string(kind), func(b *testing.B) {
			e, err := executor.New(kind, 64)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Submit(b.Context(), func() {}); err != nil {
					b.Fatal(err)
				}
			}
			if err := e.Shutdown(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// storeMax raises m to n.
func storeMax(m *atomic.Int32, n int32) {
	for old := m.Load(); n > old; old = m.Load() {
		if m.CompareAndSwap(old, n) {
			return
		}
	}
}
