package nova

import (
	"strconv"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// Selection is nova's Selection 1.1: a host for an instance and what to allocate there.
type Selection = Object[SelectionData]

// SelectionData is the fields of a [Selection].
type SelectionData struct {
	ComputeNodeUUID string         `json:"compute_node_uuid"`
	ServiceHost     string         `json:"service_host"`
	NodeName        string         `json:"nodename"`
	CellUUID        string         `json:"cell_uuid"`
	Limits          Object[Limits] `json:"limits"`
	// AllocationRequest is a text for the placement service, byte for byte as Python's json.dumps writes it.
	AllocationRequest        string  `json:"allocation_request"`
	AllocationRequestVersion string  `json:"allocation_request_version"`
	AvailabilityZone         *string `json:"availability_zone"` // null for none
}

// Limits is the fields of a SchedulerLimits 1.0. All are null: nothing here allows overcommitment.
type Limits struct {
	NUMATopology any    `json:"numa_topology"`
	VCPU         *int64 `json:"vcpu"`
	DiskGB       *int64 `json:"disk_gb"`
	MemoryMB     *int64 `json:"memory_mb"`
}

// HostDict is the answer for one instance to a caller that wants no objects.
type HostDict struct {
	Host     string   `json:"host"`
	NodeName string   `json:"nodename"`
	Limits   struct{} `json:"limits"`
}

// allocationVersion is the microversion of the placement service whose allocations these are.
const allocationVersion = "1.36"

// selections is the answer with objects: for each instance its host, then the alternates.
func selections(placements []placement.Placement, need placement.Resources) [][]Selection {
	answer := make([][]Selection, len(placements))
	for i, p := range placements {
		answer[i] = make([]Selection, 0, 1+len(p.Alternates))
		answer[i] = append(answer[i], newSelection(p.Host, need))
		for _, host := range p.Alternates {
			answer[i] = append(answer[i], newSelection(host, need))
		}
	}
	return answer
}

// hostDicts is the answer without objects: one dict for each instance, not nested.
func hostDicts(placements []placement.Placement) []HostDict {
	answer := make([]HostDict, len(placements))
	for i, p := range placements {
		answer[i] = HostDict{Host: p.Host.Name, NodeName: p.Host.Node}
	}
	return answer
}

func newSelection(host *placement.Host, need placement.Resources) Selection {
	data := SelectionData{
		ComputeNodeUUID: host.NodeUUID,
		ServiceHost:     host.Name,
		NodeName:        host.Node,
		CellUUID:        host.CellUUID,
		Limits: Object[Limits]{
			Name: "SchedulerLimits", Namespace: "nova", Version: "1.0",
			Changes: []string{"numa_topology", "vcpu", "disk_gb", "memory_mb"},
		},
		AllocationRequest:        allocationRequest(host.NodeUUID, need),
		AllocationRequestVersion: allocationVersion,
	}
	if host.Zone != "" {
		data.AvailabilityZone = &host.Zone
	}
	return Selection{
		Name: "Selection", Namespace: "nova", Version: "1.1", Data: data,
		Changes: []string{
			"compute_node_uuid", "service_host", "nodename", "cell_uuid", "limits",
			"allocation_request", "allocation_request_version", "availability_zone",
		},
	}
}

// allocationRequest writes what to allocate as json.dumps does, with its spaces. A resource that is not
// needed is left out: the placement service refuses an amount of 0. The UUID needs no escapes; the inventory
// has checked it.
func allocationRequest(nodeUUID string, need placement.Resources) string {
	b := make([]byte, 0, 160)
	b = append(b, `{"allocations": {"`...)
	b = append(b, nodeUUID...)
	b = append(b, `": {"resources": {`...)
	first := true
	for _, r := range []struct {
		class  string
		amount int64
	}{
		{"VCPU", need.VCPUs},
		{"MEMORY_MB", need.MemoryMB},
		{"DISK_GB", need.DiskGB},
	} {
		if r.amount == 0 {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = append(b, '"')
		b = append(b, r.class...)
		b = append(b, `": `...)
		b = strconv.AppendInt(b, r.amount, 10)
	}
	return string(append(b, "}}}}"...))
}
