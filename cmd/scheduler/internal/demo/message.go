package demo

import (
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// What travels from the simulated cloud to the schedulers, in nova's objects of the same versions as
// recorded from nova: receivers see no difference.

// selectArgs asks for a host for in, and for alternates, as nova's conductor does.
func (in *instance) selectArgs(ignoreHosts []string) nova.SelectDestinationsArgs {
	spec := requestSpec{
		Image: object("ImageMeta", "1.8", image{
			ID: "22222222-2222-4222-8222-222222222222", Name: "cirros", Status: "active",
			Properties: object("ImageMetaProps", "1.34", struct{}{}),
		}, "id", "name", "status", "min_ram", "min_disk", "properties"),
		PCIRequests:    object("InstancePCIRequests", "1.1", pciRequests{InstanceUUID: in.uuid, Requests: []any{}}, "instance_uuid", "requests"),
		ProjectID:      projectID,
		UserID:         userID,
		Flavor:         object("Flavor", "1.2", in.flavor.fields()),
		NumInstances:   1,
		Limits:         object("SchedulerLimits", "1.0", nova.Limits{}, "numa_topology", "vcpu", "disk_gb", "memory_mb"),
		SchedulerHints: map[string][]string{},
		InstanceUUID:   in.uuid,
		SecurityGroups: object("SecurityGroupList", "1.1", list[any]{Objects: []any{}}),

		RequestedResources: []any{},
	}
	if len(ignoreHosts) > 0 {
		spec.IgnoreHosts = ignoreHosts
	}
	return nova.SelectDestinationsArgs{
		SpecObj:          object("RequestSpec", "1.14", spec, specFields...),
		InstanceUUIDs:    []string{in.uuid},
		ReturnObjects:    true,
		ReturnAlternates: true,
	}
}

const projectID, userID = "project-demo", "user-demo"

// requestContext is what nova sends along with a request of an instance.
func (in *instance) requestContext() messaging.RequestContext {
	return messaging.RequestContext{
		"user_id": userID, "project_id": projectID, "request_id": "req-" + in.uuid,
		"is_admin": true, "roles": []string{"admin"}, "read_deleted": "no",
	}
}

func object[T any](name, version string, data T, changes ...string) nova.Object[T] {
	return nova.Object[T]{Name: name, Namespace: "nova", Version: version, Data: data, Changes: changes}
}

type requestSpec struct {
	Image              nova.Object[image]       `json:"image"`
	NUMATopology       any                      `json:"numa_topology"`
	PCIRequests        nova.Object[pciRequests] `json:"pci_requests"`
	ProjectID          string                   `json:"project_id"`
	UserID             string                   `json:"user_id"`
	AvailabilityZone   *string                  `json:"availability_zone"`
	Flavor             nova.Object[flavorData]  `json:"flavor"`
	NumInstances       int                      `json:"num_instances"`
	IgnoreHosts        any                      `json:"ignore_hosts"` // a list, or null: no slice is null on the bus
	ForceHosts         any                      `json:"force_hosts"`
	ForceNodes         any                      `json:"force_nodes"`
	Retry              any                      `json:"retry"`
	Limits             nova.Object[nova.Limits] `json:"limits"`
	InstanceGroup      any                      `json:"instance_group"`
	SchedulerHints     map[string][]string      `json:"scheduler_hints"`
	InstanceUUID       string                   `json:"instance_uuid"`
	SecurityGroups     nova.Object[list[any]]   `json:"security_groups"`
	IsBFV              bool                     `json:"is_bfv"`
	RequestedResources []any                    `json:"requested_resources"`
}

// specFields are those that nova sets in a new spec: all of them.
var specFields = []string{
	"image", "numa_topology", "pci_requests", "project_id", "user_id", "availability_zone", "flavor", "num_instances",
	"ignore_hosts", "force_hosts", "force_nodes", "retry", "limits", "instance_group", "scheduler_hints", "instance_uuid",
	"security_groups", "is_bfv", "requested_resources",
}

type image struct {
	ID         string                `json:"id"`
	Name       string                `json:"name"`
	Status     string                `json:"status"`
	MinRAM     int                   `json:"min_ram"`
	MinDisk    int                   `json:"min_disk"`
	Properties nova.Object[struct{}] `json:"properties"`
}

type pciRequests struct {
	InstanceUUID string `json:"instance_uuid"`
	Requests     []any  `json:"requests"`
}

type list[T any] struct {
	Objects []T `json:"objects"`
}

type flavorData struct {
	ID          int               `json:"id"`
	Name        string            `json:"name"`
	MemoryMB    int64             `json:"memory_mb"`
	VCPUs       int64             `json:"vcpus"`
	RootGB      int64             `json:"root_gb"`
	EphemeralGB int64             `json:"ephemeral_gb"`
	FlavorID    string            `json:"flavorid"`
	Swap        int64             `json:"swap"`
	RxtxFactor  float64           `json:"rxtx_factor"`
	VCPUWeight  int               `json:"vcpu_weight"`
	Disabled    bool              `json:"disabled"`
	IsPublic    bool              `json:"is_public"`
	ExtraSpecs  map[string]string `json:"extra_specs"`
	Projects    []string          `json:"projects"`
	Description *string           `json:"description"`
	CreatedAt   *string           `json:"created_at"`
	UpdatedAt   *string           `json:"updated_at"`
	DeletedAt   *string           `json:"deleted_at"`
	Deleted     bool              `json:"deleted"`
}

func (f flavor) fields() flavorData {
	need := resources(f.units)
	return flavorData{
		ID: f.units, Name: f.name, FlavorID: f.name,
		VCPUs: need.VCPUs, MemoryMB: need.MemoryMB, RootGB: need.DiskGB,
		RxtxFactor: 1, IsPublic: true, ExtraSpecs: map[string]string{}, Projects: []string{},
	}
}

// capacityArgs are the arguments of report_capacity: one entry of a hosts file.
type capacityArgs struct {
	Host hostEntry `json:"host"`
}

type hostEntry struct {
	ServiceHost string `json:"service_host"`
	NodeName    string `json:"nodename"`
	NodeUUID    string `json:"compute_node_uuid"`
	CellUUID    string `json:"cell_uuid"`
	Zone        string `json:"availability_zone"`
	VCPUs       int64  `json:"vcpus"`
	MemoryMB    int64  `json:"memory_mb"`
	DiskGB      int64  `json:"disk_gb"`
}

func (h *host) capacityReport() capacityArgs {
	total := resources(h.units)
	return capacityArgs{hostEntry{
		ServiceHost: h.name, NodeName: h.node, NodeUUID: h.nodeUUID, CellUUID: cellUUID, Zone: zone,
		VCPUs: total.VCPUs, MemoryMB: total.MemoryMB, DiskGB: total.DiskGB,
	}}
}

type instanceData struct {
	Host        string `json:"host"`
	UUID        string `json:"uuid"`
	VCPUs       int64  `json:"vcpus"`
	MemoryMB    int64  `json:"memory_mb"`
	RootGB      int64  `json:"root_gb"`
	EphemeralGB int64  `json:"ephemeral_gb"`
}

// instanceReport tells of instances as nova's compute service does.
func (h *host) instanceReport(landed []*instance) nova.UpdateInstanceInfoArgs {
	instances := list[nova.Object[instanceData]]{Objects: make([]nova.Object[instanceData], len(landed))}
	for i, in := range landed {
		need := resources(in.flavor.units)
		instances.Objects[i] = object("Instance", "2.7", instanceData{
			Host: h.name, UUID: in.uuid, VCPUs: need.VCPUs, MemoryMB: need.MemoryMB, RootGB: need.DiskGB,
		})
	}
	return nova.UpdateInstanceInfoArgs{HostName: h.name, InstanceInfo: object("InstanceList", "2.6", instances, "objects")}
}
