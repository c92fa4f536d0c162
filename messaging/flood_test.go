package messaging_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/messaging"
)

// TestFloodOfCallsForAMissingMethodLeavesNothingBehind makes 10,000 monitored calls, for each of which
// oslo.messaging's server keeps a thread that sends heartbeats for ever. It is not parallel: it counts goroutines.
func TestFloodOfCallsForAMissingMethodLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls, callers = 10_000, 50
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t, messaging.WithCallMonitor(2*time.Second))
		if err := client.Call(t.Context(), "echo", map[string]int{"value": 1}, nil); err != nil { // all that lasts is there now
			t.Fatal(err)
		}
		synctest.Wait()
		before, published := goroutines(), b.broker.Stats().Published
		var flood sync.WaitGroup
		for range callers {
			flood.Go(func() {
				for range calls / callers {
					var remote *messaging.RemoteError
					if err := client.Call(t.Context(), "nope", nil, nil); !errors.As(err, &remote) || remote.Class != "NoSuchMethod" {
						t.Errorf("Call = %v, want NoSuchMethod", err)
					}
				}
			})
		}
		flood.Wait()
		<-time.After(time.Hour)
		synctest.Wait()
		if got := b.broker.Stats().Published - published; got != 2*calls {
			t.Errorf("%d messages, want %d requests and as many failures, no heartbeat", got, calls)
		}
		if left := goroutines(); len(left) > len(before) {
			t.Errorf("%d goroutines, %d before the flood:\n%s", len(left), len(before), strings.Join(left, "\n\n"))
		}
	})
}

// goroutines are the stacks of those that have not ended.
func goroutines() []string {
	all := make([]byte, 4<<20)
	return strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n")
}
