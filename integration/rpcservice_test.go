//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

// hand is one of several managers that do the same for one host.
type hand struct {
	rpcservice.BaseManager
	name string
	ran  chan<- string
}

func (h *hand) Endpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "run", "id", func(_ context.Context, id string) (any, error) {
		h.ran <- id + " " + h.name
		return nil, nil
	})
	return ep
}

// employ starts a service of a hand on host1, with connections of its own, as a worker process has them.
func employ(tb testing.TB, b *bus, h *hand) *rpcservice.RPCService {
	tb.Helper()
	p := join(tb, b.url)
	svc, err := rpcservice.New(p.Transport, h, rpcservice.Config{
		Exchange: b.exchange, Topic: b.topic, Host: "host1", Log: silent(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := svc.Start(patient(tb)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := svc.Stop(ctx); err != nil {
			tb.Errorf("stop: %v", err)
		}
		if err := svc.Wait(ctx); err != nil {
			tb.Errorf("wait: %v", err)
		}
	})
	return svc
}

func TestFanoutRunsOnEachWorkerAndEverythingElseOnOne(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	const times = 100
	ran := make(chan string, 10*times)
	var names []string
	for i := range 4 {
		h := &hand{name: fmt.Sprintf("worker%d", i), ran: ran}
		names = append(names, "all "+h.name)
		employ(t, b, h)
	}
	client := join(t, b.url).client(t, b)
	send := func(how func(ctx context.Context, method string, args any) error, id string) {
		t.Helper()
		if err := how(patient(t), "run", map[string]string{"id": id}); err != nil {
			t.Fatal(err)
		}
	}

	send(client.Fanout, "all")
	var lines []string
	for range names {
		lines = append(lines, receive(t, ran))
	}
	receiveNothing(t, ran)
	if lines = sorted(lines); !slices.Equal(lines, names) {
		t.Errorf("a fanout ran as %q, want %q", lines, names)
	}

	for i := range times {
		send(client.Cast, fmt.Sprintf("topic%d", i))
		send(client.Prepare(messaging.ToServer("host1")).Cast, fmt.Sprintf("host%d", i))
	}
	runs := make(map[string]int)
	shares := make(map[string]int)
	for range 2 * times {
		var id, name string
		if _, err := fmt.Sscan(receive(t, ran), &id, &name); err != nil {
			t.Fatal(err)
		}
		runs[id]++
		shares[name]++
	}
	receiveNothing(t, ran)
	if len(runs) != 2*times {
		t.Errorf("%d messages were run, want %d, each once: %v", len(runs), 2*times, runs)
	}
	for _, name := range names {
		if shares[name[len("all "):]] == 0 {
			t.Errorf("shares %v: %s has none", shares, name)
		}
	}
	t.Logf("shares of the workers: %v", shares)
}

func TestServiceMakesProgressWhileItsBrokerIsAway(t *testing.T) {
	t.Parallel()
	own := broker.ForTest(t)
	b := busOf(t, own)
	ran := make(chan string, 1000)
	svc := employ(t, b, &hand{name: "worker", ran: ran})
	moves := func(when string) {
		t.Helper()
		before := svc.Progress()
		begun := time.Now()
		eventually(t, "progress "+when, func() bool { return svc.Progress() >= before+3 })
		t.Logf("%s: 3 turns in %s", when, time.Since(begun).Round(time.Millisecond))
	}
	moves("with nothing to do")
	if err := own.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	moves("without a broker")
	if err := own.StartAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := join(t, b.url).client(t, b, messaging.WithMandatory())
	eventually(t, "an answer after the outage", func() bool { // until the service has its queue again
		return client.Call(patient(t), "run", map[string]string{"id": "again"}, nil) == nil
	})
	if got := receive(t, ran); got != "again worker" {
		t.Errorf("%q ran, want the call", got)
	}
}
