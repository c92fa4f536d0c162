//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/messaging"
)

// service is a Python process with the servers host1 and host2, and the Go client that calls them.
type service struct {
	*bus
	py     *python
	server *peer
	party  *party
	client *messaging.Client
}

func newService(t *testing.T, py *python) *service {
	t.Helper()
	b := newBus(t)
	s := &service{bus: b, py: py, server: startServers(t, py, b), party: join(t, b.url)}
	s.client = s.party.client(t, b, messaging.WithTimeout(patience))
	return s
}

// startServers starts the servers host1 and host2 of the topic in one Python process.
func startServers(t *testing.T, py *python, b *bus, more ...string) *peer {
	t.Helper()
	return startPeer(t, py, "peer_server.py", append([]string{
		"--url", b.url, "--exchange", b.exchange, "--topic", b.topic, "--server", "host1", "--server", "host2",
	}, more...)...)
}

type args map[string]any

// want calls a method of the topic and checks its result.
func want[Res any](t *testing.T, c *messaging.Client, method string, a args, result Res) {
	t.Helper()
	got, err := messaging.Call[Res](t.Context(), c, method, a)
	if err != nil {
		t.Fatalf("call %s: %v", method, err)
	}
	if diff := cmp.Diff(result, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("result of %s (-want +got):\n%s", method, clip(diff))
	}
}

// describe checks the type and repr that an argument has in Python.
func (s *service) describe(t *testing.T, value any, kind, repr string) {
	t.Helper()
	want(t, s.client, "describe", args{"value": value}, []string{kind, repr})
}

// wantRemote calls a method that must fail by that class.
func wantRemote(t *testing.T, c *messaging.Client, method string, a args, module, class, message string) {
	t.Helper()
	remote := callFailing(t, c, method, a)
	if remote.Module != module || remote.Class != class || remote.Message != message {
		t.Errorf("remote error %s.%s: %q, want %s.%s: %q",
			remote.Module, remote.Class, remote.Message, module, class, message)
	}
	if text := strings.Join(remote.Traceback, ""); !strings.Contains(text, class) {
		t.Errorf("traceback %q does not end in the class", text)
	}
}

func callFailing(t *testing.T, c *messaging.Client, method string, a args) *messaging.RemoteError {
	t.Helper()
	err := c.Call(t.Context(), method, a, nil)
	var remote *messaging.RemoteError
	if !errors.As(err, &remote) {
		t.Fatalf("call %s = %v, want a RemoteError", method, err)
	}
	return remote
}

// wantSilence evaluates code whose value Python cannot send: the call times out, and the next one is served.
func (s *service) wantSilence(t *testing.T, code args) {
	t.Helper()
	err := s.client.Prepare(messaging.WithTimeout(1500*time.Millisecond)).Call(t.Context(), "constant", code, nil)
	if !errors.Is(err, messaging.ErrTimeout) {
		t.Errorf("Call = %v, want ErrTimeout", err)
	}
	want(t, s.client, "echo", nil, map[string]any{})
}

const (
	dispatcherModule = "oslo_messaging.rpc.dispatcher"
	pingMethod       = "oslo_rpc_server_ping"
)

// goClientTest is one against the two Python servers of a service.
type goClientTest struct {
	name string
	run  func(t *testing.T, s *service)
}

// goClientTests run one after the other.
var goClientTests = []goClientTest{
	{"a call gets the method's result", func(t *testing.T, s *service) {
		want(t, s.client, "echo", args{"a": 1, "b": "two"}, map[string]any{"a": json.Number("1"), "b": "two"})
	}},
	{"a call without arguments gets a result", func(t *testing.T, s *service) {
		want(t, s.client, "echo", nil, map[string]any{})
	}},
	{"a struct gives the keyword arguments", func(t *testing.T, s *service) {
		type named struct {
			Name string `json:"name"`
		}
		got, err := messaging.Call[string](t.Context(), s.client, "required", named{"ß"})
		if err != nil || got != "ß" {
			t.Errorf("Call = %q, %v, want ß", got, err)
		}
	}},
	{"a method that returns nothing gives nil", func(t *testing.T, s *service) {
		want[any](t, s.client, "nothing", nil, nil)
	}},
	{"a result that nobody wants is dropped", func(t *testing.T, s *service) {
		if err := s.client.Call(t.Context(), "echo", args{"v": 1}, nil); err != nil {
			t.Error(err)
		}
	}},
	{"nil arrives as None", func(t *testing.T, s *service) {
		s.describe(t, nil, "NoneType", "None")
	}},
	{"unicode arrives", func(t *testing.T, s *service) {
		s.describe(t, "ß 日本 😀 \x00 \u2028 \"\\'", "str", `'ß 日本 😀 \x00 \u2028 "\\\''`)
	}},
	{"unicode comes back", func(t *testing.T, s *service) {
		const text = "ß 日本 😀 \x00 \u2028 \"\\'"
		want(t, s.client, "echo", args{text: text}, map[string]string{text: text})
	}},
	{"an integer of 71 bits arrives", func(t *testing.T, s *service) {
		s.describe(t, new(big.Int).Lsh(big.NewInt(1), 70), "int", "1180591620717411303424")
	}},
	{"integers at the limits of 64 bits arrive", func(t *testing.T, s *service) {
		s.describe(t, []any{int64(math.MaxInt64), int64(math.MinInt64), uint64(math.MaxUint64), int64(1<<53 + 1)}, "list",
			"[9223372036854775807, -9223372036854775808, 18446744073709551615, 9007199254740993]")
	}},
	{"integers at the limits of 64 bits come back", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "2**63 - 1"}, int64(math.MaxInt64))
		want(t, s.client, "constant", args{"code": "-2**63"}, int64(math.MinInt64))
		want(t, s.client, "constant", args{"code": "2**64 - 1"}, uint64(math.MaxUint64))
		want(t, s.client, "constant", args{"code": "2**64"}, new(big.Int).Lsh(big.NewInt(1), 64))
		want(t, s.client, "constant", args{"code": "2**53 + 1"}, int64(1<<53+1))
	}},
	{"a result that its Go type has no room for is an error", func(t *testing.T, s *service) {
		if got, err := messaging.Call[int64](t.Context(), s.client, "constant", args{"code": "2**63"}); err == nil {
			t.Errorf("Call = %d, want an error", got)
		}
		if got, err := messaging.Call[uint8](t.Context(), s.client, "constant", args{"code": "256"}); err == nil {
			t.Errorf("Call = %d, want an error", got)
		}
	}},
	{"an integer of a thousand digits arrives and comes back", func(t *testing.T, s *service) {
		digits := strings.Repeat("9876543210", 100)
		n, _ := new(big.Int).SetString("-"+digits, 10)
		s.describe(t, n, "int", "-"+digits)
		want(t, s.client, "echo", args{"v": n}, map[string]*big.Int{"v": n})
	}},
	{"results that count as false are not nil", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "['', [], {}, 0, 0.0, False, None]"},
			[]any{"", []any{}, map[string]any{}, json.Number("0"), json.Number("0.0"), false, nil})
		for code, result := range map[string]any{"''": "", "[]": []any{}, "{}": map[string]any{}, "0": json.Number("0"), "False": false} {
			want(t, s.client, "constant", args{"code": code}, result)
		}
	}},
	{"tuples and ranges come back as lists", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "[(1, (2, 3)), {3}, range(2), ()]"}, [][]any{
			{json.Number("1"), []any{json.Number("2"), json.Number("3")}},
			{json.Number("3")},
			{json.Number("0"), json.Number("1")},
			{},
		})
	}},
	{"keys that are no text come back as text", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "{1: 'a', None: 'b', 2.5: 'c', '': 'd'}"},
			map[string]string{"1": "a", "null": "b", "2.5": "c", "": "d"})
	}},
	{"bytes and UUIDs come back as text", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "['ß'.encode(), __import__('uuid').UUID(int=1)]"},
			[]string{"ß", "00000000-0000-0000-0000-000000000001"})
	}},
	{"a date comes back as text where Python can send it", func(t *testing.T, s *service) {
		code := args{"code": "__import__('datetime').date(2024, 2, 29)"}
		if s.py.version != "14.0" {
			want(t, s.client, "constant", code, "2024-02-29")
			return
		}
		s.wantSilence(t, code)
	}},
	// Python's server logs the error and answers nothing.
	{"a result that Python cannot send is a timeout", func(t *testing.T, s *service) {
		s.wantSilence(t, args{"code": "1j"})
	}},
	{"a lone surrogate does no harm", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": `"a\ud800b"`}, "a\uFFFDb")
	}},
	{"argument names that are no identifiers survive", func(t *testing.T, s *service) {
		names := map[string]int{"": 1, "a b": 2, "1": 3, "a.b": 4, "ß": 5}
		sent := args{}
		for name, n := range names {
			sent[name] = n
		}
		want(t, s.client, "echo", sent, names)
	}},
	{"ninety levels of nesting survive", func(t *testing.T, s *service) {
		var nested any = []any{}
		for range 89 {
			nested = []any{nested}
		}
		text := strings.Repeat("[", 90) + strings.Repeat("]", 90)
		s.describe(t, nested, "list", text)
		got, err := messaging.Call[any](t.Context(), s.client, "constant", args{"code": text})
		if err != nil || fmt.Sprint(got) != text {
			t.Errorf("Call = %v, %v, want %s", got, err, text)
		}
	}},
	{"an integer of 71 bits comes back", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "-2**70"}, new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 70)))
	}},
	{"1.0 arrives as a float", func(t *testing.T, s *service) {
		s.describe(t, 1.0, "float", "1.0")
	}},
	{"1.0 comes back as a float and 1 as an integer", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "[1.0, 1]"}, []any{json.Number("1.0"), json.Number("1")})
	}},
	{"floats keep their digits", func(t *testing.T, s *service) {
		s.describe(t, []float64{0.1, 1e-7, 1e16, math.MaxFloat64, 5e-324}, "list",
			"[0.1, 1e-07, 1e+16, 1.7976931348623157e+308, 5e-324]")
	}},
	{"NaN and infinities arrive", func(t *testing.T, s *service) {
		s.describe(t, []float64{math.NaN(), math.Inf(1), math.Inf(-1)}, "list", "[nan, inf, -inf]")
	}},
	{"NaN comes back", func(t *testing.T, s *service) {
		got, err := messaging.Call[float64](t.Context(), s.client, "constant", args{"code": "float('nan')"})
		if err != nil || !math.IsNaN(got) {
			t.Errorf("Call = %v, %v, want NaN", got, err)
		}
	}},
	{"booleans arrive as booleans", func(t *testing.T, s *service) {
		s.describe(t, []any{true, false, 1, 0}, "list", "[True, False, 1, 0]")
	}},
	{"nested and empty values arrive", func(t *testing.T, s *service) {
		s.describe(t, map[string]any{"a": []any{args{}, []any{}, "", args{"b": []any{[]any{nil}}}}}, "dict",
			"{'a': [{}, [], '', {'b': [[None]]}]}")
	}},
	{"nil slices and maps arrive empty", func(t *testing.T, s *service) {
		s.describe(t, []any{[]string(nil), map[string]int(nil), (*int)(nil)}, "list", "[[], {}, None]")
	}},
	{"a time arrives as oslo writes it", func(t *testing.T, s *service) {
		s.describe(t, time.Date(2024, 2, 29, 3, 4, 5, 60_000, time.UTC), "str", "'2024-02-29T03:04:05.000060'")
	}},
	{"a datetime comes back as a time", func(t *testing.T, s *service) {
		want(t, s.client, "constant", args{"code": "__import__('datetime').datetime(2024, 2, 29, 3, 4, 5, 60)"},
			time.Date(2024, 2, 29, 3, 4, 5, 60_000, time.UTC))
	}},
	{"a mebibyte arrives", func(t *testing.T, s *service) {
		want(t, s.client, "size", args{"blob": strings.Repeat("x", 1<<20)}, 1<<20)
	}},
	{"a mebibyte comes back", func(t *testing.T, s *service) {
		got, err := messaging.Call[string](t.Context(), s.client, "blob", args{"size": 1 << 20})
		if err != nil || got != strings.Repeat("x", 1<<20) {
			t.Errorf("Call = %d bytes, %v, want %d", len(got), err, 1<<20)
		}
	}},
	{"200 calls at once each get their own answer", func(t *testing.T, s *service) {
		var calls sync.WaitGroup
		for n := range 200 {
			calls.Go(func() {
				got, err := messaging.Call[map[string]int](t.Context(), s.client, "echo", args{"number": n})
				if err != nil || got["number"] != n {
					t.Errorf("call %d = %v, %v", n, got, err)
				}
			})
		}
		calls.Wait()
	}},
	{"a cast runs the method", func(t *testing.T, s *service) {
		if err := s.client.Cast(patient(t), "note", args{"v": []any{1, "ß"}}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"v": []any{1.0, "ß"}}, receive(t, s.server.notes).Args); diff != "" {
			t.Errorf("arguments (-want +got):\n%s", diff)
		}
		receiveNothing(t, s.server.notes)
	}},
	{"a cast that fails stops nothing", func(t *testing.T, s *service) {
		for _, method := range []string{"no_such", "_echo", "required", "fail"} {
			if err := s.client.Cast(patient(t), method, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.client.Prepare(messaging.ToVersion("9.0")).Cast(patient(t), "note", nil); err != nil {
			t.Fatal(err)
		}
		want(t, s.client, "echo", nil, map[string]any{})
		receiveNothing(t, s.server.notes)
	}},
	{"a fanout of another version runs nothing", func(t *testing.T, s *service) {
		if err := s.client.Prepare(messaging.ToVersion("1.4")).Fanout(patient(t), "note", nil); err != nil {
			t.Fatal(err)
		}
		receiveNothing(t, s.server.notes)
	}},
	{"a fanout runs the method on every server", func(t *testing.T, s *service) {
		if err := s.client.Fanout(patient(t), "note", nil); err != nil {
			t.Fatal(err)
		}
		got := []string{receive(t, s.server.notes).Server, receive(t, s.server.notes).Server}
		slices.Sort(got)
		if !slices.Equal(got, []string{"host1", "host2"}) {
			t.Errorf("the servers %v ran the method, want each once", got)
		}
		receiveNothing(t, s.server.notes)
	}},
	{"a call to one server is answered by that one", func(t *testing.T, s *service) {
		for _, server := range []string{"host1", "host2", "host1", "host1"} {
			want(t, s.client.Prepare(messaging.ToServer(server)), "who", nil, server)
		}
	}},
	{"a cast to one server runs on that one", func(t *testing.T, s *service) {
		for range 2 {
			if err := s.client.Prepare(messaging.ToServer("host2")).Cast(patient(t), "note", nil); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, s.server.notes).Server; got != "host2" {
				t.Errorf("server %s ran the method, want host2", got)
			}
		}
		receiveNothing(t, s.server.notes)
	}},
	{"a failure of a builtin class keeps its class", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "builtin"}, "builtins", "ValueError", "no such thing: ß")
	}},
	{"a failure with kwargs keeps them", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "quota"}, "peer_errors", "QuotaExceeded", "No cores left: 20 used.")
		e := callFailing(t, s.client, "fail", args{"kind": "quota"})
		if diff := cmp.Diff(map[string]any{"resource": "cores", "used": json.Number("20")}, e.Kwargs); diff != "" {
			t.Errorf("kwargs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]any{"No cores left: 20 used."}, e.Args); diff != "" {
			t.Errorf("args (-want +got):\n%s", diff)
		}
	}},
	{"a failure of any module keeps its names", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "unlisted"}, "unlisted_errors", "Unlisted", "nobody knows me")
	}},
	{"an expected failure keeps its class", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail_expected", nil, "builtins", "LookupError", "as expected")
	}},
	{"a chained failure is its outer one", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "chained"}, "builtins", "RuntimeError", "outer")
	}},
	{"a KeyError has the text that Python gives it", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "key"}, "builtins", "KeyError", "'k'")
	}},
	{"a failure keeps all its arguments", func(t *testing.T, s *service) {
		e := callFailing(t, s.client, "fail", args{"kind": "several"})
		want := []any{"a", json.Number("2"), nil, []any{json.Number("1.0")}}
		if diff := cmp.Diff(want, e.Args); e.Class != "ValueError" || diff != "" {
			t.Errorf("class %s, args (-want +got):\n%s", e.Class, diff)
		}
	}},
	{"a failure's text keeps its lines", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "lines"}, "builtins", "ValueError", "first\nsecond: ß\n")
	}},
	{"a failure without a text has none", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "empty"}, "builtins", "ValueError", "")
	}},
	{"a failure that a server passed on has its own name", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "passed on"}, "peer_errors", "QuotaExceeded", "no cores left")
	}},
	{"a plain exception is an Exception", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "fail", args{"kind": "plain"}, "builtins", "Exception", "plain")
	}},
	{"200 failures at once each get their own", func(t *testing.T, s *service) {
		var calls sync.WaitGroup
		for n := range 200 {
			calls.Go(func() {
				var remote *messaging.RemoteError
				method := fmt.Sprintf("no_such_%d", n)
				err := s.client.Call(t.Context(), method, nil, nil)
				if !errors.As(err, &remote) || remote.Message != "Endpoint does not support RPC method "+method {
					t.Errorf("call %s = %v, want NoSuchMethod", method, err)
				}
			})
		}
		calls.Wait()
	}},
	{"an unknown method is NoSuchMethod", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "no_such", nil, dispatcherModule, "NoSuchMethod", "Endpoint does not support RPC method no_such")
	}},
	{"a private method is NoSuchMethod", func(t *testing.T, s *service) {
		wantRemote(t, s.client, "_echo", nil, dispatcherModule, "NoSuchMethod", "Endpoint does not support RPC method _echo")
	}},
	{"a lower minor version is served", func(t *testing.T, s *service) {
		want[any](t, s.client.Prepare(messaging.ToVersion("1.2")), "nothing", nil, nil)
	}},
	{"a higher minor version is unsupported", func(t *testing.T, s *service) {
		wantRemote(t, s.client.Prepare(messaging.ToVersion("1.4")), "who", nil, dispatcherModule, "UnsupportedVersion",
			"Endpoint does not support RPC version 1.4. Attempted method: who")
	}},
	{"another major version is unsupported", func(t *testing.T, s *service) {
		wantRemote(t, s.client.Prepare(messaging.ToVersion("2.0")), "who", nil, dispatcherModule, "UnsupportedVersion",
			"Endpoint does not support RPC version 2.0. Attempted method: who")
	}},
	{"minor version 10 is higher than 3", func(t *testing.T, s *service) {
		wantRemote(t, s.client.Prepare(messaging.ToVersion("1.10")), "who", nil, dispatcherModule, "UnsupportedVersion",
			"Endpoint does not support RPC version 1.10. Attempted method: who")
	}},
	{"a legacy namespace is served", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.ToNamespace("old-compute"), messaging.ToVersion("2.0"))
		want(t, c, "interface", nil, "compute 2.3")
	}},
	{"a method of another namespace is NoSuchMethod", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.ToNamespace("compute"), messaging.ToVersion("2.0"))
		wantRemote(t, c, "who", nil, dispatcherModule, "NoSuchMethod", "Endpoint does not support RPC method who")
	}},
	{"a namespace with its version is served", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.ToNamespace("compute"), messaging.ToVersion("2.1"))
		want(t, c, "interface", nil, "compute 2.3")
	}},
	{"a namespace without its version is unsupported", func(t *testing.T, s *service) {
		wantRemote(t, s.client.Prepare(messaging.ToNamespace("compute")), "interface", nil, dispatcherModule, "UnsupportedVersion",
			"Endpoint does not support RPC version 1.0. Attempted method: interface")
	}},
	{"an unknown namespace is unsupported", func(t *testing.T, s *service) {
		wantRemote(t, s.client.Prepare(messaging.ToNamespace("storage")), "who", nil, dispatcherModule, "UnsupportedVersion",
			"Endpoint does not support RPC version 1.0. Attempted method: who")
	}},
	{"a version above the cap is not sent", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.WithVersionCap("1.1"), messaging.ToVersion("1.2"))
		var capped *messaging.VersionCapError
		if err := c.Cast(patient(t), "note", nil); !errors.As(err, &capped) {
			t.Errorf("Cast = %v, want a VersionCapError", err)
		}
		receiveNothing(t, s.server.notes)
	}},
	{"an argument that is missing is a TypeError", func(t *testing.T, s *service) {
		if e := callFailing(t, s.client, "required", nil); e.Module != "builtins" || e.Class != "TypeError" {
			t.Errorf("remote error %v, want a TypeError", e)
		}
	}},
	{"an argument too many is a TypeError", func(t *testing.T, s *service) {
		if e := callFailing(t, s.client, "required", args{"name": "x", "more": 1}); e.Class != "TypeError" {
			t.Errorf("remote error %v, want a TypeError", e)
		}
	}},
	{"the request context arrives", func(t *testing.T, s *service) {
		sent := messaging.RequestContext{
			"user": "ß日本", "roles": []any{"admin", "член"}, "is_admin": true, "quota": nil,
			"nested": map[string]any{"a": []any{map[string]any{"b": json.Number("1.5")}}, "": ""},
		}
		got, err := messaging.Call[map[string]any](messaging.WithRequestContext(patient(t), sent), s.client, "context", nil)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]any{"client_timeout": nil}
		maps.Copy(seen, sent)
		if diff := cmp.Diff(seen, got); diff != "" {
			t.Errorf("request context (-sent +seen):\n%s", diff)
		}
	}},
	{"the request context of a cast arrives", func(t *testing.T, s *service) {
		ctx := messaging.WithRequestContext(patient(t), messaging.RequestContext{"user": "ß"})
		if err := s.client.Cast(ctx, "note", nil); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"user": "ß", "client_timeout": nil}
		if diff := cmp.Diff(want, receive(t, s.server.notes).Context); diff != "" {
			t.Errorf("request context (-sent +seen):\n%s", diff)
		}
	}},
	{"a monitored call that ends before the first heartbeat gets its result", func(t *testing.T, s *service) {
		want(t, s.client.Prepare(messaging.WithCallMonitor(2*time.Second)), "echo", args{"v": "ß"}, map[string]string{"v": "ß"})
	}},
	{"slow calls do not hold up a quick one", func(t *testing.T, s *service) {
		var slow sync.WaitGroup
		var ended atomic.Int64
		for range 10 {
			slow.Go(func() {
				if err := s.client.Call(t.Context(), "work", args{"seconds": 3}, nil); err != nil {
					t.Errorf("Call = %v, want a result", err)
				}
				ended.Add(1)
			})
		}
		for range 10 {
			receive(t, s.server.notes)
		}
		want(t, s.client, "echo", nil, map[string]any{})
		if n := ended.Load(); n == 10 {
			t.Error("the quick call took as long as the slow ones")
		}
		slow.Wait()
	}},
	{"the monitor timeout is seen as client_timeout", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.WithCallMonitor(2 * time.Second))
		want(t, c, "context", nil, map[string]int{"client_timeout": 2})
	}},
	// Python's server goes on sending heartbeats after such a failure.
	{"an unknown method of a monitored call is NoSuchMethod", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.WithCallMonitor(2 * time.Second))
		wantRemote(t, c, "no_such", nil, dispatcherModule, "NoSuchMethod", "Endpoint does not support RPC method no_such")
		unwaited := s.party.driver.Stats().RepliesUnwaited
		eventually(t, "a heartbeat for a call that has ended", func() bool {
			return s.party.driver.Stats().RepliesUnwaited > unwaited
		})
		want(t, s.client, "echo", nil, map[string]any{})
	}},
	{"a call that takes too long is a timeout", func(t *testing.T, s *service) {
		ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
		defer cancel()
		err := s.client.Call(ctx, "sleep", args{"seconds": 2}, nil)
		if !errors.Is(err, messaging.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Call = %v, want ErrTimeout and DeadlineExceeded", err)
		}
		want(t, s.client, "echo", nil, map[string]any{}) // the answer that comes late is for nobody
	}},
	{"a call that nobody answers is a timeout", func(t *testing.T, s *service) {
		c, err := messaging.NewClient(s.party.Transport, messaging.Target{Exchange: s.exchange, Topic: unique("topic")},
			messaging.WithTimeout(800*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := c.Call(t.Context(), "who", nil, nil); !errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want ErrTimeout", err)
		}
		if d := time.Since(begun); d < 700*time.Millisecond {
			t.Errorf("Call ended after %s, want 0.8 s", d)
		}
	}},
	{"a call can be cancelled", func(t *testing.T, s *service) {
		ctx, cancel := context.WithCancel(patient(t))
		time.AfterFunc(moment, cancel)
		err := s.client.Call(ctx, "sleep", args{"seconds": 1}, nil)
		if !errors.Is(err, context.Canceled) || errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want Canceled alone", err)
		}
	}},
	{"a mandatory call that nobody answers is undeliverable", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.ToServer("nobody"), messaging.WithMandatory())
		if err := c.Call(t.Context(), "who", nil, nil); !errors.Is(err, messaging.ErrUndeliverable) {
			t.Errorf("Call = %v, want ErrUndeliverable", err)
		}
		if err := c.Cast(patient(t), "note", nil); !errors.Is(err, messaging.ErrUndeliverable) {
			t.Errorf("Cast = %v, want ErrUndeliverable", err)
		}
	}},
	{"a mandatory call that somebody answers succeeds", func(t *testing.T, s *service) {
		want(t, s.client.Prepare(messaging.ToServer("host1"), messaging.WithMandatory()), "who", nil, "host1")
	}},
	{"a call cannot fan out", func(t *testing.T, s *service) {
		to := s.target("")
		to.Fanout = true
		c, err := messaging.NewClient(s.party.Transport, to)
		if err != nil {
			t.Fatal(err)
		}
		var invalid *messaging.InvalidTargetError
		if err := c.Call(t.Context(), "echo", nil, nil); !errors.As(err, &invalid) {
			t.Errorf("Call = %v, want an InvalidTargetError", err)
		}
	}},
	{"ping is no method where it is not enabled", func(t *testing.T, s *service) {
		wantRemote(t, s.client, pingMethod, nil, dispatcherModule, "NoSuchMethod", "Endpoint does not support RPC method "+pingMethod)
	}},
	{"ping is answered where it is enabled", func(t *testing.T, s *service) {
		b := newBus(t)
		startServers(t, s.py, b, "--ping")
		want(t, s.party.client(t, b, messaging.WithTimeout(patience)), pingMethod, nil, "pong")
	}},
	{"fifty casts in a row all arrive", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.ToServer("host1"))
		for n := range 50 {
			if err := c.Cast(patient(t), "note", args{"number": n}); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]bool{}
		for range 50 { // Python runs them on several threads
			seen[fmt.Sprint(receive(t, s.server.notes).Args["number"])] = true
		}
		if len(seen) != 50 {
			t.Errorf("%d different casts arrived, want 50", len(seen))
		}
	}},
}

// goClientWaits are those that take long, together; one of them at the most has the server's notes.
var goClientWaits = []goClientTest{
	{"heartbeats keep a monitored call alive", func(t *testing.T, s *service) {
		begun := time.Now()
		want(t, s.client.Prepare(messaging.WithCallMonitor(4*time.Second)), "sleep", args{"seconds": 6.5}, 6.5)
		if d := time.Since(begun); d < 6500*time.Millisecond {
			t.Errorf("the call took %s, want 6.5 s at least", d)
		}
	}},
	{"ten slow calls at once are all kept alive", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.WithCallMonitor(4 * time.Second))
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				if _, err := messaging.Call[float64](t.Context(), c, "sleep", args{"seconds": 6.5}); err != nil {
					t.Errorf("Call = %v, want a result", err)
				}
			})
		}
		calls.Wait()
	}},
	{"the monitor does not extend the timeout", func(t *testing.T, s *service) {
		c := s.client.Prepare(messaging.WithCallMonitor(2*time.Second), messaging.WithTimeout(2500*time.Millisecond))
		begun := time.Now()
		if err := c.Call(t.Context(), "sleep", args{"seconds": 4}, nil); !errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want ErrTimeout", err)
		}
		if d := time.Since(begun); d < 2400*time.Millisecond {
			t.Errorf("Call ended after %s, want its timeout of 2.5 s", d)
		}
	}},
	{"a server that dies trips the monitor", deadPythonServer},
	{"a caller that dies holds up nobody", deadGoCaller},
}

// deadPythonServer kills a server while it runs a monitored call.
func deadPythonServer(t *testing.T, s *service) {
	b := newBus(t)
	server := startServers(t, s.py, b)
	c := s.party.client(t, b, messaging.WithTimeout(2*patience), messaging.WithCallMonitor(2*time.Second))
	ended := make(chan error, 1)
	go func() { ended <- c.Call(t.Context(), "work", args{"seconds": 60}, nil) }()
	receive(t, server.notes)
	server.kill(t)
	if err := receive(t, ended); !errors.Is(err, messaging.ErrMonitorTimeout) { // long before its timeout
		t.Errorf("Call = %v, want ErrMonitorTimeout", err)
	}
}

// deadGoCaller cuts a client off for good while its calls run: what they return is for nobody.
func deadGoCaller(t *testing.T, s *service) {
	// A call of the dead client takes longer.
	promise(t, "the next call", 1400*time.Millisecond, func() time.Duration { return nextToDeadGoCaller(t, s) })
}

// nextToDeadGoCaller tells how long the calls of another client take longer than their method: one while those of the dead
// one run, one after them.
func nextToDeadGoCaller(t *testing.T, s *service) time.Duration {
	const calls = 10
	g := newGate(t, s.url)
	c := join(t, g.url).client(t, s.bus, messaging.WithTimeout(patience)).Prepare(messaging.ToServer("host1"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	for range calls {
		running.Go(func() {
			if err := c.Call(ctx, "work", args{"seconds": 1.5}, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("Call = %v, want Canceled", err)
			}
		})
	}
	for range calls {
		receive(t, s.server.notes)
	}
	g.booting.Store(true)
	g.cut()
	cancel()
	running.Wait()
	next := s.client.Prepare(messaging.ToServer("host1"))
	begun := time.Now()
	for _, seconds := range []float64{0, 2} {
		want(t, next, "sleep", args{"seconds": seconds}, seconds)
	}
	return time.Since(begun) - 2*time.Second
}

func TestGoClientIsServedByPython(t *testing.T) {
	t.Parallel()
	withEachPython(t, func(t *testing.T, py *python) {
		s := newService(t, py)
		for _, tt := range goClientTests {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, s) })
		}
		together(t, goClientWaits, func(tt goClientTest) string { return tt.name }, func(t *testing.T, tt goClientTest) { tt.run(t, s) })
	})
}
