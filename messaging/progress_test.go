package messaging_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// progressOf is how far a server comes in 10 s.
func progressOf(server *messaging.MessageHandlingServer) uint64 {
	synctest.Wait()
	before := server.Progress()
	<-time.After(10 * time.Second)
	synctest.Wait()
	return server.Progress() - before
}

func TestProgressGrowsOnceASecondWithNothingToDo(t *testing.T) {
	t.Parallel()
	for _, mode := range ackModes {
		for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				server := b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithAck(mode), messaging.WithExecutor(kind))
				if got := progressOf(server); got != 10 {
					t.Errorf("%s %s: progress in 10 s = %d, want 10", mode, kind, got)
				}
			})
		}
	}
}

func TestProgressGrowsWhileAllPlacesAreTaken(t *testing.T) {
	t.Parallel()
	for _, mode := range ackModes {
		for _, kind := range []executor.Type{executor.Threading, executor.Pool} {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				server := b.serve(t, []*messaging.Endpoint{takes(time.Hour)}, messaging.WithAck(mode), messaging.WithExecutor(kind),
					messaging.WithExecutorThreadPoolSize(1), messaging.WithPrefetch(1))
				b.cast(t, 5)
				if got := progressOf(server); got != 10 {
					t.Errorf("%s %s: progress in 10 s = %d, want 10", mode, kind, got)
				}
				<-time.After(6 * time.Hour)
				if got := server.Stats().Received; got != 5 {
					t.Errorf("%s %s: %d requests were run, want 5", mode, kind, got)
				}
			})
		}
	}
}

func TestProgressStandsStillWhereTheLoopDoes(t *testing.T) {
	t.Parallel()
	for name, newServer := range map[string]func(t *testing.T) *messaging.MessageHandlingServer{
		"the driver does not return": func(t *testing.T) *messaging.MessageHandlingServer {
			l := newStubListener()
			l.poll = func(context.Context) (transport.Incoming, error) { <-l.stopped; return nil, transport.ErrClosed }
			return startStub(t, l)
		},
		"polling fails": func(t *testing.T) *messaging.MessageHandlingServer {
			l := newStubListener()
			l.poll = func(ctx context.Context) (transport.Incoming, error) {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, errors.New("out of luck")
			}
			return startStub(t, l)
		},
		"polling panics": func(t *testing.T) *messaging.MessageHandlingServer {
			l := newStubListener()
			l.poll = func(context.Context) (transport.Incoming, error) { panic("out of luck") }
			return startStub(t, l)
		},
		"a method runs in the loop": func(t *testing.T) *messaging.MessageHandlingServer {
			b := newBus(t)
			server := b.serve(t, []*messaging.Endpoint{takes(time.Hour)}, messaging.WithExecutor(executor.Blocking))
			b.cast(t, 1)
			return server
		},
		"it is not started": func(t *testing.T) *messaging.MessageHandlingServer {
			server, _ := stubServer(t, nil)
			return server
		},
		"it is stopped": func(t *testing.T) *messaging.MessageHandlingServer {
			b := newBus(t)
			server := b.serve(t, []*messaging.Endpoint{echo()})
			stop(t, server)
			return server
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := progressOf(newServer(t)); got != 0 {
				t.Errorf("%s: progress in 10 s = %d, want none", name, got)
			}
		})
	}
}

// startStub starts a server on a listener.
func startStub(t *testing.T, l *stubListener) *messaging.MessageHandlingServer {
	t.Helper()
	server, _ := stubServer(t, func() (transport.Listener, error) { return l, nil })
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

func TestRequestThatComesAtTheEndOfATurnIsRunOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range ackModes {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			var ran atomic.Int32
			ep := worker(func(context.Context) error { ran.Add(1); return nil })
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAck(mode), messaging.WithExecutorThreadPoolSize(1))
			const times = 200
			for range times {
				<-time.After(time.Second) // as long as a turn: both happen at the same moment
				b.cast(t, 1)
			}
			synctest.Wait()
			if got := ran.Load(); got != times {
				t.Errorf("%s: %d requests were run, want %d", mode, got, times)
			}
			b.wantQueue(t, string(mode), 0, 0)
		})
	}
}

func TestDriverThatTellsNoCauseIsPolledAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, logs := stubServer(t, func() (transport.Listener, error) { return newStubListener(), nil })
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer stop(t, server)
		if got := progressOf(server); got != 10 {
			t.Errorf("progress in 10 s = %d, want 10", got)
		}
		for _, entry := range logs.AllEntries() {
			if entry.Message == "unexpected error, retrying" {
				t.Errorf("the end of a turn was taken for an error: %v", entry.Data)
			}
		}
	})
}

func TestRunningRequestsAreListedWithTheirBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint(messaging.WithNamespace("n"))
		release := make(chan struct{})
		messaging.HandleCast(ep, "first", func(context.Context, struct{}) error { <-release; return nil })
		messaging.HandleCast(ep, "second", func(context.Context, struct{}) error { <-release; panic("at the disco") })
		server := b.serve(t, []*messaging.Endpoint{ep})
		if got := server.Running(); len(got) != 0 {
			t.Errorf("running before any request: %v", got)
		}

		client := b.newClient(t, messaging.ToNamespace("n"))
		begun := time.Now()
		if err := client.Cast(t.Context(), "first", nil); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		called := make(chan error, 1)
		go func() { called <- client.Call(t.Context(), "second", nil, nil) }()
		synctest.Wait()

		got := server.Running()
		want := []messaging.RunningRequest{
			{Method: "first", Namespace: "n", Since: begun},
			{Method: "second", Namespace: "n", Since: begun.Add(time.Second)},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(messaging.RunningRequest{}, "MsgID")); diff != "" {
			t.Fatalf("running (-want +got):\n%s", diff)
		}
		if got[0].MsgID != "" || got[1].MsgID == "" {
			t.Errorf("message ids %q and %q: want that of the call alone", got[0].MsgID, got[1].MsgID)
		}

		close(release)
		if err := <-called; err == nil {
			t.Error("the call of a method that panics succeeds")
		}
		synctest.Wait()
		if got := server.Running(); len(got) != 0 {
			t.Errorf("running after the last: %v", got)
		}
	})
}
