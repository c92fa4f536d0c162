package messaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/messaging"
)

func TestValuesArriveAsTheyWereSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t)
		for _, c := range []struct {
			name       string
			send, want any
		}{
			{"null", nil, nil},
			{"true", true, true},
			{"integer", 1, json.Number("1")},
			{"whole float", 1.0, json.Number("1.0")},
			{"beyond 64 bits", json.Number("1180591620717411303424"), json.Number("1180591620717411303424")},
			{"not a number", math.NaN(), json.Number("NaN")},
			{"unicode", "příliš 🐎", "příliš 🐎"},
			{"empty text", "", ""},
			{"empty list", []any{}, []any{}},
			{"empty object", map[string]any{}, map[string]any{}},
			{"nested", map[string]any{"a": []any{1, "b"}}, map[string]any{"a": []any{json.Number("1"), "b"}}},
		} {
			got, err := messaging.Call[any](t.Context(), client, "echo", map[string]any{"value": c.send})
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %#v, %v; want %#v", c.name, got, err, c.want)
			}
		}
	})
}

func TestCallWithoutDeadlineEndsAtTheClientsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		for want, opts := range map[time.Duration][]messaging.ClientOption{
			time.Minute:     nil,
			3 * time.Second: {messaging.WithTimeout(3 * time.Second)},
		} {
			begun := time.Now()
			err := b.newClient(t, opts...).Call(t.Context(), "lost", nil, nil)
			if !errors.Is(err, messaging.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Call = %v, want ErrTimeout and DeadlineExceeded", err)
			}
			if waited := time.Since(begun); waited != want {
				t.Errorf("waited %s, want %s", waited, want)
			}
		}
	})
}

func TestContextDeadlineWinsOverTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		begun := time.Now()
		if err := b.newClient(t).Call(bounded(t, 5*time.Minute), "lost", nil, nil); !errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want ErrTimeout", err)
		}
		if waited := time.Since(begun); waited != 5*time.Minute {
			t.Errorf("waited %s, want 5m", waited)
		}
	})
}

func TestCancelledCallTellsTheReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		reason := errors.New("changed my mind")
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- b.newClient(t).Call(ctx, "lost", nil, nil) }()
		synctest.Wait()
		cancel(reason)
		if err := <-failed; !errors.Is(err, reason) || errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want the cause and no timeout", err)
		}
	})
}

func TestClosedTransportEndsCallsThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		client := b.newClient(t)
		failed := make(chan error, 1)
		go func() { failed <- client.Call(t.Context(), "lost", nil, nil) }()
		synctest.Wait()
		if err := b.client.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !errors.Is(err, messaging.ErrClosed) {
			t.Errorf("Call = %v, want ErrClosed", err)
		}
		if err := client.Cast(t.Context(), "late", nil); !errors.Is(err, messaging.ErrClosed) {
			t.Errorf("Cast after Close = %v, want ErrClosed", err)
		}
	})
}

func TestMandatoryMessageThatNoQueueTakesFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		client := b.newClient(t, messaging.WithMandatory())
		if err := client.Call(t.Context(), "lost", nil, nil); !errors.Is(err, messaging.ErrUndeliverable) {
			t.Errorf("Call = %v, want ErrUndeliverable", err)
		}
		if err := client.Cast(t.Context(), "lost", nil); !errors.Is(err, messaging.ErrUndeliverable) {
			t.Errorf("Cast = %v, want ErrUndeliverable", err)
		}
	})
}

func TestVersionCapIsCheckedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		for _, c := range []struct {
			limit, version string
			can            bool
		}{
			{"", "9.9", true},
			{"", "", true},
			{"1.5", "1.5", true},
			{"1.5", "1.4", true},
			{"1.5", "1.6", false},
			{"1.5", "2.0", false},
			{"1.5", "", false},
			{"1.5", "x", false},
		} {
			client := b.newClient(t, messaging.WithVersionCap(c.limit), messaging.ToVersion(c.version))
			if got := client.CanSendVersion(c.version); got != c.can {
				t.Errorf("cap %q: CanSendVersion(%q) = %v, want %v", c.limit, c.version, got, c.can)
			}
			err := client.Cast(t.Context(), "m", nil)
			var capped *messaging.VersionCapError
			if errors.As(err, &capped) == c.can {
				t.Errorf("cap %q: Cast for version %q = %v", c.limit, c.version, err)
			}
		}
		if unroutable := b.broker.Stats().Unroutable; unroutable != 4 {
			t.Errorf("%d messages sent, want the 4 that may be", unroutable)
		}
	})
}

func TestClientRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var invalid *messaging.InvalidTargetError
		if _, err := messaging.NewClient(b.client, messaging.Target{}); !errors.As(err, &invalid) {
			t.Errorf("NewClient without topic = %v, want an InvalidTargetError", err)
		}
		fanout, err := messaging.NewClient(b.client, messaging.Target{Topic: "t", Fanout: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := fanout.Call(t.Context(), "m", nil, nil); !errors.As(err, &invalid) {
			t.Errorf("call on a fanout target = %v, want an InvalidTargetError", err)
		}
		client := b.newClient(t)
		rc := messaging.WithRequestContext(t.Context(), messaging.RequestContext{"f": func() {}})
		for want, err := range map[string]error{
			"timeout must be positive": client.Prepare(messaging.WithTimeout(-1)).Call(t.Context(), "m", nil, nil),
			"call monitor must be":     client.Prepare(messaging.WithCallMonitor(time.Second)).Cast(t.Context(), "m", nil),
			"retry must be":            client.Prepare(messaging.WithRetry(-2)).Cast(t.Context(), "m", nil),
			"the keyword arguments":    client.Cast(t.Context(), "m", []int{1}),
			"encode the arguments":     client.Cast(t.Context(), "m", map[string]any{"f": func() {}}),
			"request context":          client.Cast(rc, "m", nil),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v, want one with %q", err, want)
			}
		}
		for _, opt := range []messaging.ClientOption{messaging.WithTimeout(0), messaging.WithRetry(-5), messaging.WithCallMonitor(-1)} {
			if _, err := messaging.NewClient(b.client, messaging.Target{Topic: "t"}, opt); err == nil {
				t.Error("NewClient takes an impossible option")
			}
		}
	})
}

func TestReplyOfAnotherTypeIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		_, err := messaging.Call[int](t.Context(), b.newClient(t), "echo", map[string]any{"value": "text"})
		if err == nil || !strings.Contains(err.Error(), "decode the result of echo") {
			t.Errorf("Call = %v, want an error about the result", err)
		}
	})
}

func TestRequestContextTravels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		client := b.newClient(t)
		ep := messaging.NewEndpoint()
		messaging.Handle(ep, "context", func(ctx context.Context, _ struct{}) (messaging.RequestContext, error) {
			return messaging.RequestContextFrom(ctx), nil
		})
		messaging.Handle(ep, "relay", func(ctx context.Context, _ struct{}) (messaging.RequestContext, error) {
			return messaging.Call[messaging.RequestContext](ctx, client, "context", nil)
		})
		b.serve(t, []*messaging.Endpoint{ep})
		sent := messaging.RequestContext{"user_id": "ů-1", "roles": []any{"admin"}, "is_admin": true, "auth_token": nil}
		want := messaging.RequestContext{
			"user_id": "ů-1", "roles": []any{"admin"}, "is_admin": true, "auth_token": nil, "client_timeout": nil,
		}
		ctx := messaging.WithRequestContext(t.Context(), sent)
		for _, method := range []string{"context", "relay"} {
			got, err := messaging.Call[messaging.RequestContext](ctx, client, method, nil)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, %v; want %v", method, got, err, want)
			}
		}
		if got := messaging.RequestContextFrom(ctx); !reflect.DeepEqual(got, sent) {
			t.Errorf("the sender reads %v back, want what it put in", got)
		}
		if got := messaging.RequestContextFrom(t.Context()); got != nil {
			t.Errorf("a context without one gives %v, want nil", got)
		}
	})
}

func TestOpenNamesWhatIsWrongAndShowsNoPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                        "scheme",
		"host/vh":                                 "scheme",
		"zmq://u:s3cr3t@h/":                       `unknown driver "zmq"`,
		"rabbit://u:s3cr3t@h:x/":                  "port",
		"rabbit://u:s3cr3t@h/?nosuch=1":           `unknown option "nosuch"`,
		"rabbit://h/?amqp_durable_queues=maybe":   "amqp_durable_queues",
		"rabbit://h/?rabbit_login_method=KERBE":   "rabbit_login_method",
		"memory://b/?max_queue_length=s":          "max_queue_length",
		"rabbit://h/?heartbeat_timeout_threshold": "",
		"amqps://u:s3cr3t@h/?ssl=off":             "option ssl",
		"kombu+rabbit://h/":                       "",
		"amqp://h/":                               "",
		"amqps://h/":                              "",
	} {
		tr, err := messaging.Open(url)
		if want == "" {
			if err != nil {
				t.Errorf("Open(%q) = %v", url, err)
			} else if err := tr.Close(t.Context()); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, messaging.ErrInvalidURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want ErrInvalidURL with %q", url, err, want)
			continue
		}
		if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q) shows too much: %q", url, err)
		}
	}
}

func TestTransportsOfOneMemoryURLShareABus(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"memory://shared", "fake://other/vh"} {
		first, err := messaging.Open(url, messaging.WithControlExchange("nova"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := messaging.Open(url, messaging.WithControlExchange("nova"))
		if err != nil {
			t.Fatal(err)
		}
		server, err := messaging.NewRPCServer(first, messaging.Target{Topic: "t", Server: "s"}, []*messaging.Endpoint{echo()})
		if err != nil {
			t.Fatal(err)
		}
		if got := server.Target().Exchange; got != "nova" {
			t.Errorf("the server listens on exchange %q, want the transport's", got)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		client, err := messaging.NewClient(second, messaging.Target{Topic: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Ping(t.Context()); err != nil {
			t.Errorf("Ping = %v", err)
		}
		got, err := messaging.Call[int](t.Context(), client, "echo", map[string]int{"value": 7})
		if err != nil || got != 7 {
			t.Errorf("Call = %d, %v", got, err)
		}
		stop(t, server)
		for _, tr := range []*messaging.Transport{first, second} {
			if err := tr.Close(t.Context()); err != nil {
				t.Errorf("Close = %v", err)
			}
		}
	}
}
