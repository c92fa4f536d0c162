package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/serializer"
)

// recordedArgs are the arguments of a request recorded from nova.
func recordedArgs(t *testing.T, name string) any {
	t.Helper()
	text, err := os.ReadFile("../nova/testdata/" + name)
	must(t, err)
	var frame struct {
		Body struct {
			Message struct {
				Inner struct{ Args any } `json:"(decoded JSON string)"`
			} `json:"oslo.message"`
		}
	}
	must(t, json.Unmarshal(text, &frame))
	return frame.Body.Message.Inner.Args
}

func onWire(t *testing.T, args any) any {
	t.Helper()
	text, err := serializer.JSON.Append(nil, args)
	must(t, err)
	var back any
	must(t, json.Unmarshal(text, &back))
	return back
}

// shape lists the paths of a value with their types, and the names and versions of objects.
func shape(path string, v any) []string {
	switch x := v.(type) {
	case map[string]any:
		var paths []string
		for key, item := range x {
			switch {
			case key == "nova_object.changes", path == ".spec_obj.scheduler_hints", strings.HasSuffix(path, ".extra_specs"):
			case strings.HasPrefix(key, "nova_object.") && key != "nova_object.data":
				paths = append(paths, fmt.Sprintf("%s %s=%v", path, key, item))
			case strings.HasSuffix(path, ".properties"): // an image has any
			default:
				paths = append(paths, shape(strings.TrimSuffix(path+"."+key, ".nova_object.data"), item)...)
			}
		}
		slices.Sort(paths)
		return append([]string{path + " object"}, paths...)
	case []any:
		if len(x) > 0 {
			return append([]string{path + " list"}, shape(path+"[]", x[0])...)
		}
		return []string{path + " list"}
	case string, nil: // null or text
		return []string{path + " text or null"}
	}
	return []string{fmt.Sprintf("%s %T", path, v)}
}

func TestRequestsHaveTheShapeOfNovas(t *testing.T) {
	t.Parallel()
	want := shape("", recordedArgs(t, "03_select_destinations.json"))
	if diff := cmp.Diff(want, shape("", onWire(t, newInstance(7).selectArgs(nil)))); diff != "" {
		t.Errorf("select_destinations (-nova +demo):\n%s", diff)
	}
}

func TestInstanceReportsHaveTheShapeOfNovas(t *testing.T) {
	t.Parallel()
	want := shape("", recordedArgs(t, "11_update_instance_info.json"))
	got := shape("", onWire(t, newHost(1, 9).instanceReport([]*instance{newInstance(1)})))
	for _, path := range want {
		if !slices.Contains(got, path) {
			t.Errorf("update_instance_info lacks %s", path)
		}
	}
}

func TestCapacityReportsAreEntriesOfAHostsFile(t *testing.T) {
	t.Parallel()
	text, err := serializer.JSON.Append(nil, newHost(3, 5).capacityReport().Host)
	must(t, err)
	got, err := placement.ParseHost(text)
	must(t, err)
	want := placement.Host{
		Name: "host-03", Node: "host-03.example", NodeUUID: "aaaaaaaa-0000-4000-8000-000000000003", CellUUID: cellUUID,
		Zone: zone, Total: placement.Resources{VCPUs: 5, MemoryMB: 10240, DiskGB: 100},
	}
	if got != want {
		t.Errorf("report = %+v, want %+v", got, want)
	}
}
