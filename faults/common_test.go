//go:build integration

package faults

import (
	"fmt"
	"strconv"
	"time"
)

const (
	// heapGrowth is how much more a row may leave on the heap than it found.
	heapGrowth = 32 << 20
	// endTime is how long after the end of a row its goroutines may go on.
	endTime = 5 * time.Second
	// closeTime is how long Close may take, whatever the broker does.
	closeTime = 3 * time.Second
)

// common notes what is promised of every row.
func (r *run) common(closing time.Duration) {
	r.t.Helper()
	if r.fault.back > 0 {
		first, ok := r.slowestClient()
		if !ok {
			first = patience
		}
		r.atMost("first good call of each client", first, r.fault.back)
	}
	h := r.history
	all := h.count(func(*operation) bool { return true })
	confirmed := h.count(func(o *operation) bool { return o.kind == cast && o.good() && o.sent.After(r.keepsSince()) })
	r.none("confirmed casts lost", h.lost(r.keepsSince()), confirmed)
	r.none("run twice by one server", h.ranTwice(), all)
	r.none("run by two servers, begun at no fault", h.ranOnTwoServers(false), all)
	r.none("answered without being run", h.unfounded(), all)
	r.none("ended later than 0.5 s after their deadline", h.late(), all)
	r.none("failed without a typed error", h.untyped(), h.count((*operation).failed))
	r.atMost("Close of each transport", closing, closeTime)
	if two := h.ranOnTwoServers(true); two > 0 {
		r.tell("run by two servers, begun at the fault", strconv.Itoa(two))
	}
	if failed := h.failures(); failed != "" {
		r.tell("failures", failed)
	}
}

// leftovers notes what a row has left behind in the process and in its log.
func (r *run) leftovers(before usage) {
	r.t.Helper()
	logged := r.journal.with("")
	r.none("credentials in the log", r.journal.with(r.suite.secret), logged)
	r.none("panics", r.journal.with("panic"), logged)
	if r.t.Failed() {
		r.t.Logf("log:\n%s", clip(r.journal.warnings(), 6000))
	}
	r.history, r.journal, r.load, r.opened = newHistory(), &journal{}, nil, nil // the row's own memory is not goslo's
	if !r.until(endTime, func() bool { return goroutines() <= before.goroutines }) {
		r.t.Logf("goroutines:\n%s", clip(stacks(), 20000))
	}
	after := baseline()
	r.promise("goroutines back to the baseline in 5 s", fmt.Sprintf("%d, were %d", after.goroutines, before.goroutines),
		after.goroutines <= before.goroutines)
	grown := int64(after.heap) - int64(before.heap)
	r.promise("heap <= baseline + 32 MiB", fmt.Sprintf("%+.1f MiB", float64(grown)/(1<<20)), grown <= heapGrowth)
}
