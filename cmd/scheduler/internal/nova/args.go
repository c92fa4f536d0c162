package nova

import "encoding/json"

// SelectDestinationsArgs are the arguments of select_destinations. An any holds what encoding/json made of
// the value; its type is checked when the method runs.
type SelectDestinationsArgs struct {
	// SpecObj is a RequestSpec; callers before 4.3 send RequestSpec and FilterProperties instead.
	SpecObj any `json:"spec_obj,omitempty"`
	// RequestSpec is a dict: num_instances, instance_type (a flavor), instance_properties.
	RequestSpec any `json:"request_spec,omitempty"`
	// FilterProperties is a dict: force_hosts, force_nodes, ignore_hosts, scheduler_hints.
	FilterProperties any `json:"filter_properties,omitempty"`
	// InstanceUUIDs is a list of strings, one for each instance wanted (since 4.4). Where it is empty, the
	// spec's num_instances counts.
	InstanceUUIDs any `json:"instance_uuids,omitempty"`
	// ReturnObjects is whether to answer with Selections, not dicts (since 4.5).
	ReturnObjects any `json:"return_objects,omitempty"`
	// ReturnAlternates is whether to add alternate hosts (since 4.5); it counts with ReturnObjects only.
	ReturnAlternates any `json:"return_alternates,omitempty"`
}

// UpdateAggregatesArgs are the arguments of update_aggregates.
type UpdateAggregatesArgs struct {
	// Aggregates is a list of Aggregates, an AggregateList or one Aggregate.
	Aggregates any `json:"aggregates"`
}

// DeleteAggregateArgs are the arguments of delete_aggregate.
type DeleteAggregateArgs struct {
	// Aggregate is an Aggregate; its id alone counts.
	Aggregate any `json:"aggregate"`
}

// UpdateInstanceInfoArgs are the arguments of update_instance_info.
type UpdateInstanceInfoArgs struct {
	HostName any `json:"host_name"`
	// InstanceInfo is an InstanceList, a list of Instances or one Instance.
	InstanceInfo any `json:"instance_info"`
}

// DeleteInstanceInfoArgs are the arguments of delete_instance_info.
type DeleteInstanceInfoArgs struct {
	HostName     any `json:"host_name"`
	InstanceUUID any `json:"instance_uuid"`
}

// SyncInstanceInfoArgs are the arguments of sync_instance_info.
type SyncInstanceInfoArgs struct {
	HostName any `json:"host_name"`
	// InstanceUUIDs is a list of strings: every instance of the host.
	InstanceUUIDs any `json:"instance_uuids"`
}

// ReportCapacityArgs are the arguments of report_capacity, which is not nova's: simulated compute hosts send it.
type ReportCapacityArgs struct {
	// Host is one entry of a hosts file.
	Host json.RawMessage `json:"host"`
}
