package loopcall_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/service/loopcall"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// backoffRun is what a back-off loop did.
type backoffRun struct {
	waits []time.Duration
	err   error
	begun time.Time
	last  time.Time
}

// runBackoff runs a loop whose n-th call, from 1, succeeds as outcome says, for calls calls at most.
func runBackoff(t *testing.T, o loopcall.BackoffOptions, calls int, outcome func(n int) bool) *backoffRun {
	t.Helper()
	log, _ := quiet()
	r := &backoffRun{begun: time.Now()}
	n := 0
	l := loopcall.Backoff(func(context.Context) (bool, error) {
		if n++; n > 1 {
			r.waits = append(r.waits, time.Since(r.last))
		}
		r.last = time.Now()
		if n > calls {
			return false, loopcall.Done(nil)
		}
		return outcome(n), nil
	}, o, log)
	_, r.err = finish(t, l)
	return r
}

func never(int) bool  { return false }
func always(int) bool { return true }

func TestBackoffWaitsByTheFormula(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const start = 100 * time.Millisecond
		r := runBackoff(t, loopcall.BackoffOptions{StartingInterval: start, Timeout: -1, Rand: seeded(7)}, 8,
			func(n int) bool { return n > 5 })

		// Five failures grow from the starting interval by 1.5; then successes wait for about 0.75 of it.
		source, interval := seeded(7), start.Seconds()
		var want []time.Duration
		for n := 1; n <= 8; n++ {
			factor := math.Abs(source.NormFloat64()*0.1 + 0.75)
			if n > 5 {
				interval = start.Seconds()
				want = append(want, time.Duration(interval*factor*1e9))
				continue
			}
			want = append(want, time.Duration(interval*2*factor*1e9))
			interval *= 1.5
		}
		if diff := cmp.Diff(want, r.waits); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
	})
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	const starting, least, greatest = 10 * time.Millisecond, 12 * time.Millisecond, 5 * time.Second
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			r := runBackoff(t, loopcall.BackoffOptions{
				StartingInterval: starting, MinInterval: least, MaxInterval: greatest, Timeout: -1, Rand: seeded(seed),
			}, 80, never)
			if r.err != nil || len(r.waits) != 80 {
				t.Fatalf("%d waits, %v", len(r.waits), r.err)
			}
			mean := starting.Seconds() * 2 * 0.75
			for i, w := range r.waits {
				// Five standard deviations either side of the mean, which grows by 1.5.
				low, high := mean*(0.25/0.75), mean*(1.25/0.75)
				if w < least || w > greatest {
					t.Fatalf("seed %d: wait %d is %s, outside %s..%s", seed, i, w, least, greatest)
				}
				if s := w.Seconds(); w > least && s < min(low, greatest.Seconds()) || w < greatest && s > max(high, least.Seconds()) {
					t.Fatalf("seed %d: wait %d is %s, want %.3fs..%.3fs", seed, i, w, low, high)
				}
				mean *= 1.5
			}
		})
	}
}

func TestBackoffTimesOutWithoutWaiting(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := runBackoff(t, loopcall.BackoffOptions{
				StartingInterval: 100 * time.Millisecond, Timeout: time.Second, Rand: seeded(seed),
			}, 100, never)
			var timeout *loopcall.TimeoutError
			if !errors.As(r.err, &timeout) {
				t.Fatalf("seed %d: Wait = %v, want a TimeoutError", seed, r.err)
			}
			waited := time.Since(r.begun)
			if waited > time.Second || timeout.Elapsed <= time.Second {
				t.Errorf("seed %d: waited %s and gave up before %s, want at most 1s and more", seed, waited, timeout.Elapsed)
			}
			if got := time.Since(r.last); got != 0 {
				t.Errorf("seed %d: waited %s after the last call, want none", seed, got)
			}
			// oslo.service was seen to call at 0, 0.17, 0.40, 0.72: four waits of about 0.15, 0.23, 0.34, 0.51.
			if n := len(r.waits) + 1; n < 3 || n > 6 {
				t.Errorf("seed %d: %d calls in 1s, want about 4", seed, n)
			}
		})
	}
}

func TestASuccessForgetsTheFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Two failures and a success, for ever: no streak of waits is as long as the timeout.
		r := runBackoff(t, loopcall.BackoffOptions{
			StartingInterval: 100 * time.Millisecond, Timeout: time.Second, Rand: seeded(3),
		}, 300, func(n int) bool { return n%3 == 0 })
		if r.err != nil || time.Since(r.begun) < 20*time.Second {
			t.Errorf("Wait = %v after %s, want no timeout", r.err, time.Since(r.begun))
		}
	})
}

func TestBackoffDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := runBackoff(t, loopcall.BackoffOptions{Rand: seeded(1)}, 1000, never)
		var timeout *loopcall.TimeoutError
		if !errors.As(r.err, &timeout) || timeout.Elapsed <= 300*time.Second {
			t.Errorf("Wait = %v, want a TimeoutError past 300s", r.err)
		}
		if first := r.waits[0]; first < 500*time.Millisecond || first > 2500*time.Millisecond {
			t.Errorf("first wait %s, want about 1.5s", first)
		}
	})
}

func TestBackoffOfAlwaysSucceedingCallsNeverTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := runBackoff(t, loopcall.BackoffOptions{Rand: seeded(1)}, 2000, always)
		if r.err != nil || time.Since(r.begun) < 1000*time.Second {
			t.Errorf("Wait = %v after %s", r.err, time.Since(r.begun))
		}
	})
}

func TestBackoffGrowsForYearsWithoutOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := runBackoff(t, loopcall.BackoffOptions{Timeout: -1, Rand: seeded(1)}, 3000, never)
		if last := r.waits[len(r.waits)-1]; r.err != nil || last != 300*time.Second {
			t.Errorf("last wait %s, %v, want the greatest, 5m", last, r.err)
		}
	})
}

func TestBackoffErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _ := quiet()
		fail := func(context.Context) (bool, error) { return true, errBoom }
		if _, err := finish(t, loopcall.Backoff(fail, loopcall.BackoffOptions{}, log)); !errors.Is(err, errBoom) {
			t.Errorf("Wait = %v, want the function's error", err)
		}
		var timeout *loopcall.TimeoutError
		_, err := finish(t, loopcall.Backoff(fail, loopcall.BackoffOptions{}, log, loopcall.ContinueOnError()))
		if !errors.As(err, &timeout) {
			t.Errorf("Wait with ContinueOnError = %v, want the timeout of failures", err)
		}
	})
}

func TestARestartedBackoffBeginsAfresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _ := quiet()
		calls := 0
		l := loopcall.Backoff(func(context.Context) (bool, error) { calls++; return false, nil },
			loopcall.BackoffOptions{StartingInterval: time.Second, Timeout: 20 * time.Second, Rand: seeded(5)}, log)
		for range 2 {
			calls = 0
			begin := time.Now()
			var timeout *loopcall.TimeoutError
			if _, err := finish(t, l); !errors.As(err, &timeout) || calls < 3 || time.Since(begin) < 8*time.Second {
				t.Errorf("Wait = %v after %d calls in %s, want a full run", err, calls, time.Since(begin))
			}
		}
	})
}
