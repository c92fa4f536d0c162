package dispatcher_test

import (
	"context"
	"testing"

	"github.com/goslo/goslo/dispatcher"
)

// benchSpec is what a scheduler's method gets.
type benchSpec struct {
	InstanceUUID string   `json:"instance_uuid"`
	Zone         string   `json:"availability_zone"`
	VCPUs        int      `json:"vcpus"`
	MemoryMB     int      `json:"memory_mb"`
	IgnoreHosts  []string `json:"ignore_hosts"`
}

const (
	benchArgs = `{"instance_uuid": "b7a3e2f4-0c1d-4e5f-8a9b-1c2d3e4f5a6b", "availability_zone": "nova", "vcpus": 4, ` +
		`"memory_mb": 8192, "ignore_hosts": ["compute-01", "compute-02"]}`
	benchArg = `{"spec": ` + benchArgs + `}`
)

// scheduler is registered by reflection.
type scheduler struct{}

func (scheduler) ArgumentNames() map[string][]string {
	return map[string][]string{"SelectNamed": {"spec"}}
}

func (scheduler) Ping(context.Context) (bool, error) { return true, nil }

func (scheduler) Select(_ context.Context, spec benchSpec) (string, error) { return spec.Zone, nil }

func (scheduler) SelectNamed(_ context.Context, spec benchSpec) (string, error) {
	return spec.Zone, nil
}

// BenchmarkDispatch compares methods that are registered with their types to those found by reflection.
func BenchmarkDispatch(b *testing.B) {
	var s scheduler
	typed := dispatcher.NewEndpoint()
	dispatcher.Handle(typed, "ping", func(ctx context.Context, _ struct{}) (bool, error) { return s.Ping(ctx) })
	dispatcher.Handle(typed, "select", s.Select)
	dispatcher.HandleArg(typed, "select_named", "spec", s.SelectNamed)
	endpoints := map[string]*dispatcher.Dispatcher{
		"typed":     newDispatcher(b, typed),
		"reflected": newDispatcher(b, reflectEndpoint(b, s)),
	}
	for _, c := range []struct{ name, method, args, want string }{
		{"nothing", "ping", "", "true"},
		{"struct", "select", benchArgs, `"nova"`},
		{"argument", "select_named", benchArg, `"nova"`},
	} {
		for _, registration := range []string{"typed", "reflected"} {
			d := endpoints[registration]
			b.Run(c.name+"/"+registration, func(b *testing.B) {
				req := &dispatcher.Request{Method: c.method}
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					if got, err := dispatch(ctx, d, req, c.args); err != nil || string(got) != c.want {
						b.Fatalf("Dispatch = %s, %v", got, err)
					}
				}
			})
		}
	}
}
