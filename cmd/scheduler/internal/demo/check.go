package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
)

// maxAlternates is how many alternates nova's scheduler names by default.
const maxAlternates = 2

// check holds an answer against what was asked and returns the host that was chosen.
func (r *run) check(in *instance, ignored []string, answer [][]nova.Selection) (*host, error) {
	if len(answer) != 1 {
		return nil, fmt.Errorf("the answer has %d lists, want one for the one instance", len(answer))
	}
	selections := answer[0]
	if len(selections) == 0 {
		return nil, errors.New("the answer has no host")
	}
	named := slices.Clone(ignored)
	for i := range selections {
		h, err := r.checkSelection(&selections[i], in.flavor)
		if err == nil && slices.Contains(named, h.name) {
			err = fmt.Errorf("%s is ignored or named twice", h.name)
		}
		if err != nil {
			return nil, fmt.Errorf("selection %d of %d: %w", i+1, len(selections), err)
		}
		named = append(named, h.name)
	}
	if err := r.checkAlternates(len(selections)-1, in.flavor, named); err != nil {
		return nil, err
	}
	return r.byName[selections[0].Data.ServiceHost], nil
}

// checkSelection compares a selection with what its host reported.
func (r *run) checkSelection(s *nova.Selection, f flavor) (*host, error) {
	if s.Name != "Selection" || s.Namespace != "nova" {
		return nil, fmt.Errorf("want a Selection of nova, got %q of %q", s.Name, s.Namespace)
	}
	h := r.byName[s.Data.ServiceHost]
	if h == nil {
		return nil, fmt.Errorf("host %q is not known", s.Data.ServiceHost)
	}
	for _, field := range []struct{ name, got, want string }{
		{"nodename", s.Data.NodeName, h.node},
		{"compute_node_uuid", s.Data.ComputeNodeUUID, h.nodeUUID},
		{"cell_uuid", s.Data.CellUUID, cellUUID},
		{"allocation_request_version", s.Data.AllocationRequestVersion, "1.36"},
	} {
		if field.got != field.want {
			return nil, fmt.Errorf("%s: %s is %q, want %q", h.name, field.name, field.got, field.want)
		}
	}
	if z := s.Data.AvailabilityZone; z == nil || *z != zone {
		return nil, fmt.Errorf("%s: availability_zone is not %q", h.name, zone)
	}
	return h, checkAllocation(s.Data.AllocationRequest, h, f)
}

// checkAllocation wants the resources of the flavor, and nothing else, on the host's node.
func checkAllocation(text string, h *host, f flavor) error {
	var request struct {
		Allocations map[string]struct {
			Resources map[string]int64
		}
	}
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		return fmt.Errorf("%s: allocation_request: %w", h.name, err)
	}
	node, ok := request.Allocations[h.nodeUUID]
	got, need := node.Resources, resources(f.units)
	if !ok || len(request.Allocations) != 1 || len(got) != 3 ||
		got["VCPU"] != need.VCPUs || got["MEMORY_MB"] != need.MemoryMB || got["DISK_GB"] != need.DiskGB {
		return fmt.Errorf("%s: allocation_request is not that of one %s: %s", h.name, f.name, text)
	}
	return nil
}

// checkAlternates wants as many as there can be, at most two. named are the hosts that cannot be alternates. All
// others with room were known to have it; there may have been more of them when the scheduler looked.
func (r *run) checkAlternates(got int, f flavor, named []string) error {
	if got > maxAlternates {
		return fmt.Errorf("%d alternates, want at most %d", got, maxAlternates)
	}
	for _, h := range r.hosts {
		if got == maxAlternates {
			return nil
		}
		if !slices.Contains(named, h.name) && h.hasRoom(f) {
			return fmt.Errorf("%d alternates, but %s has room too", got, h.name)
		}
	}
	return nil
}
