package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

// TestHistoryFindsEachBrokenPromise breaks one promise at a time: each is counted where it belongs and nowhere else.
func TestHistoryFindsEachBrokenPromise(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := start.Add
	type counts struct{ Twice, TwoServers, Excused, Lost, Unfounded, Late, Untyped int }
	begin := func(h *history, k kind) string { return h.begin(k, 0, at(0), at(time.Second)) }
	for _, tt := range []struct {
		name string
		play func(h *history)
		want counts
	}{
		{"a call that runs and is answered", func(h *history) {
			id := begin(h, call)
			h.ran(id, "s1")
			h.end(id, at(time.Second), nil)
		}, counts{}},
		{"a cast that runs once and is not confirmed", func(h *history) {
			id := begin(h, cast)
			h.ran(id, "s1")
			h.end(id, at(0), fmt.Errorf("cast: %w", messaging.ErrConnectionLost))
		}, counts{}},
		{"a fanout that runs once on each server", func(h *history) {
			id := begin(h, fanout)
			h.ran(id, "s1")
			h.ran(id, "s2")
			h.end(id, at(0), nil)
		}, counts{}},
		{"a call that runs on two servers", func(h *history) {
			id := begin(h, call)
			h.ran(id, "s1")
			h.ran(id, "s2")
			h.end(id, at(0), nil)
		}, counts{TwoServers: 1}},
		{"a cast that runs on two servers, first around a fault", func(h *history) {
			h.fault(time.Now(), time.Now())
			id := begin(h, cast)
			h.ran(id, "s1")
			h.ran(id, "s2")
			h.end(id, at(0), nil)
		}, counts{Excused: 1}},
		{"a call that runs on two servers, not around a fault", func(h *history) {
			h.fault(time.Now().Add(-time.Minute), time.Now().Add(-2*aroundFault))
			id := begin(h, call)
			h.ran(id, "s1")
			h.ran(id, "s2")
			h.end(id, at(0), nil)
		}, counts{TwoServers: 1}},
		{"a fanout that runs twice on one server", func(h *history) {
			id := begin(h, fanout)
			h.ran(id, "s1")
			h.ran(id, "s1")
			h.end(id, at(0), nil)
		}, counts{Twice: 1}},
		{"a run of what nobody sent", func(h *history) { h.ran("?", "s1") }, counts{Twice: 1}},
		{"a confirmed cast that nobody runs", func(h *history) { h.end(begin(h, cast), at(0), nil) }, counts{Lost: 1}},
		{"an answer to what nobody ran", func(h *history) { h.end(begin(h, call), at(0), nil) }, counts{Unfounded: 1}},
		{"a call that ends too late", func(h *history) {
			h.end(begin(h, call), at(time.Second+lateness+1), messaging.ErrTimeout)
		}, counts{Late: 1}},
		{"a call that does not end", func(h *history) { begin(h, call) }, counts{Late: 1}},
		{"an error that does not say why", func(h *history) {
			h.end(begin(h, call), at(time.Second), context.DeadlineExceeded)
		}, counts{Untyped: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHistory()
			tt.play(h)
			got := counts{h.ranTwice(), h.ranOnTwoServers(false), h.ranOnTwoServers(true), h.lost(at(-1)), h.unfounded(), h.late(), h.untyped()}
			if got != tt.want {
				t.Errorf("found %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestHistoryMeasuresFromTheEndOfTheFault(t *testing.T) {
	t.Parallel()
	start := time.Now()
	h := newHistory()
	play := func(client int, sent, ended time.Duration, err error) {
		id := h.begin(call, client, start.Add(sent), start.Add(time.Minute))
		h.end(id, start.Add(ended), err)
	}
	play(0, -time.Second, time.Second, nil) // sent before the end
	play(0, 1*time.Second, 2*time.Second, errors.New("not yet"))
	play(0, 2*time.Second, 5*time.Second, nil)
	play(0, 3*time.Second, 4*time.Second, nil)
	play(1, 0, time.Minute, messaging.ErrTimeout)
	if got, ok := h.firstGood(0, start); !ok || got != 4*time.Second {
		t.Errorf("firstGood = %s, %t, want 4s: the first to be answered of those sent since", got, ok)
	}
	if got, ok := h.firstGood(1, start); ok {
		t.Errorf("firstGood = %s for a client without a good call, want none", got)
	}
	if got := h.gap(call, 0, start); got != 3*time.Second {
		t.Errorf("gap = %s, want 3s: from the first to the second good end", got)
	}
	if got := h.gap(call, 1, start.Add(-time.Second)); got != time.Second {
		t.Errorf("gap = %s for a client without a good call, want 1s: to the last that it sent", got)
	}
	if got := h.slowest(1, start, start.Add(3*time.Second)); got != 3*time.Second {
		t.Errorf("slowest = %s, want 3s: of the good calls sent within the time", got)
	}
}
