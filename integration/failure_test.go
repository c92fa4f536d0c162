//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/messaging"
)

var (
	errNotReady = errors.New("the host is not ready")
	errUnlisted = errors.New("not on the list")
	errValue    = errors.New("wrong value")
	errLookup   = errors.New("nothing there")
)

// quotaExceeded is the exception of testdata/peer_errors.py.
type quotaExceeded struct {
	Resource string `json:"resource"`
	Used     int    `json:"used"`
}

func (e *quotaExceeded) Error() string {
	return fmt.Sprintf("No %s left: %d used.", e.Resource, e.Used)
}

// peerErrors are the exceptions that testdata/peer_server.py raises, in Go, and one more.
func peerErrors() *messaging.ErrorRegistry {
	var r messaging.ErrorRegistry
	messaging.RegisterError[*quotaExceeded](&r, "peer_errors", "QuotaExceeded")
	r.Sentinel("peer_errors", "NotReady", errNotReady)
	r.Sentinel("unlisted_errors", "Unlisted", errUnlisted)
	r.Sentinel("builtins", "ValueError", errValue)
	r.Sentinel("builtins", "LookupError", errLookup)
	return &r
}

// serveErrors starts a server with the registry, and more options; it is stopped when the test ends.
func (p *party) serveErrors(t *testing.T, on messaging.Target, ep *messaging.Endpoint, opts ...messaging.ServerOption) {
	t.Helper()
	p.serveWith(t, on, []*messaging.Endpoint{ep}, append(opts, messaging.WithErrors(peerErrors()))...)
}

// remoteError is the failure that err must be.
func remoteError(t *testing.T, err error) *messaging.RemoteError {
	t.Helper()
	var remote *messaging.RemoteError
	if !errors.As(err, &remote) {
		t.Fatalf("call = %v, want a RemoteError", err)
	}
	return remote
}

func TestExceptionsOfAPythonServerMatchErrorsOfGo(t *testing.T) {
	t.Parallel()
	withEachPython(t, matchExceptions)
}

func matchExceptions(t *testing.T, py *python) {
	s := newService(t, py)
	client := s.client.Prepare(messaging.WithErrors(peerErrors()))
	all := []error{errNotReady, errUnlisted, errValue, errLookup, messaging.ErrNoSuchMethod, messaging.ErrUnsupportedVersion}
	for _, c := range []struct {
		name, method string
		args         args
		opts         []messaging.ClientOption
		want         error // none: the RemoteError alone
	}{
		{name: "a builtin class", method: "fail", args: args{"kind": "builtin"}, want: errValue},
		{name: "a class of a module", method: "fail", args: args{"kind": "unlisted"}, want: errUnlisted},
		{name: "an expected exception", method: "fail_expected", want: errLookup},
		{name: "an unknown method", method: "no_such", want: messaging.ErrNoSuchMethod},
		{name: "a higher version", method: "who", opts: []messaging.ClientOption{messaging.ToVersion("1.4")}, want: messaging.ErrUnsupportedVersion},
		{name: "a class that is not registered", method: "fail", args: args{"kind": "chained"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := client.Prepare(c.opts...).Call(t.Context(), c.method, c.args, nil)
			if remoteError(t, err).Message == "" {
				t.Errorf("%#v has no message", err)
			}
			for _, sentinel := range all {
				if got, want := errors.Is(err, sentinel), errors.Is(c.want, sentinel); got != want {
					t.Errorf("errors.Is(%v, %q) = %t, want %t", err, sentinel, got, want)
				}
			}
		})
	}

	err := client.Call(t.Context(), "fail", args{"kind": "quota"}, nil)
	var quota *quotaExceeded
	if !errors.As(err, &quota) || *quota != (quotaExceeded{Resource: "cores", Used: 20}) {
		t.Errorf("call = %#v, want the quotaExceeded of the server", err)
	}
	if remote := remoteError(t, err); len(remote.Traceback) == 0 {
		t.Error("the failure lost the traceback that Python sends")
	}
}

// failingEndpoint fails in each way that the argument kind names.
func failingEndpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "fail", "kind", func(_ context.Context, kind string) (any, error) {
		switch kind {
		case "sentinel":
			return nil, fmt.Errorf("start vm-1: %w", errNotReady)
		case "typed":
			return nil, messaging.Expected(&quotaExceeded{Resource: "cores", Used: 20})
		case "builtin":
			return nil, errValue
		case "unlisted":
			return nil, errUnlisted
		case "exit":
			runtime.Goexit()
		case "panic":
			panic("out of cheese")
		}
		return func() {}, nil // which cannot be encoded
	})
	return ep
}

func TestErrorsOfAGoServerArriveAsPythonExceptions(t *testing.T) {
	t.Parallel()
	withEachPython(t, raiseErrors)
}

func raiseErrors(t *testing.T, py *python) {
	b := newBus(t)
	server := join(t, b.url)
	server.serveErrors(t, b.target("host1"), failingEndpoint())
	server.serveErrors(t, b.target("host2"), failingEndpoint(), messaging.WithTracebacks())
	client := startPeer(t, py, "peer_client.py", "--url", b.url, "--allow", "peer_errors")
	fail := func(t *testing.T, host, kind string) *exception {
		t.Helper()
		args := fmt.Sprintf(`{"kind": %q}`, kind)
		return client.do(t, command{Op: "call", Target: b.to(host), Method: "fail", Args: args}).failed(t)
	}
	for _, c := range []struct {
		kind, class, base, text string
		kwargs                  map[string]any
	}{
		{"sentinel", "NotReady_Remote", "peer_errors.NotReady", "start vm-1: the host is not ready\n", nil},
		{"typed", "QuotaExceeded_Remote", "peer_errors.QuotaExceeded", "No cores left: 20 used.\n", map[string]any{"resource": "cores", "used": 20.0}},
		{"builtin", "ValueError", "builtins.ValueError", "wrong value\n", nil},
		{"exit", "RuntimeError", "builtins.RuntimeError", "the endpoint method ended its goroutine\n", nil},
		{"panic", "RuntimeError", "builtins.RuntimeError", "panic: out of cheese\n", nil},
		{"not encodable", "ValueError", "builtins.ValueError", "fail(): encode the result: cannot encode a func()\n", nil},
	} {
		t.Run(c.kind, func(t *testing.T) {
			e := fail(t, "host1", c.kind)
			if e.Class != c.class || !slices.Contains(e.Bases, c.base) {
				t.Errorf("exception %s with bases %v, want %s of %s", e.Class, e.Bases, c.class, c.base)
			}
			if e.Text != c.text { // Python adds the line break, and the traceback after it
				t.Errorf("text %q, want %q", e.Text, c.text)
			}
			if diff := cmp.Diff(c.kwargs, e.Kwargs); diff != "" && len(c.kwargs)+len(e.Kwargs) > 0 {
				t.Errorf("kwargs (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a class that the client does not allow", func(t *testing.T) {
		fail(t, "host1", "unlisted").wantRemoteError(t, "Unlisted", "not on the list")
	})
	t.Run("with tracebacks", func(t *testing.T) {
		for kind, traced := range map[string]string{"panic": "failingEndpoint", "exit": "failingEndpoint", "sentinel": ""} {
			e := fail(t, "host2", kind)
			text, trace, _ := strings.Cut(e.Text, "\n")
			if !strings.Contains(trace, traced) || (traced == "") != (trace == "") {
				t.Errorf("%s: %q is followed by %q, want a trace with %q in it", kind, text, clip(trace), traced)
			}
		}
	})
	// The sentinel twice, the builtin and the unlisted one, and the result; not the error that is marked as expected.
	if n := server.logged("the endpoint method failed"); n != 5 {
		t.Errorf("%d failures logged as errors, want 5", n)
	}
}

// TestExceptionsThatArePassedOnKeepTheirClass has the failure of a Python server come by a Python server, by a Go
// server, and by both.
func TestExceptionsThatArePassedOnKeepTheirClass(t *testing.T) {
	t.Parallel()
	withEachPython(t, passOn)
}

func passOn(t *testing.T, py *python) {
	s := newService(t, py)
	startPeer(t, py, "peer_relay.py", "--url", s.url, "--allow", "peer_errors",
		"--exchange", s.exchange, "--topic", s.topic, "--server", "first")
	relay := messaging.NewEndpoint()
	type relayArgs struct {
		Server string  `json:"server"`
		Kind   string  `json:"kind"`
		Via    *string `json:"via"` // a server that relays in its turn
	}
	messaging.Handle(relay, "fail", func(ctx context.Context, a relayArgs) (any, error) {
		to, next := a.Server, args{"kind": a.Kind}
		if a.Via != nil {
			to, next = *a.Via, args{"kind": a.Kind, "server": a.Server}
		}
		return nil, fmt.Errorf("pass on: %w", s.client.Prepare(messaging.ToServer(to)).Call(ctx, "fail", next, nil))
	})
	s.party.serveErrors(t, s.target("second"), relay)
	client := s.client.Prepare(messaging.WithErrors(peerErrors()))

	const begin = "Traceback (most recent call last):"
	for _, c := range []struct {
		name, by string
		args     args
		traced   bool // in the message: Python adds it where it raises an exception again
	}{
		{"by Python", "first", args{"server": "host1"}, true},
		{"by Go", "second", args{"server": "host1"}, false},
		{"by Python and Go", "second", args{"server": "host1", "via": "first"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := client.Prepare(messaging.ToServer(c.by))
			for kind, check := range map[string]func(error) bool{
				"quota": func(err error) bool {
					var quota *quotaExceeded
					return errors.As(err, &quota) && *quota == quotaExceeded{Resource: "cores", Used: 20}
				},
				"builtin": func(err error) bool { return errors.Is(err, errValue) },
			} {
				c.args["kind"] = kind
				err := to.Call(patient(t), "fail", c.args, nil)
				remote := remoteError(t, err)
				if !check(err) {
					t.Errorf("%s: call = %#v, want the server's exception", kind, err)
				}
				if got := strings.Contains(remote.Message, begin); got != c.traced {
					t.Errorf("%s: a traceback in the message %q: %t, want %t", kind, remote.Message, got, c.traced)
				}
				if got := len(remote.Traceback) > 0; got != c.traced {
					t.Errorf("%s: a traceback: %t, want %t", kind, got, c.traced)
				}
			}
		})
	}

	// A class that the server between does not allow becomes oslo.messaging's own, with the traceback as a list.
	err := client.Prepare(messaging.ToServer("second")).Call(patient(t), "fail",
		args{"server": "host1", "via": "first", "kind": "unlisted"}, nil)
	remote := remoteError(t, err)
	if got := remote.Module + "." + remote.Class; got != "oslo_messaging.rpc.client.RemoteError" {
		t.Errorf("call = %s, want oslo.messaging's RemoteError", got)
	}
	if want := "Remote error: Unlisted nobody knows me"; remote.Message != want {
		t.Errorf("message %q, want %q", remote.Message, want)
	}
}
