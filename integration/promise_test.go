//go:build integration

package integration_test

import (
	"context"
	"testing"
	"time"
)

// promiseTries is how often a scenario is played that takes longer than goslo promises.
const promiseTries = 5

// promise plays a scenario until it takes no longer than goslo promises. A machine that has other things to do is slow
// now and then, so that a figure is proved by the quickest of a few plays; that the scenario ends well, by each.
func promise(t *testing.T, what string, most time.Duration, play func() time.Duration) {
	t.Helper()
	best := play()
	for range promiseTries - 1 {
		if best <= most || t.Failed() {
			break
		}
		best = min(best, play())
	}
	if best > most {
		t.Errorf("%s: took %s at best, want at most %s", what, best, most)
	}
}

// again tries until try succeeds, and tells how long after since that was. Each try gets a second, and never more than
// what is left of the test's patience.
func again(t *testing.T, since time.Time, what string, try func(ctx context.Context) error) time.Duration {
	t.Helper()
	deadline, cancel := context.WithDeadline(t.Context(), since.Add(2*patience))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(deadline, time.Second)
		err := try(ctx)
		cancel()
		if err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("%s: not in %s: %v", what, 2*patience, err)
		}
	}
	took := time.Since(since)
	t.Logf("%s: after %s", what, took.Round(time.Millisecond))
	return took
}
