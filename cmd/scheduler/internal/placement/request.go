package placement

import "strings"

// Request is what a caller wants placed. Filters and weighers read it and must not change it.
type Request struct {
	// Need is what each instance takes.
	Need Resources
	// Instances is how many are to be placed; below 1 places none.
	Instances int
	// Alternates is how many further hosts to name for each instance, at most.
	Alternates int
	// Zone is the availability zone to stay in; empty means any.
	Zone string
	// ForceHosts are the only hosts that may be chosen; empty means all.
	ForceHosts Names
	// ForceNodes are the only nodes that may be chosen; empty means all.
	ForceNodes Names
	// IgnoreHosts are never chosen.
	IgnoreHosts Names
	// Hints are the caller's own words, for filters and weighers that know them; nothing here reads them.
	Hints map[string]any
}

// Names is a set of host or node names, compared without case. nova compares host names so and node names
// exactly (nova/scheduler/host_manager.py); names that differ in case alone are not worth two kinds of set.
// Nil is the empty set.
type Names map[string]struct{}

// NewNames makes the set of names; nil for none.
func NewNames(names ...string) Names {
	if len(names) == 0 {
		return nil
	}
	set := make(Names, len(names))
	for _, name := range names {
		set[strings.ToLower(name)] = struct{}{}
	}
	return set
}

// Has reports whether name is in the set.
func (n Names) Has(name string) bool {
	if len(n) == 0 {
		return false
	}
	_, ok := n[strings.ToLower(name)]
	return ok
}
