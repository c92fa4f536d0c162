package placement

// Filter says which hosts may take an instance.
//
// Passes must depend on the host and the request alone and must be safe for concurrent use: many selections
// run at once, and within one a host is asked again only after it took an instance.
type Filter interface {
	// Name is how a [NoHostError] calls the filter.
	Name() string
	// Passes reports whether host may take one more instance of req.
	Passes(host *Host, req *Request) bool
}

// NewFilter makes a filter of a function, which must keep the rules of [Filter].
func NewFilter(name string, passes func(*Host, *Request) bool) Filter {
	return filterFunc{name, passes}
}

type filterFunc struct {
	name   string
	passes func(*Host, *Request) bool
}

func (f filterFunc) Name() string                         { return f.name }
func (f filterFunc) Passes(host *Host, req *Request) bool { return f.passes(host, req) }

// DefaultFilters returns a fresh slice of the filters that a request is promised: ignored hosts, forced
// hosts, zone, capacity. Cheap ones come first.
func DefaultFilters() []Filter {
	return []Filter{IgnoredFilter{}, ForcedFilter{}, ZoneFilter{}, CapacityFilter{}}
}

// IgnoredFilter rejects the hosts that the request ignores.
type IgnoredFilter struct{}

// Name is "ignored_hosts".
func (IgnoredFilter) Name() string { return "ignored_hosts" }

// Passes reports whether host is not among the ignored ones.
func (IgnoredFilter) Passes(host *Host, req *Request) bool { return !req.IgnoreHosts.Has(host.Name) }

// ForcedFilter passes only forced hosts and nodes, where the request names any. A forced host must still pass
// the other filters.
type ForcedFilter struct{}

// Name is "forced_hosts".
func (ForcedFilter) Name() string { return "forced_hosts" }

// Passes reports whether host and its node are among the forced ones.
func (ForcedFilter) Passes(host *Host, req *Request) bool {
	return (len(req.ForceHosts) == 0 || req.ForceHosts.Has(host.Name)) &&
		(len(req.ForceNodes) == 0 || req.ForceNodes.Has(host.Node))
}

// ZoneFilter passes the hosts of the request's zone; all of them where it names none.
type ZoneFilter struct{}

// Name is "zone".
func (ZoneFilter) Name() string { return "zone" }

// Passes reports whether host is in the request's zone.
func (ZoneFilter) Passes(host *Host, req *Request) bool {
	return req.Zone == "" || req.Zone == host.Zone
}

// CapacityFilter passes the hosts with room for one more instance. It does not overcommit.
type CapacityFilter struct{}

// Name is "capacity".
func (CapacityFilter) Name() string { return "capacity" }

// Passes reports whether what an instance needs is free on host.
func (CapacityFilter) Passes(host *Host, req *Request) bool { return req.Need.FitsIn(host.Free()) }
