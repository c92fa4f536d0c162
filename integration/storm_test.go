//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

// TestCutConnectionsNeverRunACallTwice calls without a pause, through connections that are cut again and again, and
// counts what was run. Each call ends in time with its result or an error that says why, and is run once at most;
// one that has a result was run exactly once.
func TestCutConnectionsNeverRunACallTwice(t *testing.T) {
	t.Parallel()
	const (
		callers = 100
		cuts    = 12
		timeout = patience
	)
	b := newBus(t)
	gate := newGate(t, b.url)

	var mu sync.Mutex
	ran := map[string]int{}
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "once", "id", func(_ context.Context, id string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		ran[id]++
		return id, nil
	})
	server, client := join(t, gate.url), join(t, gate.url)
	server.serve(t, b.target("host1"), ep)
	c := client.client(t, b, messaging.WithTimeout(timeout))

	var calling sync.WaitGroup
	var answered, lost atomic.Int64
	stop := make(chan struct{})
	for caller := range callers {
		calling.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint(caller, "-", n)
				begun := time.Now()
				got, err := messaging.Call[string](t.Context(), c, "once", args{"id": id})
				if took := time.Since(begun); took > timeout+patience {
					t.Errorf("call %s took %s, its timeout was %s", id, took, timeout)
				}
				mu.Lock()
				times := ran[id]
				mu.Unlock()
				switch {
				case err == nil && (got != id || times != 1):
					t.Errorf("call %s: result %q, ran %d times", id, got, times)
				case err == nil:
					answered.Add(1)
				case errors.Is(err, messaging.ErrConnectionLost), errors.Is(err, messaging.ErrNotConnected):
					lost.Add(1)
				case errors.Is(err, messaging.ErrTimeout):
					t.Errorf("call %s, which ran %d times: %v", id, times, err)
				default:
					t.Errorf("call %s: %v", id, err)
				}
			}
		})
	}
	for range cuts {
		before := answered.Load()
		eventually(t, "calls are answered", func() bool { return answered.Load() > before+callers })
		gate.cut()
	}
	close(stop)
	calling.Wait()
	t.Logf("%d calls were answered, %d lost; %+v", answered.Load(), lost.Load(), server.driver.Stats())
	mu.Lock()
	for id, times := range ran {
		if times > 1 {
			t.Errorf("call %s ran %d times", id, times)
		}
	}
	mu.Unlock()
	if err := c.Call(t.Context(), "once", args{"id": "last"}, nil); err != nil {
		t.Errorf("the call after the storm: %v", err)
	}
}
