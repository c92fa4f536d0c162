// Package cloud runs the scheduler's services in one process, for examples and tests of what calls them: the schedulers and
// compute agents that "scheduler serve" and "scheduler agent" run.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/messaging"
)

// Host is a compute host.
type Host struct {
	Name     string
	VCPUs    int64
	MemoryMB int64 // MiB
	DiskGB   int64 // GiB
}

// Cloud is one scheduler and its hosts on a bus. Its methods are for one goroutine at a time.
type Cloud struct {
	transport *messaging.Transport
	log       logrus.FieldLogger
	buildTime time.Duration
	stops     []func(context.Context) error
	hosts     int
}

// Start starts a scheduler, on topic scheduler. Hosts take buildTime to build an instance.
func Start(ctx context.Context, t *messaging.Transport, log logrus.FieldLogger, buildTime time.Duration) (*Cloud, error) {
	w, err := worker.New(t, messaging.Target{Topic: "scheduler", Server: "scheduler-1"}, worker.Config{Log: log})
	if err != nil {
		return nil, err
	}
	if err := w.Start(ctx); err != nil {
		return nil, err
	}
	return &Cloud{
		transport: t, log: log, buildTime: buildTime,
		stops: []func(context.Context) error{func(ctx context.Context) error { return errors.Join(w.Stop(ctx), w.Wait(ctx)) }},
	}, nil
}

// AddHost starts a compute agent, on topic compute under the host's name. It reports to the scheduler at once.
func (c *Cloud) AddHost(ctx context.Context, h Host) error {
	c.hosts++
	a, err := agent.New(c.transport, agent.Config{
		Host: nova.HostEntry{
			ServiceHost: h.Name, NodeName: h.Name, ComputeNodeUUID: fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", c.hosts),
			CellUUID: "cccccccc-0000-4000-8000-000000000001", Amounts: nova.Amounts{VCPUs: h.VCPUs, MemoryMB: h.MemoryMB, DiskGB: h.DiskGB},
		},
		BuildTime: c.buildTime, Log: c.log,
	})
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	c.stops = append(c.stops, a.Stop)
	return nil
}

// Hosts are the names of those that the scheduler knows.
func (c *Cloud) Hosts(ctx context.Context) ([]string, error) {
	client, err := messaging.NewClient(c.transport, messaging.Target{Topic: "scheduler", Namespace: "capacity", Version: "1.1"})
	if err != nil {
		return nil, err
	}
	list, err := messaging.Call[nova.HostList](ctx, client, "list_hosts", nil)
	names := make([]string, 0, len(list.Hosts))
	for _, h := range list.Hosts {
		names = append(names, h.ServiceHost)
	}
	return names, err
}

// Stop stops the hosts, the last one first, and then the scheduler. The transport stays open.
func (c *Cloud) Stop(ctx context.Context) error {
	var errs []error
	for _, stop := range slices.Backward(c.stops) {
		errs = append(errs, stop(ctx))
	}
	c.stops = nil
	return errors.Join(errs...)
}
