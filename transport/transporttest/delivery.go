package transporttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/goslo/goslo/transport"
)

var deliveryTests = []test{
	{"prefetch bounds what is handed out unacknowledged", prefetchBounds},
	{"each queue has a prefetch of its own", prefetchPerQueue},
	{"a busy listener leaves the rest to others", backPressure},
	{"an acknowledged request never comes again", acknowledgedIsGone},
	{"a requeued request comes again and says so", requeued},
	{"every request is run once while listeners come and go", listenersComeAndGo},
}

func prefetchBounds(t *testing.T, b *bus) {
	l := b.listen(t, "host", 2)
	for i := range 4 {
		b.cast(t, fmt.Sprint("method_", i))
	}
	first, second := pollMethod(t, l, "method_0"), pollMethod(t, l, "method_1")
	pollNothing(t, l)
	ack(t, second)
	third := pollMethod(t, l, "method_2")
	pollNothing(t, l)
	ack(t, first)
	ack(t, third)
	take(t, l, "method_3")
}

func prefetchPerQueue(t *testing.T, b *bus) {
	l := b.listen(t, "host", 1)
	for i := range 2 {
		b.cast(t, fmt.Sprint("shared_", i))
		b.castTo(t, b.onServer("host"), fmt.Sprint("directed_", i))
		b.castTo(t, fanout(b.topic), fmt.Sprint("fanout_", i))
	}
	got := map[string]bool{}
	for range 3 {
		got[poll(t, l).Request().Method] = true
	}
	if !got["shared_0"] || !got["directed_0"] || !got["fanout_0"] {
		t.Errorf("polled %v, want the first of each queue", got)
	}
	pollNothing(t, l)
}

// backPressure lets one of two listeners take nothing: it may hold no more than its prefetch, and gives that
// back when it stops.
func backPressure(t *testing.T, b *bus) {
	const casts, prefetch = 20, 2
	idle := b.listen(t, "host1", prefetch)
	busy := b.listenOn(t, b.driver(t), b.onServer("host2"), prefetch)
	for i := range casts {
		b.cast(t, fmt.Sprint("method_", i))
	}
	ran := map[string]int{}
	run := func() {
		in := poll(t, busy)
		ack(t, in)
		ran[in.Request().Method]++
	}
	for range casts - prefetch {
		run()
	}
	stop(t, idle)
	for range prefetch {
		run()
	}
	for i := range casts {
		if times := ran[fmt.Sprint("method_", i)]; times != 1 {
			t.Errorf("method_%d ran %d times, want once", i, times)
		}
	}
	pollNothing(t, busy)
}

func acknowledgedIsGone(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "once")
	take(t, l, "once")
	closeListener(t, l)
	l = b.listen(t, "host", 4)
	b.cast(t, "next")
	take(t, l, "next")
	pollNothing(t, l)
}

func requeued(t *testing.T, b *bus) {
	l := b.listen(t, "host", 1)
	b.cast(t, "again")
	b.cast(t, "next")
	in := pollMethod(t, l, "again")
	b.checkRedelivered(t, in, false)
	if err := in.Requeue(patient(t)); err != nil {
		t.Fatalf("requeue: %v", err)
	}
	again := pollMethod(t, l, "again") // before the one behind it
	b.checkRedelivered(t, again, true)
	if got, want := again.Request().UniqueID, in.Request().UniqueID; got != want {
		t.Errorf("unique id %q comes back, want %q", got, want)
	}
	ack(t, again) // a request that was handed back is no duplicate of itself
	in = take(t, l, "next")
	b.checkRedelivered(t, in, false)
}

func (b *bus) checkRedelivered(tb testing.TB, in transport.Incoming, want bool) {
	tb.Helper()
	if !b.features.Redelivered {
		return
	}
	r, ok := in.(transport.Redelivery)
	if !ok {
		tb.Fatalf("%T is no transport.Redelivery", in)
	}
	if r.Redelivered() != want {
		tb.Errorf("%q redelivered: %t, want %t", in.Request().Method, r.Redelivered(), want)
	}
}

// listenersComeAndGo runs requests by workers that keep closing their listeners over what they hold.
func listenersComeAndGo(t *testing.T, b *bus) {
	const casts, workers = 150, 3
	closeListener(t, b.listen(t, "host", 1)) // now there is a queue
	for i := range casts {
		b.cast(t, fmt.Sprint("method_", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*Patience)
	defer cancel()
	runs := &runs{times: map[string]int{}, want: casts, done: cancel}
	var all sync.WaitGroup
	for range workers {
		d := b.driver(t)
		all.Go(func() {
			for ctx.Err() == nil {
				if err := runs.some(ctx, b, d); err != nil && ctx.Err() == nil {
					t.Errorf("worker: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	for i := range casts {
		if times := runs.times[fmt.Sprint("method_", i)]; times != 1 {
			t.Errorf("method_%d ran %d times, want once", i, times)
		}
	}
}

// runs counts how often each method ran, until all have.
type runs struct {
	want int
	done func()

	mu    sync.Mutex
	times map[string]int
}

// some runs a few requests by a listener of its own, and leaves one polled and a few prefetched when it goes.
func (r *runs) some(ctx context.Context, b *bus, d transport.Driver) error {
	l, err := d.Listen(ctx, b.onServer("host"), transport.ListenOptions{Prefetch: 4})
	if err != nil {
		return err
	}
	for i := range 6 {
		in, err := l.Poll(ctx)
		if err != nil {
			break // all is done
		}
		if i == 5 {
			break
		}
		if err := in.Ack(ctx); err == nil {
			r.ran(in.Request().Method)
		} else if !errors.Is(err, transport.ErrStale) && ctx.Err() == nil {
			return err
		}
	}
	return l.Close(context.WithoutCancel(ctx))
}

func (r *runs) ran(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.times[method]++; len(r.times) == r.want {
		r.done()
	}
}
