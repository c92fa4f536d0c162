//go:build integration

package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

var (
	minutes = flag.Int("minutes", 0, "how long TestSoak goes on")
	seed    = flag.Uint64("seed", 0, "what TestSoak draws its faults from; 0 draws a seed, which is printed")
)

// soakFaults are those that may follow each other in any order: each is mended before the next, and no queue with
// confirmed messages goes.
var soakFaults = []struct {
	name string
	play func(r *run, hold time.Duration)
}{
	{"cut", func(r *run, hold time.Duration) {
		r.network.cut()
		r.wait(hold)
		mend(r)
	}},
	{"half-open", func(r *run, _ time.Duration) {
		since := time.Now()
		r.network.hush()
		r.until(3*heartbeat, func() bool { return len(r.journal.times(saysLost, since)) >= 2*clients+servers })
	}},
	{"slow", func(r *run, hold time.Duration) {
		r.network.both(r.t, "latency", `{"latency": 200, "jitter": 100}`)
		r.wait(hold)
		r.network.cure(r.t.Context(), r.t, "latency")
	}},
	{"close-all-connections", func(r *run, _ time.Duration) { r.ctl("close_all_connections", "for a test") }},
	{"reply-queue-deleted", func(r *run, _ time.Duration) {
		queue := r.aReplyQueue()
		ch, done := r.channel()
		defer done()
		_, err := ch.QueueDelete(queue, false, false, false)
		r.must(err)
	}},
	{"frozen", func(r *run, hold time.Duration) {
		r.must(r.suite.broker.Pause(r.t.Context()))
		r.wait(hold)
		r.must(r.suite.broker.Resume(context.WithoutCancel(r.t.Context())))
	}},
	{"killed", func(r *run, hold time.Duration) {
		r.must(r.suite.broker.Kill(r.t.Context()))
		r.wait(hold)
		startAgain(r)
	}},
	{"memory-alarm", func(r *run, hold time.Duration) {
		r.ctl("set_vm_memory_high_watermark", "0.00001")
		r.wait(hold)
		r.ctl("set_vm_memory_high_watermark", "0.6")
	}},
}

const (
	longestHold  = 12 * time.Second
	longestPause = 3 * time.Second
	// recovered is how soon after any of these faults everybody must be of use again.
	recovered = 30 * time.Second
)

// TestSoak draws random faults under the load until its time is over, and checks all invariants.
func TestSoak(t *testing.T) {
	if *minutes == 0 {
		t.Skip("a soak is asked for by -minutes (make soak MINUTES=10)")
	}
	drawn := *seed
	if drawn == 0 {
		drawn = rand.Uint64()
	}
	fmt.Fprintf(os.Stdout, "soak of %d minutes, seed %d\n", *minutes, drawn)
	s := newSuite(t)
	defer s.table.print(os.Stdout)
	end := time.Now().Add(time.Duration(*minutes) * time.Minute)
	play(t, s, fault{name: "soak", inject: func(r *run) { soak(r, rand.New(rand.NewPCG(drawn, drawn)), end) }}, false)
}

// soak plays one fault after another until end.
func soak(r *run, draw *rand.Rand, end time.Time) {
	var slowest time.Duration
	played := 0
	for ; time.Now().Before(end); played++ {
		next := soakFaults[draw.IntN(len(soakFaults))]
		hold, calm := time.Duration(draw.Int64N(int64(longestHold))), time.Duration(draw.Int64N(int64(longestPause)))
		begun := time.Now()
		next.play(r, hold)
		r.healed = time.Now()
		r.history.fault(begun, r.healed)
		r.until(patience, r.everybodyIsGood)
		took, ok := r.slowestClient()
		if !ok {
			took = patience
		}
		fmt.Fprintf(os.Stdout, "%s: held %s, everybody back after %s\n", next.name, hold.Round(tick), took.Round(time.Millisecond))
		slowest = max(slowest, took)
		r.wait(calm)
	}
	r.healed = time.Now()
	r.tell("faults played", strconv.Itoa(played))
	r.atMost("first good call of each client after any fault", slowest, recovered)
}
