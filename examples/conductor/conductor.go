package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

// Times of the conductor's own calls. A build may take long; what tells that its host lives are heartbeats.
const (
	buildTimeout = 10 * time.Minute
	heartbeat    = 4 * time.Second // without a sign of life for so long a call is given up
	maxQuestions = 3               // to the scheduler for one instance (nova: scheduler.max_attempts)
)

// buildArgs are the arguments of build_instances.
type buildArgs struct {
	InstanceUUIDs []string `json:"instance_uuids"`
	Flavor        flavor   `json:"flavor"`
}

type flavor struct {
	VCPUs    int64 `json:"vcpus"`
	MemoryMB int64 `json:"memory_mb"`
	RootGB   int64 `json:"root_gb"`
}

// built is what became of one instance.
type built struct {
	InstanceUUID string   `json:"instance_uuid"`
	Host         string   `json:"host"`    // empty where none took it
	Refused      []string `json:"refused"` // hosts that had no room when they were asked
	Problem      string   `json:"problem"` // why no host has it
}

// refusedError is how a host refuses a claim: nova's exception, whoever raises it.
type refusedError struct {
	Reason string `json:"reason"`
}

func (e *refusedError) Error() string { return "refused: " + e.Reason }

// conductor takes instances to be built, asks the scheduler where, and has hosts build them. The claim on a host is part of
// the call that builds: it either is made whole or refused, and may be repeated. So nothing is lost where the scheduler's
// picture of a host is old.
type conductor struct {
	rpcservice.BaseManager
	scheduler, compute *messaging.Client
}

var _ rpcservice.Manager = (*conductor)(nil)

func newConductor(t *messaging.Transport) (*conductor, error) {
	var errs messaging.ErrorRegistry
	messaging.RegisterError[*refusedError](&errs, "nova.exception", "ComputeResourcesUnavailable")
	scheduler, err := messaging.NewClient(t, messaging.Target{Topic: "scheduler", Version: "4.5"})
	if err != nil {
		return nil, err
	}
	compute, err := messaging.NewClient(t, messaging.Target{Topic: "compute", Namespace: "claims", Version: "1.0"},
		messaging.WithErrors(&errs), messaging.WithTimeout(buildTimeout), messaging.WithCallMonitor(heartbeat), messaging.WithMandatory())
	return &conductor{scheduler: scheduler, compute: compute}, err
}

// Endpoint is what callers reach.
func (c *conductor) Endpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithVersion("1.0"))
	messaging.Handle(ep, "build_instances", c.buildInstances)
	return ep
}

// buildInstances builds all at once and answers when each is built or given up. While it runs the server sends its caller
// heartbeats, if that asked for them (messaging.WithCallMonitor).
func (c *conductor) buildInstances(ctx context.Context, args buildArgs) ([]built, error) {
	results := make([]built, len(args.InstanceUUIDs))
	var building sync.WaitGroup
	for i, uuid := range args.InstanceUUIDs {
		building.Go(func() {
			results[i] = built{InstanceUUID: uuid, Refused: []string{}}
			if err := c.build(ctx, &results[i], args.Flavor); err != nil {
				results[i].Problem = err.Error()
			}
		})
	}
	building.Wait()
	return results, ctx.Err()
}

// build asks for hosts and tries each, and asks again without those that refused.
func (c *conductor) build(ctx context.Context, b *built, f flavor) error {
	for range maxQuestions {
		hosts, err := c.selectHosts(ctx, b, f)
		if err != nil {
			return err
		}
		for _, host := range hosts {
			err := c.buildOn(ctx, host, b.InstanceUUID, f)
			var refused *refusedError
			switch {
			case err == nil:
				b.Host = host
				return nil
			case !errors.As(err, &refused):
				c.giveUp(ctx, host, b.InstanceUUID)
				return fmt.Errorf("build on %s: %w", host, err)
			}
			b.Refused = append(b.Refused, host)
		}
	}
	return fmt.Errorf("%d hosts had no room", len(b.Refused))
}

// selectHosts is the chosen host and its alternates.
func (c *conductor) selectHosts(ctx context.Context, b *built, f flavor) ([]string, error) {
	type selection struct {
		Data struct {
			ServiceHost string `json:"service_host"`
		} `json:"nova_object.data"`
	}
	answer, err := messaging.Call[[][]selection](ctx, c.scheduler, "select_destinations", map[string]any{
		"spec_obj":       map[string]any{"flavor": f, "ignore_hosts": b.Refused},
		"instance_uuids": []string{b.InstanceUUID}, "return_objects": true, "return_alternates": true,
	})
	if err != nil {
		return nil, fmt.Errorf("ask the scheduler: %w", err)
	}
	var hosts []string
	for _, one := range answer {
		for _, s := range one {
			hosts = append(hosts, s.Data.ServiceHost)
		}
	}
	return hosts, nil
}

func (c *conductor) buildOn(ctx context.Context, host, uuid string, f flavor) error {
	return c.compute.Prepare(messaging.ToServer(host)).Call(ctx, "build", map[string]any{"instance_uuid": uuid, "flavor": f}, nil)
}

// giveUp has a host forget an instance of which nobody knows whether it was built there. The cast waits in the host's queue
// until the host is back.
func (c *conductor) giveUp(ctx context.Context, host, uuid string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeat)
	defer cancel()
	_ = c.compute.Prepare(messaging.ToServer(host)).Cast(ctx, "delete", map[string]any{"instance_uuid": uuid}) // the first error says more
}
