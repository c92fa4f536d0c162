package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// tally is what callers counted.
type tally struct {
	placed    int
	latencies []time.Duration // of the calls that were answered
	retries   int             // calls after a host refused
	problems  []error         // one for each instance that was not placed as it should be
}

func (t *tally) add(other *tally) {
	t.placed += other.placed
	t.latencies = append(t.latencies, other.latencies...)
	t.retries += other.retries
	t.problems = append(t.problems, other.problems...)
}

// place has the callers place the instances and returns when all are placed or ctx has ended.
func (r *run) place(ctx context.Context) {
	callers := make([]tally, min(r.config.Concurrency, r.config.Calls))
	r.screen.begin(r.config.Calls)
	defer r.screen.end()
	begun := time.Now()
	each(len(callers), func(i int) { r.callUntilDone(ctx, &callers[i]) })
	r.took = time.Since(begun)
	for i := range callers {
		r.tally.add(&callers[i])
	}
	slices.Sort(r.tally.latencies)
}

// each runs f for 0 to n-1, all at once, and waits for them.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func (r *run) callUntilDone(ctx context.Context, t *tally) {
	for {
		n := r.next.Add(1)
		if n > int64(r.config.Calls) || ctx.Err() != nil {
			return
		}
		in := newInstance(int(n))
		err := r.placeOne(messaging.WithRequestContext(ctx, in.requestContext()), in, t)
		switch {
		case err == nil:
			t.placed++
		case ctx.Err() != nil:
			return // given up, not gone wrong
		default:
			t.problems = append(t.problems, fmt.Errorf("instance %s: %w", in.uuid, err))
		}
		r.screen.step()
	}
}

// placeOne asks for a host, and again, without the hosts that refused, until one takes the instance. A host that
// is full stays so, and all together have room: there are as many questions as hosts at most.
func (r *run) placeOne(ctx context.Context, in *instance, t *tally) error {
	var full []string
	for {
		begun := time.Now()
		answer, err := messaging.Call[[][]nova.Selection](ctx, r.client, "select_destinations", in.selectArgs(full))
		if err != nil {
			return err
		}
		t.latencies = append(t.latencies, time.Since(begun))
		by, err := r.answered.take(in.uuid)
		if err != nil {
			return err
		}
		chosen, err := r.check(in, full, answer)
		if err != nil {
			return err
		}
		err = chosen.land(in)
		if err == nil {
			by.placed.Add(1)
		}
		if !errors.Is(err, errFull) {
			return err
		}
		full = append(full, chosen.name)
		t.retries++
	}
}
