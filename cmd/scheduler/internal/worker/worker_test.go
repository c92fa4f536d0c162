package worker_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/memory"
)

func TestRecordedCallsAreAnsweredAsNovaDid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"testdata/01_ping",
		recordings + "/03_select_destinations", // alternates wanted
		recordings + "/05_select_destinations", // dicts, not objects
		recordings + "/07_select_destinations", // no valid host
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			request, reply := readFrame(t, name+".json"), readFrame(t, name+".reply.json")
			got := b.call(t, request.wireBody(t))
			if diff := cmp.Diff(meaning(t, reply.wireBody(t)), meaning(t, got)); diff != "" {
				t.Errorf("reply (-recorded +got):\n%s", diff)
			}
		})
	}
}

// meaning is what a reply says, without what differs from one to the next: ids and the traceback. Sets are
// sorted.
func meaning(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var envelope struct {
		Message string `json:"oslo.message"`
	}
	must(t, json.Unmarshal(body, &envelope))
	var reply map[string]any
	must(t, json.Unmarshal([]byte(envelope.Message), &reply))
	delete(reply, "_msg_id")
	delete(reply, "_unique_id")
	switch failure := reply["failure"].(type) {
	case string:
		var said map[string]any
		must(t, json.Unmarshal([]byte(failure), &said))
		reply["failure"] = said
		delete(said, "tb")
	case map[string]any: // recorded: shown decoded
		said := failure["(decoded JSON string)"].(map[string]any)
		reply["failure"] = said
		delete(said, "tb")
	}
	return sortChanges(reply).(map[string]any)
}

// sortChanges puts every nova_object.changes, which is a set, into one order.
func sortChanges(v any) any {
	switch x := v.(type) {
	case []any:
		for _, item := range x {
			sortChanges(item)
		}
	case map[string]any:
		for key, item := range x {
			sortChanges(item)
			if changes, ok := item.([]any); ok && key == "nova_object.changes" {
				slices.SortFunc(changes, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
		}
	}
	return v
}

func TestRecordedCastsChangeWhatTheyReport(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	cast := func(name string) {
		t.Helper()
		f := readFrame(t, recordings+"/"+name)
		if f.Exchange != "scheduler_fanout" {
			t.Fatalf("%s went to exchange %q, want a fanout", name, f.Exchange)
		}
		must(t, b.broker.Publish(f.Exchange, f.RoutingKeys[0], memory.Publishing{ContentType: "application/json", Body: f.wireBody(t)}))
		_, method, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "_")
		b.await(t, method)
	}
	zone := func() string { return b.worker.Inventory().Snapshot()[0].Zone }

	must(t, b.client.Call(t.Context(), "update_aggregates", map[string]any{
		"aggregates": map[string]any{"id": 1, "hosts": []string{"cmp-a"}, "metadata": map[string]any{"availability_zone": "before"}},
	}, nil))
	b.await(t, "update_aggregates")
	if got := zone(); got != "before" {
		t.Fatalf("zone = %q, want that of the aggregate", got)
	}
	cast("09_update_aggregates.json")
	cast("10_delete_aggregate.json")
	if got := zone(); got != "az1" {
		t.Errorf("zone without the aggregate = %q, want az1", got)
	}
	cast("11_update_instance_info.json")
	cast("12_sync_instance_info.json")
	if got := b.used()["cmp-a"]; got != (placement.Resources{VCPUs: 1}) {
		t.Errorf("used with the instance = %+v, want 1 vcpu", got)
	}
	cast("13_delete_instance_info.json")
	if got := b.used()["cmp-a"]; got != (placement.Resources{}) {
		t.Errorf("used without the instance = %+v, want nothing", got)
	}
}

func TestSelectionsAreTold(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	f := readFrame(t, recordings+"/03_select_destinations.json")
	b.call(t, f.wireBody(t))
	none := readFrame(t, recordings+"/07_select_destinations.json")
	b.call(t, none.wireBody(t))
	want := []any{"11111111-1111-4111-8111-111111111111"}
	if args := <-b.selected; !cmp.Equal(args.InstanceUUIDs, any(want)) {
		t.Errorf("instances = %v, want %v", args.InstanceUUIDs, want)
	}
	if len(b.selected) > 0 {
		t.Errorf("a selection without hosts was told too")
	}
}

func TestPingAnswersWithItsArgument(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	base := b.client.Prepare(messaging.ToNamespace("baseapi"), messaging.ToVersion("1.1"))
	for _, arg := range []string{`null`, `"x"`, `1180591620717411303424`, `1.0`, `{"b": [1, {}], "a": "\u00e9"}`} {
		var got struct {
			Service string          `json:"service"`
			Arg     json.RawMessage `json:"arg"`
		}
		must(t, base.Call(t.Context(), "ping", map[string]any{"arg": json.RawMessage(arg)}, &got))
		if got.Service != "scheduler" || string(got.Arg) != arg {
			t.Errorf("ping(%s) = %q, %s", arg, got.Service, got.Arg)
		}
	}
	var port any = "unset"
	must(t, base.Call(t.Context(), "get_backdoor_port", nil, &port))
	if port != nil {
		t.Errorf("get_backdoor_port = %v, want null", port)
	}
}

func TestCallsFailAsPythonExceptions(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	const dispatcher = "oslo_messaging.rpc.dispatcher"
	for _, c := range []struct {
		namespace, version, method, args string
		class, message                   string
	}{
		{"", "4.5", "select_destinations", `{}`, "builtins.ValueError", "spec_obj: missing"},
		{
			"", "4.5", "select_destinations", `{"spec_obj": {"flavor": {"vcpus": "1", "memory_mb": 1}}}`,
			"builtins.ValueError", "spec_obj.flavor.vcpus: want a number, got string",
		},
		{"", "4.5", "select_destinations", `{"spec": {}}`, "builtins.TypeError", `select_destinations(): unexpected argument "spec"`},
		{
			"", "4.0", "select_destinations", `{"spec_obj": {"flavor": {"vcpus": 99, "memory_mb": 1}}}`,
			"nova.exception.NoValidHost", "No valid host was found. There are not enough hosts available.",
		},
		{"", "4.2", "update_instance_info", `{"instance_info": []}`, "builtins.ValueError", "host_name: missing"},
		{"", "4.2", "delete_aggregate", `{"aggregate": 1}`, "builtins.ValueError", "aggregate: want an object, got number"},
		{"", "4.5", "launch_rocket", `{}`, dispatcher + ".NoSuchMethod", "Endpoint does not support RPC method launch_rocket"},
		{
			"", "4.6", "select_destinations", `{}`,
			dispatcher + ".UnsupportedVersion", "Endpoint does not support RPC version 4.6. Attempted method: select_destinations",
		},
		{
			"", "3.0", "select_destinations", `{}`,
			dispatcher + ".UnsupportedVersion", "Endpoint does not support RPC version 3.0. Attempted method: select_destinations",
		},
		{
			"baseapi", "1.2", "ping", `{"arg": 1}`,
			dispatcher + ".UnsupportedVersion", "Endpoint does not support RPC version 1.2. Attempted method: ping",
		},
		{"baseapi", "1.0", "ping", `{}`, "builtins.TypeError", `ping(): missing argument "arg"`},
		{"baseapi", "1.1", "get_backdoor_port", `{"x": 1}`, "builtins.TypeError", `get_backdoor_port(): unexpected argument "x"`},
		{"capacity", "1.0", "report_capacity", `{"host": {"service_host": "cmp-e"}}`, "builtins.ValueError", "host: vcpus: missing"},
	} {
		client := b.client.Prepare(messaging.ToNamespace(c.namespace), messaging.ToVersion(c.version))
		err := client.Call(t.Context(), c.method, json.RawMessage(c.args), nil)
		var remote *messaging.RemoteError
		if !errors.As(err, &remote) {
			t.Errorf("%s(%s) = %v, want a failure", c.method, c.args, err)
			continue
		}
		if got := remote.Module + "." + remote.Class; got != c.class || remote.Message != c.message {
			t.Errorf("%s(%s) failed as %s: %s\nwant %s: %s", c.method, c.args, got, remote.Message, c.class, c.message)
		}
		if !cmp.Equal(remote.Args, []any{c.message}) {
			t.Errorf("%s(%s): args of the exception = %v, want the message", c.method, c.args, remote.Args)
		}
	}
}

func TestNoValidHostCarriesReasonAndCode(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	err := b.client.Call(t.Context(), "select_destinations", json.RawMessage(`{"spec_obj": {"flavor": {"vcpus": 99, "memory_mb": 1}}}`), nil)
	var remote *messaging.RemoteError
	if !errors.As(err, &remote) {
		t.Fatalf("select_destinations = %v, want a failure", err)
	}
	want := map[string]any{"reason": "There are not enough hosts available.", "code": json.Number("500")}
	if diff := cmp.Diff(want, remote.Kwargs); diff != "" {
		t.Errorf("kwargs (-want +got):\n%s", diff)
	}
	if got := b.logged(logrus.DebugLevel, "no valid host"); got != "no host for instance 1 of 1: capacity rejected 4" {
		t.Errorf("the log says %q, want which filter rejected", got)
	}
}

// logged is the error of the only line with that level and message.
func (b *bus) logged(level logrus.Level, message string) string {
	var found []string
	for _, e := range b.logs.AllEntries() {
		if e.Level == level && e.Message == message {
			found = append(found, e.Data[logrus.ErrorKey].(error).Error())
		}
	}
	return strings.Join(found, "; ")
}

func TestReportsThatAreDroppedAreLogged(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	// Called, not cast, so that they have run; what is logged is the same.
	must(t, b.client.Call(t.Context(), "sync_instance_info", map[string]any{"host_name": "cmp-z", "instance_uuids": []string{}}, nil))
	if err := b.client.Call(t.Context(), "sync_instance_info", map[string]any{"host_name": 1}, nil); err == nil {
		t.Error("a report without a host's name was taken")
	}
	if got, want := b.logged(logrus.DebugLevel, "report dropped"), `sync_instance_info: unknown host "cmp-z"`; got != want {
		t.Errorf("logged at debug: %q, want %q", got, want)
	}
	if got, want := b.logged(logrus.WarnLevel, "report dropped"), `host_name: want a string, got number`; got != want {
		t.Errorf("logged as a warning: %q, want %q", got, want)
	}
}

func TestReportedHostsAreSelected(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	capacity := b.client.Prepare(messaging.ToNamespace("capacity"), messaging.ToVersion("1.0"))
	must(t, capacity.Fanout(t.Context(), "report_capacity", map[string]any{"host": map[string]any{
		"service_host": "cmp-e", "vcpus": 64, "memory_mb": 65536, "disk_gb": 1000,
		"compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000005", "cell_uuid": "cccccccc-0000-4000-8000-000000000001",
	}}))
	b.await(t, "report_capacity")
	got, err := messaging.Call[[]nova.HostDict](t.Context(), b.client, "select_destinations",
		json.RawMessage(`{"spec_obj": {"flavor": {"vcpus": 1, "memory_mb": 1}}}`))
	must(t, err)
	if len(got) != 1 || got[0].Host != "cmp-e" {
		t.Errorf("select_destinations = %+v, want the new host, which is the largest", got)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	tr := messaging.NewTransport(memory.New())
	on := messaging.Target{Topic: "scheduler", Server: "s"}
	host := placement.Host{
		Name: "a", NodeUUID: "aaaaaaaa-0000-4000-8000-000000000001", CellUUID: "cccccccc-0000-4000-8000-000000000001",
	}
	for want, try := range map[string]func() (*worker.Worker, error){
		`host "a": twice in the list`: func() (*worker.Worker, error) {
			return worker.New(tr, on, worker.Config{Hosts: []placement.Host{host, host}})
		},
		"rpcservice: Config.Host is empty": func() (*worker.Worker, error) {
			return worker.New(tr, messaging.Target{Topic: "scheduler"}, worker.Config{})
		},
		`rpcservice: unknown executor "x": want blocking, threading or pool`: func() (*worker.Worker, error) {
			return worker.New(tr, on, worker.Config{}, messaging.WithExecutor(executor.Type("x")))
		},
	} {
		if w, err := try(); w != nil || err == nil || err.Error() != want {
			t.Errorf("New = %v, %v, want %s", w, err, want)
		}
	}
	must(t, tr.Close(t.Context()))
}
