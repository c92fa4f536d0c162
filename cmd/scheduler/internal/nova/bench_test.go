package nova_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// BenchmarkSelectDestinations is what one recorded call costs beside the bus, on 1,000 hosts.
func BenchmarkSelectDestinations(b *testing.B) {
	hosts := make([]placement.Host, 1000)
	for i := range hosts {
		hosts[i] = placement.Host{
			Name: fmt.Sprintf("cmp-%04d", i), NodeUUID: fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", i),
			CellUUID: "cccccccc-0000-4000-8000-000000000001",
			Total:    placement.Resources{VCPUs: 64, MemoryMB: 65536 + int64(i*7919%1000), DiskGB: 4000},
		}
	}
	inventory, err := placement.NewInventory(hosts)
	must(b, err)
	m := nova.NewManager(inventory, placement.NewSelector(placement.DefaultFilters(), placement.DefaultWeighers()))
	text := readFrame(b, "03_select_destinations.json").Body.Message.Inner.Args

	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var args nova.SelectDestinationsArgs
			decode(b, text, &args)
		}
	})
	args := decoded[nova.SelectDestinationsArgs](b, string(text))
	b.Run("select", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.SelectDestinations(b.Context(), args); err != nil {
				b.Fatal(err)
			}
		}
	})
	answer, err := m.SelectDestinations(b.Context(), args)
	must(b, err)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(answer); err != nil {
				b.Fatal(err)
			}
		}
	})
}
