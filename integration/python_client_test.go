//go:build integration

package integration_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// caller is a Python client, and the servers host1 and host2 that it calls: in Go, or in Python to compare.
type caller struct {
	*bus
	py     *python
	client *peer
	notes  chan note
	server *party // nil where the servers are in Python
}

// startClient starts a Python client.
func startClient(t *testing.T, py *python, url string) *peer {
	t.Helper()
	return startPeer(t, py, "peer_client.py", "--url", url, "--allow", "peer_errors")
}

// newCaller starts two Go servers for a Python client.
func newCaller(t *testing.T, py *python, client *peer) *caller {
	t.Helper()
	b := newBus(t)
	c := &caller{bus: b, py: py, client: client, notes: make(chan note, 1000), server: join(t, b.url)}
	for _, name := range []string{"host1", "host2"} {
		c.server.serve(t, b.target(name), newEndpoints(name, c.notes)...)
	}
	return c
}

// to is the topic, or one server of it, in Python's words.
func (b *bus) to(server string) pythonTarget {
	return pythonTarget{Exchange: b.exchange, Topic: b.topic, Server: server}
}

// call has the Python client call a method of the topic.
func (c *caller) call(t *testing.T, method, args string) outcome {
	t.Helper()
	return c.client.do(t, command{Op: "call", Target: c.to(""), Method: method, Args: args})
}

// callWith is call with arguments that only Python can write.
func (c *caller) callWith(t *testing.T, method, code string) outcome {
	t.Helper()
	return c.client.do(t, command{Op: "call", Target: c.to(""), Method: method, Code: code})
}

// want checks a result by its repr: what Python sees, types and all.
func (o outcome) want(t *testing.T, repr string) {
	t.Helper()
	if o.Error != nil {
		t.Fatalf("the caller got %s.%s: %s, want %s", o.Error.Module, o.Error.Class, o.Error.Text, repr)
	}
	if o.Repr != repr {
		t.Errorf("the caller got %s, want %s", clip(o.Repr), clip(repr))
	}
}

func clip(text string) string {
	if len(text) > 300 {
		return text[:300] + "..."
	}
	return text
}

// failed returns the exception that the caller must have got.
func (o outcome) failed(t *testing.T) *exception {
	t.Helper()
	if o.Error == nil {
		t.Fatalf("the caller got %s, want an exception", o.Repr)
	}
	return o.Error
}

// wantTimeout checks for the class of a call that was not answered in time.
func (e *exception) wantTimeout(t *testing.T) {
	t.Helper()
	if e.Class != "MessagingTimeout" || e.Module != "oslo_messaging.exceptions" {
		t.Errorf("exception %s.%s: %s, want MessagingTimeout", e.Module, e.Class, e.Text)
	}
}

// wantBuiltin checks for a class of Python's own and the first line of its text.
func (e *exception) wantBuiltin(t *testing.T, class, text string) {
	t.Helper()
	if e.Module != "builtins" || e.Class != class || firstLine(e.Text) != text {
		t.Errorf("exception %s.%s: %q, want %s: %q", e.Module, e.Class, e.Text, class, text)
	}
}

// wantRemoteError checks for the class that stands for those which the client does not allow.
func (e *exception) wantRemoteError(t *testing.T, class, message string) {
	t.Helper()
	if e.Class != "RemoteError" || e.Module != "oslo_messaging.rpc.client" {
		t.Errorf("exception %s.%s, want oslo.messaging's RemoteError", e.Module, e.Class)
	}
	if e.RemoteClass != class || e.RemoteMessage != message {
		t.Errorf("remote class %q, message %q, want %q, %q", e.RemoteClass, e.RemoteMessage, class, message)
	}
}

type pythonClientTest struct {
	name string
	run  func(t *testing.T, c *caller)
}

// pythonClientTests each have servers and a topic of their own. They run at the same time, for in newer releases
// a call takes half a second.
var pythonClientTests = []pythonClientTest{
	// The server has not published anything yet and must be able to send heartbeats.
	{"heartbeats keep a monitored call alive", func(t *testing.T, c *caller) {
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "sleep", Args: `{"seconds": 6.5}`, Monitor: 4})
		o.want(t, `6.5`)
		if o.elapsed < 6500*time.Millisecond {
			t.Errorf("the call took %s, want 6.5 s at least", o.elapsed)
		}
	}},
	{"ping is answered where it is enabled, whatever its arguments", func(t *testing.T, c *caller) {
		b := newBus(t)
		c.server.serveWith(t, b.target("host1"), newEndpoints("host1", c.notes), messaging.WithPing())
		for _, args := range []string{"", `{"a": [1, null], "text": "\u00df"}`} {
			c.client.do(t, command{Op: "call", Target: b.to(""), Method: pingMethod, Args: args}).want(t, `'pong'`)
		}
	}},
	{"a call gets the method's result", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"a": 1, "b": "two"}`).want(t, `{'a': 1, 'b': 'two'}`)
	}},
	{"a call without arguments gets a result", func(t *testing.T, c *caller) {
		c.call(t, "echo", ``).want(t, `{}`)
	}},
	{"a method that returns nothing gives None", func(t *testing.T, c *caller) {
		c.call(t, "nothing", ``).want(t, `None`)
	}},
	{"a null argument comes back as None", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": null}`).want(t, `{'v': None}`)
	}},
	{"unicode survives", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"ключ": "ß 日本 \ud83d\ude00 \u0000 \u2028 \"\\"}`).
			want(t, `{'ключ': 'ß 日本 😀 \x00 \u2028 "\\'}`)
	}},
	{"an integer of 71 bits survives", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": 1180591620717411303424}`).want(t, `{'v': 1180591620717411303424}`)
	}},
	{"integers at the limits of 64 bits survive", func(t *testing.T, c *caller) {
		const limits = `[9223372036854775807, 9223372036854775808, -9223372036854775808, -9223372036854775809, ` +
			`18446744073709551615, 18446744073709551616, -18446744073709551616, 9007199254740993]`
		c.call(t, "same", `{"value": `+limits+`}`).want(t, limits)
	}},
	{"an integer of a thousand digits survives", func(t *testing.T, c *caller) {
		digits := strings.Repeat("9876543210", 100)
		c.call(t, "same", `{"value": -`+digits+`}`).want(t, "-"+digits)
	}},
	{"an integer that the method has no room for is a failure", func(t *testing.T, c *caller) {
		c.call(t, "narrow", `{"value": 9223372036854775807}`).want(t, `9223372036854775807`)
		if e := c.call(t, "narrow", `{"value": 9223372036854775808}`).failed(t); e.Module != "builtins" || e.Class != "TypeError" {
			t.Errorf("exception %s.%s: %q, want TypeError", e.Module, e.Class, e.Text)
		}
		c.call(t, "narrow", `{"value": 1}`).want(t, `1`)
	}},
	{"results that count as false are not None", func(t *testing.T, c *caller) {
		for value, repr := range map[string]string{`""`: `''`, `[]`: `[]`, `{}`: `{}`, `0`: `0`, `0.0`: `0.0`, `false`: `False`, `null`: `None`} {
			c.call(t, "same", `{"value": `+value+`}`).want(t, repr)
		}
	}},
	{"argument names that are no identifiers survive", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"": 1, "a b": 2, "1": 3, "a.b": 4, "ß": 5}`).want(t, `{'': 1, '1': 3, 'a b': 2, 'a.b': 4, 'ß': 5}`)
	}},
	{"tuples, sets and ranges arrive as lists", func(t *testing.T, c *caller) {
		c.callWith(t, "same", `{'value': [(1, (2.0,)), {3}, frozenset(), range(3), ()]}`).want(t, `[[1, [2.0]], [3], [], [0, 1, 2], []]`)
	}},
	{"keys that are no text arrive as text", func(t *testing.T, c *caller) {
		c.callWith(t, "same", `{'value': {1: {None: {2.5: {}}}}}`).want(t, `{'1': {'null': {'2.5': {}}}}`)
	}},
	{"bytes and UUIDs arrive as text", func(t *testing.T, c *caller) {
		c.callWith(t, "same", `{'value': ['ß'.encode(), __import__('uuid').UUID(int=1)]}`).
			want(t, `['ß', '00000000-0000-0000-0000-000000000001']`)
	}},
	{"a datetime arrives as a time and a time as its text", func(t *testing.T, c *caller) {
		c.callWith(t, "next_day", `{'date': __import__('datetime').datetime(2024, 2, 28, 3, 4, 5, 60)}`).want(t, `'2024-02-29T03:04:05.000060'`)
	}},
	{"a date arrives as text where Python can send it", func(t *testing.T, c *caller) {
		o := c.callWith(t, "same", `{'value': __import__('datetime').date(2024, 2, 29)}`)
		if c.py.version == "14.0" { // its serializer knows no dates
			o.failed(t)
			return
		}
		o.want(t, `'2024-02-29'`)
	}},
	{"a lone surrogate does no harm", func(t *testing.T, c *caller) {
		c.call(t, "size", `{"blob": "\ud800"}`).want(t, `3`) // the bytes of U+FFFD
		c.call(t, "echo", `{"v": 1}`).want(t, `{'v': 1}`)
	}},
	{"ninety levels of nesting survive", func(t *testing.T, c *caller) {
		nested := strings.Repeat("[", 90) + strings.Repeat("]", 90)
		c.call(t, "same", `{"value": `+nested+`}`).want(t, nested)
	}},
	{"a thousand arguments survive", func(t *testing.T, c *caller) {
		names, reprs := make([]string, 1000), make([]string, 1000)
		for n := range names {
			names[n], reprs[n] = fmt.Sprintf(`"n%03d": %d`, n, n), fmt.Sprintf(`'n%03d': %d`, n, n)
		}
		c.call(t, "echo", "{"+strings.Join(names, ", ")+"}").want(t, "{"+strings.Join(reprs, ", ")+"}")
	}},
	{"an integer of 71 bits can be computed with", func(t *testing.T, c *caller) {
		c.call(t, "twice", `{"value": 1180591620717411303424}`).want(t, `2361183241434822606848`)
	}},
	{"1.0 stays a float", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": [1.0, 1, -0.0]}`).want(t, `{'v': [1.0, 1, -0.0]}`)
	}},
	{"a float64 with an integral value arrives as a float", func(t *testing.T, c *caller) {
		c.call(t, "half", `{"value": 4.0}`).want(t, `2.0`)
	}},
	{"floats keep their digits", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": [0.1, 1e-07, 1e+16, 1.7976931348623157e+308, 5e-324]}`).
			want(t, `{'v': [0.1, 1e-07, 1e+16, 1.7976931348623157e+308, 5e-324]}`)
	}},
	{"NaN and infinities survive", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": [NaN, Infinity, -Infinity]}`).want(t, `{'v': [nan, inf, -inf]}`)
	}},
	{"booleans stay booleans", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": [true, false, 1, 0]}`).want(t, `{'v': [True, False, 1, 0]}`)
	}},
	{"nested and empty values survive", func(t *testing.T, c *caller) {
		c.call(t, "echo", `{"v": {"a": [{}, [], "", {"b": [[null]]}]}}`).
			want(t, `{'v': {'a': [{}, [], '', {'b': [[None]]}]}}`)
	}},
	{"a mebibyte arrives", func(t *testing.T, c *caller) {
		c.call(t, "size", `{"blob": "`+strings.Repeat("x", 1<<20)+`"}`).want(t, `1048576`)
	}},
	{"a mebibyte comes back", func(t *testing.T, c *caller) {
		c.call(t, "blob", `{"size": 1048576}`).want(t, "'"+strings.Repeat("x", 1<<20)+"'")
	}},
	// Python's own server would send nothing, so that the caller waits in vain. goslo promises better.
	{"a result that is longer than a message may be is a failure", func(t *testing.T, c *caller) {
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "blob", Args: `{"size": 17825792}`, Timeout: 18})
		if e := o.failed(t); e.Class == "MessagingTimeout" {
			t.Errorf("exception %s after %s, want one that says what happened", e.Class, o.elapsed)
		}
		c.call(t, "echo", ``).want(t, `{}`)
	}},
	{"200 calls at once each get their own answer", concurrentCalls},
	{"a cast runs the method", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "cast", Target: c.to(""), Method: "note", Args: `{"v": [1, 2.0, "ß"]}`}).want(t, `None`)
		want := map[string]any{"v": []any{json.Number("1"), json.Number("2.0"), "ß"}}
		if diff := cmp.Diff(want, receive(t, c.notes).Args); diff != "" {
			t.Errorf("arguments (-want +got):\n%s", diff)
		}
		receiveNothing(t, c.notes)
	}},
	{"a cast that fails stops nothing", func(t *testing.T, c *caller) {
		for _, method := range []string{"no_such", "_echo", "required", "panic"} {
			c.client.do(t, command{Op: "cast", Target: c.to(""), Method: method}).want(t, `None`)
		}
		to := c.to("")
		to.Version = "9.0"
		c.client.do(t, command{Op: "cast", Target: to, Method: "note"}).want(t, `None`)
		c.call(t, "echo", `{"v": 1}`).want(t, `{'v': 1}`)
		receiveNothing(t, c.notes)
	}},
	{"two hundred casts in a row all arrive", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "casts", Target: c.to(""), Method: "note", Count: 200}).want(t, `None`)
		seen := map[string]bool{}
		for range 200 {
			seen[fmt.Sprint(receive(t, c.notes).Args["number"])] = true
		}
		if len(seen) != 200 {
			t.Errorf("%d different casts arrived, want 200", len(seen))
		}
		receiveNothing(t, c.notes)
	}},
	{"a fanout of another version runs nothing", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Fanout, to.Version = true, "1.4"
		c.client.do(t, command{Op: "cast", Target: to, Method: "note"}).want(t, `None`)
		receiveNothing(t, c.notes)
		c.call(t, "echo", `{"v": 1}`).want(t, `{'v': 1}`)
	}},
	{"a fanout runs the method on every server", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Fanout = true
		c.client.do(t, command{Op: "cast", Target: to, Method: "note"}).want(t, `None`)
		got := []string{receive(t, c.notes).Server, receive(t, c.notes).Server}
		slices.Sort(got)
		if !slices.Equal(got, []string{"host1", "host2"}) {
			t.Errorf("the servers %v ran the method, want each once", got)
		}
		receiveNothing(t, c.notes)
	}},
	{"a call to one server is answered by that one", func(t *testing.T, c *caller) {
		for _, server := range []string{"host1", "host2", "host1", "host1"} {
			c.client.do(t, command{Op: "call", Target: c.to(server), Method: "who"}).want(t, "'"+server+"'")
		}
	}},
	{"a cast to one server runs on that one", func(t *testing.T, c *caller) {
		for range 2 {
			c.client.do(t, command{Op: "cast", Target: c.to("host2"), Method: "note"}).want(t, `None`)
			if got := receive(t, c.notes).Server; got != "host2" {
				t.Errorf("server %s ran the method, want host2", got)
			}
		}
		receiveNothing(t, c.notes)
	}},
	{"a failure of a builtin class keeps its class", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "builtin"}`).failed(t)
		if e.Module != "builtins" || e.Class != "ValueError" || !strings.HasPrefix(e.Text, "no such thing: ß") {
			t.Errorf("exception %s.%s: %q, want ValueError: no such thing: ß", e.Module, e.Class, e.Text)
		}
	}},
	{"a failure of an allowed module keeps its class and kwargs", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "quota"}`).failed(t)
		if e.Class != "QuotaExceeded_Remote" || !slices.Contains(e.Bases, "peer_errors.QuotaExceeded") {
			t.Errorf("exception %s with bases %v, want QuotaExceeded", e.Class, e.Bases)
		}
		if diff := cmp.Diff(map[string]any{"resource": "cores", "used": 20.0}, e.Kwargs); diff != "" {
			t.Errorf("kwargs (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(e.Text, "No cores left: 20 used.") {
			t.Errorf("text %q, want the message first", e.Text)
		}
	}},
	{"an expected failure keeps its class", func(t *testing.T, c *caller) {
		c.call(t, "fail_expected", ``).failed(t).wantBuiltin(t, "LookupError", "as expected")
	}},
	{"a builtin failure keeps its arguments after the first", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "several"}`).failed(t)
		if e.Module != "builtins" || e.Class != "KeyError" || len(e.Args) != 3 {
			t.Fatalf("exception %s.%s%v, want KeyError with three arguments", e.Module, e.Class, e.Args)
		}
		if diff := cmp.Diff([]any{2.0, "None"}, e.Args[1:]); diff != "" {
			t.Errorf("arguments (-want +got):\n%s", diff)
		}
	}},
	{"a failure's text keeps its lines", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "lines"}`).failed(t)
		if e.Class != "ValueError" || !strings.HasPrefix(e.Text, "first\nsecond: ß\n") {
			t.Errorf("exception %s: %q, want both lines", e.Class, e.Text)
		}
	}},
	{"a builtin class that Python does not have is a RemoteError", func(t *testing.T, c *caller) {
		c.call(t, "fail", `{"kind": "no such builtin"}`).failed(t).wantRemoteError(t, "NoSuchThing", "gone")
	}},
	{"an allowed class that refuses its arguments is a RemoteError", func(t *testing.T, c *caller) {
		c.call(t, "fail", `{"kind": "picky"}`).failed(t).wantRemoteError(t, "Picky", "choosy")
	}},
	{"an allowed class gets the arguments that it wants", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "picky with its args"}`).failed(t)
		if diff := cmp.Diff([]any{"a", "b"}, e.Args); e.Class != "Picky_Remote" || diff != "" {
			t.Errorf("exception %s, arguments (-want +got):\n%s", e.Class, diff)
		}
	}},
	{"an error that wraps another tells both", func(t *testing.T, c *caller) {
		c.call(t, "fail", `{"kind": "wrapped"}`).failed(t).wantBuiltin(t, "Exception", "look up host: plain")
	}},
	{"200 failures at once do not hold up a result", func(t *testing.T, c *caller) {
		o := c.client.send(t, command{Op: "calls", Target: c.to(""), Method: "no_such", Count: 200})
		c.call(t, "echo", `{"v": 1}`).want(t, `{'v': 1}`)
		receive(t, o).failed(t).wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method no_such")
	}},
	{"a failure of any other module is a RemoteError", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "unlisted"}`).failed(t)
		e.wantRemoteError(t, "Unlisted", "nobody knows me")
		if len(e.Traceback) == 0 || e.Traceback[0] != '[' {
			t.Errorf("traceback %s, want a list", e.Traceback)
		}
	}},
	{"a plain error is an Exception", func(t *testing.T, c *caller) {
		e := c.call(t, "fail", `{"kind": "plain"}`).failed(t)
		if e.Module != "builtins" || e.Class != "Exception" || !strings.HasPrefix(e.Text, "plain") {
			t.Errorf("exception %s.%s: %q, want Exception: plain", e.Module, e.Class, e.Text)
		}
	}},
	{"a panic is a failure, and the next call is served", func(t *testing.T, c *caller) {
		for range 3 {
			e := c.call(t, "panic", `{"reason": "out of cheese"}`).failed(t)
			if e.Module != "builtins" || e.Class != "RuntimeError" || !strings.Contains(e.Text, "out of cheese") {
				t.Errorf("exception %s.%s: %q, want RuntimeError with the reason", e.Module, e.Class, e.Text)
			}
			c.call(t, "echo", `{"v": 1}`).want(t, `{'v': 1}`)
		}
		if n := c.server.logged("the endpoint method panicked"); n != 3 {
			t.Errorf("logged %d panics, want 3", n)
		}
	}},
	{"an unknown method is NoSuchMethod", func(t *testing.T, c *caller) {
		c.call(t, "no_such", ``).failed(t).
			wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method no_such")
	}},
	{"a private method is NoSuchMethod", func(t *testing.T, c *caller) {
		c.call(t, "_echo", ``).failed(t).
			wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method _echo")
	}},
	{"a lower minor version is served", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Version = "1.2"
		c.client.do(t, command{Op: "call", Target: to, Method: "nothing"}).want(t, `None`)
	}},
	{"the version itself is served, and one of its revisions", func(t *testing.T, c *caller) {
		to := c.to("")
		for _, version := range []string{"1.3", "1.0", "1.2.9"} {
			to.Version = version
			c.client.do(t, command{Op: "call", Target: to, Method: "nothing"}).want(t, `None`)
		}
	}},
	{"minor version 10 is higher than 3", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Version = "1.10"
		c.client.do(t, command{Op: "call", Target: to, Method: "who"}).failed(t).
			wantRemoteError(t, "UnsupportedVersion", "Endpoint does not support RPC version 1.10. Attempted method: who")
	}},
	{"a higher minor version is unsupported", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Version = "1.4"
		c.client.do(t, command{Op: "call", Target: to, Method: "who"}).failed(t).
			wantRemoteError(t, "UnsupportedVersion", "Endpoint does not support RPC version 1.4. Attempted method: who")
	}},
	{"another major version is unsupported", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Version = "2.0"
		c.client.do(t, command{Op: "call", Target: to, Method: "who"}).failed(t).
			wantRemoteError(t, "UnsupportedVersion", "Endpoint does not support RPC version 2.0. Attempted method: who")
	}},
	{"a namespace of one server with its version is served", func(t *testing.T, c *caller) {
		to := c.to("host2")
		to.Namespace, to.Version = "compute", "2.3"
		c.client.do(t, command{Op: "call", Target: to, Method: "interface"}).want(t, `'compute 2.3'`)
	}},
	{"a namespace without its version is unsupported", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Namespace = "compute"
		c.client.do(t, command{Op: "call", Target: to, Method: "interface"}).failed(t).
			wantRemoteError(t, "UnsupportedVersion", "Endpoint does not support RPC version 1.0. Attempted method: interface")
	}},
	{"a namespace with its version is served", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Namespace, to.Version = "compute", "2.1"
		c.client.do(t, command{Op: "call", Target: to, Method: "interface"}).want(t, `'compute 2.3'`)
	}},
	{"a legacy namespace is served", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Namespace, to.Version = "old-compute", "2.0"
		c.client.do(t, command{Op: "call", Target: to, Method: "interface"}).want(t, `'compute 2.3'`)
	}},
	{"a method of another namespace is NoSuchMethod", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Namespace, to.Version = "compute", "2.0"
		c.client.do(t, command{Op: "call", Target: to, Method: "who"}).failed(t).
			wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method who")
	}},
	{"an unknown namespace is unsupported", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Namespace = "storage"
		c.client.do(t, command{Op: "call", Target: to, Method: "who"}).failed(t).
			wantRemoteError(t, "UnsupportedVersion", "Endpoint does not support RPC version 1.0. Attempted method: who")
	}},
	{"an argument that is missing is a TypeError", func(t *testing.T, c *caller) {
		if e := c.call(t, "required", `{}`).failed(t); e.Module != "builtins" || e.Class != "TypeError" {
			t.Errorf("exception %s.%s: %q, want TypeError", e.Module, e.Class, e.Text)
		}
	}},
	{"an argument too many is a TypeError", func(t *testing.T, c *caller) {
		if e := c.call(t, "required", `{"name": "x", "more": 1}`).failed(t); e.Module != "builtins" || e.Class != "TypeError" {
			t.Errorf("exception %s.%s: %q, want TypeError", e.Module, e.Class, e.Text)
		}
	}},
	{"the request context arrives", func(t *testing.T, c *caller) {
		context := map[string]any{
			"user": "ß日本", "roles": []any{"admin", "член"}, "is_admin": true, "quota": nil,
			"nested": map[string]any{"a": []any{map[string]any{"b": 1.5}}, "": ""},
		}
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "context", Context: context})
		if o.Error != nil {
			t.Fatalf("exception: %s", o.Error.Text)
		}
		context["client_timeout"] = nil
		var got map[string]any
		if err := json.Unmarshal([]byte(o.Result), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(context, got); diff != "" {
			t.Errorf("request context (-sent +seen):\n%s", diff)
		}
	}},
	{"the request context of a cast arrives", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "cast", Target: c.to(""), Method: "note", Context: map[string]any{"user": "ß"}}).want(t, `None`)
		want := map[string]any{"user": "ß", "client_timeout": nil}
		if diff := cmp.Diff(want, receive(t, c.notes).Context); diff != "" {
			t.Errorf("request context (-sent +seen):\n%s", diff)
		}
	}},
	{"numbers in the request context stay exact", func(t *testing.T, c *caller) {
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "context", Context: json.RawMessage(`{"id": 18446744073709551616, "rate": 1.0}`)})
		o.want(t, `{'client_timeout': None, 'id': 18446744073709551616, 'rate': 1.0}`)
	}},
	{"the monitor timeout is seen as client_timeout", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to(""), Method: "context", Monitor: 2}).want(t, `{'client_timeout': 2}`)
	}},
	{"an unknown method of a monitored call is NoSuchMethod", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to(""), Method: "no_such", Monitor: 2}).failed(t).
			wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method no_such")
	}},
	{"a monitored call that ends before the first heartbeat gets its result", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to(""), Method: "echo", Args: `{"v": 1.0}`, Monitor: 2}).want(t, `{'v': 1.0}`)
	}},
	{"a monitored call that fails after heartbeats keeps its class", func(t *testing.T, c *caller) {
		e := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "fail_late", Args: `{"seconds": 4.5}`, Monitor: 4}).failed(t)
		e.wantBuiltin(t, "ValueError", "too late")
	}},
	{"ten slow calls at once are all kept alive", func(t *testing.T, c *caller) {
		o := c.client.do(t, command{Op: "calls", Target: c.to(""), Method: "late", Args: `{"seconds": 6.5}`, Monitor: 4, Count: 10})
		o.want(t, `[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]`)
	}},
	{"the monitor does not extend the timeout", func(t *testing.T, c *caller) {
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "sleep", Args: `{"seconds": 6}`, Monitor: 2, Timeout: 3})
		o.failed(t).wantTimeout(t)
		if o.elapsed < 2500*time.Millisecond {
			t.Errorf("the call took %s, want its timeout of 3 s", o.elapsed)
		}
	}},
	{"a silent server trips the monitor", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Topic = unique("topic")
		requests := rawQueue(t, channel(t, c.url), to.Topic, c.exchange, "topic", to.Topic)
		o := c.client.do(t, command{Op: "call", Target: to, Method: "who", Monitor: 2, Timeout: 300})
		o.failed(t).wantTimeout(t) // long before its timeout
		if o.elapsed < 1500*time.Millisecond {
			t.Errorf("the call took %s, want the monitor's 2 s", o.elapsed)
		}
		receive(t, requests)
	}},
	{"callers that are killed hold up nobody", deadPythonCallers},
	{"slow calls do not hold up a quick one", func(t *testing.T, c *caller) {
		slow := c.client.send(t, command{Op: "calls", Target: c.to("host1"), Method: "late", Args: `{"seconds": 4}`, Count: 10})
		c.client.do(t, command{Op: "call", Target: c.to("host1"), Method: "who"}).want(t, `'host1'`)
		if len(slow) > 0 {
			t.Error("the quick call took as long as the slow ones")
		}
		receive(t, slow).want(t, `[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]`)
	}},
	{"a call that takes too long is a MessagingTimeout", func(t *testing.T, c *caller) {
		e := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "sleep", Args: `{"seconds": 2}`, Timeout: 0.8}).failed(t)
		e.wantTimeout(t)
		c.call(t, "echo", ``).want(t, `{}`) // the answer that comes late is for nobody
	}},
	{"a call that nobody answers is a MessagingTimeout", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Topic = unique("topic")
		e := c.client.do(t, command{Op: "call", Target: to, Method: "who", Timeout: 0.8}).failed(t)
		e.wantTimeout(t)
	}},
	{"at-least-once delivery to a Go server works", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to("host1"), Method: "who", Mandatory: true}).want(t, `'host1'`)
	}},
	{"at-least-once delivery to nobody is undeliverable", func(t *testing.T, c *caller) {
		for _, op := range []string{"call", "cast"} {
			o := c.client.do(t, command{Op: op, Target: c.to("nobody"), Method: "who", Mandatory: true})
			if e := o.failed(t); e.Class != "MessageUndeliverable" {
				t.Errorf("%s: exception %s after %s, want MessageUndeliverable", op, e.Class, o.elapsed)
			}
		}
	}},
	{"ping is answered only where it is enabled", func(t *testing.T, c *caller) {
		c.call(t, "oslo_rpc_server_ping", ``).failed(t).
			wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method oslo_rpc_server_ping")
	}},
}

func concurrentCalls(t *testing.T, c *caller) {
	const calls = 200
	want := make([]string, calls)
	for n := range calls {
		want[n] = fmt.Sprintf("{'number': %d}", n)
	}
	c.client.do(t, command{Op: "calls", Target: c.to(""), Method: "echo", Count: calls}).
		want(t, "["+strings.Join(want, ", ")+"]")
}

// deadPythonCallers kills a client whose calls run: what they return is for nobody.
func deadPythonCallers(t *testing.T, c *caller) {
	const calls = 20
	client := startClient(t, c.py, c.url)
	client.send(t, command{Op: "calls", Target: c.to("host1"), Method: "busy", Args: `{"seconds": 1.5}`, Monitor: 1, Count: calls})
	for range calls {
		receive(t, c.notes)
	}
	client.kill(t)
	next := command{Op: "call", Target: c.to("host1"), Method: "who"}
	c.client.do(t, next).want(t, `'host1'`)
	for range calls { // they end
		receive(t, c.notes)
	}
	c.client.do(t, next).want(t, `'host1'`)
}

func TestPythonClientIsServedByGo(t *testing.T) {
	t.Parallel()
	withEachPython(t, func(t *testing.T, py *python) {
		client := startClient(t, py, broker.Shared(t).URL())
		together(t, pythonClientTests, func(c pythonClientTest) string { return c.name },
			func(t *testing.T, c pythonClientTest) { c.run(t, newCaller(t, py, client)) })
	})
}
