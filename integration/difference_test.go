//go:build integration

package integration_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/integration/broker"
)

type differenceTest struct {
	name   string
	cmd    command // its target lacks exchange and topic
	freely bool    // the texts of failures are not compared: they speak of Go and of Python
}

// TestPythonClientSeesNoDifferenceBetweenServers sends the same requests to a Go server and to a Python one that
// has the same methods, and compares what their caller sees.
func TestPythonClientSeesNoDifferenceBetweenServers(t *testing.T) {
	t.Parallel()
	withEachPython(t, compareServers)
}

// differenceTests are requests that both servers get.
var differenceTests = []differenceTest{
	{name: "result", cmd: command{Method: "echo", Args: `{"a": [1, 1.0, null, true, "ß", {"b": []}]}`}},
	{name: "no arguments", cmd: command{Method: "echo"}},
	{name: "nothing", cmd: command{Method: "nothing"}},
	{name: "big integer", cmd: command{Method: "echo", Args: `{"a": 1180591620717411303424}`}},
	{name: "NaN", cmd: command{Method: "echo", Args: `{"a": NaN}`}},
	{name: "argument names that are no identifiers", cmd: command{Method: "echo", Args: `{"": 1}`}},
	{name: "one server", cmd: command{Method: "who", Target: pythonTarget{Server: "host2"}}},
	{name: "context", cmd: command{Method: "context", Context: map[string]any{"a": []any{1.5, nil}}}},
	{name: "reserved context keys", cmd: command{Method: "context", Context: map[string]any{
		"msg_id": "x", "reply_q": "y", "client_timeout": 7, "kept": 1,
	}}},
	{name: "monitored context", cmd: command{Method: "context", Monitor: 3}},
	{name: "builtin failure", cmd: command{Method: "fail", Args: `{"kind": "builtin"}`}},
	{name: "custom failure", cmd: command{Method: "fail", Args: `{"kind": "quota"}`}},
	{name: "unlisted failure", cmd: command{Method: "fail", Args: `{"kind": "unlisted"}`}},
	{name: "plain failure", cmd: command{Method: "fail", Args: `{"kind": "plain"}`}},
	{name: "expected failure", cmd: command{Method: "fail_expected"}},
	{name: "unknown method", cmd: command{Method: "no_such"}},
	{name: "private method", cmd: command{Method: "_echo"}},
	{name: "method with a dot", cmd: command{Method: "echo.echo"}},
	{name: "empty method", cmd: command{Method: ""}},
	{name: "ping", cmd: command{Method: "oslo_rpc_server_ping"}},
	{name: "version 1.3", cmd: command{Method: "nothing", Target: pythonTarget{Version: "1.3"}}},
	{name: "version 1.3.1", cmd: command{Method: "nothing", Target: pythonTarget{Version: "1.3.1"}}},
	{name: "version 1.4", cmd: command{Method: "nothing", Target: pythonTarget{Version: "1.4"}}},
	{name: "version 0.9", cmd: command{Method: "nothing", Target: pythonTarget{Version: "0.9"}}},
	{name: "version 1.2.9", cmd: command{Method: "nothing", Target: pythonTarget{Version: "1.2.9"}}},
	{name: "version without minor", cmd: command{Method: "nothing", Target: pythonTarget{Version: "1"}}, freely: true},
	{name: "version in words", cmd: command{Method: "nothing", Target: pythonTarget{Version: "one.two"}}, freely: true},
	{name: "namespace", cmd: command{Method: "interface", Target: pythonTarget{Namespace: "compute", Version: "2.3"}}},
	{name: "legacy namespace", cmd: command{Method: "interface", Target: pythonTarget{Namespace: "old-compute", Version: "2.0"}}},
	{name: "namespace without version", cmd: command{Method: "interface", Target: pythonTarget{Namespace: "compute"}}},
	{name: "unknown namespace", cmd: command{Method: "interface", Target: pythonTarget{Namespace: "storage"}}},
	{name: "unknown method in a namespace", cmd: command{Method: "who", Target: pythonTarget{Namespace: "compute", Version: "2.0"}}},
	{name: "missing argument", cmd: command{Method: "required"}, freely: true},
	{name: "unknown argument", cmd: command{Method: "nothing", Args: `{"a": 1}`}, freely: true},
	{name: "cast", cmd: command{Op: "cast", Method: "nothing"}},
	{name: "cast of an unknown method", cmd: command{Op: "cast", Method: "no_such"}},
}

func compareServers(t *testing.T, py *python) {
	client := startClient(t, py, broker.Shared(t).URL())
	ours, theirs := newCaller(t, py, client), &caller{bus: newBus(t), client: client}
	startServers(t, py, theirs.bus)
	together(t, differenceTests, func(tt differenceTest) string { return tt.name }, func(t *testing.T, tt differenceTest) {
		want, got := theirs.see(t, tt.cmd), ours.see(t, tt.cmd)
		opts := []cmp.Option{cmpopts.IgnoreUnexported(outcome{}), cmpopts.IgnoreFields(outcome{}, "ID"), cmpopts.IgnoreFields(exception{}, "Traceback")}
		if tt.freely {
			opts = append(opts, cmpopts.IgnoreFields(exception{}, "Text", "Args", "RemoteMessage"))
		}
		if diff := cmp.Diff(want, got, opts...); diff != "" {
			t.Errorf("the caller sees a difference (-Python +Go):\n%s", diff)
		}
	})
}

// see sends a request and cuts what differs by nature from its outcome: the traceback.
func (c *caller) see(t *testing.T, cmd command) outcome {
	t.Helper()
	if cmd.Op == "" {
		cmd.Op = "call"
	}
	cmd.Target.Exchange, cmd.Target.Topic = c.exchange, c.topic
	o := c.client.do(t, cmd)
	if e := o.Error; e != nil {
		e.Text = firstLine(e.Text)
		for i, arg := range e.Args {
			if text, ok := arg.(string); ok {
				e.Args[i] = firstLine(text)
			}
		}
	}
	return o
}
