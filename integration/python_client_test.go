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
)

// caller is a Python client, and the servers host1 and host2 that it calls: in Go, or in Python to compare.
type caller struct {
	*bus
	client *peer
	notes  chan note
	server *party // nil where the servers are in Python
}

// newCaller starts a Python client and two Go servers.
func newCaller(t *testing.T) *caller {
	t.Helper()
	b := newBus(t)
	c := &caller{bus: b, notes: make(chan note, 1000), server: join(t, b.url)}
	for _, name := range []string{"host1", "host2"} {
		c.server.serve(t, b.target(name), newEndpoints(name, c.notes)...)
	}
	c.client = startPeer(t, "peer_client.py", "--url", b.url, "--allow", "peer_errors")
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

// pythonClientTests each run against the two Go servers of one caller, one after the other.
var pythonClientTests = []struct {
	name string
	run  func(t *testing.T, c *caller)
}{
	// It comes first: a server that has not published anything yet must be able to send heartbeats.
	{"heartbeats keep a monitored call alive", func(t *testing.T, c *caller) {
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "sleep", Args: `{"seconds": 3.5}`, Monitor: 2})
		o.want(t, `3.5`)
		if o.elapsed < 3500*time.Millisecond || o.elapsed > 6*time.Second {
			t.Errorf("the call took %s, want 3.5 s", o.elapsed)
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
		o := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "blob", Args: `{"size": 17825792}`, Timeout: 5})
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
	{"the monitor timeout is seen as client_timeout", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to(""), Method: "context", Monitor: 2}).want(t, `{'client_timeout': 2}`)
	}},
	{"an unknown method of a monitored call is NoSuchMethod", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to(""), Method: "no_such", Monitor: 2}).failed(t).
			wantRemoteError(t, "NoSuchMethod", "Endpoint does not support RPC method no_such")
	}},
	{"a call that takes too long is a MessagingTimeout", func(t *testing.T, c *caller) {
		e := c.client.do(t, command{Op: "call", Target: c.to(""), Method: "sleep", Args: `{"seconds": 2}`, Timeout: 0.8}).failed(t)
		if e.Class != "MessagingTimeout" {
			t.Errorf("exception %s, want MessagingTimeout", e.Class)
		}
		c.call(t, "echo", ``).want(t, `{}`) // the answer that comes late is for nobody
	}},
	{"a call that nobody answers is a MessagingTimeout", func(t *testing.T, c *caller) {
		to := c.to("")
		to.Topic = unique("topic")
		e := c.client.do(t, command{Op: "call", Target: to, Method: "who", Timeout: 0.8}).failed(t)
		if e.Class != "MessagingTimeout" {
			t.Errorf("exception %s, want MessagingTimeout", e.Class)
		}
	}},
	{"at-least-once delivery to a Go server works", func(t *testing.T, c *caller) {
		c.client.do(t, command{Op: "call", Target: c.to("host1"), Method: "who", Mandatory: true}).want(t, `'host1'`)
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

func TestPythonClientIsServedByGo(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	for _, tt := range pythonClientTests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, c) })
	}
}
