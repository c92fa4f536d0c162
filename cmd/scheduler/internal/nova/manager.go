package nova

import (
	"context"
	"fmt"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// Manager is the scheduler's RPC methods. It is safe for concurrent use.
//
// Every method fails with an [*ArgumentError] if an argument has a wrong type or a required one is missing,
// and with the context's cause if the context has ended; then it has changed nothing.
type Manager struct {
	inventory *placement.Inventory
	selector  *placement.Selector
}

// NewManager returns a manager that selects by selector among the hosts of inventory and hands the reports to
// inventory. Both may be used by others too.
func NewManager(inventory *placement.Inventory, selector *placement.Selector) *Manager {
	return &Manager{inventory: inventory, selector: selector}
}

// SelectDestinations chooses a host for each instance of a request.
//
// The answer is a [][]Selection (for each instance its host, then at most two alternates if asked for) or,
// without return_objects, a []HostDict. It fails with a [*NoValidHostError] if any instance finds no host.
// Nothing stays claimed: the same question gets the same answer until hosts report something else.
func (m *Manager) SelectDestinations(ctx context.Context, args SelectDestinationsArgs) (any, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	q, err := args.read()
	if err != nil {
		return nil, err
	}
	placements, err := m.selector.Select(m.inventory.Snapshot(), &q.Request)
	if err != nil {
		return nil, &NoValidHostError{Reason: notEnoughHosts, Err: err}
	}
	if !q.objects {
		return hostDicts(placements), nil
	}
	return selections(placements, q.Need), nil
}

// UpdateAggregates adds aggregates or replaces those with the same id. Only their hosts and the zone in their
// metadata count.
func (m *Manager) UpdateAggregates(ctx context.Context, args UpdateAggregatesArgs) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	aggregates, err := readAggregates(value{"aggregates", args.Aggregates})
	if err != nil {
		return err
	}
	m.inventory.UpdateAggregates(aggregates)
	return nil
}

// DeleteAggregate forgets an aggregate, and with it the zone it gave its hosts.
func (m *Manager) DeleteAggregate(ctx context.Context, args DeleteAggregateArgs) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	aggregate, err := value{"aggregate", args.Aggregate}.object()
	if err != nil {
		return err
	}
	id, err := readID(aggregate)
	if err != nil {
		return err
	}
	m.inventory.DeleteAggregate(id)
	return nil
}

// UpdateInstanceInfo notes what instances of a host take: new ones, changed ones and ones that came from
// another host. A host that is not known fails with [placement.ErrUnknownHost] and changes nothing: worth a
// line in the log, no more. The same goes for the two methods below.
func (m *Manager) UpdateInstanceInfo(ctx context.Context, args UpdateInstanceInfoArgs) error {
	host, err := readHostName(ctx, args.HostName)
	if err != nil {
		return err
	}
	instances, err := readInstances(value{"instance_info", args.InstanceInfo})
	if err != nil {
		return err
	}
	return about("update_instance_info", m.inventory.UpdateInstances(host, instances))
}

// DeleteInstanceInfo forgets an instance of a host.
func (m *Manager) DeleteInstanceInfo(ctx context.Context, args DeleteInstanceInfoArgs) error {
	host, err := readHostName(ctx, args.HostName)
	if err != nil {
		return err
	}
	uuid, err := value{"instance_uuid", args.InstanceUUID}.name()
	if err != nil {
		return err
	}
	return about("delete_instance_info", m.inventory.DeleteInstance(host, uuid))
}

// SyncInstanceInfo forgets the instances of a host that are not in the list it sends.
func (m *Manager) SyncInstanceInfo(ctx context.Context, args SyncInstanceInfoArgs) error {
	host, err := readHostName(ctx, args.HostName)
	if err != nil {
		return err
	}
	uuids, err := value{"instance_uuids", args.InstanceUUIDs}.texts()
	if err != nil {
		return err
	}
	return about("sync_instance_info", m.inventory.SyncInstances(host, uuids))
}

// ReportCapacity adds a host or replaces what is known of it; the instances on it stay. Simulated compute
// hosts call it, nova does not. What is wrong with the host is an [*ArgumentError] on host.
func (m *Manager) ReportCapacity(ctx context.Context, args ReportCapacityArgs) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(args.Host) == 0 {
		return value{path: "host"}.missing()
	}
	host, err := placement.ParseHost(args.Host)
	if err != nil {
		return &ArgumentError{Field: "host", Problem: err.Error()} // one line, there is no chain below it
	}
	return about("report_capacity", m.inventory.ReportCapacity(host))
}

// readHostName reads whom a report is from.
func readHostName(ctx context.Context, name any) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return value{"host_name", name}.name()
}

func about(method string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}
