package demo

import "github.com/goslo/goslo/cmd/scheduler/internal/placement"

// flavor is a size of instances. All are multiples of the smallest, so that the units in use say how full a
// host is, and how many fit is a matter of one number.
type flavor struct {
	name  string
	units int
}

// flavors are the first three that nova used to come with.
var flavors = []flavor{{"m1.small", 1}, {"m1.medium", 2}, {"m1.large", 4}}

// unit is what an m1.small takes.
var unit = placement.Resources{VCPUs: 1, MemoryMB: 2048, DiskGB: 20}

func largest() flavor { return flavors[len(flavors)-1] }

// flavorOf is the flavor of the n-th instance: half are small, a quarter each is medium and large.
func flavorOf(n int) flavor { return flavors[max(n%4-1, 0)] }

// totalUnits is what instances 1 to n take.
func totalUnits(n int) int {
	total := 0
	for i := range n {
		total += flavorOf(i + 1).units
	}
	return total
}

func resources(units int) placement.Resources {
	n := int64(units)
	return placement.Resources{VCPUs: n * unit.VCPUs, MemoryMB: n * unit.MemoryMB, DiskGB: n * unit.DiskGB}
}
