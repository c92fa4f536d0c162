package service

import (
	"slices"
	"testing"
	"time"
)

// starts are the times, since the first, of the first n starts of workers that die after life.
func starts(workers, n int, life time.Duration) []time.Duration {
	begin := time.Unix(1e9, 0)
	t := throttle{workers: workers}
	free := make([]time.Time, workers) // when each place is free again
	for i := range free {
		free[i] = begin
	}
	var times []time.Duration
	for now := begin; len(times) < n; {
		slices.SortFunc(free, time.Time.Compare)
		if now.Before(free[0]) {
			now = free[0]
		}
		if wait, _ := t.take(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		times = append(times, now.Sub(begin))
		free[0] = now.Add(life)
	}
	return times
}

func TestThrottleHasTheCadenceOfOslo(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, test := range []struct {
		name    string
		workers int
		life    time.Duration
		want    []time.Duration
	}{
		// Measured with oslo.service: 0, 0.01, 0.04, 1.04, 2.05, 2.05, 3.08, 4.09, 4.09, 5.10.
		{"two workers that die at once", 2, 0, []time.Duration{0, 0, 0, s, 2 * s, 2 * s, 3 * s, 4 * s, 4 * s, 5 * s}},
		{"one worker that dies at once", 1, 0, []time.Duration{0, 0, s, s, 2 * s, 2 * s, 3 * s}},
		{"one worker that lives for two seconds", 1, 2 * s, []time.Duration{0, 2 * s, 4 * s, 6 * s, 8 * s}},
		{"three workers that live for long", 3, 60 * s, []time.Duration{0, 0, 0, 60 * s, 60 * s, 60 * s, 120 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := starts(test.workers, len(test.want), test.life); !slices.Equal(got, test.want) {
				t.Errorf("starts at %v, want %v", got, test.want)
			}
		})
	}
}

func TestThrottleSaysOnceThatAPauseHasBegun(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	th := throttle{workers: 1}
	for range 2 {
		if wait, first := th.take(now); wait != 0 || first {
			t.Fatalf("take = %v, %v; want a start", wait, first)
		}
	}
	if wait, first := th.take(now); wait != time.Second || !first {
		t.Errorf("take = %v, %v; want 1s and the beginning of a pause", wait, first)
	}
	if wait, first := th.take(now.Add(time.Second / 4)); wait != 3*time.Second/4 || first {
		t.Errorf("take within the pause = %v, %v; want the rest of it, 750ms", wait, first)
	}
	if wait, _ := th.take(now.Add(time.Second)); wait != 0 {
		t.Errorf("take after the pause = %v, want a start", wait)
	}
}
