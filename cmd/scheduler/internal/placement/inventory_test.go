package placement_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

func instance(uuid string, vcpus int64) placement.Instance {
	return placement.Instance{UUID: uuid, Need: placement.Resources{VCPUs: vcpus, MemoryMB: 512 * vcpus}}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestInventoryUsageIsWhatItsInstancesTake(t *testing.T) {
	t.Parallel()
	inv := fleet(t)
	check := func(step string, want map[string]int64) {
		t.Helper()
		got := map[string]int64{}
		for _, h := range inv.Snapshot() {
			if h.Used.VCPUs != 0 {
				got[h.Name] = h.Used.VCPUs
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: used vcpus (-want +got):\n%s", step, diff)
		}
	}
	must(t, inv.UpdateInstances("a", []placement.Instance{instance("i1", 1), instance("i2", 2)}))
	check("added", map[string]int64{"a": 3})
	must(t, inv.UpdateInstances("a", []placement.Instance{instance("i2", 4)}))
	check("replaced", map[string]int64{"a": 5})
	must(t, inv.UpdateInstances("b", []placement.Instance{instance("i1", 1)}))
	check("moved", map[string]int64{"a": 4, "b": 1})
	must(t, inv.DeleteInstance("a", "i1"))
	check("late report of the host it left", map[string]int64{"a": 4, "b": 1})
	must(t, inv.SyncInstances("a", []string{"i2", "i1", "unknown"}))
	check("synced with nothing gone", map[string]int64{"a": 4, "b": 1})
	must(t, inv.SyncInstances("a", nil))
	check("synced with all gone", map[string]int64{"b": 1})
	must(t, inv.DeleteInstance("b", "i1"))
	check("deleted", map[string]int64{})
	must(t, inv.UpdateInstances("a", []placement.Instance{instance("i1", 1)}))
	check("back again", map[string]int64{"a": 1})
}

func TestInventoryDropsReportsAboutUnknownHosts(t *testing.T) {
	t.Parallel()
	inv := fleet(t)
	for name, report := range map[string]func() error{
		"update": func() error { return inv.UpdateInstances("nobody", []placement.Instance{instance("i", 1)}) },
		"delete": func() error { return inv.DeleteInstance("nobody", "i") },
		"sync":   func() error { return inv.SyncInstances("nobody", nil) },
	} {
		if err := report(); !errors.Is(err, placement.ErrUnknownHost) || !strings.Contains(err.Error(), `"nobody"`) {
			t.Errorf("%s = %v, want ErrUnknownHost with the name", name, err)
		}
	}
	if got := inv.UnknownReports(); got != 3 {
		t.Errorf("UnknownReports = %d, want 3", got)
	}
	must(t, inv.ReportCapacity(newHost("nobody", 4, 4096, 40)))
	if used := host(t, inv, "nobody").Used; used != (placement.Resources{}) {
		t.Errorf("a dropped report came back: used %+v", used)
	}
}

func TestReportCapacityReplacesTheHostAndKeepsItsInstances(t *testing.T) {
	t.Parallel()
	inv := fleet(t)
	old := inv.Snapshot()
	must(t, inv.UpdateInstances("b", []placement.Instance{instance("i", 2)}))
	bigger := newHost("b", 32, 65536, 900)
	bigger.Used.VCPUs = 7 // not for the reporter to say
	must(t, inv.ReportCapacity(bigger))
	must(t, inv.ReportCapacity(placement.Host{Name: "aa", NodeUUID: nodeUUID("aa"), CellUUID: cell}))

	var got []string
	for _, h := range inv.Snapshot() {
		got = append(got, fmt.Sprintf("%s %s %d/%d", h.Name, h.Node, h.Used.VCPUs, h.Total.VCPUs))
	}
	want := []string{"a a.example 0/16", "aa aa 0/0", "b b.example 2/32", "c c.example 0/4", "d d.example 0/4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if len(old) != 4 || old[1].Total.VCPUs != 8 || old[1].Used.VCPUs != 0 {
		t.Errorf("a snapshot changed after it was taken: %+v", old[1])
	}
}

func TestInventoryRefusesHostsThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*placement.Host){
		`host "": service_host: missing`:                                      func(h *placement.Host) { h.Name = "" },
		`host "x": compute_node_uuid: missing`:                                func(h *placement.Host) { h.NodeUUID = "" },
		`host "x": compute_node_uuid: want a UUID, got "7"`:                   func(h *placement.Host) { h.NodeUUID = "7" },
		`host "x": cell_uuid: want a UUID, got "` + strings.Repeat("-", 36):   func(h *placement.Host) { h.CellUUID = strings.Repeat("-", 36) },
		`host "x": cell_uuid: want a UUID, got "` + strings.Repeat("a", 36):   func(h *placement.Host) { h.CellUUID = strings.Repeat("a", 36) },
		`host "x": cell_uuid: want a UUID, got "` + strings.Repeat("b", 40):   func(h *placement.Host) { h.CellUUID = strings.Repeat("b", 99) },
		`host "x": vcpus: want 0 to 1099511627776, got -1`:                    func(h *placement.Host) { h.Total.VCPUs = -1 },
		`host "x": disk_gb: want 0 to 1099511627776, got 1099511627777`:       func(h *placement.Host) { h.Total.DiskGB = placement.MaxAmount + 1 },
		`host "x": memory_mb: want 0 to 1099511627776, got -9223372036854775`: func(h *placement.Host) { h.Total.MemoryMB = -1 << 63 },
	} {
		bad := newHost("x", 1, 1, 1)
		change(&bad)
		inv := fleet(t)
		if err := inv.ReportCapacity(bad); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("ReportCapacity = %v, want %s", err, want)
		}
		if len(inv.Snapshot()) != 4 {
			t.Errorf("%s: the host was added all the same", want)
		}
		if _, err := placement.NewInventory([]placement.Host{bad}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("NewInventory = %v, want %s", err, want)
		}
	}
	twice := []placement.Host{newHost("x", 1, 1, 1), newHost("x", 2, 2, 2)}
	if _, err := placement.NewInventory(twice); err == nil || err.Error() != `host "x": twice in the list` {
		t.Errorf("NewInventory = %v, want a complaint about the second x", err)
	}
}

func TestAggregatesOverrideTheZonesOfTheirHosts(t *testing.T) {
	t.Parallel()
	inv := fleet(t) // a and b in az1, c and d in az2
	check := func(step, want string) {
		t.Helper()
		var zones []string
		for _, h := range inv.Snapshot() {
			zones = append(zones, h.Zone)
		}
		if got := strings.Join(zones, " "); got != want {
			t.Errorf("%s: zones = %s, want %s", step, got, want)
		}
	}
	inv.UpdateAggregates([]placement.Aggregate{
		{ID: 2, Hosts: []string{"a", "b", "later"}, Zone: "two"},
		{ID: 1, Hosts: []string{"b"}, Zone: "one"},
		{ID: 0, Hosts: []string{"a", "b", "c"}},
	})
	check("lower ID wins, no zone sets none", "two one az2 az2")
	must(t, inv.ReportCapacity(newHost("later", 1, 1, 1)))
	check("host known after the aggregate", "two one az2 az2 two")
	inv.DeleteAggregate(1)
	check("deleted: next aggregate", "two two az2 az2 two")
	inv.UpdateAggregates([]placement.Aggregate{{ID: 2, Hosts: []string{"d"}, Zone: "two"}})
	check("replaced: other hosts", "az1 az1 az2 two az1")
	inv.DeleteAggregate(2)
	inv.DeleteAggregate(99)
	check("own zones again", "az1 az1 az2 az2 az1")
}

// Every move is one report, so every snapshot must show every instance on exactly one host.
func TestSnapshotsAreWholeWhileReportsArrive(t *testing.T) {
	t.Parallel()
	const instances, rounds = 4, 100
	inv := fleet(t)
	for i := range instances {
		must(t, inv.UpdateInstances("a", []placement.Instance{instance(strconv.Itoa(i), 1)}))
	}
	var wg sync.WaitGroup
	for i := range instances {
		wg.Go(func() {
			for round := range rounds {
				to := []string{"a", "b"}[round%2]
				if err := inv.UpdateInstances(to, []placement.Instance{instance(strconv.Itoa(i), 1)}); err != nil {
					t.Error(err)
				}
				inv.UpdateAggregates([]placement.Aggregate{{ID: int64(i), Hosts: []string{"a"}, Zone: to}})
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for range rounds {
				hosts, sum := inv.Snapshot(), int64(0)
				for _, h := range hosts {
					sum += h.Used.VCPUs
				}
				if sum != instances {
					t.Errorf("a snapshot shows %d instances, want %d", sum, instances)
				}
				if _, err := defaults().Select(hosts, &placement.Request{Need: small, Instances: 3, Alternates: 2}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
