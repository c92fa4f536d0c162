package messaging_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/memory"
)

func TestHandlerPanicIsAnsweredAndTheNextCallServed(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithExecutor(kind))
			client := b.newClient(t)
			var remote *messaging.RemoteError
			if err := client.Call(t.Context(), "panic", nil, nil); !errors.As(err, &remote) ||
				remote.Class != "RuntimeError" || remote.Module != "builtins" || remote.Message != "panic: at the disco" {
				t.Errorf("%s: Call = %v, want a RuntimeError", kind, err)
			}
			if !b.logged(logrus.ErrorLevel, "the endpoint method panicked") {
				t.Errorf("%s: the panic was not logged", kind)
			}
			got, err := messaging.Call[string](t.Context(), client, "echo", map[string]any{"value": "on"})
			if err != nil || got != "on" {
				t.Errorf("%s: next Call = %q, %v", kind, got, err)
			}
		})
	}
}

func TestHandlerThatEndsItsGoroutineCostsNoPlace(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := echo()
			messaging.HandleCast(ep, "exit", func(context.Context, struct{}) error { runtime.Goexit(); return nil })
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind), messaging.WithExecutorThreadPoolSize(1))
			client := b.newClient(t)
			for range 3 {
				if err := client.Cast(t.Context(), "exit", nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err != nil {
				t.Errorf("%s: Call = %v", kind, err)
			}
			if n := b.count("the endpoint method ended its goroutine"); n != 3 {
				t.Errorf("%s: logged %d times, want 3", kind, n)
			}
		})
	}
}

// badError is an error that, as a nil pointer, has no text.
type badError struct{ text string }

func (e *badError) Error() string { return e.text }

func TestErrorThatPanicsIsAnsweredAndTheNextCallServed(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := echo()
			messaging.Handle(ep, "typed_nil", func(context.Context, struct{}) (any, error) {
				var err *badError
				return nil, err
			})
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind))
			client := b.newClient(t)
			var remote *messaging.RemoteError
			if err := client.Call(t.Context(), "typed_nil", nil, nil); !errors.As(err, &remote) || remote.Class != "RuntimeError" {
				t.Errorf("%s: Call = %v, want a RuntimeError", kind, err)
			}
			if err := client.Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err != nil {
				t.Errorf("%s: next Call = %v", kind, err)
			}
		})
	}
}

// TestServerHoldsNoMoreThanItsExecutorAndPrefetchAllow casts far more than a server can run at once and counts
// what it has taken from the broker.
func TestServerHoldsNoMoreThanItsExecutorAndPrefetchAllow(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			const size, casts = 3, 40
			var running, most, ran atomic.Int32
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "work", func(context.Context, struct{}) error {
				now := running.Add(1)
				storeMax(&most, now)
				<-time.After(time.Second)
				running.Add(-1)
				ran.Add(1)
				return nil
			})
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind), messaging.WithExecutorThreadPoolSize(size))
			client := b.newClient(t)
			for range casts {
				if err := client.Cast(t.Context(), "work", nil); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(casts * time.Second)
			synctest.Wait()
			if ran.Load() != casts {
				t.Errorf("%s: %d casts ran, want %d", kind, ran.Load(), casts)
			}
			if want := int32(executor.Places(kind, size)); most.Load() != want {
				t.Errorf("%s: %d ran at once, want %d", kind, most.Load(), want)
			}
		})
	}
}

func TestStopReturnsWhatWasNotBegunAndWaitDrainsWhatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var first, second atomic.Int32
		worker := func(count *atomic.Int32) []*messaging.Endpoint {
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "work", func(context.Context, struct{}) error {
				<-time.After(time.Second)
				count.Add(1)
				return nil
			})
			return []*messaging.Endpoint{ep}
		}
		server := b.serve(t, worker(&first), messaging.WithExecutorThreadPoolSize(2))
		client := b.newClient(t)
		for range 10 {
			if err := client.Cast(t.Context(), "work", nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // two run, one waits for a place, the others are prefetched
		begun := time.Now()
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("Stop waited %s for handlers, want it not to", waited)
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first.Load() != 2 {
			t.Errorf("the stopped server ran %d casts, want the 2 it had begun", first.Load())
		}
		b.serve(t, worker(&second))
		<-time.After(2 * time.Second)
		synctest.Wait()
		if second.Load() != 8 {
			t.Errorf("the next server ran %d casts, want the other 8", second.Load())
		}
	})
}

func TestWaitThatTimesOutCancelsHandlersAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		messaging.HandleCast(ep, "stuck", func(ctx context.Context, _ struct{}) error {
			<-ctx.Done()
			<-time.After(time.Second)
			return ctx.Err()
		})
		server := b.serve(t, []*messaging.Endpoint{ep})
		if err := b.newClient(t).Cast(t.Context(), "stuck", nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTaskTimeout(t, server.Wait(bounded(t, time.Minute)), "wait", "running handlers")
		begun := time.Now()
		if err := server.Wait(t.Context()); err != nil {
			t.Errorf("second Wait = %v", err)
		}
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("second Wait took %s, want the second that the cancelled handler took", waited)
		}
	})
}

func TestHandlerCanStopItsServerButNotWaitForIt(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			var server *messaging.MessageHandlingServer
			ep := messaging.NewEndpoint()
			messaging.Handle(ep, "quit", func(ctx context.Context, _ struct{}) (bool, error) {
				if err := server.Stop(ctx); err != nil {
					return false, err
				}
				return errors.Is(server.Wait(ctx), messaging.ErrInsideHandler), nil
			})
			server = b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind))
			refused, err := messaging.Call[bool](t.Context(), b.newClient(t), "quit", nil)
			if err != nil || !refused {
				t.Errorf("%s: Call = %v, %v; want Wait refused with ErrInsideHandler", kind, refused, err)
			}
		})
	}
}

// TestHeartbeatsComeEveryHalfMonitorTimeoutAndEndWithTheReply counts the messages a monitored caller is sent.
func TestHeartbeatsComeEveryHalfMonitorTimeoutAndEndWithTheReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		monitor, work time.Duration
		want          int64
	}{
		{2 * time.Second, 3500 * time.Millisecond, 3},
		{2900 * time.Millisecond, 2500 * time.Millisecond, 2},
		{10 * time.Second, 4 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := echo()
			messaging.HandleCast(ep, "slow", func(context.Context, struct{}) error {
				<-time.After(c.work)
				return nil
			})
			b.serve(t, []*messaging.Endpoint{ep})
			client := b.newClient(t, messaging.WithCallMonitor(c.monitor))
			if err := client.Call(t.Context(), "slow", nil, nil); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
			if got := b.answers() - 1; got != c.want {
				t.Errorf("monitor %s, %s of work: %d heartbeats, want %d", c.monitor, c.work, got, c.want)
			}
		})
	}
}

func TestNoHeartbeatFollowsAFailureThatFoundNoMethod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t, messaging.WithCallMonitor(2*time.Second))
		var remote *messaging.RemoteError
		if err := client.Call(t.Context(), "nope", nil, nil); !errors.As(err, &remote) || remote.Class != "NoSuchMethod" {
			t.Errorf("Call = %v, want NoSuchMethod", err)
		}
		<-time.After(time.Minute)
		if got := b.answers(); got != 1 {
			t.Errorf("%d messages to the caller, want its failure alone", got)
		}
	})
}

func TestMonitoredCallFailsWhenTheServerFallsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		client := b.newClient(t, messaging.WithCallMonitor(2*time.Second))
		server := b.serve(t, []*messaging.Endpoint{echo()}) // makes the queue, and then is not there
		stop(t, server)
		begun := time.Now()
		err := client.Call(t.Context(), "echo", nil, nil)
		if !errors.Is(err, messaging.ErrMonitorTimeout) || !errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want ErrMonitorTimeout", err)
		}
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Errorf("waited %s, want 2s", waited)
		}
	})
}

func TestResultThatCannotBeEncodedIsAnsweredWithAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		messaging.Handle(ep, "func", func(context.Context, struct{}) (any, error) { return func() {}, nil })
		b.serve(t, []*messaging.Endpoint{ep})
		var remote *messaging.RemoteError
		if err := b.newClient(t).Call(t.Context(), "func", nil, nil); !errors.As(err, &remote) || remote.Class != "ValueError" {
			t.Errorf("Call = %v, want a ValueError", err)
		}
	})
}

func TestFailuresReachTheCallerAsPythonExceptions(t *testing.T) {
	t.Parallel()
	noHost := &messaging.RemoteError{
		Module: "nova.exception", Class: "NoValidHost", Message: "No valid host was found. Full.",
		Kwargs: map[string]any{"reason": "Full.", "code": 500},
	}
	ep := messaging.NewEndpoint(messaging.WithVersion("1.3"), messaging.WithLegacyNamespaces("old"))
	messaging.Handle(ep, "plain", func(context.Context, struct{}) (int, error) { return 0, errors.New("it broke") })
	messaging.Handle(ep, "remote", func(context.Context, struct{}) (int, error) { return 0, noHost })
	messaging.Handle(ep, "late", func(context.Context, struct{}) (int, error) { return 0, context.DeadlineExceeded })
	messaging.HandleArg(ep, "add", "n", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{ep})
		for _, c := range []struct {
			name, method     string
			args             any
			opts             []messaging.ClientOption
			module, class    string
			message, oneLine string
		}{
			{name: "plain error", method: "plain", module: "builtins", class: "Exception", message: "it broke"},
			{name: "chosen exception", method: "remote", module: "nova.exception", class: "NoValidHost", message: noHost.Message},
			{name: "deadline", method: "late", module: "builtins", class: "TimeoutError", message: "context deadline exceeded"},
			{
				name: "missing method", method: "nope", module: "oslo_messaging.rpc.dispatcher", class: "NoSuchMethod",
				message: "Endpoint does not support RPC method nope",
			},
			{
				name: "higher version", method: "plain", opts: []messaging.ClientOption{messaging.ToVersion("1.4")},
				module: "oslo_messaging.rpc.dispatcher", class: "UnsupportedVersion",
				message: "Endpoint does not support RPC version 1.4. Attempted method: plain",
			},
			{
				name: "unknown namespace", method: "plain", opts: []messaging.ClientOption{messaging.ToNamespace("x")},
				module: "oslo_messaging.rpc.dispatcher", class: "UnsupportedVersion",
				message: "Endpoint does not support RPC version 1.0. Attempted method: plain",
			},
			{name: "version without minor", method: "plain", opts: []messaging.ClientOption{messaging.ToVersion("1")}, module: "builtins", class: "IndexError"},
			{name: "version of letters", method: "plain", opts: []messaging.ClientOption{messaging.ToVersion("a.b")}, module: "builtins", class: "ValueError"},
			{name: "unknown argument", method: "add", args: map[string]int{"m": 1}, module: "builtins", class: "TypeError", message: `add(): unexpected argument "m"`},
			{name: "missing argument", method: "add", module: "builtins", class: "TypeError", message: `add(): missing argument "n"`},
			{name: "wrong type", method: "add", args: map[string]string{"n": "x"}, module: "builtins", class: "TypeError"},
		} {
			err := b.newClient(t, c.opts...).Call(t.Context(), c.method, c.args, nil)
			var remote *messaging.RemoteError
			if !errors.As(err, &remote) {
				t.Errorf("%s: Call = %v, want a RemoteError", c.name, err)
				continue
			}
			if remote.Module != c.module || remote.Class != c.class || c.message != "" && remote.Message != c.message {
				t.Errorf("%s: got %s.%s %q, want %s.%s %q", c.name, remote.Module, remote.Class, remote.Message, c.module, c.class, c.message)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: the error has more than one line: %q", c.name, err)
			}
			if len(remote.Args) != 1 || remote.Args[0] != remote.Message {
				t.Errorf("%s: args = %v, want the message alone", c.name, remote.Args)
			}
		}
		// By a legacy namespace the same endpoint answers.
		got, err := messaging.Call[int](t.Context(), b.newClient(t, messaging.ToNamespace("old")), "add", map[string]int{"n": 1})
		if err != nil || got != 2 {
			t.Errorf("by the legacy namespace: %d, %v", got, err)
		}
	})
}

func TestMethodsThatCallersDoNotCountOnAreLoggedQuietly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		if err := b.newClient(t).Call(t.Context(), "sync_ignore_errors", nil, nil); err == nil {
			t.Fatal("the call succeeds")
		}
		if b.count("method not found") != 1 || b.count("request refused") != 0 {
			t.Error("a missing method with _ignore_errors in its name was not logged at debug alone")
		}
	})
}

func TestRefusedRequestsAreCountedAndLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		server := b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t)
		for range 100 {
			if err := client.Cast(t.Context(), "nope", nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, body := range []string{
			`{"oslo.version": "2.0", "oslo.message": "{}"}`,
			`{"oslo.version": "2.0", "oslo.message": "{\"method\": 5}"}`,
			`{"oslo.version": "2.0", "oslo.message": "{\"method\": \"echo\", \"args\": []}"}`,
			`{"oslo.version": "2.0", "oslo.message": "{\"method\": \"echo\", \"version\": \"x\"}"}`,
		} {
			if err := b.broker.Publish("openstack", "t", memory.Publishing{ContentType: "application/json", Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := server.Stats(); got.Received != 104 || got.Refused != 104 || got.Failed != 0 {
			t.Errorf("Stats() = %+v, want 104 received and refused", got)
		}
		if n := b.count("request refused"); n != 1 {
			t.Errorf("%d lines logged, want 1", n)
		}
	})
}

func TestDuplicateRequestRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var ran atomic.Int32
		ep := messaging.NewEndpoint()
		messaging.HandleCast(ep, "count", func(context.Context, struct{}) error { ran.Add(1); return nil })
		b.serve(t, []*messaging.Endpoint{ep})
		body := `{"oslo.version": "2.0", "oslo.message": "{\"method\": \"count\", \"args\": {}, \"_unique_id\": \"1\"}"}`
		for range 3 {
			if err := b.broker.Publish("openstack", "t", memory.Publishing{ContentType: "application/json", Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if ran.Load() != 1 || b.count("dropped a duplicate") != 1 {
			t.Errorf("ran %d times, %d lines about duplicates; want 1 and 1", ran.Load(), b.count("dropped a duplicate"))
		}
	})
}

func TestServersShareATopicAndFanoutReachesEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var mu sync.Mutex
		ran := map[string]int{}
		for _, name := range []string{"a", "b", "c"} {
			ep := messaging.NewEndpoint()
			messaging.Handle(ep, "who", func(context.Context, struct{}) (string, error) { return name, nil })
			messaging.HandleCast(ep, "all", func(context.Context, struct{}) error {
				mu.Lock()
				defer mu.Unlock()
				ran[name]++
				return nil
			})
			server, err := messaging.NewRPCServer(b.servers, messaging.Target{Topic: "t", Server: name}, []*messaging.Endpoint{ep})
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stop(t, server) })
		}
		client := b.newClient(t)
		if err := client.Fanout(t.Context(), "all", nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "c"} {
			got, err := messaging.Call[string](t.Context(), client.Prepare(messaging.ToServer(name)), "who", nil)
			if err != nil || got != name {
				t.Errorf("server %s answers %q, %v", name, got, err)
			}
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, name := range []string{"a", "b", "c"} {
			if ran[name] != 1 {
				t.Errorf("%s ran the fanout %d times, want once", name, ran[name])
			}
		}
	})
}

func TestNewRPCServerNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := messaging.Target{Topic: "t", Server: "s"}
	for _, c := range []struct {
		name      string
		on        messaging.Target
		endpoints []*messaging.Endpoint
		opts      []messaging.ServerOption
		want      string
	}{
		{"no topic", messaging.Target{Server: "s"}, []*messaging.Endpoint{echo()}, nil, "needs a topic"},
		{"no server", messaging.Target{Topic: "t"}, []*messaging.Endpoint{echo()}, nil, "needs a server name"},
		{"no endpoint", good, nil, nil, "at least one endpoint"},
		{"nil endpoint", good, []*messaging.Endpoint{nil}, nil, "nil"},
		{"empty endpoint", good, []*messaging.Endpoint{messaging.NewEndpoint()}, nil, "no methods"},
		{"unknown executor", good, []*messaging.Endpoint{echo()}, []messaging.ServerOption{messaging.WithExecutor("x")}, `unknown executor "x"`},
		{"negative size", good, []*messaging.Endpoint{echo()}, []messaging.ServerOption{messaging.WithExecutorThreadPoolSize(-1)}, "executor size"},
		{"negative prefetch", good, []*messaging.Endpoint{echo()}, []messaging.ServerOption{messaging.WithPrefetch(-1)}, "prefetch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			_, err := messaging.NewRPCServer(b.servers, c.on, c.endpoints, c.opts...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("NewRPCServer = %v, want one line with %q", err, c.want)
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
