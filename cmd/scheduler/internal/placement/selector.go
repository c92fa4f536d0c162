package placement

import "slices"

// Placement is the answer for one instance.
type Placement struct {
	// Host takes the instance. Its Used is what this instance found, with what the ones before it took.
	Host *Host
	// Alternates would take it too, best first: hosts of the same cell that no instance of the request got.
	// Placements of one cell share the slice; do not change it.
	Alternates []*Host
}

// Selector chooses hosts by filters and weighers. It holds no other state and is safe for concurrent use.
type Selector struct {
	filters  []Filter
	weighers []Weigher
}

// NewSelector returns a selector that asks filters in order, until one rejects, and ranks by weighers, the
// first one first. No filters pass every host; no weighers rank by name. Both slices are copied.
func NewSelector(filters []Filter, weighers []Weigher) *Selector {
	return &Selector{filters: slices.Clone(filters), weighers: slices.Clone(weighers)}
}

// Select places every instance of req on one of hosts, in the order of the instances.
//
// Each goes to the host that passes all filters and weighs most; equal weights are ordered by name, so that
// the same question gets the same answer. An instance sees what those before it took. The hosts are not
// changed: pass [Inventory.Snapshot]. It fails with a [*NoHostError] if any instance finds no host.
//
// Only a host that took an instance is filtered and weighed again, so n instances on h hosts cost about
// h + n log h steps.
func (s *Selector) Select(hosts []*Host, req *Request) ([]Placement, error) {
	r := s.rank(hosts, req)
	var placements []Placement
	for i := range req.Instances {
		host := r.take()
		if host == nil {
			return nil, &NoHostError{Instance: i + 1, Instances: req.Instances, Rejected: r.rejections()}
		}
		placements = append(placements, Placement{Host: host})
	}
	if req.Alternates > 0 {
		for i := range placements {
			placements[i].Alternates = r.alternates(placements[i].Host.CellUUID)
		}
	}
	return placements, nil
}

// rejectedBy returns the index of the first filter that rejects host, or -1.
func (s *Selector) rejectedBy(host *Host, req *Request) int {
	return slices.IndexFunc(s.filters, func(f Filter) bool { return !f.Passes(host, req) })
}
