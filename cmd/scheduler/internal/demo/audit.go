package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// audit holds the books of hosts, callers and schedulers against each other once nothing moves any more. A run
// that was cut short is checked only for what holds at any time.
func (r *run) audit(ctx context.Context) []error {
	if ctx.Err() != nil {
		return r.auditHosts()
	}
	problems := r.auditBooks()
	if err := r.settle(ctx); err != nil && ctx.Err() == nil {
		problems = append(problems, err)
	}
	return problems
}

func (r *run) auditBooks() []error {
	problems := r.auditHosts()
	if err := r.auditCounts(); err != nil {
		problems = append(problems, err)
	}
	if n := r.answered.twice.Load(); n > 0 {
		problems = append(problems, fmt.Errorf("%d calls were handed to two schedulers", n))
	}
	return problems
}

// auditHosts finds overcommitted hosts and instances on two of them.
func (r *run) auditHosts() (problems []error) {
	on := make(map[string]*host, r.config.Calls)
	for _, h := range r.hosts {
		used := 0
		for uuid, in := range h.book {
			used += in.flavor.units
			if other := on[uuid]; other != nil {
				problems = append(problems, fmt.Errorf("instance %s is on %s and on %s", uuid, other.name, h.name))
			}
			on[uuid] = h
		}
		if used > h.units || used != h.used {
			problems = append(problems, fmt.Errorf("%s: %d units are in use, it counted %d and has %d", h.name, used, h.used, h.units))
		}
	}
	if len(on) != r.tally.placed {
		problems = append(problems, fmt.Errorf("%d instances are on hosts, %d were placed", len(on), r.tally.placed))
	}
	return problems
}

// auditCounts wants each instance on a host or among the problems, and each answer to be from one scheduler.
func (r *run) auditCounts() error {
	if n := r.tally.placed + len(r.tally.problems); n != r.config.Calls {
		return fmt.Errorf("%d instances were placed or went wrong, want %d", n, r.config.Calls)
	}
	var placed, answered int64
	for _, s := range r.schedulers {
		placed += s.placed.Load()
		answered += s.answered.Load()
	}
	if placed != int64(r.tally.placed) {
		return fmt.Errorf("schedulers placed %d instances, callers %d", placed, r.tally.placed)
	}
	if len(r.tally.problems) == 0 && answered != int64(len(r.tally.latencies)) {
		return fmt.Errorf("schedulers answered %d calls, callers have %d answers", answered, len(r.tally.latencies))
	}
	return nil
}

// settle sends the last reports and waits until every scheduler knows what every host knows of itself.
func (r *run) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settlePatience, errors.New("still so "+settlePatience.String()+" later"))
	defer cancel()
	for _, h := range r.hosts {
		if err := h.report(ctx, r.reporter); err != nil {
			return fmt.Errorf("last report of %s: %w", h.name, err)
		}
	}
	return await(ctx, r.unknownInstances)
}

// unknownInstances tells where a scheduler's picture of a host differs from the host; nil if nowhere.
func (r *run) unknownInstances() error {
	for _, s := range r.schedulers {
		for _, seen := range s.worker.Inventory().Snapshot() {
			h := r.byName[seen.Name]
			if h == nil {
				return fmt.Errorf("%s knows host %q, which is not of this run", s.name, seen.Name)
			}
			if want := resources(h.used); seen.Used != want {
				return fmt.Errorf("%s thinks that %s uses %s, not %s", s.name, h.name, amount(seen.Used), amount(want))
			}
		}
	}
	return nil
}

func amount(r placement.Resources) string {
	return fmt.Sprintf("%d vcpus, %d MiB, %d GiB", r.VCPUs, r.MemoryMB, r.DiskGB)
}

// percentile is the smallest of sorted durations that a share p of them does not exceed; 0 of none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	at := int(p*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}
