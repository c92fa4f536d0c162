package serializer_test

import (
	"fmt"
	"time"

	"github.com/goslo/goslo/serializer"
)

func ExampleJSON() {
	type host struct {
		Name   string    `json:"name"`
		Weight float64   `json:"weight"`
		Tags   []string  `json:"tags"`
		Seen   time.Time `json:"seen"`
		Limit  *int      `json:"limit"`
	}
	text, err := serializer.JSON.Append(nil, host{Name: "přípojka", Weight: 1, Seen: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)})
	fmt.Println(string(text), err)

	var h host
	err = serializer.JSON.Decode(text, &h)
	fmt.Println(h.Name, h.Weight, h.Seen, err)
	// Output:
	// {"name": "p\u0159\u00edpojka", "weight": 1.0, "tags": [], "seen": "2024-01-02T03:04:05.000000", "limit": null} <nil>
	// přípojka 1 2024-01-02 03:04:05 +0000 UTC <nil>
}

// A value without a type of its own keeps the numbers as they were sent.
func ExampleJSON_any() {
	var v any
	err := serializer.JSON.Decode([]byte(`{"ram": 1180591620717411303424, "ratio": 1.0, "load": NaN}`), &v)
	fmt.Println(v, err)
	text, err := serializer.JSON.Append(nil, v)
	fmt.Println(string(text), err)
	// Output:
	// map[load:NaN ram:1180591620717411303424 ratio:1.0] <nil>
	// {"load": NaN, "ram": 1180591620717411303424, "ratio": 1.0} <nil>
}

func ExampleJSON_errors() {
	var args struct {
		Spec struct {
			Flavor struct {
				VCPUs int `json:"vcpus"`
			} `json:"flavor"`
		} `json:"spec_obj"`
	}
	fmt.Println(serializer.JSON.Decode([]byte(`{"spec_obj": {"flavor": {"vcpus": "4"}}}`), &args))
	_, err := serializer.JSON.Append(nil, map[string]any{"hosts": []any{1, func() {}}})
	fmt.Println(err)
	// Output:
	// spec_obj.flavor.vcpus: want an integer, got a string
	// hosts[1]: cannot encode a func()
}
