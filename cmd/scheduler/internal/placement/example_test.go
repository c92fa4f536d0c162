package placement_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

const hostsFile = `[
 {"service_host": "cpu-1", "compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000001",
  "cell_uuid": "cccccccc-0000-4000-8000-000000000001", "vcpus": 64, "memory_mb": 262144, "disk_gb": 2000},
 {"service_host": "gpu-1", "compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000002",
  "cell_uuid": "cccccccc-0000-4000-8000-000000000001", "vcpus": 32, "memory_mb": 131072, "disk_gb": 1000}
]`

// A filter of your own goes after the default ones: here requests with a hint stay on hosts with that prefix.
func Example_customFilter() {
	hosts, err := placement.ParseHosts(strings.NewReader(hostsFile))
	if err != nil {
		panic(err)
	}
	inventory, err := placement.NewInventory(hosts)
	if err != nil {
		panic(err)
	}

	hardware := placement.NewFilter("hardware", func(host *placement.Host, req *placement.Request) bool {
		wanted, ok := req.Hints["hardware"].(string)
		return !ok || strings.HasPrefix(host.Name, wanted+"-")
	})
	selector := placement.NewSelector(append(placement.DefaultFilters(), hardware), placement.DefaultWeighers())

	need := placement.Resources{VCPUs: 4, MemoryMB: 8192, DiskGB: 40}
	for _, hints := range []map[string]any{nil, {"hardware": "gpu"}, {"hardware": "fpga"}} {
		placements, err := selector.Select(inventory.Snapshot(), &placement.Request{Need: need, Instances: 1, Hints: hints})
		var none *placement.NoHostError
		if errors.As(err, &none) {
			fmt.Println(none)
			continue
		}
		fmt.Println(placements[0].Host.Name)
	}
	// Output:
	// cpu-1
	// gpu-1
	// no host for instance 1 of 1: hardware rejected 2
}
