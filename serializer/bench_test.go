package serializer_test

import (
	"encoding/json"
	"testing"

	"github.com/goslo/goslo/serializer"
)

// benchSpec is the kind of argument that a scheduler gets: about 1 KiB of JSON.
type benchSpec struct {
	InstanceUUID string            `json:"instance_uuid"`
	ProjectID    string            `json:"project_id"`
	UserID       string            `json:"user_id"`
	Zone         string            `json:"availability_zone,omitempty"`
	NumInstances int               `json:"num_instances"`
	Flavor       benchFlavor       `json:"flavor"`
	IgnoreHosts  []string          `json:"ignore_hosts"`
	Networks     []benchNetwork    `json:"requested_networks"`
	Hints        map[string]string `json:"scheduler_hints"`
	Limits       map[string]int    `json:"limits"`
	Retry        *int              `json:"retry"`
}

type benchFlavor struct {
	Name       string            `json:"name"`
	MemoryMB   int               `json:"memory_mb"`
	VCPUs      int               `json:"vcpus"`
	RootGB     int               `json:"root_gb"`
	RxtxFactor float64           `json:"rxtx_factor"`
	Public     bool              `json:"is_public"`
	ExtraSpecs map[string]string `json:"extra_specs"`
}

type benchNetwork struct {
	NetworkID string  `json:"network_id"`
	Address   *string `json:"address"`
	Tag       string  `json:"tag"`
	Index     uint8   `json:"index"`
}

func benchValue() *benchSpec {
	address := "10.0.0.17"
	return &benchSpec{
		InstanceUUID: "b7a3e2f4-0c1d-4e5f-8a9b-1c2d3e4f5a6b", ProjectID: "6f70656e737461636b2d70726f6a6563",
		UserID: "1f0e9d8c7b6a5f4e3d2c1b0a99887766", Zone: "nova", NumInstances: 2,
		Flavor: benchFlavor{
			Name: "m1.large", MemoryMB: 8192, VCPUs: 4, RootGB: 80, RxtxFactor: 1, Public: true,
			ExtraSpecs: map[string]string{"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large", "quota:disk_total_bytes_sec": "104857600"},
		},
		IgnoreHosts: []string{"compute-01.example.org", "compute-02.example.org", "compute-03.example.org", "compute-04.example.org", "compute-05.example.org", "compute-06.example.org"},
		Networks: []benchNetwork{
			{"0e3a7c52-6f0b-4f55-9d7c-8a1f6a5b4c3d", &address, "management", 0},
			{"5d4c3b2a-1908-4716-a5b4-c3d2e1f00f1e", nil, "příležitost", 1},
		},
		Hints:  map[string]string{"group": "affinity-7", "same_host": "b7a3e2f4-0c1d-4e5f-8a9b-1c2d3e4f5a6c"},
		Limits: map[string]int{"memory_mb": 245760, "vcpu": 128, "disk_gb": 20000},
	}
}

func benchText(b *testing.B) []byte {
	b.Helper()
	text, err := serializer.JSON.Append(nil, benchValue())
	if err != nil || len(text) < 1<<10 {
		b.Fatalf("the payload has %d bytes, error %v", len(text), err)
	}
	return text
}

func BenchmarkEncode(b *testing.B) {
	var tree any
	if err := serializer.JSON.Decode(benchText(b), &tree); err != nil {
		b.Fatal(err)
	}
	for _, in := range []struct {
		name string
		v    any
	}{{"struct", benchValue()}, {"any", tree}} {
		b.Run(in.name+"/goslo", func(b *testing.B) {
			b.ReportAllocs()
			var text []byte
			for b.Loop() {
				var err error
				if text, err = serializer.JSON.Append(text[:0], in.v); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(text)))
		})
		b.Run(in.name+"/encoding_json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text, err := json.Marshal(in.v)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(text)))
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	text := benchText(b)
	for _, target := range []struct {
		name  string
		fresh func() any
	}{{"struct", func() any { return new(benchSpec) }}, {"any", func() any { return new(any) }}} {
		for _, codec := range []struct {
			name   string
			decode func([]byte, any) error
		}{{"goslo", serializer.JSON.Decode}, {"encoding_json", json.Unmarshal}} {
			b.Run(target.name+"/"+codec.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if err := codec.decode(text, target.fresh()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
