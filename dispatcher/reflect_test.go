package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goslo/goslo/dispatcher"
)

func reflectEndpoint(tb testing.TB, v any, opts ...dispatcher.Option) *dispatcher.Endpoint {
	tb.Helper()
	ep, err := dispatcher.ReflectEndpoint(v, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return ep
}

// manager has methods of every shape that is suitable.
type manager struct{ calls []string }

func (m *manager) ArgumentNames() map[string][]string {
	return map[string][]string{"Resize": {"host", "cpus", "disk"}, "Refresh": {}}
}

func (m *manager) Refresh(context.Context) error { m.calls = append(m.calls, "refresh"); return nil }

func (m *manager) Version(context.Context) (string, error) { return "1.2", nil }

func (m *manager) Resize(_ context.Context, host string, cpus []int, disk *int) (string, error) {
	if disk == nil {
		return fmt.Sprint(host, cpus), nil
	}
	return fmt.Sprint(host, cpus, *disk), nil
}

func (m *manager) SelectDestinations(_ context.Context, s spec) ([]string, error) {
	return s.Hosts, nil
}

func (m *manager) BuildInstance(_ context.Context, s *spec) (string, error) { return s.ID, nil }

func (m *manager) UpdateAll(_ context.Context, all map[string]json.Number) (int, error) {
	return len(all), nil
}

func (m *manager) Accept(_ context.Context, anything any) (any, error) { return anything, nil }

func (m *manager) Shout(_ context.Context, u upper) (string, error) { return u.text, nil }

func (m *manager) Fail(context.Context) (string, error) { return "in vain", errFailed }

func (m *manager) FailCast(context.Context, struct{}) error { return errFailed }

func (m *manager) FindNothing(context.Context) (*spec, error) { return nil, nil } //nolint:nilnil // a typed nil

var errFailed = errors.New("failed as it was told")

func TestReflectEndpointServesEverySuitableShape(t *testing.T) {
	t.Parallel()
	m := &manager{}
	ep := reflectEndpoint(t, m, dispatcher.WithNamespace(""), dispatcher.WithVersion("1.0"))
	want := []string{
		"accept", "build_instance", "fail", "fail_cast", "find_nothing", "refresh", "resize", "select_destinations",
		"shout", "update_all", "version",
	}
	if got := ep.Methods(); !slices.Equal(got, want) {
		t.Errorf("Methods = %q, want %q", got, want)
	}
	for _, c := range []struct{ method, args, want string }{
		{"refresh", ``, ``},
		{"refresh", `{}`, ``},
		{"version", ``, `"1.2"`},
		{"resize", `{"disk": 3, "host": "h", "cpus": [1, 2]}`, `"h[1 2] 3"`},
		{"resize", `{"host": "h", "cpus": null}`, `"h[]"`},
		{"resize", `{"host": "h", "cpus": [], "disk": null}`, `"h[]"`},
		{"select_destinations", `{"hosts": ["a"]}`, `["a"]`},
		{"select_destinations", ``, `[]`},
		{"build_instance", `{"id": "i"}`, `"i"`},
		{"build_instance", ``, `""`},
		{"update_all", `{"a": 1, "b": 2}`, `2`},
		{"update_all", ``, `0`},
		{"accept", `{"a": 1}`, `{"a": 1}`},
		{"accept", ``, ``},
		{"shout", `{"a": 1}`, `"{\"A\": 1}"`},
		{"find_nothing", ``, `null`},
	} {
		wantCall(t, ep, c.method, c.args, c.want)
	}
	if len(m.calls) != 2 {
		t.Errorf("refresh ran %d times, want twice, on the value itself", len(m.calls))
	}
	for _, method := range []string{"fail", "fail_cast"} {
		if got, err := call(t, ep, method, ""); got != "" || err != errFailed { //nolint:errorlint // not even wrapped
			t.Errorf("%s = %q, %v; want the method's error alone", method, got, err)
		}
	}
}

func TestReflectEndpointRefusesArgumentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	ep := reflectEndpoint(t, &manager{})
	for _, c := range []struct{ method, args, want string }{
		{"refresh", `{"a": 1}`, `unexpected argument "a"`},
		{"resize", `{"cpus": []}`, `missing argument "host"`},
		{"resize", `{"host": "h"}`, `missing argument "cpus"`},
		{"resize", `{"host": "h", "cpus": [], "dsk": 1}`, `unexpected argument "dsk"`},
		{"resize", `{"host": 1, "cpus": []}`, `argument "host": `},
		{"resize", `{"host": "h", "cpus": ["one"]}`, `argument "cpus": [0]: `},
		{"select_destinations", `{"host": []}`, `unexpected argument "host"`},
		{"build_instance", `{"hosts": 1}`, `hosts: `},
		{"update_all", `{"a": []}`, `a: `},
		{"shout", `{}`, `nothing to shout`},
		{"fail_cast", `{"a": 1}`, `unexpected argument "a"`},
	} {
		wantArgumentError(t, ep, c.method, c.args, c.want)
	}
}

// unsuitable has methods of every shape that is not.
type unsuitable struct{}

func (unsuitable) NoParameters() error { return nil }

func (unsuitable) NoContext(string) error { return nil }

func (unsuitable) LateContext(string, context.Context) error { return nil } //nolint:revive // what is tested

func (unsuitable) OwnContext(ownContext) error { return nil }

func (unsuitable) Variadic(context.Context, ...string) error { return nil }

func (unsuitable) NoResults(context.Context) {}

func (unsuitable) NoError(context.Context) string { return "" }

func (unsuitable) LateResult(context.Context) (error, string) { return nil, "" } //nolint:revive,staticcheck // what is tested

func (unsuitable) ThreeResults(context.Context) (a, b string, err error) { return }

func (unsuitable) Unnamed(context.Context, string, string) error { return nil }

func (unsuitable) TooManyNames(context.Context, string) error { return nil }

func (unsuitable) TooFewNames(context.Context, string, string) error { return nil }

func (unsuitable) TwiceTheName(context.Context, string, string) error { return nil }

func (unsuitable) EmptyName(context.Context, string) error { return nil }

func (unsuitable) Number(context.Context, int) error { return nil }

func (unsuitable) List(context.Context, []string) error { return nil }

func (unsuitable) OddKeys(context.Context, map[int]string) error { return nil }

func (unsuitable) Stringer(context.Context, fmt.Stringer) error { return nil }

func (unsuitable) Function(context.Context, func()) error { return nil }

func (unsuitable) GetHTTP(context.Context) error { return nil }

func (unsuitable) GetHttp(context.Context) error { return nil } //nolint:revive // its name on the bus is the same

func (unsuitable) ArgumentNames() map[string][]string {
	return map[string][]string{
		"TooManyNames": {"a", "b"}, "TooFewNames": {"a"}, "TwiceTheName": {"a", "a"}, "EmptyName": {""},
	}
}

type ownContext interface{ context.Context }

func TestReflectEndpointNamesEachUnsuitableMethodAndItsReason(t *testing.T) {
	t.Parallel()
	reasons := map[string]string{
		"NoParameters": "its first parameter is no context.Context",
		"NoContext":    "its first parameter is no context.Context",
		"LateContext":  "its first parameter is no context.Context",
		"OwnContext":   "its first parameter is no context.Context",
		"Variadic":     "it is variadic",
		"NoResults":    "it returns neither an error nor a result and an error",
		"NoError":      "it returns neither an error nor a result and an error",
		"LateResult":   "it returns neither an error nor a result and an error",
		"ThreeResults": "it returns neither an error nor a result and an error",
		"Unnamed":      "it takes more than one argument, and their names are unknown (see ArgumentNamer)",
		"TooManyNames": "it takes 1 arguments, and 2 are named",
		"TooFewNames":  "it takes 2 arguments, and 1 are named",
		"TwiceTheName": `it has two arguments named "a"`,
		"EmptyName":    "an argument has no name",
		"Number":       "its arguments are a int: want a struct or a map, whose fields are the keyword arguments",
		"List":         "its arguments are a []string: want a struct or a map, whose fields are the keyword arguments",
		"OddKeys":      "its arguments are a map[int]string: want a struct or a map, whose fields are the keyword arguments",
		"Stringer":     "its arguments are a fmt.Stringer: want a struct or a map, whose fields are the keyword arguments",
		"Function":     "its arguments are a func(): want a struct or a map, whose fields are the keyword arguments",
		"GetHttp":      `another method is "get_http" on the bus`,
	}
	_, err := dispatcher.ReflectEndpoint(unsuitable{})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("ReflectEndpoint = %v, want an error for each method", err)
	}
	for _, err := range joined.Unwrap() {
		var e *dispatcher.UnsuitableMethodError
		if !errors.As(err, &e) {
			t.Errorf("error = %v, want an UnsuitableMethodError", err)
			continue
		}
		if e.Reason != reasons[e.Method] || e.Type != "dispatcher_test.unsuitable" {
			t.Errorf("%s of %s: reason = %s, want %s", e.Method, e.Type, e.Reason, reasons[e.Method])
		}
		if want := "method " + e.Method + " of dispatcher_test.unsuitable cannot be an RPC method: " + e.Reason; e.Error() != want {
			t.Errorf("error = %s, want %s", e, want)
		}
		delete(reasons, e.Method)
	}
	for method := range reasons {
		t.Errorf("%s was taken for suitable", method)
	}
}

func TestReflectEndpointLeavesOutWhatItIsTold(t *testing.T) {
	t.Parallel()
	ep := reflectEndpoint(t, mixed{}, dispatcher.Except("Close"), dispatcher.Except("String", "Close"))
	if got := strings.Join(ep.Methods(), " "); got != "ping" {
		t.Errorf("Methods = %s, want ping alone", got)
	}
	if _, err := dispatcher.ReflectEndpoint(mixed{}, dispatcher.Except("Close")); err == nil || strings.Contains(err.Error(), "Close") {
		t.Errorf("ReflectEndpoint = %v, want an error for String alone", err)
	}
}

type mixed struct{}

func (mixed) Ping(context.Context) error { return nil }

func (mixed) Close() error { return nil }

func (mixed) String() string { return "mixed" }

type misspelt struct{ mixed }

func (misspelt) ArgumentNames() map[string][]string { return map[string][]string{"Pong": nil} }

type bare struct{}

type private struct{}

func (private) hidden(context.Context) error { return nil } //nolint:unused // that it is not served is what is tested

type namesOnly struct{}

func (namesOnly) ArgumentNames() map[string][]string { return nil }

func TestReflectEndpointRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	var noPointer *manager
	var noValue *mixed
	for name, c := range map[string]struct {
		value any
		opts  []dispatcher.Option
		want  string
	}{
		"nil":                           {nil, nil, "the value is nil"},
		"a value without methods":       {bare{}, nil, "dispatcher_test.bare has no exported methods"},
		"private methods alone":         {private{}, nil, "dispatcher_test.private has no exported methods"},
		"names without methods":         {namesOnly{}, nil, "dispatcher_test.namesOnly has no exported methods"},
		"every method left out":         {mixed{}, []dispatcher.Option{dispatcher.Except("Ping", "Close", "String")}, "has no exported methods"},
		"a misspelt method to leave":    {mixed{}, []dispatcher.Option{dispatcher.Except("close")}, "has no method close to leave out"},
		"a misspelt method to name":     {misspelt{}, []dispatcher.Option{dispatcher.Except("Close", "String")}, "has no method Pong to name arguments of"},
		"a nil pointer":                 {noPointer, nil, "the value is a nil *dispatcher_test.manager"},
		"a nil pointer that has values": {noValue, []dispatcher.Option{dispatcher.Except("Close", "String")}, "the value is a nil *dispatcher_test.mixed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if reason := recover(); reason != nil {
					t.Errorf("panicked: %v", reason)
				}
			}()
			if _, err := dispatcher.ReflectEndpoint(c.value, c.opts...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ReflectEndpoint = %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestSnakeCaseIsWhatPythonWouldWrite(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"SelectDestinations": "select_destinations",
		"Ping":               "ping",
		"A":                  "a",
		"AB":                 "ab",
		"ABc":                "a_bc",
		"GetHTTPPort":        "get_http_port",
		"HTTPServer":         "http_server",
		"ServeHTTP":          "serve_http",
		"GetIPv6":            "get_i_pv6",
		"Resize2":            "resize2",
		"Resize2Disks":       "resize2_disks",
		"Already_Snake":      "already_snake",
		"Already_snake":      "already_snake",
		"Get_HTTPPort":       "get_http_port",
		"ÄndereGröße":        "ändere_größe",
		"":                   "",
	} {
		if got := dispatcher.SnakeCase(name); got != want {
			t.Errorf("SnakeCase(%q) = %q, want %q", name, got, want)
		}
	}
}
