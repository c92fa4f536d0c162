package serializer_test

import (
	"errors"
	"fmt"

	"github.com/goslo/goslo/serializer"
)

// An object of any class keeps all its fields, nested objects and numbers.
func ExampleObject() {
	const sent = `{"nova_object.name": "RequestSpec", "nova_object.namespace": "nova", "nova_object.version": "1.14", ` +
		`"nova_object.data": {"flavor": {"nova_object.name": "Flavor", "nova_object.namespace": "nova", "nova_object.version": "1.2", ` +
		`"nova_object.data": {"rxtx_factor": 1.0, "vcpus": 4}}, "num_instances": 1}, "nova_object.changes": ["flavor"]}`
	var spec serializer.Object
	if err := serializer.JSON.Decode([]byte(sent), &spec); err != nil {
		fmt.Println(err)
		return
	}
	flavor := spec.Data["flavor"].(*serializer.Object)
	fmt.Println(spec.Name, spec.Version, spec.Changes, flavor.Name, flavor.Data["vcpus"])

	text, err := serializer.JSON.Append(nil, &spec)
	fmt.Println(string(text) == sent, err)
	// Output:
	// RequestSpec 1.14 [flavor] Flavor 4
	// true <nil>
}

// A struct holds the fields that a program cares for. The others stay in the object.
func ExampleObjectType() {
	flavorType := serializer.ObjectType{Prefix: "nova_object", Namespace: "nova", Name: "Flavor", Version: "1.2"}
	type flavor struct {
		VCPUs    int `json:"vcpus"`
		MemoryMB int `json:"memory_mb"`
	}
	o, err := flavorType.New(map[string]any{"name": "m1", "vcpus": 4, "memory_mb": 512})
	if err != nil {
		fmt.Println(err)
		return
	}
	o.Changes = nil // as it was stored

	var f flavor
	if err := flavorType.Decode(o, &f); err != nil {
		fmt.Println(err)
		return
	}
	f.MemoryMB = 1024
	if err := o.Set(f); err != nil {
		fmt.Println(err)
		return
	}
	text, err := serializer.JSON.Append(nil, o)
	fmt.Println(string(text), err)
	// Output:
	// {"nova_object.name": "Flavor", "nova_object.namespace": "nova", "nova_object.version": "1.2", "nova_object.data": {"memory_mb": 1024, "name": "m1", "vcpus": 4}, "nova_object.changes": ["memory_mb"]} <nil>
}

// What is no object of the wanted type is refused with a typed error.
func ExampleObjectTypeError() {
	imageType := serializer.ObjectType{Prefix: "nova_object", Namespace: "nova", Name: "ImageMeta", Version: "1.8"}
	newer := &serializer.Object{Prefix: "nova_object", Namespace: "nova", Name: "ImageMeta", Version: "1.9"}
	err := imageType.Decode(newer, &struct{}{})
	var other *serializer.ObjectTypeError
	fmt.Println(errors.As(err, &other), err)

	var args struct {
		Image *serializer.Object `json:"image"`
	}
	err = serializer.JSON.Decode([]byte(`{"image": {"nova_object.name": "ImageMeta", "nova_object.namespace": "nova", "nova_object.version": 1.8}}`), &args)
	var broken *serializer.ObjectError
	fmt.Println(errors.As(err, &broken), err)
	err = serializer.JSON.Decode([]byte(`{"image": {"nova_object.name": "ImageMeta", "nova_object.namespace": "nova", "nova_object.version": 1.8, "nova_object.data": {}}}`), &args)
	fmt.Println(errors.As(err, &broken), err)
	// Output:
	// true want nova.ImageMeta 1.8 (nova_object), got "nova.ImageMeta 1.9 (nova_object)"
	// true image: nova_object.data: missing
	// true image: nova_object.version: want a string, got a number
}
