package nova

import (
	"context"
	"encoding/json"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// HostEntry is what a host is and has: one entry of a hosts file, and the argument host of report_capacity.
type HostEntry struct {
	ServiceHost     string `json:"service_host"`
	NodeName        string `json:"nodename,omitempty"` // empty is the service host's
	ComputeNodeUUID string `json:"compute_node_uuid"`
	CellUUID        string `json:"cell_uuid"`
	Zone            string `json:"availability_zone"` // empty for none
	Amounts
}

// Parse checks the entry as [placement.ParseHost] does.
func (e HostEntry) Parse() (placement.Host, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return placement.Host{}, err
	}
	return placement.ParseHost(text)
}

// Amounts are resources of a host.
type Amounts struct {
	VCPUs    int64 `json:"vcpus"`
	MemoryMB int64 `json:"memory_mb"` // MiB
	DiskGB   int64 `json:"disk_gb"`   // GiB
}

// HostState is what a scheduler knows of a host: one entry of the answer of list_hosts.
type HostState struct {
	HostEntry
	Used Amounts `json:"used"`
}

// HostList is the answer of list_hosts, sorted by name.
type HostList struct {
	Hosts []HostState `json:"hosts"`
}

// ListHosts tells what this scheduler knows of its hosts. It is not nova's.
func (m *Manager) ListHosts(ctx context.Context) (HostList, error) {
	if ctx.Err() != nil {
		return HostList{}, context.Cause(ctx)
	}
	hosts := m.inventory.Snapshot()
	list := HostList{Hosts: make([]HostState, len(hosts))}
	for i, h := range hosts {
		list.Hosts[i] = HostState{
			HostEntry: HostEntry{
				ServiceHost: h.Name, NodeName: h.Node, ComputeNodeUUID: h.NodeUUID, CellUUID: h.CellUUID, Zone: h.Zone, Amounts: AmountsOf(h.Total),
			},
			Used: AmountsOf(h.Used),
		}
	}
	return list, nil
}

// AmountsOf is r as it travels.
func AmountsOf(r placement.Resources) Amounts {
	return Amounts{VCPUs: r.VCPUs, MemoryMB: r.MemoryMB, DiskGB: r.DiskGB}
}
