// Package placement chooses hosts for instances: it knows hosts, requests and nothing of the bus.
//
// An [Inventory] holds what hosts have and what runs on them; it takes reports while others select. A
// [Selector] is a pipeline over one snapshot of it: every [Filter] must pass a host, then the [Weigher]s rank
// those that are left, and the best one is taken. Each instance of a request sees what the ones before it
// took, and nothing is kept when the request is answered: what really runs is what the hosts report.
//
//	inventory (reports) -> Snapshot -> filters -> weighers -> best host, alternates -> []Placement
//
// To extend it, add a filter or a weigher to [DefaultFilters] or [DefaultWeighers] and hand both to
// [NewSelector]. Memory is counted in MiB and disk in GiB everywhere.
package placement
