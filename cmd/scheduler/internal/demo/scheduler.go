package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
)

// scheduler is one worker, on a transport of its own, and what it did.
type scheduler struct {
	name             string
	worker           *worker.Worker
	answered, placed atomic.Int64
}

func (r *run) startScheduler(ctx context.Context, name string) (*scheduler, error) {
	t, err := r.bus.join()
	if err != nil {
		return nil, err
	}
	on := r.bus.target
	on.Server = name
	s := &scheduler{name: name}
	s.worker, err = worker.New(t, on, worker.Config{
		Selected: func(args nova.SelectDestinationsArgs) { r.answered.add(args, s) },
		Log:      r.log,
	})
	if err != nil {
		return nil, err
	}
	if err := s.worker.Start(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// answers notes which scheduler answered for an instance until its caller asks: an answer does not say. It also
// notices what the bus must not do, give one call to two. The zero value is ready.
type answers struct {
	by    sync.Map // instance UUID -> *scheduler
	twice atomic.Int64
}

// add is called by the schedulers.
func (a *answers) add(args nova.SelectDestinationsArgs, s *scheduler) {
	s.answered.Add(1)
	uuids, _ := args.InstanceUUIDs.([]any)
	for _, uuid := range uuids {
		if _, before := a.by.Swap(uuid, s); before {
			a.twice.Add(1)
		}
	}
}

// take is called by callers once they have an answer.
func (a *answers) take(uuid string) (*scheduler, error) {
	s, ok := a.by.LoadAndDelete(uuid)
	if !ok {
		return nil, errors.New("no scheduler of this run answered")
	}
	return s.(*scheduler), nil
}
