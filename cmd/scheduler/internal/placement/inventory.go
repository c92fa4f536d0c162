package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Instance is one that runs on a host.
type Instance struct {
	UUID string
	Need Resources // what it takes
}

// Inventory is what is known of hosts: what they have, what runs on them, which zone they are in.
//
// It is safe for concurrent use. Reports take a lock and publish a new snapshot; reading one takes none, so
// selections neither wait for reports nor hold them up.
type Inventory struct {
	published atomic.Pointer[[]*Host] // sorted by name; neither slice nor hosts ever change
	dropped   atomic.Uint64           // reports about unknown hosts

	mu         sync.Mutex
	hosts      map[string]*record  // by name
	runsOn     map[string]string   // instance UUID -> host name
	aggregates map[int64]Aggregate // by ID
	zones      map[string]string   // host name -> zone of an aggregate; hosts may be unknown yet
}

// record is what one host reported.
type record struct {
	host      Host // with its own zone and nothing used
	instances map[string]Resources
}

// NewInventory returns an inventory of hosts. It fails where [Inventory.ReportCapacity] would, and if two
// hosts have one name.
func NewInventory(hosts []Host) (*Inventory, error) {
	inv := &Inventory{
		hosts:      make(map[string]*record, len(hosts)),
		runsOn:     make(map[string]string),
		aggregates: make(map[int64]Aggregate),
	}
	inv.published.Store(&[]*Host{})
	names := make([]string, 0, len(hosts))
	for _, host := range hosts {
		if inv.hosts[host.Name] != nil {
			return nil, fmt.Errorf("host %q: twice in the list", host.Name)
		}
		if err := inv.put(host); err != nil {
			return nil, err
		}
		names = append(names, host.Name)
	}
	inv.publish(names)
	return inv, nil
}

// Snapshot returns all hosts, sorted by name, as they are at one moment: a report is in it whole or not at
// all. It is shared: neither the slice nor the hosts may be changed. It takes no lock and copies nothing.
func (inv *Inventory) Snapshot() []*Host { return *inv.published.Load() }

// Instances returns those of a host, sorted by UUID; none for a host that is not known.
func (inv *Inventory) Instances(host string) []Instance {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	rec := inv.hosts[host]
	if rec == nil {
		return nil
	}
	instances := make([]Instance, 0, len(rec.instances))
	for _, uuid := range slices.Sorted(maps.Keys(rec.instances)) {
		instances = append(instances, Instance{UUID: uuid, Need: rec.instances[uuid]})
	}
	return instances
}

// ReportCapacity adds a host or replaces what is known of it, but for the instances on it: those stay. The
// host's Used is not read. It fails, naming the field, if the name is missing, a UUID is none or an amount is
// negative or above [MaxAmount].
func (inv *Inventory) ReportCapacity(host Host) error {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if err := inv.put(host); err != nil {
		return err
	}
	inv.publish([]string{host.Name})
	return nil
}

// UpdateInstances adds instances to a host, replaces those it has and moves here those that another host had.
// A host that is not known fails with [ErrUnknownHost], and the report is dropped.
func (inv *Inventory) UpdateInstances(host string, instances []Instance) error {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	rec, err := inv.find(host)
	if err != nil {
		return err
	}
	changed := map[string]struct{}{host: {}}
	for _, in := range instances {
		if before, ok := inv.runsOn[in.UUID]; ok {
			delete(inv.hosts[before].instances, in.UUID)
			changed[before] = struct{}{}
		}
		inv.runsOn[in.UUID] = host
		rec.instances[in.UUID] = in.Need
	}
	inv.publish(slices.Collect(maps.Keys(changed)))
	return nil
}

// DeleteInstance removes an instance from a host; one that runs elsewhere or nowhere is left alone, so that a
// late report of the host it left does no harm. A host that is not known fails with [ErrUnknownHost].
func (inv *Inventory) DeleteInstance(host, uuid string) error {
	return inv.keepInstances(host, func(have string) bool { return have != uuid })
}

// SyncInstances removes the instances of a host that are not among uuids. It adds none: what they take is not
// known yet. A host that is not known fails with [ErrUnknownHost].
func (inv *Inventory) SyncInstances(host string, uuids []string) error {
	named := make(map[string]bool, len(uuids))
	for _, uuid := range uuids {
		named[uuid] = true
	}
	return inv.keepInstances(host, func(have string) bool { return named[have] })
}

// UnknownReports is how many reports were dropped because their host was not known.
func (inv *Inventory) UnknownReports() uint64 { return inv.dropped.Load() }

func (inv *Inventory) keepInstances(host string, keep func(uuid string) bool) error {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	rec, err := inv.find(host)
	if err != nil {
		return err
	}
	for uuid := range rec.instances {
		if !keep(uuid) {
			delete(rec.instances, uuid)
			delete(inv.runsOn, uuid)
		}
	}
	inv.publish([]string{host})
	return nil
}

// find, put and publish want the lock held.
func (inv *Inventory) find(host string) (*record, error) {
	rec := inv.hosts[host]
	if rec == nil {
		inv.dropped.Add(1)
		return nil, fmt.Errorf("%w %q", ErrUnknownHost, clip(host))
	}
	return rec, nil
}

func (inv *Inventory) put(host Host) error {
	if err := host.check(); err != nil {
		return fmt.Errorf("host %q: %w", clip(host.Name), err)
	}
	if host.Node == "" {
		host.Node = host.Name
	}
	host.Used = Resources{}
	rec := inv.hosts[host.Name]
	if rec == nil {
		rec = &record{instances: make(map[string]Resources)}
		inv.hosts[host.Name] = rec
	}
	rec.host = host
	return nil
}

// publish makes the hosts with these names anew and stores a snapshot with them. Usage is summed up from the
// instances each time: no running total that could drift.
func (inv *Inventory) publish(changed []string) {
	hosts := slices.Clone(inv.Snapshot())
	for _, name := range changed {
		i, found := slices.BinarySearchFunc(hosts, name, func(h *Host, name string) int {
			return strings.Compare(h.Name, name)
		})
		if !found {
			hosts = slices.Insert(hosts, i, nil)
		}
		hosts[i] = inv.view(inv.hosts[name])
	}
	inv.published.Store(&hosts)
}

// view is a host as a snapshot shows it.
func (inv *Inventory) view(rec *record) *Host {
	host := rec.host
	if zone, ok := inv.zones[host.Name]; ok {
		host.Zone = zone
	}
	for _, need := range rec.instances {
		host.Used = host.Used.Add(need)
	}
	return &host
}
