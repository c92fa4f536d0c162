//go:build integration

package faults

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goslo/goslo/messaging"
)

// processFaults are what happens to a server's process, or to many clients at once.
var processFaults = []fault{
	{name: "slow-handlers", alone: true, missing: withoutProc, inject: slowHandlers},
	{name: "process-stopped", alone: true, inject: stoppedProcess},
	{name: "server-before-broker", alone: true, inject: serverBeforeBroker},
	{name: "sigterm-under-load", alone: true, inject: sigtermUnderLoad},
	{name: "sigterm-in-alarm", alone: true, inject: sigtermInAlarm},
	{name: "many-clients", alone: true, inject: manyClients},
}

func withoutProc(*suite) string {
	if runtime.GOOS != "linux" {
		return "the memory of a process is read from /proc"
	}
	return ""
}

// client makes a client of the row's topic, on a transport of its own.
func (r *run) client(timeout time.Duration) (*messaging.Client, *party) {
	r.t.Helper()
	p := r.open(r.url)
	c, err := messaging.NewClient(p.Transport, r.target(""), messaging.WithTimeout(timeout))
	r.must(err)
	return c, p
}

// alone gives a row that brings its own load the means to send: clients, and no server in this process.
func (r *run) alone(count int) {
	r.t.Helper()
	r.load = &load{run: r, stop: func() {}}
	for range count {
		c, p := r.client(deadline)
		r.load.clients, r.load.parties = append(r.load.clients, c), append(r.load.parties, p)
	}
}

// invariants notes what is promised of every history.
func (r *run) invariants() {
	r.t.Helper()
	h := r.history
	all := h.count(func(*operation) bool { return true })
	r.none("run twice", h.ranTwice()+h.ranOnTwoServers(false), all)
	r.none("ended later than 0.5 s after their deadline", h.late(), all)
	r.none("failed without a typed error", h.untyped(), h.count((*operation).failed))
	if failed := h.failures(); failed != "" {
		r.tell("failures", failed)
	}
}

const (
	fatMessages = 2000
	fatBytes    = 100 << 10
	rssGrowth   = 64 << 20
	// places is the executor's size by default, and twice that the prefetch of each queue.
	places   = 64
	prefetch = 2 * places
)

// slowHandlers gives a server with handlers that are stuck far more than it can hold.
func slowHandlers(r *run) {
	c := r.startChild("s1", r.topic)
	c.awaitReady()
	r.alone(1)
	for range 200 { // what a server needs to run at all is not growth
		r.load.cast(r.t.Context(), 0)
	}
	before := c.memory()
	r.load.castStuck(r.t.Context(), fatMessages)
	var most int64
	unacknowledged := 0
	for range 5 {
		r.wait(time.Second)
		most = max(most, c.memory())
		unacknowledged = max(unacknowledged, r.unacknowledged(r.topic))
	}
	r.promise("RSS growth <= 64 MiB", fmt.Sprintf("%.1f MiB, from %.1f", float64(most-before)/(1<<20), float64(before)/(1<<20)),
		most-before <= rssGrowth)
	r.promise("messages in the process <= prefetch", fmt.Sprintf("%d unacknowledged, prefetch %d", unacknowledged, prefetch),
		unacknowledged <= prefetch && unacknowledged > 0)
	running := r.history.count(func(o *operation) bool { return o.slow && len(o.runs) > 0 })
	r.tell("handlers that run, acknowledged", strconv.Itoa(running))
	r.tell("exit, with stuck handlers", c.terminate().Round(time.Millisecond).String())
	r.invariants()
}

// castStuck casts long messages whose methods take until their server ends.
func (l *load) castStuck(ctx context.Context, count int) {
	filler := strings.Repeat("x", fatBytes)
	for range count {
		l.note(ctx, cast, 0, func(ctx context.Context, id string) error {
			l.run.history.mark(id)
			return l.clients[0].Cast(ctx, "work", work{ID: id, Milliseconds: int(patience.Milliseconds()), Filler: filler})
		})
	}
}

// unacknowledged is how many messages of a queue its consumers hold.
func (r *run) unacknowledged(queue string) int {
	r.t.Helper()
	for line := range strings.Lines(r.ctl("list_queues", "--no-table-headers", "name", "messages_unacknowledged")) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == queue {
			n, err := strconv.Atoi(fields[1])
			r.must(err)
			return n
		}
	}
	return 0
}

// stoppedProcess stops a server's process for longer than its connections live.
func stoppedProcess(r *run) {
	c := r.startChild("s1", r.topic)
	c.awaitReady()
	r.alone(clients)
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	for i := range clients {
		r.load.every(ctx, callEvery, func() { r.load.call(r.t.Context(), i) })
	}
	r.wait(2 * time.Second)
	c.signal(syscall.SIGSTOP)
	r.wait(30 * time.Second)
	c.signal(syscall.SIGCONT)
	r.healed = time.Now()
	r.until(patience, r.everybodyIsGood)
	first, ok := r.slowestClient()
	if !ok {
		first = patience
	}
	r.wait(time.Second)
	cancel()
	r.load.sending.Wait()
	r.atMost("session renewed: first good call of each client", first, 2*time.Second)
	r.atMost("exit", c.terminate(), grace+time.Second)
	r.invariants()
}

// serverBeforeBroker starts a server without a broker, and then the broker.
func serverBeforeBroker(r *run) {
	r.must(r.suite.broker.Stop(r.t.Context()))
	c := r.startChild("s1", r.topic)
	r.wait(10 * time.Second) // long enough for the back-off to grow
	startAgain(r)
	back := time.Now()
	c.awaitReady()
	r.atMost("READY after the broker answers", time.Since(back), 3*time.Second)
	r.atMost("exit", c.terminate(), grace+time.Second)
}

// sigtermUnderLoad ends one of two servers while clients call without a pause: of what it took, all is answered.
func sigtermUnderLoad(r *run) {
	first, second := r.startChild("s1", r.topic), r.startChild("s2", r.topic)
	first.awaitReady()
	second.awaitReady()
	r.alone(clients)
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	for i := range clients {
		r.load.every(ctx, callEvery, func() { r.load.slowCall(r.t.Context(), i, 50) })
	}
	r.wait(2 * time.Second)
	took := first.terminate()
	r.wait(time.Second)
	cancel()
	r.load.sending.Wait()
	taken := func(o *operation) bool { return o.runs["s1"] > 0 }
	r.none("failed of those taken", r.history.count(func(o *operation) bool { return taken(o) && o.failed() }), r.history.count(taken))
	r.none("failed of all", r.history.count((*operation).failed), r.history.count(func(*operation) bool { return true }))
	r.atMost("exit", took, grace+time.Second)
	r.atMost("exit of the other", second.terminate(), grace+time.Second)
	r.invariants()
}

// sigtermInAlarm ends a server whose broker reads nothing of what it publishes.
func sigtermInAlarm(r *run) {
	c := r.startChild("s1", r.topic)
	c.awaitReady()
	r.alone(1)
	for range 20 {
		r.load.sending.Go(func() { r.load.slowCall(r.t.Context(), 0, 4000) })
	}
	r.until(patience, func() bool { return r.history.count(func(o *operation) bool { return len(o.runs) > 0 }) == 20 })
	r.ctl("set_vm_memory_high_watermark", "0.00001")
	defer r.ctl("set_vm_memory_high_watermark", "0.6")
	r.wait(3 * time.Second) // replies are blocked by now
	r.atMost("exit", c.terminate(), grace+time.Second)
	r.load.sending.Wait()
	r.invariants()
}

const manyClientsCount = 200

// manyClients kills the broker under many clients.
func manyClients(r *run) {
	before := baseline()
	c := r.startChild("s1", r.topic)
	c.awaitReady()
	r.alone(manyClientsCount)
	good := func(ctx context.Context) int {
		var n atomic.Int64
		var calling sync.WaitGroup
		for i := range r.load.clients {
			calling.Go(func() {
				for ctx.Err() == nil {
					if r.load.clients[i].Call(ctx, "work", work{ID: "many"}, nil) == nil {
						n.Add(1)
						return
					}
					_ = pause(ctx, 20*time.Millisecond) // the loop ends with ctx
				}
			})
		}
		calling.Wait()
		return int(n.Load())
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if n := good(ctx); n != manyClientsCount {
		r.t.Fatalf("%d clients have a good call before the fault", n)
	}
	r.must(r.suite.broker.Kill(r.t.Context()))
	r.injected = time.Now()
	startAgain(r)
	r.healed = time.Now()
	ctx, cancel = context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	n := good(ctx)
	took := time.Since(r.healed)
	r.promise("all back <= 45 s", fmt.Sprintf("%d of %d in %s", n, manyClientsCount, took.Round(time.Millisecond)),
		n == manyClientsCount && took <= 45*time.Second)
	dials := r.journal.times(saysConnected, r.injected)
	peak := busiest(dials, 500*time.Millisecond)
	r.promise("dials spread: at most half of them within 0.5 s", fmt.Sprintf("%d of %d", peak, len(dials)), peak <= len(dials)/2)
	r.atMost("exit of the server", c.terminate(), grace+time.Second)
	r.abandon()
	r.leftovers(before)
}

// busiest is the most of the times that lie within a window.
func busiest(times []time.Time, window time.Duration) (most int) {
	for _, from := range times {
		n := 0
		for _, at := range times {
			if d := at.Sub(from); d >= 0 && d < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
