package messaging_test

import (
	"context"
	"errors"
	"testing"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

func TestATransportTellsHowManyServersReceive(t *testing.T) {
	t.Parallel()
	bus := messaging.NewTransport(memory.New(), messaging.WithControlExchange("nova"))
	defer bus.Close(t.Context())
	want := func(on messaging.Target, want int) {
		t.Helper()
		if got, err := bus.Consumers(t.Context(), on); err != nil || got != want {
			t.Errorf("servers of %s: %d, %v, want %d", on, got, err, want)
		}
	}
	want(messaging.Target{Topic: "calculator"}, 0)
	for _, host := range []string{"a", "b"} {
		server, err := messaging.NewRPCServer(bus, messaging.Target{Topic: "calculator", Server: host}, []*messaging.Endpoint{newCalculator()})
		if err == nil {
			err = server.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(server.Stop(t.Context()), server.Wait(t.Context())); err != nil {
				t.Error(err)
			}
		}()
	}
	want(messaging.Target{Topic: "calculator"}, 2)
	want(messaging.Target{Topic: "calculator", Server: "b"}, 1)
	want(messaging.Target{Topic: "calculator", Server: "c"}, 0)
	var invalid *messaging.InvalidTargetError
	if _, err := bus.Consumers(t.Context(), messaging.Target{}); !errors.As(err, &invalid) {
		t.Errorf("servers of no topic: %v, want an InvalidTargetError", err)
	}
}

func TestADriverNeedNotTellHowManyReceive(t *testing.T) {
	t.Parallel()
	bus := messaging.NewTransport(struct{ transport.Driver }{memory.New()})
	defer bus.Close(t.Context())
	if _, err := bus.Consumers(t.Context(), messaging.Target{Topic: "t"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Consumers = %v, want ErrUnsupported", err)
	}
}

func newCalculator() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleCast(ep, "add", func(_ context.Context, _ struct{}) error { return nil })
	return ep
}
