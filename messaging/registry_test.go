package messaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

var (
	errNoValidHost = errors.New("no valid host was found")
	errLocked      = errors.New("locked")
	errMoved       = errors.New("moved")
)

// quotaError travels by its fields.
type quotaError struct {
	Resource string `json:"resource"`
	Used     int    `json:"used"`
	Cause    error  `json:"-"`
	seen     bool
}

func (e *quotaError) Error() string { return fmt.Sprintf("no %s left: %d used", e.Resource, e.Used) }
func (e *quotaError) Unwrap() error { return e.Cause }

// limitError is an error that is no pointer.
type limitError struct{ Limit int }

func (e limitError) Error() string { return fmt.Sprintf("the limit is %d", e.Limit) }

// stateError travels by functions of its own.
type stateError struct{ state string }

func (e *stateError) Error() string { return "wrong state" }

// kindError is several errors by its methods.
type kindError struct {
	is []error
	as any
}

func (e *kindError) Error() string { return "one of a kind" }

func (e *kindError) Is(target error) bool { return slices.Contains(e.is, target) }

func (e *kindError) As(target any) bool {
	if quota, ok := target.(**quotaError); ok && e.as != nil {
		*quota = e.as.(*quotaError)
		return true
	}
	return false
}

// newRegistry knows all errors above.
func newRegistry() *messaging.ErrorRegistry {
	var r messaging.ErrorRegistry
	r.Sentinel("nova.exception", "NoValidHost", errNoValidHost)
	r.Sentinel("nova.exception", "Locked", errLocked)
	messaging.RegisterError[*quotaError](&r, "cinder.exception", "QuotaError")
	messaging.RegisterError[limitError](&r, "cinder.exception", "LimitError")
	messaging.RegisterErrorFunc(&r, "nova.exception", "InvalidState",
		func(e *stateError) *messaging.RemoteError {
			return &messaging.RemoteError{Message: "state: " + e.state, Args: []any{e.state, 1}}
		},
		func(remote *messaging.RemoteError) *stateError { return &stateError{remote.Args[0].(string)} })
	return &r
}

// failing is an endpoint whose method fail returns what err says at the time.
func failing(err func() error) []*messaging.Endpoint {
	ep := echo()
	messaging.Handle(ep, "fail", func(context.Context, struct{}) (any, error) { return nil, err() })
	return []*messaging.Endpoint{ep}
}

// fail calls the method fail, which must fail.
func fail(t testing.TB, client *messaging.Client) (*messaging.RemoteError, error) {
	t.Helper()
	err := client.Call(t.Context(), "fail", nil, nil)
	var remote *messaging.RemoteError
	if !errors.As(err, &remote) {
		t.Fatalf("Call = %v, want a RemoteError", err)
	}
	return remote, err
}

func TestRegisteredErrorsCrossTheBus(t *testing.T) {
	t.Parallel()
	var (
		noHost = func(err error) bool { return errors.Is(err, errNoValidHost) && !errors.Is(err, errLocked) }
		quota  = func(err error) bool {
			var e *quotaError
			return errors.As(err, &e) && *e == quotaError{Resource: "cores", Used: 20}
		}
		limit = func(err error) bool {
			var e limitError
			return errors.As(err, &e) && e.Limit == 7
		}
		state = func(err error) bool {
			var e *stateError
			return errors.As(err, &e) && e.state == "paused"
		}
		cores = map[string]any{"resource": "cores", "used": json.Number("20")}
	)
	for _, c := range []struct {
		name    string
		err     error
		want    messaging.RemoteError
		matches func(error) bool
	}{
		{
			"a sentinel", errNoValidHost,
			messaging.RemoteError{Module: "nova.exception", Class: "NoValidHost", Message: "no valid host was found"},
			noHost,
		},
		{
			"a wrapped sentinel", fmt.Errorf("place vm-1: %w", errNoValidHost),
			messaging.RemoteError{Module: "nova.exception", Class: "NoValidHost", Message: "place vm-1: no valid host was found"},
			noHost,
		},
		{
			"an error that is the sentinel by its Is method", &kindError{is: []error{errNoValidHost}},
			messaging.RemoteError{Module: "nova.exception", Class: "NoValidHost", Message: "one of a kind"},
			noHost,
		},
		{
			"a type", &quotaError{Resource: "cores", Used: 20, Cause: io.EOF, seen: true},
			messaging.RemoteError{Module: "cinder.exception", Class: "QuotaError", Message: "no cores left: 20 used", Kwargs: cores},
			quota,
		},
		{
			"a wrapped type", fmt.Errorf("reserve: %w", &quotaError{Resource: "cores", Used: 20}),
			messaging.RemoteError{Module: "cinder.exception", Class: "QuotaError", Message: "reserve: no cores left: 20 used", Kwargs: cores},
			quota,
		},
		{
			"an error that is the type by its As method", &kindError{as: &quotaError{Resource: "cores", Used: 20}},
			messaging.RemoteError{Module: "cinder.exception", Class: "QuotaError", Message: "one of a kind", Kwargs: cores},
			quota,
		},
		{
			"a type that is no pointer",
			limitError{7},
			messaging.RemoteError{
				Module: "cinder.exception", Class: "LimitError", Message: "the limit is 7", Kwargs: map[string]any{"Limit": json.Number("7")},
			},
			limit,
		},
		{
			"a type with functions of its own", &stateError{"paused"},
			messaging.RemoteError{
				Module: "nova.exception", Class: "InvalidState", Message: "state: paused", Args: []any{"paused", json.Number("1")},
			},
			state,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, r := newBus(t), newRegistry()
				b.serve(t, failing(func() error { return c.err }), messaging.WithErrors(r))
				remote, err := fail(t, b.newClient(t, messaging.WithErrors(r)))
				if !c.matches(err) {
					t.Errorf("%#v does not match the registered error", err)
				}
				if c.want.Args == nil {
					c.want.Args = []any{c.want.Message}
				}
				if c.want.Kwargs == nil {
					c.want.Kwargs = map[string]any{}
				}
				if diff := cmp.Diff(outside(&c.want), outside(remote)); diff != "" {
					t.Errorf("failure (-want +got):\n%s", diff)
				}

				alone, err := fail(t, b.newClient(t)) // without a registry
				if c.matches(err) || alone.Unwrap() != nil {
					t.Errorf("%#v matches the registered error without a registry", err)
				}
			})
		})
	}
}

// outside is what others see of an error.
func outside(e *messaging.RemoteError) map[string]any {
	return map[string]any{"class": e.Module + "." + e.Class, "message": e.Message, "args": e.Args, "kwargs": e.Kwargs, "tb": e.Traceback}
}

func TestOutermostKnownErrorIsSent(t *testing.T) {
	t.Parallel()
	remote := &messaging.RemoteError{Module: "neutron.exception", Class: "NoPort", Message: "no port"}
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"one that is not registered", "builtins.Exception", errors.New("it broke")},
		{"a registered one of two", "nova.exception.Locked", errors.Join(errMoved, errLocked)},
		{"the first of two", "nova.exception.Locked", fmt.Errorf("%w: %w", errLocked, errNoValidHost)},
		{"a type before the sentinel that it wraps", "cinder.exception.QuotaError", &quotaError{Cause: errNoValidHost}},
		{"a sentinel before what a peer failed with", "nova.exception.Locked", fmt.Errorf("%w: %w", errLocked, remote)},
		{"what a peer failed with before a sentinel", "neutron.exception.NoPort", fmt.Errorf("%w: %w", remote, errLocked)},
		{"a deadline that a sentinel wraps", "nova.exception.Locked", fmt.Errorf("%w: %w", context.DeadlineExceeded, errLocked)},
		{"a marked one", "nova.exception.Locked", messaging.Expected(fmt.Errorf("stop: %w", errLocked))},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.serve(t, failing(func() error { return c.err }), messaging.WithErrors(newRegistry()))
			if got, _ := fail(t, b.newClient(t)); got.Module+"."+got.Class != c.want {
				t.Errorf("%s: sent as %s.%s, want %s", c.name, got.Module, got.Class, c.want)
			}
		})
	}
}

func TestFirstRegisteredClassOfAnErrorIsSentAndEachRecognized(t *testing.T) {
	t.Parallel()
	var r messaging.ErrorRegistry
	r.Sentinel("new.module", "Moved", errMoved)
	r.Sentinel("old.module", "Moved", errMoved)
	r.Sentinel("new.module", "Locked", errLocked)
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"an error of two classes", "new.module.Moved", errMoved},
		{"an error that is two", "new.module.Moved", &kindError{is: []error{errLocked, errMoved}}},
		{"the second class", "old.module.Moved", &messaging.RemoteError{Module: "old.module", Class: "Moved"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.serve(t, failing(func() error { return c.err }), messaging.WithErrors(&r))
			remote, err := fail(t, b.newClient(t, messaging.WithErrors(&r)))
			if got := remote.Module + "." + remote.Class; got != c.want || !errors.Is(err, errMoved) {
				t.Errorf("%s: sent as %s, recognized %t; want %s, true", c.name, got, errors.Is(err, errMoved), c.want)
			}
		})
	}
}

func TestFailureThatCannotBeDecodedIsARemoteErrorAlone(t *testing.T) {
	t.Parallel()
	decoder := func(decode func(*messaging.RemoteError) *quotaError) *messaging.ErrorRegistry {
		var r messaging.ErrorRegistry
		messaging.RegisterErrorFunc(&r, "m", "C", nil, decode)
		return &r
	}
	var fields messaging.ErrorRegistry
	messaging.RegisterError[*quotaError](&fields, "m", "C")
	for name, r := range map[string]*messaging.ErrorRegistry{
		"panic":                   decoder(func(*messaging.RemoteError) *quotaError { panic("at the disco") }),
		"nil":                     decoder(func(*messaging.RemoteError) *quotaError { return nil }),
		"kwargs that do not fit":  &fields,
		"a class that is another": newRegistry(),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			failure := &messaging.RemoteError{Module: "m", Class: "C", Message: "x", Kwargs: map[string]any{"used": "many"}}
			b.serve(t, failing(func() error { return failure }))
			remote, err := fail(t, b.newClient(t, messaging.WithErrors(r)))
			var quota *quotaError
			if errors.As(err, &quota) || remote.Unwrap() != nil || remote.Class != "C" || remote.Message != "x" {
				t.Errorf("%s: Call = %#v, want the RemoteError alone", name, err)
			}
		})
	}
}

func TestKwargsThatAreMissingOrUnknownLeaveFieldsZero(t *testing.T) {
	t.Parallel()
	for name, kwargs := range map[string]map[string]any{
		"none": nil, "unknown": {"code": 500}, "null": {"used": nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.serve(t, failing(func() error {
				return &messaging.RemoteError{Module: "cinder.exception", Class: "QuotaError", Kwargs: kwargs}
			}))
			_, err := fail(t, b.newClient(t, messaging.WithErrors(newRegistry())))
			var quota *quotaError
			if !errors.As(err, &quota) || *quota != (quotaError{}) {
				t.Errorf("%s: Call = %#v, want a zero quotaError", name, err)
			}
		})
	}
}

// wrappingError keeps the failure that it was made of.
type wrappingError struct{ remote *messaging.RemoteError }

func (e *wrappingError) Error() string { return "wrapping" }
func (e *wrappingError) Unwrap() error { return e.remote }

func TestDecodedErrorMayWrapItsFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r messaging.ErrorRegistry
		messaging.RegisterErrorFunc(&r, "m", "C", nil, func(remote *messaging.RemoteError) *wrappingError { return &wrappingError{remote} })
		b := newBus(t)
		b.serve(t, failing(func() error { return &messaging.RemoteError{Module: "m", Class: "C"} }))
		_, err := fail(t, b.newClient(t, messaging.WithErrors(&r)))
		var wrapping *wrappingError
		if !errors.As(err, &wrapping) || wrapping.remote.Class != "C" || errors.Is(err, io.EOF) {
			t.Errorf("Call = %#v, want a wrappingError and no end of file", err)
		}
	})
}

func TestEncoderThatDeclinesOrPanics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		encode     func(*stateError) *messaging.RemoteError
	}{
		{"declines", "nova.exception.Locked", func(*stateError) *messaging.RemoteError { return nil }},
		{"panics", "builtins.RuntimeError", func(*stateError) *messaging.RemoteError { panic("at the disco") }},
		{"has nothing to say", "m.C", func(*stateError) *messaging.RemoteError { return &messaging.RemoteError{} }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var r messaging.ErrorRegistry
			messaging.RegisterErrorFunc(&r, "m", "C", c.encode, nil)
			r.Sentinel("nova.exception", "Locked", errLocked)
			b := newBus(t)
			b.serve(t, failing(func() error { return fmt.Errorf("%w: %w", &stateError{}, errLocked) }), messaging.WithErrors(&r))
			remote, _ := fail(t, b.newClient(t))
			if got := remote.Module + "." + remote.Class; got != c.want || remote.Message == "" {
				t.Errorf("encoder that %s: sent as %s %q, want %s with a message", c.name, got, remote.Message, c.want)
			}
		})
	}
}

func TestFailureOfAnExceptionThatPythonRaisedAgainHasItsClass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		module, class string
		recognized    bool
	}{
		{"nova.exception", "NoValidHost", true},
		{"nova.exception_Remote", "NoValidHost_Remote", true},
		{"nova.exception", "NoValidHost_Remote", false},
		{"nova.exception_Remote", "NoValidHost", false},
		{"", "NoValidHost", false},
		{"nova.exception.sub", "NoValidHost", false},
		{"nova.exception", "novalidhost", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.answer(t, &transport.Failure{Module: c.module, Class: c.class})
			remote, err := fail(t, b.newClient(t, messaging.WithErrors(newRegistry())))
			if errors.Is(err, errNoValidHost) != c.recognized {
				t.Errorf("%s.%s: recognized %t, want %t", c.module, c.class, !c.recognized, c.recognized)
			}
			if remote.Module != c.module || remote.Class != c.class {
				t.Errorf("the caller sees %s.%s, want %s.%s as it was sent", remote.Module, remote.Class, c.module, c.class)
			}
		})
	}
}

func TestPython2NamesBuiltinClassesToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r messaging.ErrorRegistry
		r.Sentinel("exceptions", "KeyError", errMoved)
		b := newBus(t)
		b.serve(t, failing(func() error { return errMoved }), messaging.WithErrors(&r))
		remote, err := fail(t, b.newClient(t, messaging.WithErrors(&r)))
		if remote.Module != "builtins" || !errors.Is(err, errMoved) {
			t.Errorf("sent as %s.%s, recognized %t; want builtins.KeyError, true", remote.Module, remote.Class, errors.Is(err, errMoved))
		}
	})
}

// answer has a server of topic "t", which is not goslo's, answer each call with that failure.
func (b *bus) answer(t testing.TB, failure *transport.Failure) {
	t.Helper()
	driver := b.broker.NewDriver()
	listener, err := driver.Listen(t.Context(), messaging.Target{Exchange: "openstack", Topic: "t", Server: "s"}, transport.ListenOptions{Prefetch: 1})
	if err != nil {
		t.Fatal(err)
	}
	var polling sync.WaitGroup
	polling.Go(func() {
		for {
			in, err := listener.Poll(context.Background())
			if err != nil {
				return
			}
			if err := errors.Join(in.Ack(t.Context()), in.Reply(t.Context(), &transport.Reply{Failure: failure, Ending: true})); err != nil {
				t.Errorf("answer: %v", err)
			}
		}
	})
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(listener.Stop(ctx), listener.Close(ctx), driver.Close(ctx)); err != nil {
			t.Errorf("end the server: %v", err)
		}
		polling.Wait()
	})
}

func TestRegistryServesManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := newBus(t), newRegistry()
		b.serve(t, failing(func() error { return &quotaError{Resource: "cores", Used: 20} }), messaging.WithErrors(r))
		client := b.newClient(t, messaging.WithErrors(r))
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				var quota *quotaError
				if err := client.Call(t.Context(), "fail", nil, nil); !errors.As(err, &quota) || quota.Used != 20 {
					t.Errorf("Call = %v, want a quotaError", err)
				}
			})
		}
		calls.Wait()
	})
}

func TestRegisteringAMistakePanics(t *testing.T) {
	t.Parallel()
	encode := func(*stateError) *messaging.RemoteError { return nil }
	for _, c := range []struct {
		name, want string
		register   func(r *messaging.ErrorRegistry)
	}{
		{"a class twice", "m.C is registered twice", func(r *messaging.ErrorRegistry) {
			r.Sentinel("m", "C", errLocked)
			messaging.RegisterError[*quotaError](r, "m", "C")
		}},
		{"a class twice under Python's name for it", "m.C is registered twice", func(r *messaging.ErrorRegistry) {
			r.Sentinel("m", "C", errLocked)
			r.Sentinel("m_Remote", "C_Remote", errMoved)
		}},
		{"a builtin class twice", "builtins.KeyError is registered twice", func(r *messaging.ErrorRegistry) {
			r.Sentinel("builtins", "KeyError", errLocked)
			messaging.RegisterErrorFunc(r, "exceptions", "KeyError", encode, nil)
		}},
		{"no class", "the class has no name", func(r *messaging.ErrorRegistry) { r.Sentinel("m", "", errLocked) }},
		{"no class, typed", "the class has no name", func(r *messaging.ErrorRegistry) { messaging.RegisterError[*quotaError](r, "m", "") }},
		{"no error", "<nil> is no sentinel", func(r *messaging.ErrorRegistry) { r.Sentinel("m", "C", nil) }},
		{"an error that cannot be compared", "is no sentinel", func(r *messaging.ErrorRegistry) { r.Sentinel("m", "C", listError{}) }},
		{"a type without fields", "listError is neither a struct", func(r *messaging.ErrorRegistry) { messaging.RegisterError[listError](r, "m", "C") }},
		{"a type that embeds another", "embeds messaging_test.limitError", func(r *messaging.ErrorRegistry) {
			messaging.RegisterError[embeddingError](r, "m", "C")
		}},
		{"no function", "neither encode nor decode", func(r *messaging.ErrorRegistry) { messaging.RegisterErrorFunc[*stateError](r, "m", "C", nil, nil) }},
	} {
		var r messaging.ErrorRegistry
		if got := panicOf(func() { c.register(&r) }); !strings.HasPrefix(got, "messaging: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: panic %q, want %q", c.name, got, c.want)
		}
	}
}

// listError cannot be compared.
type listError []string

func (e listError) Error() string { return strings.Join(e, ", ") }

// embeddingError has fields that are another's.
type embeddingError struct{ limitError }

func panicOf(f func()) (reason string) {
	defer func() { reason = fmt.Sprint(recover()) }()
	f()
	return ""
}

func TestRemoteErrorOfAHandlerIsNotChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failure := func() *messaging.RemoteError {
			return &messaging.RemoteError{
				Module: "m_Remote", Class: "C_Remote", Message: "x\nTraceback (most recent call last):\n",
				Args: []any{"x\nTraceback (most recent call last):\n"}, Traceback: []string{"line\n"},
			}
		}
		returned := failure()
		b := newBus(t)
		b.serve(t, failing(func() error { return returned }))
		if remote, _ := fail(t, b.newClient(t)); remote.Class != "C" || remote.Message != "x" {
			t.Errorf("the caller gets %+v", remote)
		}
		if !reflect.DeepEqual(returned, failure()) {
			t.Errorf("the server made %+v of it", returned)
		}
	})
}
