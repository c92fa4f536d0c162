package nova_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// flavor is an object with these fields in its envelope.
func flavor(fields string) string {
	return `{"nova_object.name": "Flavor", "nova_object.version": "9.9", "nova_object.data": {` + fields + `}}`
}

// spec is the arguments with a RequestSpec of these fields, then more arguments.
func spec(fields, more string) string {
	return `{"spec_obj": {"nova_object.name": "RequestSpec", "nova_object.data": {` + fields + `}}` + more + `}`
}

const (
	small = `"vcpus": 1, "memory_mb": 512, "root_gb": 1, "ephemeral_gb": 0, "swap": 0`
	two   = `, "instance_uuids": ["i1", "i2"]`
	rich  = `, "return_objects": true, "return_alternates": true`
)

var smallFlavor = `"flavor": ` + flavor(small)

func arguments(tb testing.TB, text string) nova.SelectDestinationsArgs {
	tb.Helper()
	var args nova.SelectDestinationsArgs
	decode(tb, []byte(text), &args)
	return args
}

// hosts shows an answer of either form: one line for each instance.
func hosts(result any) []string {
	lines := []string{}
	switch answer := result.(type) {
	case []nova.HostDict:
		for _, d := range answer {
			lines = append(lines, d.Host+"/"+d.NodeName)
		}
	case [][]nova.Selection:
		for _, list := range answer {
			var names []string
			for _, s := range list {
				names = append(names, s.Data.ServiceHost)
			}
			lines = append(lines, strings.Join(names, " "))
		}
	}
	return lines
}

func TestSelectDestinationsObeysTheRequest(t *testing.T) {
	t.Parallel()
	eight := `"flavor": ` + flavor(`"vcpus": 8, "memory_mb": 1`)
	half := `"flavor": ` + flavor(`"vcpus": 1, "memory_mb": 17000`)
	for _, c := range []struct {
		name, args string
		want       []string // nil for no valid host
	}{
		{"one host and alternates", spec(smallFlavor, rich), []string{"cmp-a cmp-b cmp-c"}},
		{"no alternates without objects", spec(smallFlavor, `, "return_alternates": true`), []string{"cmp-a/cmp-a.example"}},
		{"no alternates unless asked", spec(smallFlavor, `, "return_objects": true`), []string{"cmp-a"}},
		{"alternates must fit", spec(eight, rich), []string{"cmp-a cmp-b"}},
		{"a second instance goes where the first left room", spec(eight, rich+`, "instance_uuids": ["1", "2", "3"]`), []string{"cmp-a", "cmp-a", "cmp-b"}},
		{"one instance too many fails them all", spec(half, two), nil},
		{"uuids count more than num_instances", spec(smallFlavor+`, "num_instances": 7`, two), []string{"cmp-a/cmp-a.example", "cmp-a/cmp-a.example"}},
		{"no uuids, num_instances counts", spec(eight+`, "num_instances": 3`, `, "instance_uuids": []`), []string{"cmp-a/cmp-a.example", "cmp-a/cmp-a.example", "cmp-b/cmp-b.example"}},
		{"num_instances may be none", spec(smallFlavor+`, "num_instances": 0`, rich), []string{}},
		{"forced host", spec(smallFlavor+`, "force_hosts": ["CMP-D"]`, rich), []string{"cmp-d"}},
		{"forced node", spec(smallFlavor+`, "force_nodes": ["cmp-c.example"]`, rich), []string{"cmp-c"}},
		{"forced host without room", spec(eight+`, "force_hosts": ["cmp-d"]`, rich), nil},
		{"forced host that nobody knows", spec(smallFlavor+`, "force_hosts": ["cmp-z"]`, rich), nil},
		{"ignored hosts", spec(smallFlavor+`, "ignore_hosts": ["cmp-a", "cmp-c"]`, rich), []string{"cmp-b cmp-d"}},
		{"zone", spec(smallFlavor+`, "availability_zone": "az2"`, rich), []string{"cmp-c cmp-d"}},
		{"unknown zone", spec(smallFlavor+`, "availability_zone": "az9"`, rich), nil},
		{"a volume takes no disk", spec(`"is_bfv": true, "flavor": `+flavor(`"vcpus": 1, "memory_mb": 1, "root_gb": 9000`), rich), []string{"cmp-a cmp-b cmp-c"}},
		{"numbers with a point", spec(`"flavor": `+flavor(`"vcpus": 8.0, "memory_mb": 1e3`), rich), []string{"cmp-a cmp-b"}},
		{"plain dicts for objects", `{"spec_obj": {"flavor": {` + small + `}}}`, []string{"cmp-a/cmp-a.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, _ := newManager(t)
			got, err := m.SelectDestinations(t.Context(), arguments(t, c.args))
			var none *nova.NoValidHostError
			if c.want == nil {
				if !errors.As(err, &none) || none.Reason != "There are not enough hosts available." {
					t.Errorf("SelectDestinations = %v, %v, want no valid host", got, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("SelectDestinations: %v", err)
			}
			if diff := cmp.Diff(c.want, hosts(got)); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelectDestinationsServesOlderCallers(t *testing.T) {
	t.Parallel()
	eight := `{"vcpus": 8, "memory_mb": 512, "root_gb": 1, "ephemeral_gb": 0, "swap": 0, "extra_specs": {}}`
	legacy := func(request, filters string) string {
		return `{"request_spec": {"image": {}, ` + request + `}, "filter_properties": ` + filters + `}`
	}
	for _, c := range []struct {
		name, args, want string
	}{
		{"4.4", spec(smallFlavor, two), "a a"},
		{"4.3", spec(`"flavor": `+eight+`, "num_instances": 3`, ""), "a a b"},
		{"4.2", legacy(`"num_instances": 3, "instance_type": `+eight, `{}`), "a a b"},
		{"4.1, one instance when not said", legacy(`"instance_type": `+eight, `null`), "a"},
		{"4.0, flavor an object", legacy(`"num_instances": 1, "instance_type": `+flavor(small), `{"retry": {"num_attempts": 1}}`), "a"},
		{"4.0, forced host", legacy(`"instance_type": `+eight, `{"force_hosts": ["cmp-b"], "force_nodes": []}`), "b"},
		{"4.0, forced node", legacy(`"instance_type": {`+small+`}`, `{"force_nodes": ["cmp-d.example"]}`), "d"},
		{"4.0, ignored host", legacy(`"instance_type": `+eight, `{"ignore_hosts": ["cmp-a"]}`), "b"},
		{"4.0, zone", legacy(`"instance_type": {`+small+`}, "instance_properties": {"availability_zone": "az2", "uuid": "x"}`, `{}`), "c"},
		{
			"4.0, zone of an instance object",
			legacy(`"instance_type": {`+small+`}, "instance_properties": {"nova_object.data": {"availability_zone": "az2"}}`, `{}`), "c",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, _ := newManager(t)
			got, err := m.SelectDestinations(t.Context(), arguments(t, c.args))
			if err != nil {
				t.Fatalf("SelectDestinations: %v", err)
			}
			var want []any
			for name := range strings.FieldsSeq(c.want) {
				want = append(want, map[string]any{"host": "cmp-" + name, "nodename": "cmp-" + name + ".example", "limits": map[string]any{}})
			}
			if diff := cmp.Diff(any(want), onWire(t, got)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllocationRequestIsWrittenAsPythonDoes(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		small: `"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1`,
		`"vcpus": 2, "memory_mb": 64, "root_gb": 3, "ephemeral_gb": 4, "swap": 1`:    `"VCPU": 2, "MEMORY_MB": 64, "DISK_GB": 8`,
		`"vcpus": 2, "memory_mb": 64, "root_gb": 3, "ephemeral_gb": 0, "swap": 1024`: `"VCPU": 2, "MEMORY_MB": 64, "DISK_GB": 4`,
		`"vcpus": 2, "memory_mb": 64, "root_gb": 3, "ephemeral_gb": 0, "swap": 1025`: `"VCPU": 2, "MEMORY_MB": 64, "DISK_GB": 5`,
		`"vcpus": 2, "memory_mb": 64, "root_gb": 0, "swap": null`:                    `"VCPU": 2, "MEMORY_MB": 64`,
		`"vcpus": 0, "memory_mb": 64, "root_gb": 1`:                                  `"MEMORY_MB": 64, "DISK_GB": 1`,
		`"vcpus": 0, "memory_mb": 0`:                                                 ``,
	} {
		m, _ := newManager(t)
		got, err := m.SelectDestinations(t.Context(), arguments(t, spec(`"flavor": `+flavor(fields), rich)))
		if err != nil {
			t.Fatalf("SelectDestinations: %v", err)
		}
		want = `{"allocations": {"aaaaaaaa-0000-4000-8000-000000000001": {"resources": {` + want + `}}}}`
		if text := got.([][]nova.Selection)[0][0].Data.AllocationRequest; text != want {
			t.Errorf("allocation_request = %s\nwant %s", text, want)
		}
	}
}

func TestSelectionOfAHostWithoutZoneSaysNull(t *testing.T) {
	t.Parallel()
	m, inventory := newManager(t)
	host := *inventory.Snapshot()[0]
	host.Zone = ""
	must(t, inventory.ReportCapacity(host))
	got, err := m.SelectDestinations(t.Context(), arguments(t, spec(smallFlavor, rich)))
	if err != nil {
		t.Fatalf("SelectDestinations: %v", err)
	}
	if zone := got.([][]nova.Selection)[0][0].Data.AvailabilityZone; zone != nil {
		t.Errorf("availability_zone = %q, want null", *zone)
	}
}

func TestSchedulerHintsReachFilters(t *testing.T) {
	t.Parallel()
	_, inventory := newManager(t)
	hint := placement.NewFilter("hint", func(host *placement.Host, req *placement.Request) bool {
		wanted, _ := req.Hints["only"].([]any)
		return len(wanted) == 1 && wanted[0] == host.Name
	})
	m := nova.NewManager(inventory, placement.NewSelector(append(placement.DefaultFilters(), hint), placement.DefaultWeighers()))
	hints := `"scheduler_hints": {"only": ["cmp-c"]}`
	for _, args := range []string{
		spec(smallFlavor+", "+hints, ""),
		`{"request_spec": {"instance_type": {` + small + `}}, "filter_properties": {` + hints + `}}`,
	} {
		got, err := m.SelectDestinations(t.Context(), arguments(t, args))
		if err != nil {
			t.Fatalf("SelectDestinations: %v", err)
		}
		if diff := cmp.Diff([]string{"cmp-c/cmp-c.example"}, hosts(got)); diff != "" {
			t.Errorf("hosts (-want +got):\n%s", diff)
		}
	}
}

func TestMethodsDoNothingOnceTheContextHasEnded(t *testing.T) {
	t.Parallel()
	late := errors.New("deadline of the caller")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(late)
	m, _ := newManager(t)
	_, err := m.SelectDestinations(ctx, nova.SelectDestinationsArgs{})
	for method, err := range map[string]error{
		"select_destinations":  err,
		"update_aggregates":    m.UpdateAggregates(ctx, nova.UpdateAggregatesArgs{}),
		"delete_aggregate":     m.DeleteAggregate(ctx, nova.DeleteAggregateArgs{}),
		"update_instance_info": m.UpdateInstanceInfo(ctx, nova.UpdateInstanceInfoArgs{}),
		"delete_instance_info": m.DeleteInstanceInfo(ctx, nova.DeleteInstanceInfoArgs{}),
		"sync_instance_info":   m.SyncInstanceInfo(ctx, nova.SyncInstanceInfoArgs{}),
		"report_capacity":      m.ReportCapacity(ctx, nova.ReportCapacityArgs{}),
	} {
		if !errors.Is(err, late) {
			t.Errorf("%s = %v, want the cause of the context", method, err)
		}
	}
}

func TestManagerServesManyAtOnce(t *testing.T) {
	t.Parallel()
	const rounds = 50
	m, inventory := newManager(t)
	args := arguments(t, spec(smallFlavor, two+rich))
	update := recorded[nova.UpdateInstanceInfoArgs](t, "11_update_instance_info.json")
	aggregates := recorded[nova.UpdateAggregatesArgs](t, "09_update_aggregates.json")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				got, err := m.SelectDestinations(t.Context(), args)
				if diff := cmp.Diff([]string{"cmp-a cmp-b cmp-c", "cmp-a cmp-b cmp-c"}, hosts(got)); err != nil || diff != "" {
					t.Errorf("SelectDestinations = %v, %v", got, err)
				}
			}
		})
		wg.Go(func() {
			for i := range rounds {
				update := update
				update.HostName = fmt.Sprintf("cmp-%c", 'a'+i%4)
				if err := errors.Join(m.UpdateInstanceInfo(t.Context(), update), m.UpdateAggregates(t.Context(), aggregates)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var used int64
	for _, h := range inventory.Snapshot() {
		used += h.Used.VCPUs
	}
	if used != 1 {
		t.Errorf("used vcpus = %d, want the one instance on one host", used)
	}
}
