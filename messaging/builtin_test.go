package messaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
)

const ping = "oslo_rpc_server_ping"

// own is an endpoint that has the reserved method itself.
func own() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, ping, func(context.Context, map[string]any) (string, error) { return "own", nil })
	return ep
}

func TestPingIsAnsweredWhereItIsEnabled(t *testing.T) {
	t.Parallel()
	on := []messaging.ServerOption{messaging.WithPing()}
	for _, c := range []struct {
		name      string
		endpoints []*messaging.Endpoint
		opts      []messaging.ServerOption
		want      string
		warned    bool
	}{
		{"off", []*messaging.Endpoint{echo()}, nil, "", false},
		{"on", []*messaging.Endpoint{echo()}, on, "pong", false},
		{"on, with explicit access", []*messaging.Endpoint{echo()}, append(on, messaging.WithAccessPolicy(messaging.ExplicitAccessPolicy)), "pong", false},
		{"declared by the first endpoint", []*messaging.Endpoint{own(), echo()}, on, "own", true},
		{"declared by the last endpoint", []*messaging.Endpoint{echo(), own()}, on, "own", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			given := append(make([]*messaging.Endpoint, 0, 10), c.endpoints...)
			b.serve(t, given, c.opts...)
			if spare := given[:len(given)+1]; spare[len(given)] != nil {
				t.Errorf("%s: the caller's slice was written to", c.name)
			}
			got, err := messaging.Call[string](t.Context(), b.newClient(t), ping, map[string]any{"anything": 1})
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s: ping = %q, %v; want %q", c.name, got, err, c.want)
			}
			var remote *messaging.RemoteError
			if c.want == "" && (!errors.As(err, &remote) || remote.Class != "NoSuchMethod") {
				t.Errorf("%s: ping = %v, want NoSuchMethod", c.name, err)
			}
			if warned := b.logged(logrus.WarnLevel, "an endpoint has the reserved method, which is not added"); warned != c.warned {
				t.Errorf("%s: warned %t, want %t", c.name, warned, c.warned)
			}
		})
	}
}

type sizes struct {
	CPUs int64    `json:"cpus"`
	Tags []string `json:"tags,omitempty"`
}

func TestServerDescribesItselfWhereThatIsEnabled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint(messaging.WithNamespace("compute"), messaging.WithVersion("1.4"), messaging.WithLegacyNamespaces("old"))
		messaging.Handle(ep, "fit", func(context.Context, sizes) (bool, error) { return true, nil })
		messaging.HandleArg(ep, "drop", "host", func(context.Context, *string) (any, error) { return nil, nil })
		messaging.HandleCast(ep, "any", func(context.Context, map[string]any) error { return nil })
		messaging.Handle(ep, "_private", func(context.Context, struct{}) (bool, error) { return true, nil })
		b.serve(t, []*messaging.Endpoint{ep}, messaging.WithDescribe())
		client := b.newClient(t, messaging.ToNamespace(messaging.DescribeNamespace))
		got, err := messaging.Call[messaging.Description](t.Context(), client, messaging.DescribeMethod, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"topic":"t","server":"s","endpoints":[` +
			`{"namespace":"compute","legacy_namespaces":["old"],"version":"1.4","methods":[` +
			`{"name":"any","arguments":[],"any_arguments":true,"result":""},` +
			`{"name":"drop","arguments":[{"name":"host","type":"*string","optional":true}],"any_arguments":false,"result":"interface {}"},` +
			`{"name":"fit","arguments":[{"name":"cpus","type":"int64","optional":true},{"name":"tags","type":"[]string","optional":true}],"any_arguments":false,"result":"bool"}]},` +
			`{"namespace":"goslo","legacy_namespaces":[],"version":"1.0","methods":[` +
			`{"name":"describe","arguments":[],"any_arguments":false,"result":"messaging.Description"}]}]}`
		if string(text) != want {
			t.Errorf("the server describes itself as\n%s, want\n%s", text, want)
		}
	})
}

func TestServerKeepsToItselfWhatItHasUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t, messaging.ToNamespace(messaging.DescribeNamespace))
		var remote *messaging.RemoteError
		if err := client.Call(t.Context(), messaging.DescribeMethod, nil, nil); !errors.As(err, &remote) || remote.Class != "UnsupportedVersion" {
			t.Errorf("Call = %v, want UnsupportedVersion, as for every unknown namespace", err)
		}
	})
}
