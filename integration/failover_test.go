//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// count is how many clients a gate has.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.clients)
}

// until tries again and again until try succeeds, as long as the test's patience lasts.
func until(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx := patient(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in %s: %v", what, patience, err)
		}
	}
}

// hostOf is the part of a transport URL that names its host, with credentials.
func hostOf(t *testing.T, transportURL string) string {
	t.Helper()
	u, err := url.Parse(transportURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.User.String() + "@" + u.Host
}

// TestHostThatDoesNotAnswerCostsNoCall has three hosts: one that is never there and two gates in front of one broker.
func TestHostThatDoesNotAnswerCostsNoCall(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"round-robin", "shuffle"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			gates := []*gate{newGate(t, broker.Shared(t).URL()), newGate(t, broker.Shared(t).URL())}
			p := join(t, "rabbit://guest:guest@127.0.0.1:1,"+hostOf(t, gates[0].url)+","+hostOf(t, gates[1].url)+
				"/?kombu_failover_strategy="+strategy)
			if err := p.Ping(patient(t)); err != nil { // else both connections look for a host at once, and may find two
				t.Fatal(err)
			}
			c := p.client(t, b, messaging.WithTimeout(patience))
			p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
			lives := func(what string) {
				t.Helper()
				again(t, time.Now(), what, func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
			}
			lives("at first")
			good, other := gates[0], gates[1]
			if good.count() == 0 {
				good, other = other, good
			}
			wantHosts := func(what string, good, other *gate) {
				t.Helper()
				until(t, what, func(context.Context) error {
					if good.count() != 2 || other.count() != 0 {
						return fmt.Errorf("%d connections to the good host and %d to the other, want 2 and 0", good.count(), other.count())
					}
					return nil
				})
			}
			wantHosts("at first", good, other)
			good.cut()
			lives("after a cut")
			wantHosts("after a cut", good, other)
			good.booting.Store(true)
			good.cut()
			lives("after the host's end")
			wantHosts("after the host's end", other, good)
			good.booting.Store(false)
			other.cut()
			lives("after a cut of the second host")
			wantHosts("after a cut of the second host", other, good)
			if text := hookText(p.log); strings.Contains(text, "guest:guest") {
				t.Errorf("a password was logged:\n%s", text)
			}
		})
	}
}
