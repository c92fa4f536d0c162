//go:build integration

package faults

import (
	"strconv"
	"time"
)

// held is a fault that lasts so long in either form.
func held(long, short time.Duration) func(bool) time.Duration {
	return func(isShort bool) time.Duration {
		if isShort {
			return short
		}
		return long
	}
}

// networkFaults are what happens between goslo and a healthy broker.
var networkFaults = []fault{
	{
		name: "tcp-reset", short: true,
		inject: func(r *run) { r.network.cut() },
		hold:   held(time.Second, time.Second),
		heal:   mend,
		back:   time.Second,
		check:  onlyInFlightFail,
	},
	{
		name: "close-all-connections", short: true,
		inject: func(r *run) {
			// rabbitmqctl is slow to start: what it did, the log tells.
			r.ctl("close_all_connections", "for a test")
			if lost := r.journal.times(saysLost, r.injected); len(lost) > 0 {
				r.injected = lost[0]
			}
		},
		back:  time.Second,
		check: onlyInFlightFail,
	},
	{
		name: "half-open",
		inject: func(r *run) {
			r.network.hush()
			r.until(3*heartbeat, func() bool { return len(r.journal.times(saysLost, r.injected)) >= 2*clients+servers })
		},
		back: 2 * time.Second,
		check: func(r *run) {
			lost := r.journal.times(saysLost, r.injected)
			if len(lost) == 0 {
				r.promise("detected", "not at all", false)
				return
			}
			r.atMost("detected", lost[len(lost)-1].Sub(r.injected), heartbeat*3/2)
			r.tell("connections that were silent", strconv.Itoa(len(lost)))
		},
	},
	{
		name: "slow-network",
		inject: func(r *run) {
			r.network.both(r.t, "latency", `{"latency": 200, "jitter": 100}`)
			r.network.both(r.t, "bandwidth", `{"rate": 64}`)
		},
		hold: held(30*time.Second, 3*time.Second),
		heal: func(r *run) {
			r.none("false disconnects", len(r.journal.times(saysLost, r.injected)), len(r.journal.times(saysConnected, time.Time{})))
			r.network.cure(r.t.Context(), r.t, "bandwidth")
			r.network.cure(r.t.Context(), r.t, "latency")
		},
	},
}

func mend(r *run) {
	if err := r.network.mend(); err != nil {
		r.t.Fatal(err)
	}
}

// reaction is how long after a cut an operation may still be written into it.
const reaction = 100 * time.Millisecond

// onlyInFlightFail promises that of what was sent after the fault nothing failed: it waits.
func onlyInFlightFail(r *run) {
	later := func(o *operation) bool { return o.sent.After(r.injected.Add(reaction)) }
	r.none("failed though not in flight at the fault", r.history.count(func(o *operation) bool { return later(o) && o.failed() }),
		r.history.count(later))
}
