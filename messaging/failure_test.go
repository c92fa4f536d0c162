package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
)

func TestFailuresOfTheDispatcherMatchSentinelsWithoutARegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, failing(func() error { return errors.New("it broke") }))
		for _, c := range []struct {
			name, method string
			opts         []messaging.ClientOption
			want         error
		}{
			{"a missing method", "nope", nil, messaging.ErrNoSuchMethod},
			{"a higher version", "echo", []messaging.ClientOption{messaging.ToVersion("1.1")}, messaging.ErrUnsupportedVersion},
			{"an unknown namespace", "echo", []messaging.ClientOption{messaging.ToNamespace("x")}, messaging.ErrUnsupportedVersion},
			{"a method that fails", "fail", nil, nil},
		} {
			err := b.newClient(t, c.opts...).Call(t.Context(), c.method, nil, nil)
			for _, sentinel := range []error{messaging.ErrNoSuchMethod, messaging.ErrUnsupportedVersion} {
				if got, want := errors.Is(err, sentinel), errors.Is(c.want, sentinel); got != want {
					t.Errorf("%s: errors.Is(%v, %v) = %t, want %t", c.name, err, sentinel, got, want)
				}
			}
		}
	})
}

func TestDeadlineOfAPeerIsNotTheCallersOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, failing(func() error { return context.DeadlineExceeded }))
		remote, err := fail(t, b.newClient(t))
		if remote.Class != "TimeoutError" || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want a TimeoutError that is no timeout of this side", err)
		}
	})
}

func TestExpectedErrorsAreLoggedQuietlyAndSentAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		class string
		quiet bool
	}{
		{"unmarked", errLocked, "nova.exception.Locked", false},
		{"marked", messaging.Expected(errLocked), "nova.exception.Locked", true},
		{"marked and wrapped", fmt.Errorf("locked: %w", messaging.Expected(io.EOF)), "builtins.Exception", true},
		{"marked twice", messaging.Expected(messaging.Expected(errLocked)), "nova.exception.Locked", true},
		{"chosen", &messaging.RemoteError{Module: "m", Class: "C", Message: "locked"}, "m.C", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			server := b.serve(t, failing(func() error { return c.err }), messaging.WithErrors(newRegistry()))
			remote, _ := fail(t, b.newClient(t))
			if got := remote.Module + "." + remote.Class; got != c.class || !strings.HasPrefix(remote.Message, "locked") {
				t.Errorf("%s: the caller gets %s %q, want %s", c.name, got, remote.Message, c.class)
			}
			if got := b.logged(logrus.DebugLevel, "the endpoint method failed as it meant to"); got != c.quiet {
				t.Errorf("%s: logged at debug: %t, want %t", c.name, got, c.quiet)
			}
			if got := b.logged(logrus.ErrorLevel, "the endpoint method failed"); got == c.quiet {
				t.Errorf("%s: logged as an error: %t, want %t", c.name, got, !c.quiet)
			}
			if got := server.Stats().Failed; got != 1 {
				t.Errorf("%s: %d failures counted, want 1", c.name, got)
			}
		})
	}
}

func TestExpectedKeepsTheErrorAndNil(t *testing.T) {
	t.Parallel()
	if err := messaging.Expected(nil); err != nil {
		t.Errorf("Expected(nil) = %v", err)
	}
	err := messaging.Expected(&quotaError{Resource: "cores", Cause: errLocked})
	var quota *quotaError
	if !errors.As(err, &quota) || !errors.Is(err, errLocked) || err.Error() != quota.Error() {
		t.Errorf("Expected(quotaError) = %#v, want it to match and read as that", err)
	}
}

func TestMethodThatEndsItsGoroutineIsAnswered(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := echo()
			messaging.Handle(ep, "exit", func(context.Context, struct{}) (any, error) {
				<-time.After(3 * time.Second)
				runtime.Goexit()
				return nil, nil
			})
			server := b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind), messaging.WithExecutorThreadPoolSize(1))
			client := b.newClient(t, messaging.WithCallMonitor(2*time.Second))
			for n := range 3 {
				begun := time.Now()
				err := client.Call(t.Context(), "exit", nil, nil)
				var remote *messaging.RemoteError
				if !errors.As(err, &remote) || remote.Module != "builtins" || remote.Class != "RuntimeError" ||
					remote.Message != "the endpoint method ended its goroutine" || remote.Traceback != nil {
					t.Errorf("%s: call %d = %v, want a RuntimeError without a traceback", kind, n, err)
				}
				if waited := time.Since(begun); waited != 3*time.Second {
					t.Errorf("%s: answered after %s, want the 3s that the method took", kind, waited)
				}
			}
			if err := client.Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err != nil {
				t.Errorf("%s: next Call = %v", kind, err)
			}
			published := b.broker.Stats().Published
			<-time.After(time.Minute)
			if late := b.broker.Stats().Published - published; late != 0 {
				t.Errorf("%s: %d messages followed the answers, want no heartbeat", kind, late)
			}
			if got := server.Stats().Failed; got != 3 {
				t.Errorf("%s: %d failures counted, want 3", kind, got)
			}
			if n := b.count("the endpoint method ended its goroutine"); n != 3 {
				t.Errorf("%s: logged %d times, want 3", kind, n)
			}
		})
	}
}

// overboard is a method with a stack of its own to look for.
func overboard(context.Context, struct{}) (any, error) { panic("man overboard") }

func TestTracebacksReachCallersOnlyWhereTheServerSendsThem(t *testing.T) {
	t.Parallel()
	const trace = "x failed\nTraceback (most recent call last):\n  File \"x.py\", line 1\n"
	passedOn := &messaging.RemoteError{
		Module: "m", Class: "C", Message: trace, Args: []any{trace, 1}, Traceback: []string{"  File \"x.py\", line 1\n"},
	}
	listed := &messaging.RemoteError{Module: "m", Class: "C", Message: "Remote error: C x failed\n['Traceback (most recent call last):\\n']."}
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "panic", overboard)
	messaging.Handle(ep, "exit", func(context.Context, struct{}) (any, error) { runtime.Goexit(); return nil, nil })
	messaging.Handle(ep, "plain", func(context.Context, struct{}) (any, error) { return nil, errors.New("x failed\nin two lines") })
	messaging.Handle(ep, "pass_on", func(context.Context, struct{}) (any, error) { return nil, fmt.Errorf("call: %w", passedOn) })
	messaging.Handle(ep, "pass_on_list", func(context.Context, struct{}) (any, error) { return nil, listed })
	for _, c := range []struct {
		method            string
		message           string // without tracebacks
		traced, traceback string // with them: the message, and what the trace contains
	}{
		{"panic", "panic: man overboard", "panic: man overboard", "messaging_test.overboard("},
		{"exit", "the endpoint method ended its goroutine", "the endpoint method ended its goroutine", "runtime.Goexit("},
		{"plain", "x failed\nin two lines", "x failed\nin two lines", ""},
		{"pass_on", "x failed", trace, "x.py"},
		{"pass_on_list", "Remote error: C x failed", listed.Message, ""},
	} {
		for _, on := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, tracebacks %t", c.method, on), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBus(t)
					var opts []messaging.ServerOption
					want := c.message
					if on {
						opts, want = append(opts, messaging.WithTracebacks()), c.traced
					}
					b.serve(t, []*messaging.Endpoint{ep}, opts...)
					err := b.newClient(t).Call(t.Context(), c.method, nil, nil)
					var remote *messaging.RemoteError
					if !errors.As(err, &remote) {
						t.Fatalf("Call = %v, want a RemoteError", err)
					}
					if remote.Message != want || remote.Args[0] != want {
						t.Errorf("message %q, args %q, want %q", remote.Message, remote.Args, want)
					}
					if sent := strings.Join(remote.Traceback, ""); (sent != "") != (on && c.traceback != "") || !strings.Contains(sent, c.traceback) && on {
						t.Errorf("traceback %q, want %q in it: %t", sent, c.traceback, on)
					}
					for _, line := range remote.Traceback {
						if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
							t.Errorf("%q is not a line with its break", line)
						}
					}
				})
			})
		}
	}
}

// TestMethodPassesOnWhatItsOwnCallFailedWith has a server call another one.
func TestMethodPassesOnWhatItsOwnCallFailedWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := newBus(t), newRegistry()
		b.serve(t, failing(func() error { return &quotaError{Resource: "cores", Used: 20} }), messaging.WithErrors(r))
		inner := b.newClient(t, messaging.WithErrors(r))
		front := messaging.NewEndpoint()
		messaging.Handle(front, "fail", func(ctx context.Context, _ struct{}) (any, error) {
			return nil, fmt.Errorf("ask the other: %w", inner.Call(ctx, "fail", nil, nil))
		})
		messaging.Handle(front, "missing", func(ctx context.Context, _ struct{}) (any, error) {
			return nil, inner.Call(ctx, "nope", nil, nil)
		})
		server, err := messaging.NewRPCServer(b.servers, messaging.Target{Topic: "front", Server: "s"}, []*messaging.Endpoint{front})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer stop(t, server)
		client, err := messaging.NewClient(b.client, messaging.Target{Topic: "front"}, messaging.WithErrors(r))
		if err != nil {
			t.Fatal(err)
		}

		first, _ := fail(t, inner)
		second, err := fail(t, client) // by a server without a registry
		if diff := cmp.Diff(outside(first), outside(second)); diff != "" {
			t.Errorf("the failure changes on its way (-first +second):\n%s", diff)
		}
		var quota *quotaError
		if !errors.As(err, &quota) || quota.Used != 20 {
			t.Errorf("Call = %#v, want the quotaError of the other", err)
		}
		if err := client.Call(t.Context(), "missing", nil, nil); !errors.Is(err, messaging.ErrNoSuchMethod) {
			t.Errorf("Call = %v, want the other's ErrNoSuchMethod", err)
		}
	})
}

func TestClassesThatPythonCallsRemoteAreSentByTheirOwnName(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]string{
		{"m_Remote", "C_Remote", "m", "C"},
		{"m_Remote", "C", "m_Remote", "C"},
		{"m", "C_Remote", "m", "C_Remote"},
		{"exceptions", "KeyError", "builtins", "KeyError"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.serve(t, failing(func() error { return &messaging.RemoteError{Module: c[0], Class: c[1]} }))
			if got, _ := fail(t, b.newClient(t)); got.Module != c[2] || got.Class != c[3] {
				t.Errorf("%s.%s: the caller gets %s.%s, want %s.%s", c[0], c[1], got.Module, got.Class, c[2], c[3])
			}
		})
	}
}

// unwritable is a value that fails, or panics, when it is encoded.
type unwritable struct{ panics bool }

func (u unwritable) MarshalJSON() ([]byte, error) {
	if u.panics {
		panic("no pen")
	}
	return nil, errors.New("no ink")
}

// inkError has a field that cannot be encoded.
type inkError struct {
	Pen unwritable `json:"pen"`
}

func (e *inkError) Error() string { return "no ink" }

func TestWhatCannotBeSentIsAnswered(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", 17<<20)
	remote := func(args []any, kwargs map[string]any) error {
		return &messaging.RemoteError{Module: "m", Class: "C", Message: "why", Args: args, Kwargs: kwargs}
	}
	for _, c := range []struct {
		name                string
		result              any
		err                 error
		class, message, arg string // an empty message or argument is any
	}{
		{"a result of no form", func() {}, nil, "builtins.ValueError", "", ""},
		{"a result deep inside", map[string]any{"a": []any{make(chan int)}}, nil, "builtins.ValueError", "", ""},
		{"a result that fails", unwritable{}, nil, "builtins.ValueError", "", ""},
		{"a result that panics", unwritable{panics: true}, nil, "builtins.RuntimeError", "panic: no pen", ""},
		{"a result too large", huge, nil, "builtins.Exception", "", ""},
		{"an argument of no form", nil, remote([]any{func() {}}, nil), "m.C", "why", "why"},
		{"an argument that fails", nil, remote([]any{"a", unwritable{}}, nil), "m.C", "why", "why"},
		{"an argument that panics", nil, remote([]any{unwritable{panics: true}}, nil), "builtins.RuntimeError", "panic: no pen", ""},
		{"an argument too large", nil, remote([]any{huge}, nil), "builtins.Exception", "", ""},
		{"a keyword argument of no form", nil, remote([]any{"a"}, map[string]any{"f": func() {}}), "m.C", "why", "a"},
		{"a keyword argument too large", nil, remote(nil, map[string]any{"f": huge}), "builtins.Exception", "", ""},
		{"a field of a registered error", nil, &inkError{}, "m.Ink", "no ink", "no ink"},
		{"a text too large", nil, errors.New(huge), "builtins.Exception", "", ""},
		{"a text that is not UTF-8", nil, errors.New("a\xffb"), "builtins.Exception", "a\ufffdb", "a\ufffdb"},
		{"an error without text", nil, (*badError)(nil), "builtins.RuntimeError", "", ""},
		{"a marked error without text", nil, messaging.Expected((*badError)(nil)), "builtins.RuntimeError", "", ""},
		{"a RemoteError that is nil", nil, (*messaging.RemoteError)(nil), "builtins.RuntimeError", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var r messaging.ErrorRegistry
				messaging.RegisterError[*inkError](&r, "m", "Ink")
				b := newBus(t)
				ep := echo()
				messaging.Handle(ep, "fail", func(context.Context, struct{}) (any, error) { return c.result, c.err })
				b.serve(t, []*messaging.Endpoint{ep}, messaging.WithErrors(&r))
				client := b.newClient(t)
				begun := time.Now()
				remote, _ := fail(t, client)
				if waited := time.Since(begun); waited != 0 {
					t.Errorf("answered after %s", waited)
				}
				if got := remote.Module + "." + remote.Class; got != c.class || c.message != "" && remote.Message != c.message {
					t.Errorf("failure %s %.100q, want %s %q", got, remote.Message, c.class, c.message)
				}
				if c.arg != "" && (len(remote.Args) != 1 || remote.Args[0] != c.arg) {
					t.Errorf("args %v, want [%s]", remote.Args, c.arg)
				}
				if err := client.Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err != nil {
					t.Errorf("next Call = %v", err)
				}
			})
		})
	}
}
