package nova_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// frame is a recorded message, the JSON text within it shown decoded.
type frame struct {
	Body struct {
		Message struct {
			Inner struct {
				Method  string          `json:"method"`
				Args    json.RawMessage `json:"args"`
				Result  any             `json:"result"`
				Failure *struct {
					Inner failure `json:"(decoded JSON string)"`
				} `json:"failure"`
			} `json:"(decoded JSON string)"`
		} `json:"oslo.message"`
	} `json:"body"`
}

// failure is what travels of an exception, but for its traceback.
type failure struct {
	Class   string         `json:"class"`
	Message string         `json:"message"`
	Args    []string       `json:"args"`
	Kwargs  map[string]any `json:"kwargs"`
}

func readFrame(tb testing.TB, name string) frame {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var f frame
	decode(tb, text, &f)
	return f
}

// decode reads JSON as the bus does: numbers stay text.
func decode(tb testing.TB, text []byte, into any) {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		tb.Fatalf("decode %.80s: %v", text, err)
	}
}

// recorded decodes the arguments of a recorded request.
func recorded[Args any](tb testing.TB, name string) Args {
	tb.Helper()
	var args Args
	decode(tb, readFrame(tb, name).Body.Message.Inner.Args, &args)
	return args
}

// newManager makes a manager of the recorded hosts: cmp-a to cmp-d, each half the one before.
func newManager(tb testing.TB) (*nova.Manager, *placement.Inventory) {
	tb.Helper()
	hosts, err := placement.LoadHosts(filepath.Join("testdata", "hosts.json"))
	if err != nil {
		tb.Fatal(err)
	}
	inventory, err := placement.NewInventory(hosts)
	if err != nil {
		tb.Fatal(err)
	}
	selector := placement.NewSelector(placement.DefaultFilters(), placement.DefaultWeighers())
	return nova.NewManager(inventory, selector), inventory
}

// onWire is a result after its way over the bus.
func onWire(tb testing.TB, result any) any {
	tb.Helper()
	text, err := json.Marshal(result)
	if err != nil {
		tb.Fatalf("encode the result: %v", err)
	}
	var back any
	decode(tb, text, &back)
	return back
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

func TestSelectDestinationsAnswersRecordedRequestsAsNovaDid(t *testing.T) {
	t.Parallel()
	requests, err := filepath.Glob("testdata/*select_destinations.json")
	if err != nil || len(requests) != 3 {
		t.Fatalf("recorded requests = %v, %v, want three", requests, err)
	}
	for _, path := range requests {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reply := readFrame(t, strings.TrimSuffix(name, ".json")+".reply.json").Body.Message.Inner
			m, _ := newManager(t)
			args := recorded[nova.SelectDestinationsArgs](t, name)
			for range 2 { // nothing is claimed by the first time
				got, err := m.SelectDestinations(t.Context(), args)
				if reply.Failure != nil {
					checkFailure(t, reply.Failure.Inner, err)
					continue
				}
				if err != nil {
					t.Fatalf("SelectDestinations: %v", err)
				}
				if diff := cmp.Diff(sortChanges(reply.Result), sortChanges(onWire(t, got))); diff != "" {
					t.Errorf("result (-recorded +got):\n%s", diff)
				}
			}
		})
	}
}

func checkFailure(t *testing.T, want failure, err error) {
	t.Helper()
	var none *nova.NoValidHostError
	if !errors.As(err, &none) {
		t.Fatalf("SelectDestinations = %v, want a *NoValidHostError", err)
	}
	got := failure{
		Class:   "NoValidHost",
		Message: none.Error(),
		Args:    []string{none.Error()},
		Kwargs:  map[string]any{"reason": none.Reason, "code": json.Number("500")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failure (-recorded +got):\n%s", diff)
	}
	var why *placement.NoHostError
	if !errors.As(err, &why) {
		t.Errorf("the error hides which filter rejected: %v", err)
	}
}

func TestRecordedReportsChangeWhatTheyReport(t *testing.T) {
	t.Parallel()
	m, inventory := newManager(t)
	first := func() placement.Host { return *inventory.Snapshot()[0] }

	aggregates := recorded[nova.UpdateAggregatesArgs](t, "09_update_aggregates.json")
	rename(t, aggregates.Aggregates, "az-new")
	must(t, m.UpdateAggregates(t.Context(), aggregates))
	if got := first().Zone; got != "az-new" {
		t.Errorf("zone after update_aggregates = %q, want az-new", got)
	}
	must(t, m.DeleteAggregate(t.Context(), recorded[nova.DeleteAggregateArgs](t, "10_delete_aggregate.json")))
	if got := first().Zone; got != "az1" {
		t.Errorf("zone after delete_aggregate = %q, want az1", got)
	}

	must(t, m.UpdateInstanceInfo(t.Context(), recorded[nova.UpdateInstanceInfoArgs](t, "11_update_instance_info.json")))
	if got := first().Used; got != (placement.Resources{VCPUs: 1}) {
		t.Errorf("used after update_instance_info = %+v, want 1 vcpu", got)
	}
	must(t, m.SyncInstanceInfo(t.Context(), recorded[nova.SyncInstanceInfoArgs](t, "12_sync_instance_info.json")))
	if got := first().Used; got != (placement.Resources{VCPUs: 1}) {
		t.Errorf("used after sync_instance_info = %+v, want 1 vcpu still", got)
	}
	must(t, m.DeleteInstanceInfo(t.Context(), recorded[nova.DeleteInstanceInfoArgs](t, "13_delete_instance_info.json")))
	if got := first().Used; got != (placement.Resources{}) {
		t.Errorf("used after delete_instance_info = %+v, want nothing", got)
	}
}

// rename gives the one recorded aggregate another zone than its host has anyway.
func rename(t *testing.T, aggregates any, zone string) {
	t.Helper()
	data := aggregates.([]any)[0].(map[string]any)["nova_object.data"].(map[string]any)
	data["metadata"].(map[string]any)["availability_zone"] = zone
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
