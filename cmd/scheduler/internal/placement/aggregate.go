package placement

import (
	"maps"
	"slices"
)

// Aggregate is a named group of hosts that may set their zone.
type Aggregate struct {
	ID    int64
	Hosts []string // names; unknown ones count once they are reported
	Zone  string   // availability zone of its hosts; empty leaves them theirs
}

// UpdateAggregates adds aggregates or replaces those with the same ID. Where two aggregates give a host a
// zone, the one with the lower ID wins. The hosts' slices must not be changed afterwards.
func (inv *Inventory) UpdateAggregates(aggregates []Aggregate) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for _, a := range aggregates {
		inv.aggregates[a.ID] = a
	}
	inv.rezone()
}

// DeleteAggregate forgets an aggregate; its hosts fall back to the zone of another one, or to their own. One
// that is not known is no error.
func (inv *Inventory) DeleteAggregate(id int64) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	delete(inv.aggregates, id)
	inv.rezone()
}

// rezone works out the aggregates' zones and publishes the hosts where they differ. It wants the lock held.
func (inv *Inventory) rezone() {
	before := inv.zones
	inv.zones = make(map[string]string)
	for _, id := range slices.Sorted(maps.Keys(inv.aggregates)) {
		a := inv.aggregates[id]
		for _, host := range a.Hosts {
			if _, taken := inv.zones[host]; a.Zone != "" && !taken {
				inv.zones[host] = a.Zone
			}
		}
	}
	var changed []string
	for name := range inv.hosts {
		if inv.zones[name] != before[name] { // no zone is the empty string: aggregates never set that one
			changed = append(changed, name)
		}
	}
	inv.publish(changed)
}
