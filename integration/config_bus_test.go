//go:build integration

package integration_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// usersOf are the users of the broker's connections whose name begins so.
func usersOf(t *testing.T, b *broker.Broker, prefix string) []string {
	t.Helper()
	var users []string
	for line := range strings.Lines(ctl(t, b, "--quiet", "list_connections", "user")) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, prefix) && !slices.Contains(users, name) {
			users = append(users, name)
		}
	}
	slices.Sort(users)
	return users
}

// isIgnored tells whether a line says that transport_url has changed in vain.
func isIgnored(e *logrus.Entry) bool {
	return e.Message == "the change of an option is ignored until a restart" && e.Data["option"] == "[DEFAULT] transport_url"
}

// TestTransportIsThatOfAConfigurationFile calls over a transport that a file describes, and changes the file: what is open stays,
// and a transport that is made after a reload is the new one.
func TestTransportIsThatOfAConfigurationFile(t *testing.T) {
	t.Parallel()
	b := broker.Shared(t)
	b.RequireControl(t)
	name := unique("file")
	first, second := name+"-first", name+"-second"
	addUser(t, b, first, "pa$word")
	addUser(t, b, second, "w0rd")
	path := filepath.Join(t.TempDir(), "nova.conf")
	file := func(credentials string) string {
		return "[DEFAULT]\ntransport_url = " + at(t, b.URL(), credentials, "") + "\ncontrol_exchange = " + name + "\nrpc_response_timeout = 20\n" +
			"rpc_ping_enabled = yes\nmy_ip = 192.0.2.1\n[oslo_messaging_rabbit]\namqp_auto_delete = true\nrabbit_qos_prefetch_count = 4\nheartbeat_rate = 2\n"
	}
	write(t, path, file(first+":pa$$word@"))

	log, hook := logtest.NewNullLogger()
	c := config.New("test", config.WithDirs(), config.WithLogger(log), config.WithEnvironment(func(string) (string, bool) { return "", false }))
	if err := errors.Join(c.Register(messaging.ConfigOptions()...), c.Parse([]string{"--config-file", path})); err != nil {
		t.Fatal(err)
	}
	open := func() *messaging.Transport {
		bus, err := messaging.TransportFromConfig(c, messaging.WithLogger(log))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = bus.Close(context.Background()) })
		return bus
	}
	call := func(bus *messaging.Transport) {
		t.Helper()
		client, err := messaging.NewClient(bus, messaging.Target{Topic: name})
		if err != nil {
			t.Fatal(err)
		}
		var pong string
		if err := client.Call(patient(t), "oslo_rpc_server_ping", nil, &pong); err != nil || pong != "pong" {
			t.Errorf("ping = %q, %v", pong, err)
		}
	}

	bus := open()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "idle", func(context.Context, struct{}) (any, error) { return nil, nil })
	server, err := messaging.NewRPCServer(bus, messaging.Target{Topic: name, Server: "s"}, []*messaging.Endpoint{ep})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop(context.Background()) }()
	call(bus)

	write(t, path, file(second+":w0rd@"))
	if err := c.Mutate(); err != nil {
		t.Fatal(err)
	}
	call(open())
	if got, want := usersOf(t, b, name), []string{first}; !slices.Equal(got, want) {
		t.Errorf("after a mutation connections are those of %q, want %q", got, want)
	}
	if !slices.ContainsFunc(hook.AllEntries(), isIgnored) {
		t.Errorf("the log has no word of the change that is ignored")
	}

	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	call(open())
	if got, want := usersOf(t, b, name), []string{first, second}; !slices.Equal(got, want) {
		t.Errorf("after a reload connections are those of %q, want %q", got, want)
	}
	for _, e := range hook.AllEntries() {
		if line, _ := e.String(); strings.Contains(line, "w0rd") || strings.Contains(line, "pa$word") {
			t.Errorf("the log has a password: %s", line)
		}
	}
}
