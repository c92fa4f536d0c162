package serializer_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/serializer"
)

// novaMessages are recorded messages of nova, whose inner JSON text is shown decoded.
func novaMessages(tb testing.TB) map[string]map[string]any {
	tb.Helper()
	paths, err := filepath.Glob("../integration/testdata/nova/[0-9]*.json")
	if err != nil || len(paths) < 10 {
		tb.Fatalf("recorded messages: %v, %v, want at least 10", paths, err)
	}
	messages := map[string]map[string]any{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		var frame struct {
			Body struct {
				Message struct {
					Inner map[string]any `json:"(decoded JSON string)"`
				} `json:"oslo.message"`
			} `json:"body"`
		}
		if err := serializer.JSON.Decode(text, &frame); err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		messages[filepath.Base(path)] = frame.Body.Message.Inner
	}
	return messages
}

// novaObjects are the outermost objects in the recorded messages.
func novaObjects(tb testing.TB) []map[string]any {
	tb.Helper()
	var found []map[string]any
	for _, message := range novaMessages(tb) {
		eachObject(message, func(m map[string]any) { found = append(found, m) })
	}
	if len(found) < 9 {
		tb.Fatalf("%d recorded objects, want at least 9", len(found))
	}
	return found
}

func eachObject(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["nova_object.name"]; ok {
			f(v)
			return
		}
		for _, member := range v {
			eachObject(member, f)
		}
	case []any:
		for _, element := range v {
			eachObject(element, f)
		}
	}
}

func recordedSpec(tb testing.TB) *serializer.Object {
	tb.Helper()
	args, _ := novaMessages(tb)["03_select_destinations.json"]["args"].(map[string]any)
	m, _ := args["spec_obj"].(map[string]any)
	spec, err := serializer.ObjectFrom(m)
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}

func decodeObject(tb testing.TB, text string) *serializer.Object {
	tb.Helper()
	o := &serializer.Object{}
	if err := serializer.JSON.Decode([]byte(text), o); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return o
}

func TestRecordedObjectsComeBack(t *testing.T) {
	t.Parallel()
	for _, m := range novaObjects(t) {
		o, err := serializer.ObjectFrom(m)
		if err != nil {
			t.Errorf("%v: %v", m["nova_object.name"], err)
			continue
		}
		if diff := cmp.Diff(m, o.Primitive()); diff != "" {
			t.Errorf("%s (-recorded +back):\n%s", o.Name, diff)
		}
		var back any
		text := encode(t, o)
		if err := serializer.JSON.Decode([]byte(text), &back); err != nil {
			t.Errorf("%s: %v", o.Name, err)
		}
		if diff := cmp.Diff(any(m), back); diff != "" {
			t.Errorf("%s as text (-recorded +back):\n%s", o.Name, diff)
		}
	}
}

func TestNestedObjectsAreObjectsAtAnyDepth(t *testing.T) {
	t.Parallel()
	spec := recordedSpec(t)
	if spec.Prefix != "nova_object" || spec.Namespace != "nova" || spec.Name != "RequestSpec" || spec.Version != "1.14" || len(spec.Changes) != 19 {
		t.Errorf("the recorded spec is %s %s %s %s with %d changes", spec.Prefix, spec.Namespace, spec.Name, spec.Version, len(spec.Changes))
	}
	image, _ := spec.Data["image"].(*serializer.Object)
	properties, _ := image.Data["properties"].(*serializer.Object)
	if properties == nil || properties.Name != "ImageMetaProps" || properties.Data["hw_cpu_sockets"] != json.Number("1") {
		t.Errorf("the image's properties are %+v", properties)
	}
	groups, _ := spec.Data["security_groups"].(*serializer.Object)
	if groups.Changes != nil {
		t.Errorf("changes of an object without any = %v, want nil", groups.Changes)
	}

	const inner = `{"x.y.name": "In", "x.y.namespace": "n", "x.y.version": "1.0", "x.y.data": {}}`
	o := decodeObject(t, `{"x.y.name": "Out", "x.y.namespace": "n", "x.y.version": "1.0", "x.y.data": {
		"list": [[`+inner+`]], "map": {"a": {"b": `+inner+`}},
		"other": {"v.name": "In", "v.namespace": "n", "v.version": "1.0", "v.data": {}},
		"dict": {"v.name": "a dict with a point in a key", "x.y.data": 1}}}`)
	list, _ := o.Data["list"].([]any)[0].([]any)
	byName, _ := o.Data["map"].(map[string]any)["a"].(map[string]any)
	want := &serializer.Object{Prefix: "x.y", Namespace: "n", Name: "In", Version: "1.0", Data: map[string]any{}}
	if !reflect.DeepEqual(list[0], want) || !reflect.DeepEqual(byName["b"], want) {
		t.Errorf("in a list %+v, in a map %+v, want %+v", list[0], byName["b"], want)
	}
	if other, ok := o.Data["other"].(*serializer.Object); !ok || other.Prefix != "v" {
		t.Errorf("an object with another prefix = %+v", o.Data["other"])
	}
	if _, ok := o.Data["dict"].(map[string]any); !ok {
		t.Errorf("a dict that looks a little like an object = %T, want a map", o.Data["dict"])
	}
}

// TestObjectsKeepWhatTheyCarry compares text with text: numbers, order, empty and absent members, strange ones.
func TestObjectsKeepWhatTheyCarry(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"versioned_object.name": "Port", "versioned_object.namespace": "neutron", "versioned_object.version": "1.9", "versioned_object.data": {}}`,
		`{"cinder_object.name": "V", "cinder_object.namespace": "cinder", "cinder_object.version": "1.8", "cinder_object.data": {"size": 1180591620717411303424}, "cinder_object.changes": []}`,
		`{"o.name": "A", "o.namespace": "", "o.version": "", "o.data": {"at": "2026-11-22T11:00:06Z", "inf": Infinity, "one": 1.0, "ten": 1e1}, "o.changes": ["z", "a", "z"]}`,
		`{"o.name": "A", "o.namespace": "n", "o.version": "1.0", "o.data": {"text": "\u2028\ud83d\udc0e\u007f"}, "a": 1.50, "o.more": {"o.name": 7}, "z.name": []}`,
	} {
		if got := encode(t, decodeObject(t, text)); got != text {
			t.Errorf("comes back as\n%s\nwant\n%s", got, text)
		}
	}
}

func TestObjectsMadeByHandAreWrittenAsPythonDoes(t *testing.T) {
	t.Parallel()
	type flavor struct {
		VCPUs int `json:"vcpus"`
	}
	one := &serializer.Object{Name: "One", Version: "1.0"}
	const oneText = `{"versioned_object.name": "One", "versioned_object.namespace": "", "versioned_object.version": "1.0", "versioned_object.data": {}}`
	o := serializer.Object{
		Prefix: "p", Namespace: "n", Name: "A", Version: "1.2", Changes: []string{"x"},
		Data: map[string]any{
			"byName": map[string]*serializer.Object{"a": one}, "list": []*serializer.Object{one, nil}, "none": (*serializer.Object)(nil),
			"typed": flavor{4}, "value": *one,
		},
		Extra: map[string]any{"p.changes": "not sent", "q": one},
	}
	want := `{"p.name": "A", "p.namespace": "n", "p.version": "1.2", "p.data": {"byName": {"a": ` + oneText + `}, "list": [` + oneText + `, null], ` +
		`"none": null, "typed": {"vcpus": 4}, "value": ` + oneText + `}, "p.changes": ["x"], "q": ` + oneText + `}`
	if got := encode(t, &o); got != want {
		t.Errorf("written\n%s\nwant\n%s", got, want)
	}
	if got := encode(t, o); got != want {
		t.Errorf("a value is written\n%s\nwant\n%s", got, want)
	}
	var fromMap, fromObject any
	for text, into := range map[string]*any{encode(t, o.Primitive()): &fromMap, want: &fromObject} {
		if err := serializer.JSON.Decode([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(fromObject, fromMap); diff != "" {
		t.Errorf("Primitive (-object +map):\n%s", diff)
	}
}

// TestPrimitiveHoldsNothingButPlainValues is for codecs that know nothing of objects.
func TestPrimitiveHoldsNothingButPlainValues(t *testing.T) {
	t.Parallel()
	one := &serializer.Object{Name: "One"}
	m := serializer.Object{Data: map[string]any{
		"a": []any{one, map[string]any{"b": one}}, "b": []*serializer.Object{one}, "c": map[string]*serializer.Object{"d": one}, "d": *one,
	}, Extra: map[string]any{"versioned_object.changes": 1}}.Primitive()
	var check func(v any)
	check = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, member := range v {
				check(member)
			}
		case []any:
			for _, element := range v {
				check(element)
			}
		case string:
		default:
			t.Errorf("a %T is left in the map", v)
		}
	}
	check(m)
	if _, ok := m["versioned_object.changes"]; ok {
		t.Error("Extra has given the object changes")
	}
}

func TestEncodingJSONReadsAndWritesObjectsToo(t *testing.T) {
	t.Parallel()
	var v struct {
		Spec    serializer.Object
		Pointer *serializer.Object
		Null    *serializer.Object
		Kept    serializer.Object
	}
	v.Kept.Name = "kept"
	const object = `{"o.name": "A", "o.namespace": "n", "o.version": "1.0", "o.data": {"n": 12345678901234567890}}`
	if err := json.Unmarshal([]byte(`{"Spec": `+object+`, "Pointer": `+object+`, "Null": null, "Kept": null}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.Spec.Data["n"] != json.Number("12345678901234567890") || v.Pointer.Name != "A" || v.Null != nil || v.Kept.Name != "kept" {
		t.Errorf("read as %+v", v)
	}
	text, err := json.Marshal(v.Spec)
	if want := strings.ReplaceAll(object, `: `, `:`); err != nil || strings.ReplaceAll(string(text), ", ", ",") != strings.ReplaceAll(want, ", ", ",") {
		t.Errorf("written %s, %v, want %s", text, err, want)
	}
	if err := json.Unmarshal([]byte(`{"Spec": {"o.name": 1}}`), &v); !errors.Is(err, serializer.ErrDecode) {
		t.Errorf("a broken object is read with %v, want ErrDecode", err)
	}
}

func TestObjectErrorsNameTheKeyAndThePath(t *testing.T) {
	t.Parallel()
	object := func(version, data, rest string) string {
		return `{"o.name": "A", "o.namespace": "n", "o.version": ` + version + `, "o.data": ` + data + rest + `}`
	}
	for _, test := range []struct{ text, key, want string }{
		{`{}`, "", `no versioned object: want a key that ends in ".name"`},
		{`{".name": "x"}`, "", `no versioned object: want a key that ends in ".name"`},
		{`{"o.name": "x"}`, "o.namespace", `o.namespace: missing`},
		{`{"o.name": "x", "o.namespace": "n"}`, "o.version", `o.version: missing`},
		{`{"o.name": "x", "o.namespace": "n", "o.version": "1.0"}`, "o.data", `o.data: missing`},
		{`{"\u001b[1m\n.name": "x"}`, "\x1b[1m\n.namespace", `\x1b[1m\n.namespace: missing`},
		{object(`1.0`, `{}`, ``), "o.version", `o.version: want a string, got a number`},
		{object(`"1.0"`, `null`, ``), "o.data", `o.data: want an object, got null`},
		{object(`"1.0"`, `[]`, ``), "o.data", `o.data: want an object, got an array`},
		{object(`"1.0"`, `{}`, `, "o.changes": null`), "o.changes", `o.changes: want an array, got null`},
		{object(`"1.0"`, `{}`, `, "o.changes": "a"`), "o.changes", `o.changes: want an array, got a string`},
		{object(`"1.0"`, `{}`, `, "o.changes": ["a", true]`), "o.changes", `o.changes: want strings, got a boolean`},
		{object(`"1.0"`, `{"a": `+object(`"1"`, `{"b": [1, {"o.name": "in"}]}`, ``)+`}`, ``), "o.namespace", `a.b[1]: o.namespace: missing`},
		{object(`"1.0"`, `{"a": {"b": `+object(`{}`, `{}`, ``)+`}}`, ``), "o.version", `a.b: o.version: want a string, got an object`},
	} {
		var o serializer.Object
		err := serializer.JSON.Decode([]byte(test.text), &o)
		var wrong *serializer.ObjectError
		if !errors.Is(err, serializer.ErrDecode) || !errors.As(err, &wrong) || wrong.Key != test.key || err.Error() != test.want {
			t.Errorf("%s: %v (%+v), want %s", test.text, err, wrong, test.want)
		}
	}

	var args struct {
		Spec *serializer.Object `json:"spec_obj"`
	}
	err := serializer.JSON.Decode([]byte(`{"spec_obj": {"o.name": "x"}}`), &args)
	if want := "spec_obj: o.namespace: missing"; err == nil || err.Error() != want {
		t.Errorf("within arguments: %v, want %s", err, want)
	}
	err = serializer.JSON.Decode([]byte(`{"spec_obj": 7}`), &args)
	if want := "spec_obj: want an object, got a number"; err == nil || err.Error() != want {
		t.Errorf("a number: %v, want %s", err, want)
	}
	_, err = serializer.ObjectFrom(map[string]any{"o.name": uint8(1), "o.namespace": "n", "o.version": "1.0", "o.data": nil})
	if want := "o.name: want a string, got a uint8"; err == nil || err.Error() != want {
		t.Errorf("from another decoder: %v, want %s", err, want)
	}
}

func TestObjectsThatCannotBeEncodedSaySo(t *testing.T) {
	t.Parallel()
	loop := &serializer.Object{Name: "loop"}
	loop.Data = map[string]any{"self": loop}
	for want, o := range map[string]*serializer.Object{
		"a: cannot encode a func()":        {Data: map[string]any{"a": func() {}}},
		"more.a: cannot encode a chan int": {Extra: map[string]any{"more": map[string]any{"a": make(chan int)}}},
		"self.self.self.self.self.self.self.self.self.self.self.self...: nested deeper than 100, or contains itself": loop,
	} {
		if _, err := serializer.JSON.Append(nil, o); !errors.Is(err, serializer.ErrEncode) || err.Error() != want {
			t.Errorf("Append = %v, want %s", err, want)
		}
	}
}

func FuzzObject(f *testing.F) {
	for _, m := range novaObjects(f) {
		text, err := serializer.JSON.Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"o.name": "A", "o.namespace": "n", "o.version": "1.0", "o.data": {"a": {"v.name": "", "v.namespace": "", "v.version": "", "v.data": {}}}, "o.changes": ["a"], "x": 1.0}`))
	f.Add([]byte(`{"o.name": "A", "o.namespace": "n", "o.version": "1.0", "o.data": {"a": [{"o.name": 1}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o serializer.Object
		if err := serializer.JSON.Decode(text, &o); err != nil {
			if !errors.Is(err, serializer.ErrDecode) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q is read with %q, want one line that matches ErrDecode", text, err)
			}
			return
		}
		if strings.TrimSpace(string(text)) == "null" {
			return
		}
		var sent, back any
		again := encode(t, o)
		if err := serializer.JSON.Decode(text, &sent); err != nil {
			t.Fatal(err)
		}
		if err := serializer.JSON.Decode([]byte(again), &back); err != nil || !reflect.DeepEqual(sent, back) {
			t.Fatalf("%q comes back as %s, %v", text, again, err)
		}
		if !reflect.DeepEqual(sent, any(o.Primitive())) {
			t.Fatalf("%q is the map %v", text, o.Primitive())
		}
	})
}

// flavorType and novaFlavor know less than the recorded flavors hold.
var flavorType = serializer.ObjectType{Prefix: "nova_object", Namespace: "nova", Name: "Flavor", Version: "1.2"}

type novaFlavor struct {
	VCPUs    int     `json:"vcpus"`
	MemoryMB int     `json:"memory_mb"`
	Rxtx     float64 `json:"rxtx_factor"`
}

func recordedFlavor(tb testing.TB) *serializer.Object {
	tb.Helper()
	o, ok := recordedSpec(tb).Data["flavor"].(*serializer.Object)
	if !ok {
		tb.Fatal("the recorded spec has no flavor")
	}
	return o
}

func TestTypedObjectsKeepFieldsThatTheStructLacks(t *testing.T) {
	t.Parallel()
	o := recordedFlavor(t)
	before := o.Primitive()
	o.Changes = []string{"name"}
	var f novaFlavor
	if err := flavorType.Decode(o, &f); err != nil {
		t.Fatal(err)
	}
	if want := (novaFlavor{VCPUs: 1, MemoryMB: 512, Rxtx: 1}); f != want {
		t.Errorf("decoded %+v, want %+v", f, want)
	}
	f.VCPUs, f.MemoryMB = 8, 4096
	if err := o.Set(f); err != nil {
		t.Fatal(err)
	}
	want, _ := before["nova_object.data"].(map[string]any)
	want["vcpus"], want["memory_mb"] = json.Number("8"), json.Number("4096")
	if diff := cmp.Diff(want, o.Data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if want := []string{"name", "memory_mb", "vcpus"}; !slices.Equal(o.Changes, want) {
		t.Errorf("changes = %v, want %v", o.Changes, want)
	}
	if err := o.Set(map[string]any{"vcpus": 9}); err != nil || len(o.Changes) != 3 {
		t.Errorf("a field changed twice: changes = %v, %v", o.Changes, err)
	}
}

func TestNewObjectsNameAllTheirFieldsAsChanges(t *testing.T) {
	t.Parallel()
	limits, err := serializer.ObjectType{Namespace: "nova", Name: "Limits", Version: "1.0"}.New(struct {
		Disk *int `json:"disk_gb"`
	}{})
	if err != nil {
		t.Fatal(err)
	}
	limits.Changes = nil
	o, err := flavorType.New(struct {
		novaFlavor

		Limits  *serializer.Object   `json:"limits"`
		Several []*serializer.Object `json:"several"`
	}{novaFlavor{1, 2, 3}, limits, []*serializer.Object{limits}})
	if err != nil {
		t.Fatal(err)
	}
	const limitsText = `{"versioned_object.name": "Limits", "versioned_object.namespace": "nova", "versioned_object.version": "1.0", "versioned_object.data": {"disk_gb": null}}`
	want := `{"nova_object.name": "Flavor", "nova_object.namespace": "nova", "nova_object.version": "1.2", "nova_object.data": ` +
		`{"limits": ` + limitsText + `, "memory_mb": 2, "rxtx_factor": 3.0, "several": [` + limitsText + `], "vcpus": 1}, ` +
		`"nova_object.changes": ["limits", "memory_mb", "rxtx_factor", "several", "vcpus"]}`
	if got := encode(t, o); got != want {
		t.Errorf("written\n%s\nwant\n%s", got, want)
	}
	if inner, ok := o.Data["limits"].(*serializer.Object); !ok || inner.Name != "Limits" {
		t.Errorf("the nested object = %#v, want an object", o.Data["limits"])
	}
}

func TestTypedDecodingRefusesOtherTypes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		change func(*serializer.Object)
		want   string
	}{
		{func(*serializer.Object) {}, ""},
		{func(o *serializer.Object) { o.Version = "1.0" }, ""},
		{func(o *serializer.Object) { o.Version = "1.1.7" }, ""},
		{func(o *serializer.Object) { o.Version = "1.3" }, `got "nova.Flavor 1.3 (nova_object)"`},
		{func(o *serializer.Object) { o.Version = "0.2" }, `got "nova.Flavor 0.2 (nova_object)"`},
		{func(o *serializer.Object) { o.Version = "2.0" }, `got "nova.Flavor 2.0 (nova_object)"`},
		{func(o *serializer.Object) { o.Version = "1" }, `got "nova.Flavor 1 (nova_object)"`},
		{func(o *serializer.Object) { o.Version = "1.-1\n" }, `got "nova.Flavor 1.-1\n (nova_object)"`},
		{func(o *serializer.Object) { o.Name = "Image" }, `got "nova.Image 1.2 (nova_object)"`},
		{func(o *serializer.Object) { o.Namespace = "glance" }, `got "glance.Flavor 1.2 (nova_object)"`},
		{func(o *serializer.Object) { o.Prefix = "" }, `got "nova.Flavor 1.2"`},
	} {
		o := recordedFlavor(t)
		test.change(o)
		var f novaFlavor
		err := flavorType.Decode(o, &f)
		if test.want == "" {
			if err != nil || f.VCPUs != 1 {
				t.Errorf("version %s: %+v, %v, want the flavor", o.Version, f, err)
			}
			continue
		}
		var other *serializer.ObjectTypeError
		want := "want nova.Flavor 1.2 (nova_object), " + test.want
		if !errors.As(err, &other) || !errors.Is(err, serializer.ErrDecode) || err.Error() != want || f != (novaFlavor{}) {
			t.Errorf("%+v, %v, want %s", f, err, want)
		}
	}
	short := serializer.ObjectType{Name: "A", Version: "1.0"}
	if err := short.Check(&serializer.Object{Prefix: serializer.DefaultPrefix, Name: "A", Version: "1.0"}); err != nil {
		t.Errorf("the default prefix, named and not: %v", err)
	}
}

func TestTypedErrorsNameTheField(t *testing.T) {
	t.Parallel()
	o := recordedFlavor(t)
	o.Data["vcpus"] = "four"
	err := flavorType.Decode(o, &novaFlavor{})
	if want := "vcpus: want an integer, got a string"; !errors.Is(err, serializer.ErrDecode) || err.Error() != want {
		t.Errorf("Decode = %v, want %s", err, want)
	}
	o.Data["vcpus"] = make(chan int)
	err = flavorType.Decode(o, &novaFlavor{})
	if want := "vcpus: cannot encode a chan int"; err == nil || err.Error() != want {
		t.Errorf("Decode = %v, want %s", err, want)
	}
	for want, data := range map[string]any{
		"the data of an object must be a struct or a map, not int": 7,
		"the data of an object must be a struct or a map, not nil": nil,
		"a: cannot encode a func()":                                map[string]any{"a": func() {}},
		"a: nova_object.namespace: missing":                        map[string]any{"a": map[string]any{"nova_object.name": "x"}},
	} {
		made, err := flavorType.New(data)
		if made != nil || err == nil || err.Error() != want {
			t.Errorf("New(%v) = %v, %v, want %s", data, made, err, want)
		}
	}
}
