package nova_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
)

func TestSelectDestinationsNamesTheWrongArgument(t *testing.T) {
	t.Parallel()
	const most = "want a whole number from 0 to 1099511627776, got "
	withFlavor := func(fields string) string { return spec(`"flavor": `+flavor(fields), "") }
	for _, c := range []struct{ args, want string }{
		{`{}`, "spec_obj: missing"},
		{`{"spec_obj": null}`, "spec_obj: missing"},
		{`{"spec_obj": []}`, "spec_obj: want an object, got list"},
		{`{"spec_obj": {"nova_object.data": null}}`, "spec_obj.nova_object.data: want an object, got null"},
		{spec(``, ``), "spec_obj.flavor: missing"},
		{spec(`"flavor": "m1"`, ``), "spec_obj.flavor: want an object, got string"},
		{withFlavor(``), "spec_obj.flavor.vcpus: missing"},
		{withFlavor(`"vcpus": 1, "memory_mb": null`), "spec_obj.flavor.memory_mb: missing"},
		{withFlavor(`"vcpus": "1", "memory_mb": 1`), "spec_obj.flavor.vcpus: want a number, got string"},
		{withFlavor(`"vcpus": 1, "memory_mb": true`), "spec_obj.flavor.memory_mb: want a number, got boolean"},
		{withFlavor(`"vcpus": -1, "memory_mb": 1`), "spec_obj.flavor.vcpus: " + most + "-1"},
		{withFlavor(`"vcpus": 1.5, "memory_mb": 1`), "spec_obj.flavor.vcpus: " + most + "1.5"},
		{withFlavor(`"vcpus": 1e999, "memory_mb": 1`), "spec_obj.flavor.vcpus: " + most + "1e999"},
		{withFlavor(`"vcpus": 1` + strings.Repeat("0", 99) + `, "memory_mb": 1`), "spec_obj.flavor.vcpus: " + most + "1" + strings.Repeat("0", 39)},
		{withFlavor(`"vcpus": 1, "memory_mb": 1, "swap": {}`), "spec_obj.flavor.swap: want a number, got object"},
		{spec(smallFlavor+`, "num_instances": "1"`, ``), "spec_obj.num_instances: want a number, got string"},
		{spec(smallFlavor+`, "num_instances": 10001`, ``), "spec_obj.num_instances: want at most 10000 instances, got 10001"},
		{spec(smallFlavor+`, "is_bfv": 1`, ``), "spec_obj.is_bfv: want true or false, got number"},
		{spec(smallFlavor+`, "availability_zone": 1`, ``), "spec_obj.availability_zone: want a string, got number"},
		{spec(smallFlavor+`, "force_hosts": "a"`, ``), "spec_obj.force_hosts: want a list, got string"},
		{spec(smallFlavor+`, "force_nodes": [1]`, ``), "spec_obj.force_nodes[0]: want a string, got number"},
		{spec(smallFlavor+`, "ignore_hosts": ["a", null]`, ``), "spec_obj.ignore_hosts[1]: want a string, got null"},
		{spec(smallFlavor+`, "scheduler_hints": []`, ``), "spec_obj.scheduler_hints: want an object, got list"},
		{spec(smallFlavor, `, "instance_uuids": "x"`), "instance_uuids: want a list, got string"},
		{spec(smallFlavor, `, "instance_uuids": ["x", {}]`), "instance_uuids[1]: want a string, got object"},
		{spec(smallFlavor, `, "instance_uuids": [`+strings.Repeat(`"x",`, 10_000)+`"x"]`), "instance_uuids: want at most 10000 instances, got 10001"},
		{spec(smallFlavor, `, "return_objects": "yes"`), "return_objects: want true or false, got string"},
		{spec(smallFlavor, `, "return_alternates": 0`), "return_alternates: want true or false, got number"},
		{`{"request_spec": 1}`, "request_spec: want an object, got number"},
		{`{"request_spec": {}}`, "request_spec.instance_type: missing"},
		{`{"request_spec": {"instance_type": {"vcpus": []}}}`, "request_spec.instance_type.memory_mb: missing"},
		{`{"request_spec": {"instance_type": {` + small + `}, "num_instances": -1}}`, "request_spec.num_instances: " + most + "-1"},
		{`{"request_spec": {"instance_type": {` + small + `}, "instance_properties": 1}}`, "request_spec.instance_properties: want an object, got number"},
		{
			`{"request_spec": {"instance_type": {` + small + `}, "instance_properties": {"availability_zone": []}}}`,
			"request_spec.instance_properties.availability_zone: want a string, got list",
		},
		{`{"request_spec": {"instance_type": {` + small + `}}, "filter_properties": "x"}`, "filter_properties: want an object, got string"},
		{`{"request_spec": {"instance_type": {` + small + `}}, "filter_properties": {"ignore_hosts": 1}}`, "filter_properties.ignore_hosts: want a list, got number"},
	} {
		m, _ := newManager(t)
		got, err := m.SelectDestinations(t.Context(), arguments(t, c.args))
		var wrong *nova.ArgumentError
		if got != nil || !errors.As(err, &wrong) || err.Error() != c.want {
			t.Errorf("SelectDestinations(%.120s)\n = %v, %v\nwant %s", c.args, got, err, c.want)
		}
	}
}

// Go callers and other decoders hand numbers in other types than json.Number.
func TestSelectDestinationsTakesNumbersOfAnyDecoder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ eight, want any }{
		{json.Number("8"), nil},
		{float64(8), nil},
		{int64(8), nil},
		{8, nil},
		{json.Number("eight"), "spec_obj.flavor.vcpus: want a whole number from 0 to 1099511627776, got eight"},
		{uint8(8), "spec_obj.flavor.vcpus: want a number, got uint8"},
	} {
		m, _ := newManager(t)
		fields := map[string]any{"vcpus": c.eight, "memory_mb": c.eight}
		_, err := m.SelectDestinations(t.Context(), nova.SelectDestinationsArgs{SpecObj: map[string]any{"flavor": fields}})
		if c.want == nil && err != nil || c.want != nil && (err == nil || err.Error() != c.want) {
			t.Errorf("%T %v: error = %v, want %v", c.eight, c.eight, err, c.want)
		}
	}
}

func FuzzSelectDestinationsArgs(f *testing.F) {
	for _, name := range []string{"03_select_destinations.json", "05_select_destinations.json", "07_select_destinations.json"} {
		f.Add([]byte(readFrame(f, name).Body.Message.Inner.Args))
	}
	f.Add([]byte(spec(smallFlavor+`, "num_instances": 3, "force_hosts": ["cmp-a"]`, rich)))
	f.Add([]byte(`{"request_spec": {"instance_type": {` + small + `}}, "filter_properties": {"ignore_hosts": null}}`))
	m, _ := newManager(f) // selections leave no trace in it
	f.Fuzz(func(t *testing.T, text []byte) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var args nova.SelectDestinationsArgs
		if d.Decode(&args) != nil {
			return
		}
		got, err := m.SelectDestinations(t.Context(), args)
		if err != nil {
			var wrong *nova.ArgumentError
			var none *nova.NoValidHostError
			if got != nil || !errors.As(err, &wrong) && !errors.As(err, &none) {
				t.Fatalf("SelectDestinations = %v, %v, want one of the two typed errors alone", got, err)
			}
			return
		}
		if again, err := m.SelectDestinations(t.Context(), args); err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("the same request got %v, %v, then %v", again, err, got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("the answer cannot travel: %v", err)
		}
	})
}
