package agent

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// Claims is what instances take of a host. It is safe for concurrent use; every method happens whole or not at all.
type Claims struct {
	mu          sync.Mutex
	total, used placement.Resources
	of          map[string]placement.Resources // by UUID of the instance
}

// NewClaims is the book of a host that has total and no instance.
func NewClaims(total placement.Resources) *Claims {
	return &Claims{total: total, of: make(map[string]placement.Resources)}
}

// Build claims resources for an instance. It reports whether the claim is new: one for the same instance and as much is not
// made twice, one for another amount fails with [*ExistsError]. What does not fit fails with [*UnavailableError].
func (c *Claims) Build(uuid string, need placement.Resources) (created bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if had, exists := c.of[uuid]; exists {
		if had != need {
			return false, &ExistsError{UUID: uuid}
		}
		return false, nil
	}
	return true, c.put(uuid, placement.Resources{}, need)
}

// Resize claims another amount for an instance, and reports whether it is another. It fails with [*NotFoundError] for one that is not here, and with
// [*UnavailableError], which leaves the old claim, if that does not fit.
func (c *Claims) Resize(uuid string, need placement.Resources) (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	had, exists := c.of[uuid]
	if !exists {
		return false, &NotFoundError{UUID: uuid}
	}
	return had != need, c.put(uuid, had, need)
}

// put wants the lock held.
func (c *Claims) put(uuid string, had, need placement.Resources) error {
	others := c.used.Sub(had)
	if free := c.total.Sub(others); !need.FitsIn(free) {
		return &UnavailableError{Reason: shortage(need, free)}
	}
	c.used = others.Add(need)
	c.of[uuid] = need
	return nil
}

// shortage names the first resource that is not enough, as nova's claims do.
func shortage(need, free placement.Resources) string {
	for _, r := range []struct {
		name, unit string
		need, free int64
	}{
		{"vcpus", "VCPU", need.VCPUs, free.VCPUs},
		{"memory", "MB", need.MemoryMB, free.MemoryMB},
		{"disk", "GB", need.DiskGB, free.DiskGB},
	} {
		if r.need > 0 && r.need > r.free {
			return fmt.Sprintf("Free %s %d %s < requested %d %s", r.name, r.free, r.unit, r.need, r.unit)
		}
	}
	return "" // it fits
}

// Delete gives back what an instance has; it reports whether there was one.
func (c *Claims) Delete(uuid string) (deleted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	had, exists := c.of[uuid]
	c.used = c.used.Sub(had)
	delete(c.of, uuid)
	return exists
}

// setTotal changes what the host has. Instances that no longer fit stay.
func (c *Claims) setTotal(total placement.Resources) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total = total
}

// Of is what an instance has.
func (c *Claims) Of(uuid string) (need placement.Resources, exists bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	need, exists = c.of[uuid]
	return need, exists
}

// Instances are all of them, sorted by UUID.
func (c *Claims) Instances() []placement.Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	instances := make([]placement.Instance, 0, len(c.of))
	for _, uuid := range slices.Sorted(maps.Keys(c.of)) {
		instances = append(instances, placement.Instance{UUID: uuid, Need: c.of[uuid]})
	}
	return instances
}

// Free is what is left.
func (c *Claims) Free() placement.Resources {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total.Sub(c.used)
}
