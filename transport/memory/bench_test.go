package memory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// args are arguments of the size that Nova's calls have.
var args = transport.Value(`{"instance": {"uuid": "5c9d3b5e-0000-4000-8000-0123456789ab", "host": null, "flavor_id": 7}, ` +
	`"requests": [{"vcpus": 2, "memory_mb": 4096, "disk_gb": 40}], "retry": 1.0, "force": false}`)

// serveBench runs a server that acknowledges and, where it is asked for, answers.
func serveBench(b *testing.B, d transport.Driver, done func()) {
	b.Helper()
	on := target.Target{Topic: "topic", Server: "host"}
	l, err := d.Listen(b.Context(), on, transport.ListenOptions{Prefetch: 128})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	b.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	ended.Go(func() {
		for {
			in, err := l.Poll(ctx)
			if err != nil {
				return
			}
			if err := in.Ack(ctx); err != nil {
				b.Error(err)
			}
			if err := in.Reply(ctx, &transport.Reply{Result: transport.Value(`"done"`), Ending: true}); err != nil {
				b.Error(err)
			}
			done()
		}
	})
}

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			d := memory.New()
			defer closeDriver(b, d)
			serveBench(b, d, func() {})
			b.SetParallelism(callers)
			b.ReportAllocs()
			one := func() {
				req := &transport.Request{Method: "select_destinations", Args: args}
				if _, err := d.Call(b.Context(), target.Target{Topic: "topic"}, req, transport.SendOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					one()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one()
				}
			})
		})
	}
}

// BenchmarkCast sends casts through one queue, with at most 1,024 on their way: a sender alone is faster than
// the receiver, and would fill the queue.
func BenchmarkCast(b *testing.B) {
	d := memory.New()
	defer closeDriver(b, d)
	window := make(chan struct{}, 1024)
	serveBench(b, d, func() { <-window })
	b.ReportAllocs()
	for b.Loop() {
		window <- struct{}{}
		req := &transport.Request{Method: "select_destinations", Args: args}
		if err := d.Cast(b.Context(), target.Target{Topic: "topic"}, req, transport.SendOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(window) { // until the last one is acknowledged
		window <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
