package nova

import (
	"context"
	"fmt"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// HostExport is one host with all that runs on it.
type HostExport struct {
	HostEntry
	Instances []InstanceExport `json:"instances"`
}

// InstanceExport is what one instance takes.
type InstanceExport struct {
	UUID string `json:"uuid"`
	Amounts
}

// InventoryExport is the answer of export_inventory.
type InventoryExport struct {
	Hosts []HostExport `json:"hosts"`
}

// ExportInventory tells all that this scheduler knows of hosts, for another that has just been started. It is not nova's,
// whose schedulers read a database then.
func (m *Manager) ExportInventory(ctx context.Context) (InventoryExport, error) {
	list, err := m.ListHosts(ctx)
	export := InventoryExport{Hosts: make([]HostExport, len(list.Hosts))}
	for i, h := range list.Hosts {
		export.Hosts[i] = HostExport{HostEntry: h.HostEntry, Instances: []InstanceExport{}}
		for _, in := range m.inventory.Instances(h.ServiceHost) {
			export.Hosts[i].Instances = append(export.Hosts[i].Instances, InstanceExport{in.UUID, AmountsOf(in.Need)})
		}
	}
	return export, err
}

// Import adds what another scheduler has exported.
func (x InventoryExport) Import(inventory *placement.Inventory) error {
	for _, h := range x.Hosts {
		host, err := h.Parse()
		if err == nil {
			err = inventory.ReportCapacity(host)
		}
		if err != nil {
			return fmt.Errorf("import host: %w", err)
		}
		instances := make([]placement.Instance, len(h.Instances))
		for i, in := range h.Instances {
			instances[i] = placement.Instance{
				UUID: in.UUID, Need: placement.Resources{VCPUs: in.VCPUs, MemoryMB: in.MemoryMB, DiskGB: in.DiskGB},
			}
		}
		if err := inventory.UpdateInstances(host.Name, instances); err != nil {
			return fmt.Errorf("import instances: %w", err)
		}
	}
	return nil
}
