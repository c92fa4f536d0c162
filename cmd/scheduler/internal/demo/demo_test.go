package demo

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestRunPlacesEveryInstanceOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		{Workers: 3, Hosts: 10, Calls: 600, Concurrency: 16},
		{Workers: 1, Hosts: 1, Calls: 1, Concurrency: 1},
		{Workers: 2, Hosts: 7, Calls: 20, Concurrency: 64},                              // fewer calls than callers
		{Workers: 2, Hosts: 60, Calls: 100, Concurrency: 32},                            // hosts fill up and refuse
		{Workers: 2, Hosts: 3, Calls: 200, Concurrency: 8, TransportURL: "memory://x"},  // as a peer among others
		{Workers: 2, Hosts: 3, Calls: 200, Concurrency: 8, TransportURL: "memory://x/"}, // at the same time
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			c.Terminal = io.Discard
			r, err := Run(t.Context(), c)
			must(t, err)
			for _, problem := range r.Problems {
				t.Errorf("problem: %v", problem)
			}
			instances, used, vcpus := 0, int64(0), int64(0)
			for _, h := range r.Hosts {
				instances += h.Instances
				used += h.Used
				vcpus += h.VCPUs
				if h.Used > h.VCPUs {
					t.Errorf("%s uses %d vcpus of %d", h.Name, h.Used, h.VCPUs)
				}
			}
			var placed, answered int64
			for _, s := range r.Schedulers {
				placed += s.Placed
				answered += s.Answered
			}
			if instances != c.Calls || r.Placed != c.Calls || placed != int64(c.Calls) || used != int64(totalUnits(c.Calls)) {
				t.Errorf("%d instances on hosts, %d placed, %d by schedulers, %d vcpus used; want %d three times and %d",
					instances, r.Placed, placed, used, c.Calls, totalUnits(c.Calls))
			}
			if r.Answered != c.Calls+r.Retries || answered != int64(r.Answered) {
				t.Errorf("%d calls answered, %d by schedulers, want %d and %d retries", r.Answered, answered, c.Calls, r.Retries)
			}
			if len(r.Hosts) != c.Hosts || len(r.Schedulers) != c.Workers || r.Interrupted || r.Took <= 0 || r.P99 < r.P50 || r.P50 <= 0 {
				t.Errorf("result = %+v", r)
			}
		})
	}
}

func TestRunEndsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r := newRun(Config{Workers: 2, Hosts: 2, Calls: 1_000_000, Concurrency: 8, Terminal: io.Discard})
	defer r.close()
	must(t, r.start(ctx))
	stopReports := r.startReports(ctx)
	go func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for r.next.Load() < 100 {
			<-ticker.C
		}
		cancel(stop)
	}()
	r.place(ctx)
	stopReports()
	result := r.result(true, r.audit(ctx))
	if len(result.Problems) > 0 || !result.Interrupted || result.Placed < 50 || result.Placed == result.Calls {
		t.Errorf("result = %+v, want some instances placed and no problems", result)
	}
}

func TestRunInterruptedBeforeTheStart(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if r, err := Run(ctx, Config{Workers: 1, Hosts: 1, Calls: 1, Concurrency: 1, Terminal: io.Discard}); r != nil || !errors.Is(err, stop) {
		t.Errorf("Run = %v, %v, want the cause", r, err)
	}
}

func TestRunNamesABadURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"zmq://host/", "rabbit://host:x/"} {
		_, err := Run(t.Context(), Config{Workers: 1, Hosts: 1, Calls: 1, Concurrency: 1, Terminal: io.Discard, TransportURL: url})
		if err == nil || !strings.Contains(err.Error(), "invalid transport URL") {
			t.Errorf("Run with %s = %v", url, err)
		}
	}
}

// A host that nobody simulates reports too: schedulers choose it, being the largest, and callers must notice.
func TestRunNoticesAWrongHost(t *testing.T) {
	t.Parallel()
	r := newRun(Config{Workers: 2, Hosts: 2, Calls: 20, Concurrency: 4, Terminal: io.Discard})
	defer r.close()
	must(t, r.start(t.Context()))
	must(t, newHost(3, 1000).reportCapacity(t.Context(), r.reporter))
	must(t, await(t.Context(), func() error {
		for _, s := range r.schedulers {
			if len(s.worker.Inventory().Snapshot()) < 3 {
				return errors.New("not yet")
			}
		}
		return nil
	}))
	r.place(t.Context())
	if err := r.unknownInstances(); err == nil || !strings.Contains(err.Error(), `host "host-03", which is not of this run`) {
		t.Errorf("the schedulers' pictures = %v, want the strange host", err)
	}
	result := r.result(false, nil)
	if result.Placed != 0 || len(result.Problems) != 20 {
		t.Fatalf("%d placed with %d problems, want none and 20", result.Placed, len(result.Problems))
	}
	if got := result.Problems[0].Error(); !strings.Contains(got, `host "host-03" is not known`) {
		t.Errorf("problem = %s", got)
	}
}

func TestRunCountsCallsThatFail(t *testing.T) {
	t.Parallel()
	r := newRun(Config{Workers: 1, Hosts: 2, Calls: 5, Concurrency: 2, Terminal: io.Discard})
	defer r.close()
	must(t, r.start(t.Context()))
	must(t, r.bus.shared.Close(t.Context()))
	r.place(t.Context())
	if problems := r.audit(t.Context()); len(r.tally.problems) != 5 || len(problems) != 0 {
		t.Errorf("problems = %v and %v, want five calls that failed and books in order", r.tally.problems, problems)
	}
}

func TestHostsHoldAllInstancesWhereverTheyLand(t *testing.T) {
	t.Parallel()
	for _, calls := range []int{1, 2, 3, 4, 5, 17, 100, 999, 20_000} {
		for _, hosts := range []int{1, 2, 3, 10, 1000} {
			r := newRun(Config{Hosts: hosts, Calls: calls})
			filled := 0 // at least, before the largest flavor is refused everywhere
			for _, h := range r.hosts {
				filled += h.units - (largest().units - 1)
			}
			if filled < totalUnits(calls) {
				t.Errorf("%d calls on %d hosts: refused everywhere with %d units in use, want room for %d", calls, hosts, filled, totalUnits(calls))
			}
		}
	}
}
