package placement

import "math"

// MaxAmount is the largest amount of one resource that a host or an instance may name: 2^40, in the unit of
// the resource. It keeps sums far from overflow and is beyond any real host.
const MaxAmount = 1 << 40

// Resources is what a host has or an instance takes. The zero value is nothing. A Resources is a value.
type Resources struct {
	VCPUs    int64 // virtual CPUs
	MemoryMB int64 // MiB
	DiskGB   int64 // GiB
}

// Add returns the sum; a sum beyond an int64 stays at its maximum, so that it can never turn negative and fit.
func (r Resources) Add(other Resources) Resources {
	return Resources{
		VCPUs:    add(r.VCPUs, other.VCPUs),
		MemoryMB: add(r.MemoryMB, other.MemoryMB),
		DiskGB:   add(r.DiskGB, other.DiskGB),
	}
}

// Sub returns the difference. It is negative where more is used than there is, as after a host shrank.
func (r Resources) Sub(other Resources) Resources {
	return Resources{
		VCPUs:    r.VCPUs - other.VCPUs,
		MemoryMB: r.MemoryMB - other.MemoryMB,
		DiskGB:   r.DiskGB - other.DiskGB,
	}
}

// FitsIn reports whether free holds at least r of every resource. A resource that r does not need is not
// looked at, so that a host with no disk left still takes an instance without one.
func (r Resources) FitsIn(free Resources) bool {
	return fits(r.VCPUs, free.VCPUs) && fits(r.MemoryMB, free.MemoryMB) && fits(r.DiskGB, free.DiskGB)
}

func fits(need, free int64) bool { return need == 0 || need <= free }

// add expects amounts that are not negative.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
