package messaging_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
)

// slow adds a method that takes a second, at most limit of them at once, and notes the order in which they begin.
func slow(ep *messaging.Endpoint, limit int) (begun func() []int, most *atomic.Int32) {
	var mu sync.Mutex
	var order []int
	var running atomic.Int32
	most = &atomic.Int32{}
	messaging.HandleArg(ep, "slow", "n", func(_ context.Context, n int) (any, error) {
		mu.Lock()
		order = append(order, n)
		mu.Unlock()
		storeMax(most, running.Add(1))
		<-time.After(time.Second)
		running.Add(-1)
		return n, nil
	}, messaging.Limit(limit))
	return func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(order)
	}, most
}

func castSlow(t *testing.T, b *bus, n int) {
	t.Helper()
	client := b.newClient(t)
	for i := range n {
		if err := client.Cast(t.Context(), "slow", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSlowMethodLeavesPlacesForQuickOnes keeps a limited method busy for half a minute; a quick one is answered at
// once all the while, and the slow ones run in their order.
func TestSlowMethodLeavesPlacesForQuickOnes(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Threading, executor.Pool} {
		for _, limit := range []int{1, 3} {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				ep := echo()
				begun, most := slow(ep, limit)
				b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind), messaging.WithExecutorThreadPoolSize(4))
				const casts = 30
				castSlow(t, b, casts)
				client := b.newClient(t)
				for range casts / limit {
					at := time.Now()
					if err := client.Call(t.Context(), "echo", map[string]int{"value": 1}, nil); err != nil {
						t.Fatal(err)
					}
					if waited := time.Since(at); waited != 0 {
						t.Fatalf("%s, limit %d: a quick call took %s beside slow ones, want no time", kind, limit, waited)
					}
					<-time.After(time.Second)
				}
				synctest.Wait()
				if got := begun(); len(got) != casts || limit == 1 && !slices.IsSorted(got) {
					t.Errorf("%s, limit %d: began %v, want all in their order", kind, limit, got)
				}
				if most.Load() != int32(limit) {
					t.Errorf("%s, limit %d: %d ran at once", kind, limit, most.Load())
				}
			})
		}
	}
}

func TestLimitOfOneMethodDoesNotCountForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep, other := messaging.NewEndpoint(), messaging.NewEndpoint(messaging.WithNamespace("other"))
		slow(ep, 1)
		slow(other, 1) // of the same name
		b.serve(t, []*messaging.Endpoint{ep, other})
		client := b.newClient(t)
		at := time.Now()
		var calls sync.WaitGroup
		for _, namespace := range []string{"", "other"} {
			calls.Go(func() {
				if err := client.Prepare(messaging.ToNamespace(namespace)).Call(t.Context(), "slow", map[string]int{"n": 1}, nil); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if waited := time.Since(at); waited != time.Second {
			t.Errorf("two methods with a limit of one took %s, want them to run together, 1s", waited)
		}
	})
}

// TestStopReturnsWhatALimitKeptBack also looks at Stop from inside a method, which cannot wait for the loops.
func TestStopReturnsWhatALimitKeptBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		begun, _ := slow(ep, 2)
		server := b.serve(t, []*messaging.Endpoint{ep})
		castSlow(t, b, 10)
		synctest.Wait()
		stop(t, server)
		if got := len(begun()); got != 2 {
			t.Errorf("%d ran, want the 2 that had begun", got)
		}
		if queue := b.broker.Stats().Queues["t"]; queue.Waiting != 8 || queue.Unacknowledged != 0 {
			t.Errorf("the queue has %+v, want the other 8 waiting", queue)
		}
		if err := server.Start(t.Context()); err != nil { // a new life has limits of its own
			t.Fatal(err)
		}
		<-time.After(4*time.Second + time.Millisecond)
		if got := len(begun()); got != 10 {
			t.Errorf("%d ran after a restart, want all 10", got)
		}
	})
}

// TestLimitedMethodThatFailsMakesRoomForTheNext ends a method in every way there is.
func TestLimitedMethodThatFailsMakesRoomForTheNext(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := messaging.NewEndpoint()
			var ran atomic.Int32
			messaging.HandleArg(ep, "fail", "how", func(_ context.Context, how string) (any, error) {
				ran.Add(1)
				switch how {
				case "panic":
					panic("at the disco")
				case "exit":
					runtime.Goexit()
				}
				return nil, context.Canceled
			}, messaging.Limit(1))
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(kind))
			client := b.newClient(t)
			for range 3 {
				for _, how := range []string{"panic", "exit", "error"} {
					if err := client.Cast(t.Context(), "fail", map[string]string{"how": how}); err != nil {
						t.Fatal(err)
					}
				}
			}
			<-time.After(time.Minute)
			if ran.Load() != 9 {
				t.Errorf("%s: %d ran, want all 9", kind, ran.Load())
			}
		})
	}
}

// TestServerNeverHoldsMoreThanItsPrefetch looks at the queue at every moment that anything happens: what the server
// has taken and not acknowledged, waiting for a place or for its method, is at most the prefetch.
func TestServerNeverHoldsMoreThanItsPrefetch(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			const prefetch, casts = 20, 400
			ep := messaging.NewEndpoint()
			most := 0
			var mu sync.Mutex
			messaging.HandleArg(ep, "slow", "n", func(context.Context, int) (any, error) {
				mu.Lock()
				most = max(most, b.broker.Stats().Queues["t"].Unacknowledged)
				mu.Unlock()
				<-time.After(time.Second)
				return nil, nil
			}, messaging.Limit(limit))
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithPrefetch(prefetch), messaging.WithExecutorThreadPoolSize(10))
			castSlow(t, b, casts)
			<-time.After(casts * time.Second)
			if most > prefetch || most < prefetch/2 {
				t.Errorf("limit %d: the server held %d unacknowledged, want up to %d", limit, most, prefetch)
			}
			if got := b.broker.Stats().Queues["t"]; got.Waiting+got.Unacknowledged != 0 {
				t.Errorf("limit %d: the queue has %+v, want nothing", limit, got)
			}
		})
	}
}
