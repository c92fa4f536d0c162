package api

import (
	"context"
	"net/http"
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// healthTimeout bounds how long GET /healthz waits for the bus.
const healthTimeout = 2 * time.Second

// HostsResponse is the answer of GET /v1/hosts: what one scheduler knows.
type HostsResponse struct {
	Hosts []nova.HostState `json:"hosts"` // sorted by name
}

// ReportResponse is the answer of POST /v1/hosts/{host}/report: the report was sent to all schedulers.
type ReportResponse struct {
	RequestID string `json:"request_id"`
}

// HealthResponse is the answer of GET /healthz.
type HealthResponse struct {
	Status string `json:"status"` // ok
}

func (f *front) listHosts(req *http.Request) (int, any, error) {
	hosts, err := f.schedulers.ListHosts(req.Context())
	if hosts == nil {
		hosts = []nova.HostState{}
	}
	return http.StatusOK, HostsResponse{hosts}, err
}

func (f *front) reportHost(req *http.Request) (int, any, error) {
	name := req.PathValue("host")
	if !hostText.MatchString(name) {
		return 0, nil, wrongField("host", "want %s, got %q", wantHost, clip(name))
	}
	body, err := readBody(req)
	if err != nil {
		return 0, nil, err
	}
	host, err := readHost(name, body)
	if err != nil {
		return 0, nil, err
	}
	id, _ := messaging.RequestIDs(req.Context())
	return http.StatusAccepted, ReportResponse{id}, f.schedulers.ReportCapacity(req.Context(), host)
}

func readHost(name string, body *object) (nova.HostEntry, error) {
	host := nova.HostEntry{
		ServiceHost:     name,
		NodeName:        body.text("nodename", hostText, wantHost),
		ComputeNodeUUID: body.text("compute_node_uuid", uuidText, wantUUID),
		CellUUID:        body.text("cell_uuid", uuidText, wantUUID),
		Zone:            body.text("availability_zone", zoneText, wantZone),
		Amounts: nova.Amounts{
			VCPUs:    body.needed("vcpus"),
			MemoryMB: body.needed("memory_mb"),
			DiskGB:   body.needed("disk_gb"),
		},
	}
	for _, required := range []struct{ name, text string }{
		{"compute_node_uuid", host.ComputeNodeUUID}, {"cell_uuid", host.CellUUID},
	} {
		if required.text == "" {
			body.missing(required.name)
		}
	}
	return host, body.done()
}

// health tells whether the bus is there; whether schedulers are is for GET /v1/hosts.
func (f *front) health(req *http.Request) (int, any, error) {
	ctx, cancel := context.WithTimeout(req.Context(), healthTimeout)
	defer cancel()
	if err := f.schedulers.Ping(ctx); err != nil {
		return 0, nil, unavailable("the bus is not there", err)
	}
	return http.StatusOK, HealthResponse{"ok"}, nil
}
