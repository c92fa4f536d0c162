package dispatcher_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
)

var null = wire.Optional{State: wire.Null}

// service is a set of endpoints as a service has them: two versions of the null namespace, named ones, one that
// goes by older names too.
func service() []*dispatcher.Endpoint {
	return []*dispatcher.Endpoint{
		answering("first", []string{"ok", "only_first", "_private"}, dispatcher.WithVersion("1.3")),
		answering("second", []string{"ok", "only_second", "_private"}, dispatcher.WithVersion("1.5.2")),
		answering("third", []string{"ok"}, dispatcher.WithVersion("2.0")),
		answering("named", []string{"ok"}, dispatcher.WithNamespace("n"), dispatcher.WithVersion("2.0")),
		answering("unversioned", []string{"ok"}, dispatcher.WithNamespace("u")),
		answering("renamed", []string{"ok", "legacy"},
			dispatcher.WithNamespace("new"), dispatcher.WithLegacyNamespaces("old", "older", "")),
	}
}

// TestDispatchFindsTheMethodThatOsloFinds is the table of the rules of oslo_messaging/rpc/dispatcher.py.
func TestDispatchFindsTheMethodThatOsloFinds(t *testing.T) {
	t.Parallel()
	d := newDispatcher(t, service()...)
	version, namespace := wire.Some, wire.Some
	for _, c := range []struct {
		name               string
		method             string
		namespace, version wire.Optional
		want               string // what the method answers, or the text of the error
	}{
		{"a request without version is for 1.0", "ok", wire.Optional{}, wire.Optional{}, `"first"`},
		{"a null namespace is none", "ok", null, wire.Optional{}, `"first"`},
		{"the very version", "ok", wire.Optional{}, version("1.3"), `"first"`},
		{"a lower minor version", "ok", wire.Optional{}, version("1.2"), `"first"`},
		{"a lower minor version with any revision", "ok", wire.Optional{}, version("1.2.9"), `"first"`},
		{"a higher minor version goes to a later endpoint", "ok", wire.Optional{}, version("1.4"), `"second"`},
		{"the very revision", "ok", wire.Optional{}, version("1.5.2"), `"second"`},
		{
			"a higher revision", "ok",
			wire.Optional{},
			version("1.5.3"),
			"Endpoint does not support RPC version 1.5.3. Attempted method: ok",
		},
		{"another major version", "ok", wire.Optional{}, version("2.0"), `"third"`},
		{
			"a version that nobody has", "ok",
			wire.Optional{},
			version("1.6"),
			"Endpoint does not support RPC version 1.6. Attempted method: ok",
		},
		{
			"a null version, which is not an absent one", "ok",
			wire.Optional{},
			null,
			"Endpoint does not support RPC version None. Attempted method: ok",
		},
		{"a version without minor number", "ok", wire.Optional{}, version("1"), `version "1" has no minor number`},
		{"a version that is no number", "ok", wire.Optional{}, version("abc"), `version "abc" is not made of decimal numbers`},
		{"an empty version", "ok", wire.Optional{}, version(""), `version "" is not made of decimal numbers`},
		{
			"a malformed version for an unknown namespace is not even compared", "ok", namespace("x"), version("abc"),
			"Endpoint does not support RPC version abc. Attempted method: ok",
		},
		{"a method of the first endpoint only", "only_first", wire.Optional{}, wire.Optional{}, `"first"`},
		{"a method that a later endpoint has", "only_second", wire.Optional{}, wire.Optional{}, `"second"`},
		{"a method that only the last one has, by a legacy null namespace", "legacy", wire.Optional{}, wire.Optional{}, `"renamed"`},
		{
			"a method in no compatible endpoint", "only_first",
			wire.Optional{},
			version("1.4"),
			"Endpoint does not support RPC method only_first",
		},
		{"a method that nobody has", "nosuch", wire.Optional{}, wire.Optional{}, "Endpoint does not support RPC method nosuch"},
		{"a method with an empty name", "", wire.Optional{}, wire.Optional{}, "Endpoint does not support RPC method "},
		{
			"a private method, though two endpoints have it", "_private",
			wire.Optional{},
			wire.Optional{},
			"Endpoint does not support RPC method _private",
		},
		{"a namespace with its version", "ok", namespace("n"), version("2.0"), `"named"`},
		{
			"a namespace without version, where 2.0 is served", "ok", namespace("n"),
			wire.Optional{},
			"Endpoint does not support RPC version 1.0. Attempted method: ok",
		},
		{"an endpoint without version serves 1.0", "ok", namespace("u"), wire.Optional{}, `"unversioned"`},
		{
			"an endpoint without version serves no 1.1", "ok", namespace("u"), version("1.1"),
			"Endpoint does not support RPC version 1.1. Attempted method: ok",
		},
		{"the name of an endpoint that has older ones", "ok", namespace("new"), wire.Optional{}, `"renamed"`},
		{"a legacy name", "ok", namespace("old"), wire.Optional{}, `"renamed"`},
		{"another legacy name", "ok", namespace("older"), wire.Optional{}, `"renamed"`},
		{
			"an unknown namespace is a matter of version", "ok", namespace("x"),
			wire.Optional{},
			"Endpoint does not support RPC version 1.0. Attempted method: ok",
		},
		{
			"an empty namespace is not the null one", "ok", namespace(""),
			wire.Optional{},
			"Endpoint does not support RPC version 1.0. Attempted method: ok",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			result, err := dispatch(t.Context(), d, &dispatcher.Request{Method: c.method, Namespace: c.namespace, Version: c.version}, "")
			got := string(result)
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("Dispatch = %s, want %s", got, c.want)
			}
		})
	}
}

func TestDispatchErrorsTellTheirKinds(t *testing.T) {
	t.Parallel()
	d := newDispatcher(t, service()...)
	dispatch := func(req *dispatcher.Request) error { _, err := dispatch(t.Context(), d, req, ""); return err }

	var noMethod *dispatcher.NoSuchMethodError
	if err := dispatch(&dispatcher.Request{Method: "nosuch"}); !errors.As(err, &noMethod) || noMethod.Method != "nosuch" {
		t.Errorf("unknown method: error = %#v, want a NoSuchMethodError", err)
	}
	var unsupported *dispatcher.UnsupportedVersionError
	for text, version := range map[string]wire.Optional{"9.0": wire.Some("9.0"), "None": null} {
		err := dispatch(&dispatcher.Request{Method: "ok", Version: version})
		if !errors.As(err, &unsupported) || unsupported.Version != text || unsupported.Method != "ok" {
			t.Errorf("version %s: error = %#v, want an UnsupportedVersionError", text, err)
		}
	}
	var malformed *target.MalformedVersionError
	for text, missing := range map[string]bool{"1": true, "1.x": false} {
		err := dispatch(&dispatcher.Request{Method: "ok", Version: wire.Some(text)})
		if !errors.As(err, &malformed) || malformed.Missing != missing {
			t.Errorf("version %s: error = %#v, want a MalformedVersionError with Missing = %v", text, err, missing)
		}
	}
	var argument *dispatcher.ArgumentError
	err := dispatch(&dispatcher.Request{Method: "ok", Fault: "args must be an object"})
	if !errors.As(err, &argument) || err.Error() != "args must be an object" {
		t.Errorf("fault: error = %#v, want an ArgumentError with the reason alone", err)
	}
}

func TestDispatchEncodesResults(t *testing.T) {
	t.Parallel()
	type host struct {
		Name  string `json:"name"`
		Ratio float64
	}
	var nothing *host
	for _, c := range []struct {
		name   string
		result any
		want   string
	}{
		{"nothing", nil, ""},
		{"a typed nil", nothing, "null"},
		{"a nil slice", []host(nil), "[]"},
		{"a text", "příliš", `"p\u0159\u00edli\u0161"`},
		{"a whole float", 1.0, "1.0"},
		{"structs", []host{{"a", 2}}, `[{"name": "a", "Ratio": 2.0}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ep := dispatcher.NewEndpoint()
			dispatcher.Handle(ep, "get", func(context.Context, struct{}) (any, error) { return c.result, nil })
			wantCall(t, ep, "get", "", c.want)
		})
	}
}

func TestDispatchTellsThatAResultCannotBeEncoded(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]any{"a function": func() {}, "deep inside": map[string]any{"a": []any{make(chan int)}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ep := dispatcher.NewEndpoint()
			dispatcher.Handle(ep, "get", func(context.Context, struct{}) (any, error) { return result, nil })
			got, err := call(t, ep, "get", "")
			var wrong *dispatcher.ResultError
			if !errors.As(err, &wrong) || wrong.Method != "get" || !errors.Is(err, serializer.ErrEncode) ||
				!strings.HasPrefix(err.Error(), "get(): encode the result: ") {
				t.Errorf("Dispatch = %s, %v; want a ResultError with its cause", got, err)
			}
		})
	}
}

func TestDispatchReturnsTheErrorOfTheMethodAsItIs(t *testing.T) {
	t.Parallel()
	failed := errors.New("no valid host was found")
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "typed", func(context.Context, struct{}) (string, error) { return "in vain", failed })
	dispatcher.HandleArg(ep, "argument", "a", func(context.Context, *int) (string, error) { return "in vain", failed })
	dispatcher.HandleCast(ep, "cast", func(context.Context, struct{}) error { return failed })
	for _, method := range ep.Methods() {
		if got, err := call(t, ep, method, ""); got != "" || err != failed { //nolint:errorlint // not even wrapped
			t.Errorf("%s: Dispatch = %q, %v; want the method's own error alone", method, got, err)
		}
	}
}

func TestDispatchHandsTheContextOn(t *testing.T) {
	t.Parallel()
	type key struct{}
	ep := dispatcher.NewEndpoint()
	get := func(ctx context.Context) (any, error) { return ctx.Value(key{}), nil }
	dispatcher.Handle(ep, "typed", func(ctx context.Context, _ struct{}) (any, error) { return get(ctx) })
	dispatcher.HandleArg(ep, "argument", "a", func(ctx context.Context, _ *int) (any, error) { return get(ctx) })
	d := newDispatcher(t, ep)
	for _, method := range ep.Methods() {
		got, err := dispatch(context.WithValue(t.Context(), key{}, "value"), d, &dispatcher.Request{Method: method}, "")
		if err != nil || string(got) != `"value"` {
			t.Errorf("%s: the method sees %s, %v; want the caller's context", method, got, err)
		}
	}
}

func TestNewRefusesEndpointsThatCannotServe(t *testing.T) {
	t.Parallel()
	good := answering("a", []string{"m"})
	versioned := func(version string) []*dispatcher.Endpoint {
		return []*dispatcher.Endpoint{good, answering("a", []string{"m"}, dispatcher.WithNamespace("n"), dispatcher.WithVersion(version))}
	}
	for name, c := range map[string]struct {
		endpoints []*dispatcher.Endpoint
		want      string
	}{
		"none at all":                       {nil, "a server needs at least one endpoint"},
		"a nil one":                         {[]*dispatcher.Endpoint{good, nil}, "an endpoint is nil"},
		"one without methods":               {[]*dispatcher.Endpoint{dispatcher.NewEndpoint(dispatcher.WithNamespace("n"))}, `namespace "n" has no methods`},
		"a version without minor number":    {versioned("1"), `namespace "n": version "1" has no minor`},
		"another such version":              {versioned("2"), `version "2" has no minor`},
		"a version that is no number":       {versioned("one"), `version "one" is not made of`},
		"a minor version that is no number": {versioned("2.x"), `version "2.x" is not made of`},
		"a revision that is no number":      {versioned("1.5.x"), `version "1.5.x" is not made of`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dispatcher.New(c.endpoints, dispatcher.DefaultPolicy)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New = %v, want an error with %q", err, c.want)
			}
		})
	}
	for _, version := range []string{"", "1.0", "1.5", "0.0", "2.0.7", "1.0.0.beta"} {
		if _, err := dispatcher.New(versioned(version), dispatcher.DefaultPolicy); err != nil {
			t.Errorf("New with version %q = %v", version, err)
		}
	}
}

func TestEndpointTellsWhatItServes(t *testing.T) {
	t.Parallel()
	ep := answering("a", []string{"b", "a", "c"},
		dispatcher.WithNamespace("n"), dispatcher.WithVersion("1.2"), dispatcher.WithLegacyNamespaces("o"))
	if got := strings.Join(ep.Methods(), " "); got != "a b c" {
		t.Errorf("Methods = %s, want them sorted", got)
	}
	if got := ep.Target(); got.Namespace != "n" || got.Version != "1.2" || len(got.LegacyNamespaces) != 1 {
		t.Errorf("Target = %v, want the namespace and version of the options", got)
	}
}

func TestDispatchServesManyAtOnce(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.HandleArg(ep, "double", "n", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	d := newDispatcher(t, ep)
	done := make(chan bool)
	for range 4 {
		go func() {
			ok := true
			for range 100 {
				got, err := dispatch(t.Context(), d, &dispatcher.Request{Method: "double"}, `{"n": 21}`)
				ok = ok && err == nil && string(got) == "42"
			}
			done <- ok
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("a result was wrong")
		}
	}
}

func TestDispatchKeepsNumbersAsTheyAre(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.HandleArg(ep, "echo", "v", func(_ context.Context, v any) (any, error) { return v, nil })
	for _, number := range []string{"1", "1.0", "1180591620717411303424", "NaN", "-Infinity", "1e-07"} {
		wantCall(t, ep, "echo", `{"v": `+number+`}`, number)
	}
	dispatcher.HandleArg(ep, "sqrt", "x", func(_ context.Context, x float64) (float64, error) { return math.Sqrt(x), nil })
	wantCall(t, ep, "sqrt", `{"x": 4}`, "2.0")
}
