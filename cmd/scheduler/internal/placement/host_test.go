package placement_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// cell is the cell of hosts that newHost makes.
const cell = "cccccccc-0000-4000-8000-000000000001"

// newHost makes a host that passes every check.
func newHost(name string, vcpus, memoryMB, diskGB int64) placement.Host {
	return placement.Host{
		Name: name, Node: name + ".example", NodeUUID: nodeUUID(name), CellUUID: cell, Zone: "az1",
		Total: placement.Resources{VCPUs: vcpus, MemoryMB: memoryMB, DiskGB: diskGB},
	}
}

// nodeUUID is one UUID for each short name.
func nodeUUID(name string) string {
	hex := fmt.Sprintf("%032x", name)
	hex = hex[len(hex)-32:]
	return strings.Join([]string{hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:]}, "-")
}

func newInventory(tb testing.TB, hosts ...placement.Host) *placement.Inventory {
	tb.Helper()
	inv, err := placement.NewInventory(hosts)
	if err != nil {
		tb.Fatalf("NewInventory: %v", err)
	}
	return inv
}

// host finds a host in the snapshot of now.
func host(tb testing.TB, inv *placement.Inventory, name string) placement.Host {
	tb.Helper()
	for _, h := range inv.Snapshot() {
		if h.Name == name {
			return *h
		}
	}
	tb.Fatalf("host %q is not in the snapshot", name)
	return placement.Host{}
}

func TestResourcesAddNeverTurnsNegative(t *testing.T) {
	t.Parallel()
	huge := placement.Resources{VCPUs: math.MaxInt64, MemoryMB: math.MaxInt64 - 1, DiskGB: 1}
	got := huge.Add(placement.Resources{VCPUs: 1, MemoryMB: 1, DiskGB: 1})
	want := placement.Resources{VCPUs: math.MaxInt64, MemoryMB: math.MaxInt64, DiskGB: 2}
	if got != want {
		t.Errorf("Add = %+v, want %+v", got, want)
	}
}

func TestResourcesFitOnlyWhereEveryNeededOneIsFree(t *testing.T) {
	t.Parallel()
	free := placement.Resources{VCPUs: 2, MemoryMB: 1024, DiskGB: -1}
	for _, c := range []struct {
		need placement.Resources
		want bool
	}{
		{placement.Resources{}, true},
		{placement.Resources{VCPUs: 2, MemoryMB: 1024}, true},
		{placement.Resources{VCPUs: 3, MemoryMB: 1024}, false},
		{placement.Resources{VCPUs: 2, MemoryMB: 1025}, false},
		{placement.Resources{VCPUs: 1, DiskGB: 1}, false},
	} {
		if got := c.need.FitsIn(free); got != c.want {
			t.Errorf("%+v.FitsIn(%+v) = %t, want %t", c.need, free, got, c.want)
		}
	}
}
