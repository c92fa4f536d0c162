package placement_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// small needs a quarter of the smallest host of fleet.
var small = placement.Resources{VCPUs: 1, MemoryMB: 1024, DiskGB: 10}

// fleet is four hosts, the first the roomiest, in two zones.
func fleet(tb testing.TB) *placement.Inventory {
	tb.Helper()
	hosts := []placement.Host{
		newHost("a", 16, 16384, 400), newHost("b", 8, 8192, 200), newHost("c", 4, 4096, 100), newHost("d", 4, 4096, 100),
	}
	hosts[2].Zone, hosts[3].Zone = "az2", "az2"
	return newInventory(tb, hosts...)
}

func defaults() *placement.Selector {
	return placement.NewSelector(placement.DefaultFilters(), placement.DefaultWeighers())
}

// names shows placements as "host alternate alternate".
func names(placements []placement.Placement) []string {
	var out []string
	for _, p := range placements {
		line := []string{p.Host.Name}
		for _, h := range p.Alternates {
			line = append(line, h.Name)
		}
		out = append(out, strings.Join(line, " "))
	}
	return out
}

func TestSelectTakesTheBestHostThatPasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		req  placement.Request
		want []string
	}{
		{"most free memory first", placement.Request{Need: small, Instances: 1}, []string{"a"}},
		{"alternates in weighed order, ties by name", placement.Request{Need: small, Instances: 1, Alternates: 9}, []string{"a b c d"}},
		{"no more alternates than wanted", placement.Request{Need: small, Instances: 1, Alternates: 2}, []string{"a b c"}},
		{"zone", placement.Request{Need: small, Instances: 1, Alternates: 2, Zone: "az2"}, []string{"c d"}},
		{"forced host", placement.Request{Need: small, Instances: 1, Alternates: 2, ForceHosts: placement.NewNames("D")}, []string{"d"}},
		{"forced node", placement.Request{Need: small, Instances: 1, ForceNodes: placement.NewNames("c.example")}, []string{"c"}},
		{"ignored hosts", placement.Request{Need: small, Instances: 1, Alternates: 2, IgnoreHosts: placement.NewNames("A", "c")}, []string{"b d"}},
		{
			"alternates must fit",
			placement.Request{Need: placement.Resources{VCPUs: 8}, Instances: 1, Alternates: 2},
			[]string{"a b"},
		},
		{
			"instances see what those before them took",
			placement.Request{Need: placement.Resources{MemoryMB: 5000}, Instances: 4},
			[]string{"a", "a", "b", "a"},
		},
		{
			"alternates are hosts without an instance of the request",
			placement.Request{Need: placement.Resources{MemoryMB: 4096}, Instances: 4, Alternates: 2},
			[]string{"a c d", "a c d", "a c d", "b c d"},
		},
		{"no instances", placement.Request{Need: small}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := defaults().Select(fleet(t).Snapshot(), &c.req)
			if err != nil {
				t.Fatalf("Select: %v", err)
			}
			if diff := cmp.Diff(c.want, names(got)); diff != "" {
				t.Errorf("placements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelectTakesAlternatesFromTheCellOfTheHost(t *testing.T) {
	t.Parallel()
	hosts := []placement.Host{
		newHost("a1", 9, 9000, 9), newHost("b1", 9, 8000, 9), newHost("b2", 9, 7000, 9), newHost("a2", 9, 6000, 9),
	}
	hosts[1].CellUUID = "dddddddd-0000-4000-8000-000000000001"
	hosts[2].CellUUID = hosts[1].CellUUID
	req := &placement.Request{Need: placement.Resources{MemoryMB: 2000}, Instances: 3, Alternates: 2}
	got, err := defaults().Select(newInventory(t, hosts...).Snapshot(), req)
	if err != nil {
		t.Fatalf("Select: %v", err)
	}
	if diff := cmp.Diff([]string{"a1 a2", "b1 b2", "a1 a2"}, names(got)); diff != "" {
		t.Errorf("placements (-want +got):\n%s", diff)
	}
}

func TestSelectFailsWholeAndSaysWhichFilterRejected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		hosts []*placement.Host
		req   placement.Request
		want  string
	}{
		{
			"too big", fleet(t).Snapshot(),
			placement.Request{Need: placement.Resources{VCPUs: 999}, Instances: 1},
			"no host for instance 1 of 1: capacity rejected 4",
		},
		{
			"second one too many", fleet(t).Snapshot(),
			placement.Request{Need: placement.Resources{VCPUs: 3}, Instances: 3, Zone: "az2"},
			"no host for instance 3 of 3: zone rejected 2, capacity rejected 2",
		},
		{
			"forced and ignored", fleet(t).Snapshot(),
			placement.Request{Instances: 1, ForceHosts: placement.NewNames("a"), IgnoreHosts: placement.NewNames("a")},
			"no host for instance 1 of 1: ignored_hosts rejected 1, forced_hosts rejected 3",
		},
		{"no hosts", nil, placement.Request{Instances: 2}, "no host for instance 1 of 2: no host is known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := defaults().Select(c.hosts, &c.req)
			var none *placement.NoHostError
			if !errors.As(err, &none) || got != nil {
				t.Fatalf("Select = %v, %v, want a *NoHostError alone", got, err)
			}
			if err.Error() != c.want {
				t.Errorf("error = %q, want %q", err, c.want)
			}
		})
	}
}

func TestSelectLeavesItsHostsAlone(t *testing.T) {
	t.Parallel()
	hosts := fleet(t).Snapshot()
	before := make([]placement.Host, len(hosts))
	for i, h := range hosts {
		before[i] = *h
	}
	req := &placement.Request{Need: small, Instances: 12, Alternates: 2}
	var first []string
	for range 3 {
		got, err := defaults().Select(hosts, req)
		if err != nil {
			t.Fatalf("Select: %v", err)
		}
		if first == nil {
			first = names(got)
		}
		if diff := cmp.Diff(first, names(got)); diff != "" {
			t.Errorf("the same request got another answer (-first +now):\n%s", diff)
		}
	}
	for i, h := range hosts {
		if *h != before[i] {
			t.Errorf("host = %+v, want it unchanged: %+v", *h, before[i])
		}
	}
}

func TestLaterWeighersBreakTiesOnly(t *testing.T) {
	t.Parallel()
	zone2 := placement.WeigherFunc(func(h *placement.Host, _ *placement.Request) float64 {
		if h.Zone == "az2" {
			return 1
		}
		return 0
	})
	byName := placement.WeigherFunc(func(h *placement.Host, _ *placement.Request) float64 { return float64(h.Name[0]) })
	notANumber := placement.WeigherFunc(func(h *placement.Host, _ *placement.Request) float64 {
		if h.Name == "a" || h.Name == "c" {
			return math.NaN()
		}
		return -1e300
	})
	for _, c := range []struct {
		name     string
		weighers []placement.Weigher
		want     string
	}{
		{"first decides", []placement.Weigher{zone2, byName}, "d c b a"},
		{"no weigher, by name", nil, "a b c d"},
		{"not a number is worst", []placement.Weigher{notANumber}, "b d a c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := placement.NewSelector(placement.DefaultFilters(), c.weighers)
			got, err := s.Select(fleet(t).Snapshot(), &placement.Request{Need: small, Instances: 1, Alternates: 3})
			if err != nil {
				t.Fatalf("Select: %v", err)
			}
			if names(got)[0] != c.want {
				t.Errorf("order = %s, want %s", names(got)[0], c.want)
			}
		})
	}
}

// The heap is a short cut; this is the long way: filter and rank every host anew for every instance.
func TestSelectAgreesWithAskingEveryHostEachTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var hosts []placement.Host
		for i := range 1 + rnd.IntN(12) {
			hosts = append(hosts, newHost(fmt.Sprintf("h%02d", i), 1+rnd.Int64N(8), 512*(1+rnd.Int64N(6)), 100))
		}
		snapshot := newInventory(t, hosts...).Snapshot()
		req := &placement.Request{
			Need:       placement.Resources{VCPUs: 1 + rnd.Int64N(3), MemoryMB: 512},
			Instances:  1 + rnd.IntN(12),
			Alternates: rnd.IntN(4),
		}
		got, err := defaults().Select(snapshot, req)
		want := longWay(snapshot, req)
		if (err != nil) != (want == nil) {
			t.Fatalf("seed %d: Select = %v, want %v", seed, err, want)
		}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Fatalf("seed %d (-long way +Select):\n%s", seed, diff)
		}
	}
}

func longWay(snapshot []*placement.Host, req *placement.Request) []string {
	hosts := make([]placement.Host, len(snapshot))
	for i, h := range snapshot {
		hosts[i] = *h
	}
	ranked := func() []*placement.Host {
		var pass []*placement.Host
		for i := range hosts {
			if req.Need.FitsIn(hosts[i].Free()) {
				pass = append(pass, &hosts[i])
			}
		}
		slices.SortStableFunc(pass, func(a, b *placement.Host) int { return int(b.Free().MemoryMB - a.Free().MemoryMB) })
		return pass
	}
	var lines []string
	chosen := map[string]bool{}
	for range req.Instances {
		pass := ranked()
		if len(pass) == 0 {
			return nil
		}
		pass[0].Used = pass[0].Used.Add(req.Need)
		chosen[pass[0].Name] = true
		lines = append(lines, pass[0].Name)
	}
	var alternates []string
	for _, h := range ranked() {
		if !chosen[h.Name] && len(alternates) < req.Alternates {
			alternates = append(alternates, h.Name)
		}
	}
	for i, name := range lines {
		lines[i] = strings.Join(append([]string{name}, alternates...), " ")
	}
	return lines
}
