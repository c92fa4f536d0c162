package messaging_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// bounded is a context that ends in fake time.
func bounded(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func wantTaskTimeout(t testing.TB, err error, task, waiting string) {
	t.Helper()
	var timeout *messaging.TaskTimeoutError
	if !errors.As(err, &timeout) || timeout.Task != task || timeout.Waiting != waiting || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error = %v, want a timeout of %s waiting for %s", err, task, waiting)
	}
}

func listeners(made *[]*stubListener) func() (transport.Listener, error) {
	return func() (transport.Listener, error) {
		l := newStubListener()
		*made = append(*made, l)
		return l, nil
	}
}

func TestStopBeforeStartWaitsForItAndLeavesTheServerUsable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made []*stubListener
		server, hook := stubServer(t, listeners(&made), messaging.WithLogAfter(200*time.Millisecond))
		begun := time.Now()
		err := server.Stop(bounded(t, 600*time.Millisecond))
		wantTaskTimeout(t, err, "stop", "start to complete")
		if waited := time.Since(begun); waited != 600*time.Millisecond {
			t.Errorf("Stop waited %s, want 600ms", waited)
		}
		warnings := 0
		for _, entry := range hook.AllEntries() {
			if entry.Message == "possible hang" {
				warnings++
			}
		}
		if warnings != 1 {
			t.Errorf("%d warnings of a possible hang, want one", warnings)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop(t, server)
	})
}

func TestStopBeforeStartIsReleasedByStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made []*stubListener
		server, _ := stubServer(t, listeners(&made), messaging.WithLogAfter(0))
		stopped := make(chan error, 1)
		go func() { stopped <- server.Stop(t.Context()) }()
		synctest.Wait()
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-stopped; err != nil {
			t.Errorf("Stop = %v", err)
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestStartTwiceListensOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made []*stubListener
		server, _ := stubServer(t, listeners(&made))
		for range 2 {
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(made) != 1 {
			t.Errorf("%d listeners made, want 1", len(made))
		}
		stop(t, server)
	})
}

func TestWaitBeforeStopTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made []*stubListener
		server, _ := stubServer(t, listeners(&made))
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTaskTimeout(t, server.Wait(bounded(t, 300*time.Millisecond)), "wait", "stop to complete")
		stop(t, server)
	})
}

func TestRepeatedStopAndWaitDoNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made []*stubListener
		server, _ := stubServer(t, listeners(&made))
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			stop(t, server)
		}
		if made[0].stops != 1 || made[0].closes != 1 {
			t.Errorf("the listener was stopped %d and closed %d times, want once each", made[0].stops, made[0].closes)
		}
		server.Reset() // does nothing, at any time
	})
}

func TestConcurrentStopsStopTheListenerOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made []*stubListener
		server, _ := stubServer(t, listeners(&made))
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				if err := server.Stop(t.Context()); err != nil {
					t.Errorf("Stop = %v", err)
				}
			})
		}
		callers.Wait()
		if made[0].stops != 1 {
			t.Errorf("the listener was stopped %d times, want once", made[0].stops)
		}
		stop(t, server)
	})
}

func TestServerStartsAnewAfterStop(t *testing.T) {
	t.Parallel()
	for _, waited := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var made []*stubListener
			server, _ := stubServer(t, listeners(&made))
			for range 3 {
				if err := server.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := server.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				if waited {
					if err := server.Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			stop(t, server)
			if len(made) != 3 {
				t.Fatalf("%d listeners made, want 3", len(made))
			}
			for i, l := range made {
				if l.closes != 1 { // without Wait, the next Start sees to the end of the last life
					t.Errorf("listener %d was closed %d times, want once", i, l.closes)
				}
			}
		})
	}
}

// TestWaitGivesUpEarlierLivesWithItsContext has a method that outlasts the life it was called in, and the next one; it
// ends with its context, or does not even heed that at once.
func TestWaitGivesUpEarlierLivesWithItsContext(t *testing.T) {
	t.Parallel()
	for name, deafFor := range map[string]time.Duration{"heeds its context": 0, "is deaf to it": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				began, causes := make(chan struct{}, 2), make(chan error, 2)
				ep := messaging.NewEndpoint()
				messaging.Handle(ep, "work", func(ctx context.Context, _ struct{}) (any, error) {
					began <- struct{}{}
					<-ctx.Done()
					causes <- context.Cause(ctx)
					<-time.After(deafFor)
					return nil, nil //nolint:nilnil // work has no result
				})
				server := b.serve(t, []*messaging.Endpoint{ep})
				for range 2 {
					b.cast(t, 1)
					<-began
					if err := server.Stop(t.Context()); err != nil {
						t.Fatal(err)
					}
					if err := server.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if err := server.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				err := server.Wait(bounded(t, 5*time.Second))
				wantTaskTimeout(t, err, "wait", "an earlier life to end")
				if waited := time.Since(begun); waited != 5*time.Second {
					t.Errorf("Wait took %s, want 5s", waited)
				}
				for range 2 {
					if cause := <-causes; cause == nil || !strings.Contains(cause.Error(), "stopped") {
						t.Errorf("a method's context ended with %v, want that of a server that stopped", cause)
					}
				}
				if err := server.Wait(t.Context()); err != nil {
					t.Errorf("Wait, called again = %v", err)
				}
				if waited := time.Since(begun); waited != 5*time.Second+deafFor {
					t.Errorf("the second Wait returned after %s, want with the methods, after %s", waited, 5*time.Second+deafFor)
				}
			})
		})
	}
}

func TestFailedStartIsAServerListenErrorAndCanBeRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("queue is locked")
		var made []*stubListener
		fail := true
		server, _ := stubServer(t, func() (transport.Listener, error) {
			if fail {
				return nil, refused
			}
			return listeners(&made)()
		})
		err := server.Start(t.Context())
		var listen *messaging.ServerListenError
		if !errors.As(err, &listen) || !errors.Is(err, refused) || !strings.Contains(err.Error(), "topic=t") {
			t.Fatalf("Start = %v, want a ServerListenError for the target with its cause", err)
		}
		fail = false
		if err := server.Start(t.Context()); err != nil {
			t.Fatalf("second Start = %v", err)
		}
		if len(made) != 1 {
			t.Errorf("%d listeners made, want 1", len(made))
		}
		stop(t, server)
	})
}

func TestFailedStopDoesNotWedgeTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		var made []*stubListener
		server, _ := stubServer(t, func() (transport.Listener, error) {
			l, err := listeners(&made)()
			if len(made) == 1 {
				made[0].stopErr = broken
			}
			return l, err
		})
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := server.Stop(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Stop = %v, want the listener's error", err)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatalf("Start after the failed Stop = %v", err)
		}
		if len(made) != 2 {
			t.Errorf("%d listeners made, want a new one", len(made))
		}
		stop(t, server)
	})
}

func TestPollLoopRetriesForEverAndLogsTheSameErrorOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		polls, waited := 0, time.Duration(0)
		begun := time.Now()
		l := newStubListener()
		wait := l.poll
		l.poll = func(ctx context.Context) (transport.Incoming, error) {
			switch polls++; {
			case polls <= 90:
				return nil, errors.New("the same")
			case polls <= 92:
				panic("a panic")
			case polls == 93:
				waited = time.Since(begun)
			}
			return wait(ctx)
		}
		server, hook := stubServer(t, func() (transport.Listener, error) { return l, nil })
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if waited != 92*time.Second {
			t.Errorf("the poll after 92 errors and panics began after %s: want one a second", waited)
		}
		var at []time.Duration
		for _, entry := range hook.AllEntries() {
			if entry.Message == "unexpected error, retrying" {
				at = append(at, entry.Time.Sub(begun))
			}
		}
		if want := []time.Duration{0, time.Minute, 90 * time.Second}; len(at) != 3 || at[0] != want[0] || at[1] != want[1] || at[2] != want[2] {
			t.Errorf("logged at %v, want at %v", at, want)
		}
		stop(t, server)
	})
}
