package rpcservice_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

// worker is one of several managers of a host that do the same.
type worker struct {
	rpcservice.BaseManager
	name string
	ran  *journal
	runs atomic.Int32
}

func (w *worker) Endpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "run", "id", func(_ context.Context, id string) (any, error) {
		w.runs.Add(1)
		w.ran.note(id + " " + w.name)
		return nil, nil
	})
	return ep
}

// Each worker process has connections of its own: a driver each.
func TestFanoutRunsOnEachWorkerAndEverythingElseOnOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ran := &journal{}
		b := newBus(t, ran)
		workers := make([]*worker, 4)
		for i := range workers {
			workers[i] = &worker{name: fmt.Sprintf("worker%d", i), ran: ran}
			own := messaging.NewTransport(b.broker.NewDriver(), messaging.WithLogger(b.log))
			svc, err := rpcservice.New(own, workers[i], rpcservice.Config{Topic: "compute", Host: "host1", Log: b.log})
			if err != nil {
				t.Fatal(err)
			}
			if err := svc.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() {
				stop(t, svc)
				if err := own.Close(context.Background()); err != nil {
					t.Errorf("Close = %v", err)
				}
			}()
		}
		client := b.newClient(t)
		send := func(how func(ctx context.Context, method string, args any) error, id string) {
			t.Helper()
			if err := how(t.Context(), "run", map[string]string{"id": id}); err != nil {
				t.Fatal(err)
			}
		}

		send(client.Fanout, "all")
		synctest.Wait()
		lines := ran.take()
		slices.Sort(lines)
		if want := []string{"all worker0", "all worker1", "all worker2", "all worker3"}; !slices.Equal(lines, want) {
			t.Errorf("a fanout ran as %q, want %q", lines, want)
		}

		const times = 100
		for i := range times {
			send(client.Cast, fmt.Sprintf("topic%d", i))
			send(client.Prepare(messaging.ToServer("host1")).Cast, fmt.Sprintf("host%d", i))
		}
		synctest.Wait()
		ids := make(map[string]int)
		for _, line := range ran.take() {
			var id, name string
			if _, err := fmt.Sscan(line, &id, &name); err != nil {
				t.Fatal(err)
			}
			ids[id]++
		}
		if len(ids) != 2*times {
			t.Errorf("%d messages were run, want %d", len(ids), 2*times)
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s was run %d times", id, n)
			}
		}
		for _, w := range workers {
			if got := w.runs.Load(); got < times/4 {
				t.Errorf("%s ran %d messages: they are not shared out", w.name, got)
			}
		}
	})
}
