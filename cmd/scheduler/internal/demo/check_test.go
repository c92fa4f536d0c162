package demo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
)

// selection is a good one of a host for an m1.medium.
func selection(number int) nova.Selection {
	h, z := newHost(number, 0), zone
	return object("Selection", "1.1", nova.SelectionData{
		ComputeNodeUUID: h.nodeUUID, ServiceHost: h.name, NodeName: h.node, CellUUID: cellUUID,
		AllocationRequest: fmt.Sprintf(
			`{"allocations": {"%s": {"resources": {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 40}}}}`, h.nodeUUID),
		AllocationRequestVersion: "1.36", AvailabilityZone: &z,
	})
}

func TestAnswersAreCheckedStrictly(t *testing.T) {
	t.Parallel()
	r := newRun(Config{Hosts: 5, Calls: 5})
	for _, h := range r.hosts {
		h.units = 2
	}
	must(t, r.hosts[4].land(&instance{"x", flavors[0]})) // no room for a medium one any more
	in := &instance{uuid: "y", flavor: flavors[1]}
	answer := func(numbers ...int) [][]nova.Selection {
		list := make([]nova.Selection, len(numbers))
		for i, n := range numbers {
			list[i] = selection(n)
		}
		return [][]nova.Selection{list}
	}
	changed := func(change func(d *nova.Selection)) [][]nova.Selection {
		a := answer(1, 2, 3)
		change(&a[0][1])
		return a
	}
	allocation := func(from, to string) [][]nova.Selection {
		return changed(func(s *nova.Selection) {
			s.Data.AllocationRequest = strings.Replace(s.Data.AllocationRequest, from, to, 1)
		})
	}
	for _, c := range []struct {
		ignored []string
		answer  [][]nova.Selection
		want    string // part of the problem; empty for none
	}{
		{nil, answer(1, 2, 3), ""},
		{nil, answer(1, 2, 5), ""}, // host 5 had room when the scheduler looked
		{[]string{"host-02", "host-03", "host-04"}, answer(1), ""},
		{[]string{"host-02", "host-03"}, answer(1, 4), ""},

		{nil, nil, "0 lists"},
		{nil, append(answer(1, 2, 3), answer(2, 3, 4)...), "2 lists"},
		{nil, answer(), "no host"},
		{nil, answer(1, 2, 3, 4), "3 alternates, want at most 2"},
		{nil, answer(1, 2), "1 alternates, but host-03 has room too"},
		{nil, answer(1), "0 alternates, but host-02 has room too"},
		{[]string{"host-02"}, answer(1, 5), "1 alternates, but host-03 has room too"},
		{nil, answer(1, 1, 2), "selection 2 of 3: host-01 is ignored or named twice"},
		{[]string{"host-03"}, answer(1, 2, 3), "selection 3 of 3: host-03 is ignored or named twice"},
		{nil, answer(6, 1, 2), `host "host-06" is not known`},
		{nil, changed(func(s *nova.Selection) { s.Name = "Choice" }), `want a Selection of nova, got "Choice" of "nova"`},
		{nil, changed(func(s *nova.Selection) { s.Data.NodeName = "x" }), `host-02: nodename is "x", want "host-02.example"`},
		{nil, changed(func(s *nova.Selection) { s.Data.ComputeNodeUUID = "x" }), `compute_node_uuid is "x"`},
		{nil, changed(func(s *nova.Selection) { s.Data.CellUUID = "" }), `cell_uuid is ""`},
		{nil, changed(func(s *nova.Selection) { s.Data.AllocationRequestVersion = "1" }), `allocation_request_version is "1"`},
		{nil, changed(func(s *nova.Selection) { s.Data.AvailabilityZone = nil }), "availability_zone"},
		{nil, allocation("{", ""), "host-02: allocation_request: "},
		{nil, allocation(`"VCPU": 2`, `"VCPU": 1`), "not that of one m1.medium"},
		{nil, allocation(`"MEMORY_MB": 4096, `, ``), "not that of one m1.medium"},
		{nil, allocation(`"DISK_GB": 40`, `"DISK_GB": 40, "PCI": 1`), "not that of one m1.medium"},
		{nil, allocation("0002", "0003"), "not that of one m1.medium"},
	} {
		h, err := r.check(in, c.ignored, c.answer)
		switch {
		case c.want == "" && (err != nil || h != r.hosts[0]):
			t.Errorf("check = %v, %v, want host-01", h, err)
		case c.want != "" && (err == nil || h != nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("check = %v, %v, want a problem with %q", h, err, c.want)
		}
	}
}

func TestAuditFindsWhatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		spoil      func(r *run)
	}{
		{"in order", "", func(*run) {}},
		{"lost", "1 instances are on hosts, 2 were placed", func(r *run) {
			r.hosts[0].used -= r.hosts[0].book["a"].flavor.units
			delete(r.hosts[0].book, "a")
		}},
		{"twice", "instance a is on host-01 and on host-02", func(r *run) {
			must(t, r.hosts[1].land(r.hosts[0].book["a"]))
		}},
		{"overcommitted", "host-01: 1 units are in use, it counted 1 and has 0", func(r *run) { r.hosts[0].units = 0 }},
		{"miscounted", "host-01: 1 units are in use, it counted 2", func(r *run) { r.hosts[0].used = 2 }},
		{"handed out twice", "1 calls were handed to two schedulers", func(r *run) {
			args := nova.SelectDestinationsArgs{InstanceUUIDs: []any{"b"}}
			r.answered.add(args, r.schedulers[0])
			r.answered.add(args, r.schedulers[0])
			r.schedulers[0].answered.Add(-2)
		}},
		{"forgotten", "2 instances were placed or went wrong, want 3", func(r *run) { r.config.Calls = 3 }},
		{"placed by nobody", "schedulers placed 1 instances, callers 2", func(r *run) { r.schedulers[0].placed.Add(-1) }},
		{"answered for nobody", "schedulers answered 3 calls, callers have 2 answers", func(r *run) { r.schedulers[0].answered.Add(1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRun(Config{Hosts: 2, Calls: 2})
			s := &scheduler{name: "scheduler-1"}
			r.schedulers = []*scheduler{s}
			must(t, r.hosts[0].land(&instance{"a", flavors[0]}))
			must(t, r.hosts[1].land(&instance{"b", flavors[2]}))
			r.tally.placed, r.tally.latencies = 2, make([]time.Duration, 2)
			s.placed.Store(2)
			s.answered.Store(2)
			c.spoil(r)
			err := errors.Join(r.auditBooks()...)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("audit = %v, want %q", err, c.want)
			}
		})
	}
}
