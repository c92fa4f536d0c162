package agent

import (
	"context"
	"errors"
	"sync"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
)

// reporter tells all schedulers what the host has and what runs on it: everything in each interval, so that a scheduler which
// has missed something, or has been restarted, knows it soon; and each change at once.
type reporter struct {
	schedulers *rpcapi.Scheduler
	config     *Config
	claims     *Claims

	mu      sync.Mutex
	pending map[string]struct{} // UUIDs of instances that have changed since the last report
	wake    chan struct{}       // holds a token while there are some
	asked   chan struct{}       // holds a token while a scheduler wants to know everything
	due     chan chan<- error   // for who has everything reported and wants to know whether that went well
}

func newReporter(schedulers *rpcapi.Scheduler, c *Config, claims *Claims) *reporter {
	return &reporter{
		schedulers: schedulers, config: c, claims: claims, pending: make(map[string]struct{}),
		wake: make(chan struct{}, 1), asked: make(chan struct{}, 1), due: make(chan chan<- error),
	}
}

// reportSoon has everything reported soon.
func (r *reporter) reportSoon() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// reportAll has everything reported, by the goroutine that reports: of two reports at once the older might come last.
func (r *reporter) reportAll(ctx context.Context) error {
	sent := make(chan error, 1)
	select {
	case r.due <- sent:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// changed has an instance reported soon.
func (r *reporter) changed(uuid string) {
	r.mu.Lock()
	r.pending[uuid] = struct{}{}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reporter) take() map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.pending
	r.pending = make(map[string]struct{})
	return taken
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	r.try(ctx, r.all)
	for {
		select {
		case sent := <-r.due:
			sent <- r.send(ctx, r.all)
		case <-r.asked:
			r.try(ctx, r.all)
		case <-r.wake:
			r.try(ctx, r.changes)
		case <-ctx.Done():
			return
		}
	}
}

// try makes one report. One that fails is made up for by the next.
func (r *reporter) try(ctx context.Context, report func(context.Context) error) {
	if err := r.send(ctx, report); err != nil && ctx.Err() == nil {
		r.config.Log.WithError(err).Warn("report not sent, will be sent again")
	}
}

func (r *reporter) send(ctx context.Context, report func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.ReportInterval)
	defer cancel()
	return report(ctx)
}

// all is what the host has and all that runs on it. Nothing says in which order schedulers run casts: one that hears of a
// host for the first time may pass over its instances until the next report.
func (r *reporter) all(ctx context.Context) error {
	r.take() // they are part of it
	name, instances := r.config.Host.ServiceHost, r.claims.Instances()
	uuids := make([]string, len(instances))
	for i, in := range instances {
		uuids[i] = in.UUID
	}
	err := r.schedulers.ReportCapacity(ctx, r.config.Host)
	if err == nil && len(instances) > 0 {
		err = r.schedulers.UpdateInstances(ctx, name, described(instances))
	}
	return errors.Join(err, r.schedulers.SyncInstances(ctx, name, uuids))
}

// changes are the instances that have changed since the last report.
func (r *reporter) changes(ctx context.Context) error {
	var (
		present []placement.Instance
		err     error
	)
	name := r.config.Host.ServiceHost
	for uuid := range r.take() {
		if need, exists := r.claims.Of(uuid); exists {
			present = append(present, placement.Instance{UUID: uuid, Need: need})
		} else {
			err = errors.Join(err, r.schedulers.DeleteInstance(ctx, name, uuid))
		}
	}
	if len(present) > 0 {
		err = errors.Join(err, r.schedulers.UpdateInstances(ctx, name, described(present)))
	}
	return err
}

func described(instances []placement.Instance) []rpcapi.Instance {
	list := make([]rpcapi.Instance, len(instances))
	for i, in := range instances {
		list[i] = rpcapi.Instance{UUID: in.UUID, VCPUs: in.Need.VCPUs, MemoryMB: in.Need.MemoryMB, RootGB: in.Need.DiskGB}
	}
	return list
}
