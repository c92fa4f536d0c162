package nova_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// call decodes arguments and calls the method that nova calls so.
func call(tb testing.TB, m *nova.Manager, method, text string) error {
	tb.Helper()
	switch method {
	case "update_aggregates":
		return m.UpdateAggregates(tb.Context(), decoded[nova.UpdateAggregatesArgs](tb, text))
	case "delete_aggregate":
		return m.DeleteAggregate(tb.Context(), decoded[nova.DeleteAggregateArgs](tb, text))
	case "update_instance_info":
		return m.UpdateInstanceInfo(tb.Context(), decoded[nova.UpdateInstanceInfoArgs](tb, text))
	case "delete_instance_info":
		return m.DeleteInstanceInfo(tb.Context(), decoded[nova.DeleteInstanceInfoArgs](tb, text))
	case "sync_instance_info":
		return m.SyncInstanceInfo(tb.Context(), decoded[nova.SyncInstanceInfoArgs](tb, text))
	case "report_capacity":
		return m.ReportCapacity(tb.Context(), decoded[nova.ReportCapacityArgs](tb, text))
	}
	tb.Fatalf("no method %s", method)
	return nil
}

func decoded[Args any](tb testing.TB, text string) Args {
	tb.Helper()
	var args Args
	decode(tb, []byte(text), &args)
	return args
}

// newHost is the arguments of report_capacity for a host larger than the recorded ones.
const newHost = `{"host": {"service_host": "cmp-e", "nodename": "cmp-e.example",
	"compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000005", "cell_uuid": "cccccccc-0000-4000-8000-000000000001",
	"availability_zone": "az3", "vcpus": 64, "memory_mb": 65536, "disk_gb": 1000}}`

func TestReportsCountAtTheNextSelection(t *testing.T) {
	t.Parallel()
	m, inventory := newManager(t)
	// state is each host's zone, used vcpus, MiB and GiB, where they are not the file's.
	state := func() string {
		var parts []string
		for _, h := range inventory.Snapshot() {
			zone := map[string]string{"cmp-a": "az1", "cmp-b": "az1", "cmp-c": "az2", "cmp-d": "az2"}[h.Name]
			if h.Used != (placement.Resources{}) || h.Zone != zone {
				parts = append(parts, fmt.Sprintf("%s %s %d %d %d", h.Name[4:], h.Zone, h.Used.VCPUs, h.Used.MemoryMB, h.Used.DiskGB))
			}
		}
		return strings.Join(parts, ", ")
	}
	for _, step := range []struct{ method, args, want string }{
		{
			"update_instance_info",
			`{"host_name": "cmp-a", "instance_info": {"nova_object.name": "InstanceList", "nova_object.data": {"objects": [
				{"nova_object.data": {"uuid": "1", "vcpus": 2, "memory_mb": 1024, "root_gb": 5, "ephemeral_gb": 3}},
				{"nova_object.data": {"uuid": "2", "vcpus": 1, "flavor": ` + flavor(`"vcpus": 9, "memory_mb": 2048, "root_gb": 1, "swap": 1`) + `}}]}}}`,
			"a az1 3 3072 10",
		},
		{
			"update_instance_info", // one instance alone, which replaces and moves
			`{"host_name": "cmp-b", "instance_info": {"nova_object.data": {"uuid": "1", "vcpus": 1}}}`,
			"a az1 1 2048 2, b az1 1 0 0",
		},
		{"update_instance_info", `{"host_name": "cmp-b", "instance_info": [{"uuid": "3"}]}`, "a az1 1 2048 2, b az1 1 0 0"},
		{"update_instance_info", `{"host_name": "cmp-b", "instance_info": null}`, "a az1 1 2048 2, b az1 1 0 0"},
		{"sync_instance_info", `{"host_name": "cmp-b", "instance_uuids": ["1"]}`, "a az1 1 2048 2, b az1 1 0 0"},
		{"delete_instance_info", `{"host_name": "cmp-b", "instance_uuid": "1"}`, "a az1 1 2048 2"},
		{"sync_instance_info", `{"host_name": "cmp-a", "instance_uuids": null}`, ""},
		{
			"update_aggregates",
			`{"aggregates": {"nova_object.name": "AggregateList", "nova_object.data": {"objects": [
				{"nova_object.data": {"id": 1, "hosts": ["cmp-a", "cmp-x"], "metadata": {"availability_zone": "one", "ssd": "true"}}},
				{"nova_object.data": {"id": 2, "hosts": ["cmp-b"], "metadata": {}}}]}}}`,
			"a one 0 0 0",
		},
		{"update_aggregates", `{"aggregates": [{"id": 2, "hosts": ["cmp-b"], "metadata": {"availability_zone": "two"}}]}`, "a one 0 0 0, b two 0 0 0"},
		{"update_aggregates", `{"aggregates": {"id": 1, "hosts": null, "metadata": null}}`, "b two 0 0 0"},
		{"delete_aggregate", `{"aggregate": {"nova_object.data": {"id": 2}}}`, ""},
		{"report_capacity", newHost, "e az3 0 0 0"},
	} {
		must(t, call(t, m, step.method, step.args))
		if got := state(); got != step.want {
			t.Fatalf("after %s(%.99s): %s, want %s", step.method, step.args, got, step.want)
		}
	}
	got, err := m.SelectDestinations(t.Context(), arguments(t, spec(smallFlavor, rich)))
	must(t, err)
	if diff := cmp.Diff([]string{"cmp-e cmp-a cmp-b"}, hosts(got)); diff != "" {
		t.Errorf("hosts with the new one (-want +got):\n%s", diff)
	}
}

func TestFullHostsAreNotSelected(t *testing.T) {
	t.Parallel()
	m, _ := newManager(t)
	must(t, call(t, m, "update_instance_info", `{"host_name": "cmp-a", "instance_info": [{"uuid": "1", "vcpus": 16}]}`))
	got, err := m.SelectDestinations(t.Context(), arguments(t, spec(smallFlavor, rich)))
	must(t, err)
	if diff := cmp.Diff([]string{"cmp-b cmp-c cmp-d"}, hosts(got)); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestReportsOfUnknownHostsSaySo(t *testing.T) {
	t.Parallel()
	m, inventory := newManager(t)
	for method, args := range map[string]string{
		"update_instance_info": `{"host_name": "cmp-z", "instance_info": [{"uuid": "1"}]}`,
		"delete_instance_info": `{"host_name": "cmp-z", "instance_uuid": "1"}`,
		"sync_instance_info":   `{"host_name": "cmp-z", "instance_uuids": []}`,
	} {
		want := method + `: unknown host "cmp-z"`
		if err := call(t, m, method, args); !errors.Is(err, placement.ErrUnknownHost) || err.Error() != want {
			t.Errorf("%s = %v, want %s", method, err, want)
		}
	}
	if got := inventory.UnknownReports(); got != 3 {
		t.Errorf("UnknownReports = %d, want 3", got)
	}
}

func TestReportsNameTheWrongArgument(t *testing.T) {
	t.Parallel()
	instanceInfo := func(list string) string { return `{"host_name": "cmp-a", "instance_info": ` + list + `}` }
	for _, c := range []struct{ method, args, want string }{
		{"update_aggregates", `{"aggregates": 7}`, "aggregates: want a list, got number"},
		{"update_aggregates", `{"aggregates": [null]}`, "aggregates[0]: want an object, got null"},
		{"update_aggregates", `{"aggregates": [[]]}`, "aggregates[0]: want an object, got list"},
		{"update_aggregates", `{"aggregates": {"nova_object.data": []}}`, "aggregates.nova_object.data: want an object, got list"},
		{"update_aggregates", `{"aggregates": {"objects": {}}}`, "aggregates.objects: want a list, got object"},
		{"update_aggregates", `{"aggregates": [{}]}`, "aggregates[0].id: missing"},
		{"update_aggregates", `{"aggregates": [{"id": "x"}]}`, "aggregates[0].id: want a number, got string"},
		{"update_aggregates", `{"aggregates": [{"id": 1, "hosts": [1]}]}`, "aggregates[0].hosts[0]: want a string, got number"},
		{"update_aggregates", `{"aggregates": [{"id": 1, "metadata": "x"}]}`, "aggregates[0].metadata: want an object, got string"},
		{
			"update_aggregates", `{"aggregates": [{"id": 1, "metadata": {"availability_zone": false}}]}`,
			"aggregates[0].metadata.availability_zone: want a string, got boolean",
		},
		{"delete_aggregate", `{}`, "aggregate.id: missing"},
		{"delete_aggregate", `{"aggregate": 1}`, "aggregate: want an object, got number"},
		{"update_instance_info", `{}`, "host_name: missing"},
		{"update_instance_info", `{"host_name": 1}`, "host_name: want a string, got number"},
		{"update_instance_info", instanceInfo(`"x"`), "instance_info: want a list, got string"},
		{"update_instance_info", instanceInfo(`{"nova_object.data": {"objects": [{}]}}`), "instance_info.objects[0].uuid: missing"},
		{"update_instance_info", instanceInfo(`[{"uuid": "1"}, {"uuid": 2}]`), "instance_info[1].uuid: want a string, got number"},
		{"update_instance_info", instanceInfo(`[{"uuid": "1", "vcpus": "2"}]`), "instance_info[0].vcpus: want a number, got string"},
		{"update_instance_info", instanceInfo(`[{"uuid": "1", "flavor": 1}]`), "instance_info[0].flavor: want an object, got number"},
		{"update_instance_info", instanceInfo(`[{"uuid": "1", "flavor": {"swap": "1"}}]`), "instance_info[0].flavor.swap: want a number, got string"},
		{"delete_instance_info", `{"instance_uuid": "1"}`, "host_name: missing"},
		{"delete_instance_info", `{"host_name": "cmp-a"}`, "instance_uuid: missing"},
		{"sync_instance_info", `{"instance_uuids": []}`, "host_name: missing"},
		{"sync_instance_info", `{"host_name": "cmp-a", "instance_uuids": {}}`, "instance_uuids: want a list, got object"},
		{"report_capacity", `{}`, "host: missing"},
		{"report_capacity", `{"host": null}`, "host: vcpus: missing"},
		{"report_capacity", `{"host": []}`, "host: want an object, got array"},
		{"report_capacity", strings.Replace(newHost, "64", "-64", 1), "host: vcpus: want 0 to 1099511627776, got -64"},
	} {
		m, inventory := newManager(t)
		before := inventory.Snapshot()
		err := call(t, m, c.method, c.args)
		var wrong *nova.ArgumentError
		if !errors.As(err, &wrong) || err.Error() != c.want {
			t.Errorf("%s(%s) = %v, want %s", c.method, c.args, err, c.want)
		}
		if diff := cmp.Diff(before, inventory.Snapshot()); diff != "" {
			t.Errorf("%s(%s) failed and changed hosts:\n%s", c.method, c.args, diff)
		}
	}
}

// A Go client may build its call from the same structs.
func TestArgumentsSendOnlyWhatIsSet(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(nova.SelectDestinationsArgs{SpecObj: map[string]any{}, ReturnObjects: true})
	must(t, err)
	if want := `{"spec_obj":{},"return_objects":true}`; string(text) != want {
		t.Errorf("arguments = %s, want %s", text, want)
	}
}
