package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// trace collects what interceptors see.
type trace struct {
	mu    sync.Mutex
	lines []string
}

func (tr *trace) add(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

func (tr *trace) named(name string) messaging.Interceptor {
	return func(ctx context.Context, rpc *messaging.RPC, next func(context.Context) error) error {
		tr.add("%s before %s", name, rpc.Method)
		err := next(ctx)
		tr.add("%s after %s: %v", name, rpc.Method, err)
		return err
	}
}

func (tr *trace) want(t *testing.T, want ...string) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !slices.Equal(tr.lines, want) {
		t.Errorf("the interceptors saw %q, want %q", tr.lines, want)
	}
}

func TestInterceptorsRunInTheirOrderOnBothSides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var tr trace
		b.serve(t, []*messaging.Endpoint{echo()},
			messaging.WithInterceptors(tr.named("server 1")), messaging.WithInterceptors(tr.named("server 2"), tr.named("server 3")))
		client := b.newClient(t, messaging.WithInterceptors(tr.named("client 1"))).Prepare(messaging.WithInterceptors(tr.named("client 2")))
		if err := client.Call(t.Context(), "echo", map[string]int{"value": 1}, nil); err != nil {
			t.Fatal(err)
		}
		tr.want(t,
			"client 1 before echo", "client 2 before echo", "server 1 before echo", "server 2 before echo", "server 3 before echo",
			"server 3 after echo: <nil>", "server 2 after echo: <nil>", "server 1 after echo: <nil>",
			"client 2 after echo: <nil>", "client 1 after echo: <nil>")
	})
}

func TestPreparedClientsDoNotShareTheirInterceptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var tr trace
		b.serve(t, []*messaging.Endpoint{echo()})
		base := b.newClient(t, messaging.WithInterceptors(tr.named("1"), tr.named("2"), tr.named("3")))
		one := base.Prepare(messaging.WithInterceptors(tr.named("one")))
		base.Prepare(messaging.WithInterceptors(tr.named("two")))
		if err := one.Cast(t.Context(), "echo", nil); err != nil {
			t.Fatal(err)
		}
		if got := tr.lines[3]; got != "one before echo" {
			t.Errorf("the client's own interceptor gave %q", got)
		}
	})
}

func TestInterceptorsLearnWhatTheRequestIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		seen := make(chan messaging.RPC, 10)
		note := func(ctx context.Context, rpc *messaging.RPC, next func(context.Context) error) error {
			seen <- *rpc
			return next(ctx)
		}
		ep := messaging.NewEndpoint(messaging.WithNamespace("n"), messaging.WithVersion("1.4"))
		messaging.HandleCast(ep, "work", func(ctx context.Context, _ struct{}) error {
			if rpc := messaging.RPCFrom(ctx); rpc == nil || rpc.Method != "work" {
				t.Errorf("the method sees %+v", rpc)
			}
			return nil
		})
		b.serve(t, []*messaging.Endpoint{ep}, messaging.WithInterceptors(note))
		client := b.newClient(t, messaging.WithInterceptors(note), messaging.ToNamespace("n"), messaging.ToVersion("1.2"))
		for _, send := range []func() error{
			func() error { return client.Prepare(messaging.ToServer("s")).Call(t.Context(), "work", nil, nil) },
			func() error { return client.Cast(t.Context(), "work", nil) },
			func() error { return client.Fanout(t.Context(), "work", nil) },
		} {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for _, want := range []messaging.RPC{
			{Call: true, Target: messaging.Target{Server: "s"}},
			{Server: true, Call: true, Target: messaging.Target{Server: "s"}},
			{},
			{Server: true, Target: messaging.Target{Server: "s"}},
			{Target: messaging.Target{Fanout: true}},
			{Server: true, Target: messaging.Target{Server: "s"}},
		} {
			want.Method, want.Target.Topic, want.Target.Exchange = "work", "t", "openstack"
			want.Target.Namespace, want.Target.Version = "n", "1.2"
			if want.Server {
				want.Deliveries = 1
			}
			got := <-seen
			if hasID := got.MsgID != ""; hasID != (want.Server && want.Call) {
				t.Errorf("message id %q of %+v", got.MsgID, want)
			}
			got.MsgID = ""
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("the interceptor sees %+v, want %+v", got, want)
			}
		}
		if messaging.RPCFrom(t.Context()) != nil {
			t.Error("a context outside of methods has an RPC")
		}
	})
}

func TestInterceptorsSeeEveryOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		failed := errors.New("out of hosts")
		ep := messaging.NewEndpoint()
		messaging.HandleArg(ep, "echo", "value", func(_ context.Context, value any) (any, error) { return value, nil })
		messaging.HandleCast(ep, "panic", func(context.Context, map[string]any) error { panic("at the disco") })
		messaging.HandleCast(ep, "fail", func(context.Context, map[string]any) error { return failed })
		var tr trace
		recovering := func(ctx context.Context, _ *messaging.RPC, next func(context.Context) error) (err error) {
			defer func() {
				if reason := recover(); reason != nil {
					err = fmt.Errorf("recovered from %v", reason)
				}
			}()
			return next(ctx)
		}
		b.serve(t, []*messaging.Endpoint{ep}, messaging.WithInterceptors(tr.named("i"), recovering))
		client := b.newClient(t)
		for _, c := range []struct{ method, want string }{
			{"fail", "remote Exception: out of hosts"},
			{"panic", "remote Exception: recovered from at the disco"},
			{"nope", "remote oslo_messaging.rpc.dispatcher.NoSuchMethod: Endpoint does not support RPC method nope"},
			{"echo", "remote TypeError: echo(): unexpected argument \"valu\""},
		} {
			if err := client.Call(t.Context(), c.method, map[string]int{"valu": 1}, nil); text(err) != c.want {
				t.Errorf("%s: Call = %v, want %s", c.method, err, c.want)
			}
		}
		tr.want(t,
			"i before fail", "i after fail: out of hosts",
			"i before panic", "i after panic: recovered from at the disco",
			"i before nope", "i after nope: Endpoint does not support RPC method nope",
			"i before echo", `i after echo: echo(): unexpected argument "valu"`)
	})
}

func TestInterceptorThatDoesNotGoOnRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		refused := errors.New("not on a Sunday")
		refuse := func(context.Context, *messaging.RPC, func(context.Context) error) error { return refused }
		b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithInterceptors(refuse))
		client := b.newClient(t)
		var remote *messaging.RemoteError
		if err := client.Call(t.Context(), "echo", nil, nil); !errors.As(err, &remote) || remote.Message != refused.Error() {
			t.Errorf("server: Call = %v, want the refusal", err)
		}
		before := b.broker.Stats().Published
		client = client.Prepare(messaging.WithInterceptors(refuse))
		for name, err := range map[string]error{
			"Call": client.Call(t.Context(), "echo", nil, nil), "Cast": client.Cast(t.Context(), "echo", nil),
			"Fanout": client.Fanout(t.Context(), "echo", nil),
		} {
			if !errors.Is(err, refused) {
				t.Errorf("client: %s = %v, want the refusal", name, err)
			}
		}
		if b.broker.Stats().Published != before {
			t.Error("the client has sent what it refused")
		}
	})
}

// TestClientInterceptorCanSendAgain is how a client gets a fresh token where its own has expired.
func TestClientInterceptorCanSendAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		expired := &messaging.RemoteError{Module: "builtins", Class: "PermissionError", Message: "token expired"}
		ep := messaging.NewEndpoint()
		messaging.Handle(ep, "who", func(ctx context.Context, _ struct{}) (any, error) {
			if token := messaging.RequestContextFrom(ctx)["auth_token"]; token != "new" {
				return nil, expired
			}
			return "you", nil
		})
		b.serve(t, []*messaging.Endpoint{ep})
		token := "old"
		fresh := func(ctx context.Context, _ *messaging.RPC, next func(context.Context) error) error {
			send := func() error {
				return next(messaging.WithRequestContext(ctx, messaging.RequestContext{"auth_token": token}))
			}
			err := send()
			var remote *messaging.RemoteError
			if errors.As(err, &remote) && remote.Class == "PermissionError" {
				token = "new"
				err = send()
			}
			return err
		}
		got, err := messaging.Call[string](t.Context(), b.newClient(t, messaging.WithInterceptors(fresh)), "who", nil)
		if err != nil || got != "you" {
			t.Errorf("Call = %q, %v; want the answer to the second request", got, err)
		}
	})
}

func TestPanicOfAServerInterceptorIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithInterceptors(
			func(ctx context.Context, _ *messaging.RPC, next func(context.Context) error) error {
				if err := next(ctx); err != nil {
					return err
				}
				panic("afterwards")
			}))
		var remote *messaging.RemoteError
		err := b.newClient(t).Call(t.Context(), "echo", map[string]int{"value": 1}, nil)
		if !errors.As(err, &remote) || remote.Class != "RuntimeError" {
			t.Errorf("Call = %v, want a RuntimeError and no result", err)
		}
	})
}

func TestRedeliveredRequestSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		on := messaging.Target{Exchange: "openstack", Topic: "t", Server: "gone"}
		gone := b.broker.NewDriver()
		listener, err := gone.Listen(t.Context(), on, transport.ListenOptions{Prefetch: 1})
		if err != nil {
			t.Fatal(err)
		}
		client := b.newClient(t)
		for range 2 {
			if err := client.Cast(t.Context(), "work", nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := listener.Poll(t.Context()); err != nil { // taken, not acknowledged
			t.Fatal(err)
		}
		if err := gone.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := make(chan bool, 2)
		ep := messaging.NewEndpoint()
		messaging.HandleCast(ep, "work", func(ctx context.Context, _ struct{}) error {
			seen <- messaging.RPCFrom(ctx).Redelivered
			return nil
		})
		server := b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutorThreadPoolSize(1))
		if first, second := <-seen, <-seen; !first || second {
			t.Errorf("redelivered: %t, %t; want the first alone", first, second)
		}
		if got := server.Stats().Redelivered; got != 1 {
			t.Errorf("%d redelivered, want 1", got)
		}
	})
}
