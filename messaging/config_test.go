package messaging_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/transport/rabbit"
)

// configured is a configuration with one file.
func configured(tb testing.TB, text string, args ...string) (*config.Config, *logtest.Hook, error) {
	tb.Helper()
	log, hook := logtest.NewNullLogger()
	c := config.New("test", config.WithFiles(), config.WithDirs(), config.WithLogger(log),
		config.WithEnvironment(func(string) (string, bool) { return "", false }))
	if err := c.Register(messaging.ConfigOptions()...); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "test.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return c, hook, c.Parse(append([]string{"--config-file", path}, args...))
}

func optionsFromConfig(tb testing.TB, text string, args ...string) (rabbit.Options, error) {
	tb.Helper()
	c, _, err := configured(tb, text, args...)
	if err != nil {
		return rabbit.Options{}, err
	}
	t, err := messaging.TransportFromConfig(c)
	if err != nil {
		return rabbit.Options{}, err
	}
	driver, ok := t.Driver().(*rabbit.Driver)
	if !ok {
		tb.Fatalf("the driver is a %T", t.Driver())
	}
	tb.Cleanup(func() { _ = t.Close(context.Background()) })
	return driver.Options(), nil
}

func TestTransportTakesTheOptionsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for text, is := range map[string]func(o *rabbit.Options) bool{
		"":                                     func(o *rabbit.Options) bool { return *o == rabbit.DefaultOptions() },
		"[oslo_messaging_rabbit]\nssl = false": func(o *rabbit.Options) bool { return *o == rabbit.DefaultOptions() },
		"[oslo_messaging_rabbit]\namqp_durable_queues = Yes":        func(o *rabbit.Options) bool { return o.DurableQueues },
		"[oslo_messaging_rabbit]\nrabbit_qos_prefetch_count = +1_6": func(o *rabbit.Options) bool { return o.Prefetch == 16 },
		"[oslo_messaging_rabbit]\nkombu_reconnect_delay = .5":       func(o *rabbit.Options) bool { return o.ReconnectDelay == time.Second/2 },
		"[oslo_messaging_rabbit]\nkombu_ssl_ca_certs = /ca":         func(o *rabbit.Options) bool { return o.TLS.CAFile == "/ca" },
		"[oslo_messaging_rabbit]\nrabbit_retry_interval =":          func(o *rabbit.Options) bool { return o.RetryInterval == time.Second/2 },
		"[oslo_messaging_rabbit]\nrpc_conn_pool_size = 100":         func(o *rabbit.Options) bool { return o.Unused.PoolSize == 100 },
		"[DEFAULT]\ntransport_url = rabbit://h/?rabbit_retry_interval=3\n[oslo_messaging_rabbit]\nrabbit_retry_interval = 4": func(o *rabbit.Options) bool {
			return o.RetryInterval == 3*time.Second
		},
		"[DEFAULT]\ntransport_url = rabbit://h/?kombu_reconnect_timeout=3\n[oslo_messaging_rabbit]\nkombu_missing_consumer_retry_timeout = 4": func(o *rabbit.Options) bool {
			return o.MissingConsumerTimeout == 3*time.Second
		},
		"[DEFAULT]\ntransport_url = rabbit://h/?rabbit_ha_queues=1\n[oslo_messaging_rabbit]\nrabbit_interval_max = 9": func(o *rabbit.Options) bool {
			return o.HAQueues && o.IntervalMax == 9*time.Second
		},
		"[oslo_messaging_rabbit]\nprofile = quorum": func(o *rabbit.Options) bool { return o.QuorumQueue },
	} {
		o, err := optionsFromConfig(t, text)
		if err != nil || !is(&o) {
			t.Errorf("%q: error %v, options %+v", text, err, o)
		}
	}
	if o, err := optionsFromConfig(t, "[oslo_messaging_rabbit]\nssl = false\n", "--oslo_messaging_rabbit-ssl"); err != nil || !o.TLS.Enabled {
		t.Errorf("a flag: error %v, TLS %t", err, o.TLS.Enabled)
	}
}

func TestDefaultsOfTheConfigurationAreTheDriversOwn(t *testing.T) {
	t.Parallel()
	var sample strings.Builder
	c, _, err := configured(t, "")
	if err == nil {
		err = c.Sample(&sample)
	}
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for line := range strings.SplitSeq(sample.String(), "\n") {
		value, commented := strings.CutPrefix(line, "#")
		switch {
		case strings.HasPrefix(line, "["):
			given = append(given, line)
		case commented && !strings.HasPrefix(value, " ") && !strings.HasSuffix(value, "<None>"):
			given = append(given, value)
		}
	}
	if len(given) != 51 { // of 50 options, all but kombu_compression, and two sections
		t.Fatalf("%d defaults in the sample:\n%s", len(given), &sample)
	}
	o, err := optionsFromConfig(t, strings.Join(given, "\n"))
	if want := rabbit.DefaultOptions(); err != nil || o != want {
		t.Errorf("error %v, options\n%+v, want\n%+v", err, o, want)
	}
}

func TestWrongConfigurationsOfTheBusAreErrorsThatShowNoPassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[DEFAULT]\ntransport_url = u_s3cr3t@h":                              "test.conf:2: option transport_url: invalid transport URL",
		"[DEFAULT]\ntransport_url = nosuch://u:s3cr3t@h":                     `unknown driver "nosuch"`,
		"[DEFAULT]\ntransport_url = rabbit://u:s3cr3t@h/?nosuch=1":           `unknown option "nosuch"`,
		"[DEFAULT]\nrpc_response_timeout = 0":                                "test.conf:2: option [DEFAULT] rpc_response_timeout: want at least 1",
		"[DEFAULT]\n\nrpc_thread_pool_size = 0":                              "test.conf:3: option [DEFAULT] executor_thread_pool_size: want at least 1",
		"[oslo_messaging_rabbit]\nheartbeat_rate = x":                        "test.conf:2: option [oslo_messaging_rabbit] heartbeat_rate: want a whole number",
		"[oslo_messaging_rabbit]\nrabbit_login_method = plain":               "test.conf:2: option [oslo_messaging_rabbit] rabbit_login_method: want one of PLAIN",
		"[oslo_messaging_rabbit]\nssl_version = SSLv3":                       "test.conf:2: option [oslo_messaging_rabbit] ssl_version: want one of",
		"[oslo_messaging_rabbit]\nkombu_reconnect_delay = 5":                 "test.conf:2: option [oslo_messaging_rabbit] kombu_reconnect_delay: want at most 4.5",
		"[oslo_messaging_rabbit]\nkombu_compression = bz2":                   "[oslo_messaging_rabbit]: invalid transport URL: option kombu_compression",
		"[oslo_messaging_rabbit]\nrabbit_ha_queues=1\nrabbit_quorum_queue=1": "rabbit_ha_queues and rabbit_quorum_queue exclude each other",
	} {
		_, err := optionsFromConfig(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error = %v, want %s", text, err, want)
		}
	}
	if _, err := optionsFromConfig(t, "[DEFAULT]\ntransport_url = x"); !errors.Is(err, messaging.ErrInvalidURL) {
		t.Errorf("error = %v, want ErrInvalidURL", err)
	}
}

func TestServersAndClientsTakeTheDefaultsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	c, hook, err := configured(t, "[DEFAULT]\ntransport_url = memory://\nrpc_response_timeout = 5\nrpc_ping_enabled = true\nexecutor_thread_pool_size = 2\n")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		transport, err := messaging.TransportFromConfig(c, messaging.WithControlExchange("nova"))
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		ep := messaging.NewEndpoint()
		running, release := make(chan struct{}, 10), make(chan struct{})
		messaging.Handle(ep, "wait", func(context.Context, struct{}) (int, error) {
			running <- struct{}{}
			<-release
			return 0, nil
		})
		server, err := messaging.NewRPCServer(transport, messaging.Target{Topic: "t", Server: "s"}, []*messaging.Endpoint{ep})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(ctx); err != nil {
			t.Fatal(err)
		}
		client, err := messaging.NewClient(transport, messaging.Target{Exchange: "nova", Topic: "t"})
		if err != nil {
			t.Fatal(err)
		}
		var pong string
		if err := client.Call(ctx, "oslo_rpc_server_ping", nil, &pong); err != nil || pong != "pong" {
			t.Errorf("ping = %q, %v", pong, err)
		}
		began := time.Now()
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- client.Call(ctx, "wait", nil, nil) }()
		}
		synctest.Wait()
		most := len(running)
		for range 3 {
			if err := <-done; !errors.Is(err, messaging.ErrTimeout) || time.Since(began) != 5*time.Second {
				t.Errorf("call = %v after %s, want ErrTimeout after 5s", err, time.Since(began))
			}
		}
		close(release)
		if most != 2 {
			t.Errorf("%d methods ran at once, want 2", most)
		}
		if err := errors.Join(server.Stop(ctx), server.Wait(ctx), transport.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	if len(hook.AllEntries()) != 0 {
		t.Errorf("logged %v", messages(hook))
	}
}

func TestTransportIsMadeByAnExistingNovaConf(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../config/testdata/nova.conf")
	if err != nil {
		t.Fatal(err)
	}
	o, err := optionsFromConfig(t, string(text))
	if err != nil || !o.DurableQueues || o.Prefetch != 16 || o.RetryInterval != time.Second || o.TLS.CAFile != "/etc/ssl/certs/ca.pem" {
		t.Errorf("error %v, options %+v", err, o)
	}
}

func TestRequestIDsAreThoseOfTheContext(t *testing.T) {
	t.Parallel()
	ctx := messaging.WithRequestContext(t.Context(), messaging.Identity{RequestID: "req-1", GlobalRequestID: "req-0"}.RequestContext())
	if id, global := messaging.RequestIDs(ctx); id != "req-1" || global != "req-0" {
		t.Errorf("ids %q and %q, want req-1 and req-0", id, global)
	}
	if id, global := messaging.RequestIDs(t.Context()); id != "" || global != "" {
		t.Errorf("without a request: ids %q and %q", id, global)
	}
}

// For formatters that look for them, as config/logging's.
func TestAServersLinesAboutARequestHaveItsIDs(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]messaging.ClientOption{"JSON": nil, "msgpack": {messaging.WithSerializer(serializer.Msgpack)}} {
		b := newBus(t)
		server := b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t, opts...)
		ctx := messaging.WithRequestContext(t.Context(), messaging.Identity{RequestID: "req-1", GlobalRequestID: "req-0"}.RequestContext())
		if err := client.Call(ctx, "panic", nil, nil); err == nil {
			t.Errorf("%s: the call succeeded", name)
		}
		stop(t, server) // after its last line
		for _, message := range []string{"received", "dispatch", "the endpoint method panicked", "replied"} {
			if b.count(message) != 1 {
				t.Errorf("%s: %d lines %q, want 1", name, b.count(message), message)
			}
		}
		for _, e := range b.logs.AllEntries() {
			if e.Data["msg_id"] == nil {
				continue
			}
			if id, global := messaging.RequestIDs(e.Context); id != "req-1" || global != "req-0" {
				t.Errorf("%s: ids %q and %q with %q, want req-1 and req-0", name, id, global, e.Message)
			}
		}
	}
}

func messages(hook *logtest.Hook) []string {
	var lines []string
	for _, e := range hook.AllEntries() {
		lines = append(lines, e.Message)
	}
	return lines
}
