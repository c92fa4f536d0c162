package api

import (
	"fmt"
	"net/http"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
)

// Flavor is what one instance takes.
type Flavor struct {
	VCPUs       int64 `json:"vcpus"`
	MemoryMB    int64 `json:"memory_mb"`    // MiB
	RootGB      int64 `json:"root_gb"`      // GiB
	EphemeralGB int64 `json:"ephemeral_gb"` // GiB
	SwapMB      int64 `json:"swap"`         // MiB, as nova calls it
}

// SelectRequest is the body of POST /v1/select_destinations.
type SelectRequest struct {
	Flavor Flavor `json:"flavor"`
	// NumInstances counts where no InstanceUUIDs are given; 0 is 1.
	NumInstances  int      `json:"num_instances,omitempty"`
	InstanceUUIDs []string `json:"instance_uuids,omitempty"`
	Zone          string   `json:"availability_zone,omitempty"`
	ForceHosts    []string `json:"force_hosts,omitempty"`
	IgnoreHosts   []string `json:"ignore_hosts,omitempty"`
	// Alternates asks for up to two further hosts for each instance.
	Alternates bool `json:"alternates,omitempty"`
}

// SelectResponse is the answer.
type SelectResponse struct {
	Destinations []Destination `json:"destinations"` // in the order of the instances
}

// Destination is where one instance goes.
type Destination struct {
	InstanceUUID string       `json:"instance_uuid,omitempty"` // if the request named it
	Host         ChosenHost   `json:"host"`
	Alternates   []ChosenHost `json:"alternates"`
}

// ChosenHost is one host.
type ChosenHost struct {
	ServiceHost     string `json:"service_host"`
	NodeName        string `json:"nodename"`
	ComputeNodeUUID string `json:"compute_node_uuid"`
	CellUUID        string `json:"cell_uuid"`
	Zone            string `json:"availability_zone"` // empty for none
}

func (f *front) selectDestinations(req *http.Request) (int, any, error) {
	body, err := readBody(req)
	if err != nil {
		return 0, nil, err
	}
	wanted, err := readSelect(body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := f.schedulers.SelectDestinations(req.Context(), wanted.args())
	if err != nil {
		return 0, nil, err
	}
	destinations, err := wanted.destinations(answer)
	return http.StatusOK, SelectResponse{destinations}, err
}

func readSelect(body *object) (SelectRequest, error) {
	flavor := body.object("flavor")
	r := SelectRequest{
		Flavor: Flavor{
			VCPUs:       flavor.needed("vcpus"),
			MemoryMB:    flavor.needed("memory_mb"),
			RootGB:      flavor.amount("root_gb"),
			EphemeralGB: flavor.amount("ephemeral_gb"),
			SwapMB:      flavor.amount("swap"),
		},
		NumInstances:  int(body.number("num_instances", 1, maxInstances)),
		InstanceUUIDs: body.texts("instance_uuids", maxInstances, uuidText, wantUUID),
		Zone:          body.text("availability_zone", zoneText, wantZone),
		ForceHosts:    body.texts("force_hosts", maxNames, hostText, wantHost),
		IgnoreHosts:   body.texts("ignore_hosts", maxNames, hostText, wantHost),
		Alternates:    body.flag("alternates"),
	}
	body.close(flavor)
	if n := len(r.InstanceUUIDs); r.NumInstances > 0 && n > 0 && n != r.NumInstances {
		body.fail(wrongField("num_instances", "want %d, as many as instance_uuids, got %d", n, r.NumInstances))
	}
	if r.NumInstances == 0 {
		r.NumInstances = max(1, len(r.InstanceUUIDs))
	}
	return r, body.done()
}

// args is the question for a scheduler. It reads a plain dict as nova's RequestSpec.
func (r *SelectRequest) args() nova.SelectDestinationsArgs {
	spec := map[string]any{"flavor": r.Flavor, "num_instances": r.NumInstances}
	if r.Zone != "" {
		spec["availability_zone"] = r.Zone
	}
	if len(r.ForceHosts) > 0 {
		spec["force_hosts"] = r.ForceHosts
	}
	if len(r.IgnoreHosts) > 0 {
		spec["ignore_hosts"] = r.IgnoreHosts
	}
	args := nova.SelectDestinationsArgs{SpecObj: spec, ReturnObjects: true, ReturnAlternates: r.Alternates}
	if len(r.InstanceUUIDs) > 0 {
		args.InstanceUUIDs = r.InstanceUUIDs
	}
	return args
}

func (r *SelectRequest) destinations(answer [][]nova.Selection) ([]Destination, error) {
	if len(answer) != r.NumInstances {
		return nil, fmt.Errorf("%w: hosts for %d instances, want %d", errNoAnswer, len(answer), r.NumInstances)
	}
	destinations := make([]Destination, len(answer))
	for i, hosts := range answer {
		if len(hosts) == 0 {
			return nil, fmt.Errorf("%w: no host for instance %d", errNoAnswer, i+1)
		}
		d := Destination{Host: chosen(hosts[0]), Alternates: make([]ChosenHost, 0, len(hosts)-1)}
		for _, alternate := range hosts[1:] {
			d.Alternates = append(d.Alternates, chosen(alternate))
		}
		if len(r.InstanceUUIDs) > 0 {
			d.InstanceUUID = r.InstanceUUIDs[i]
		}
		destinations[i] = d
	}
	return destinations, nil
}

func chosen(s nova.Selection) ChosenHost {
	h := ChosenHost{
		ServiceHost: s.Data.ServiceHost, NodeName: s.Data.NodeName, ComputeNodeUUID: s.Data.ComputeNodeUUID, CellUUID: s.Data.CellUUID,
	}
	if s.Data.AvailabilityZone != nil {
		h.Zone = *s.Data.AvailabilityZone
	}
	return h
}
