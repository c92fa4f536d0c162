package rpcapi

import (
	"context"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/messaging"
)

// Scheduler calls schedulers. It is safe for concurrent use.
type Scheduler struct {
	transport *messaging.Transport
	topic     string
	nova      *messaging.Client // nova's interface
	capacity  *messaging.Client // this program's own
}

// NewScheduler makes a client of the schedulers' topic. It fails where [messaging.NewClient] does.
func NewScheduler(t *messaging.Transport, topic string) (*Scheduler, error) {
	client, err := messaging.NewClient(t, messaging.Target{Topic: topic, Version: "4.5"},
		messaging.WithErrors(worker.Exceptions()), messaging.WithMandatory())
	if err != nil {
		return nil, err
	}
	capacity := client.Prepare(messaging.ToNamespace("capacity"), messaging.ToVersion("1.1"))
	return &Scheduler{transport: t, topic: topic, nova: client, capacity: capacity}, nil
}

// SelectDestinations asks a scheduler for hosts, with alternates if args say so: for each instance its host, then those.
// It fails with a [*nova.NoValidHostError] if there are none, and otherwise as calls do, with
// [messaging.ErrUndeliverable] if no scheduler was ever there.
func (s *Scheduler) SelectDestinations(ctx context.Context, args nova.SelectDestinationsArgs) ([][]nova.Selection, error) {
	args.ReturnObjects = true
	return messaging.Call[[][]nova.Selection](ctx, s.nova, "select_destinations", args)
}

// Serving is how many schedulers take what is sent to the topic; see [messaging.Transport.Consumers].
func (s *Scheduler) Serving(ctx context.Context) (int, error) {
	return s.transport.Consumers(ctx, messaging.Target{Topic: s.topic})
}

// ListHosts asks one scheduler what it knows of hosts.
func (s *Scheduler) ListHosts(ctx context.Context) ([]nova.HostState, error) {
	list, err := messaging.Call[nova.HostList](ctx, s.capacity, "list_hosts", nil)
	return list.Hosts, err
}

// ExportInventory asks one scheduler for all that it knows, to be known to another.
func (s *Scheduler) ExportInventory(ctx context.Context) (nova.InventoryExport, error) {
	return messaging.Call[nova.InventoryExport](ctx, s.capacity, "export_inventory", nil)
}

// ReportCapacity tells all schedulers what a host has.
func (s *Scheduler) ReportCapacity(ctx context.Context, host nova.HostEntry) error {
	return s.capacity.Prepare(messaging.ToVersion("1.0")).Fanout(ctx, "report_capacity", map[string]any{"host": host})
}

// UpdateInstances tells all schedulers of instances of a host: new ones and changed ones.
func (s *Scheduler) UpdateInstances(ctx context.Context, host string, instances []Instance) error {
	return s.nova.Fanout(ctx, "update_instance_info", nova.UpdateInstanceInfoArgs{HostName: host, InstanceInfo: instances})
}

// DeleteInstance tells all schedulers that an instance has left a host.
func (s *Scheduler) DeleteInstance(ctx context.Context, host, uuid string) error {
	return s.nova.Fanout(ctx, "delete_instance_info", nova.DeleteInstanceInfoArgs{HostName: host, InstanceUUID: uuid})
}

// SyncInstances tells all schedulers which instances a host has; they forget the others.
func (s *Scheduler) SyncInstances(ctx context.Context, host string, uuids []string) error {
	return s.nova.Fanout(ctx, "sync_instance_info", nova.SyncInstanceInfoArgs{HostName: host, InstanceUUIDs: uuids})
}

// Ping reports whether the bus is there; see [messaging.Transport.Ping].
func (s *Scheduler) Ping(ctx context.Context) error { return s.transport.Ping(ctx) }

// Instance is what an instance takes, in the fields of nova's Instance that schedulers read.
type Instance struct {
	UUID     string `json:"uuid"`
	VCPUs    int64  `json:"vcpus"`
	MemoryMB int64  `json:"memory_mb"` // MiB
	RootGB   int64  `json:"root_gb"`   // GiB
}
