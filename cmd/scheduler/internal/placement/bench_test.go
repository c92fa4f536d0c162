package placement_test

import (
	"fmt"
	"testing"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// thousand is an inventory of 1,000 hosts of different sizes.
func thousand(tb testing.TB) *placement.Inventory {
	tb.Helper()
	hosts := make([]placement.Host, 1000)
	for i := range hosts {
		hosts[i] = newHost(fmt.Sprintf("cmp-%04d", i), 64, 65536+512*int64(i*7919%1000), 4000)
	}
	return newInventory(tb, hosts...)
}

func BenchmarkSelectOf1000Hosts(b *testing.B) {
	hosts := thousand(b).Snapshot()
	for _, instances := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("instances=%d", instances), func(b *testing.B) {
			req := &placement.Request{Need: small, Instances: instances, Alternates: 2}
			selector := defaults()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := selector.Select(hosts, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReportTo1000Hosts(b *testing.B) {
	inv := thousand(b)
	report := []placement.Instance{instance("i", 1)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := inv.UpdateInstances(fmt.Sprintf("cmp-%04d", i%1000), report); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSelectWhileReportsArrive(b *testing.B) {
	inv, selector := thousand(b), defaults()
	req := &placement.Request{Need: small, Instances: 1, Alternates: 2}
	report := []placement.Instance{instance("i", 1)}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if i%10 == 0 {
				if err := inv.UpdateInstances(fmt.Sprintf("cmp-%04d", i%1000), report); err != nil {
					b.Error(err)
				}
			}
			if _, err := selector.Select(inv.Snapshot(), req); err != nil {
				b.Error(err)
			}
		}
	})
}
