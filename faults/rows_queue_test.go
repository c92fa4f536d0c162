//go:build integration

package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/goslo/goslo/messaging"
)

// queueFaults are queues that vanish, and messages that are not what they should be.
var queueFaults = []fault{
	{
		name: "server-queue-deleted", short: true, losesQueue: true,
		inject: func(r *run) {
			ch, done := r.channel()
			defer done()
			for _, queue := range []string{r.topic, r.topic + ".s1"} {
				_, err := ch.QueueDelete(queue, false, false, false)
				r.must(err)
			}
		},
		heal: func(r *run) {
			one := r.load.clients[0].Prepare(messaging.ToServer("s1"), messaging.WithMandatory())
			id := r.history.begin(call, -1, time.Now(), time.Now().Add(patience))
			deleted := time.Now()
			r.until(patience, func() bool {
				err := one.Call(r.t.Context(), "work", work{ID: id}, nil)
				r.history.end(id, time.Now(), err)
				return err == nil
			})
			r.atMost("the server's own queue is consumed", time.Since(deleted), time.Second)
			r.healed = deleted // what was broken mends itself from then on
		},
		back: time.Second,
	},
	{
		name: "reply-queue-deleted", short: true,
		inject: func(r *run) {
			queue := r.aReplyQueue()
			ch, done := r.channel()
			defer done()
			r.slowCalls(time.Second)
			r.injected = time.Now()
			_, err := ch.QueueDelete(queue, false, false, false)
			r.must(err)
		},
		hold:  held(5*time.Second, time.Second),
		back:  time.Second,
		check: replyPath,
	},
	{
		name: "reply-queue-expired", ttl: 1,
		inject: func(r *run) {
			r.slowCalls(3 * time.Second)
			r.injected = time.Now()
			r.network.cut()
		},
		hold: held(3*time.Second, 3*time.Second),
		heal: mend,
		back: time.Second,
		check: func(r *run) {
			answered := r.history.count(func(o *operation) bool { return o.slow && o.good() })
			r.tell("calls answered though their reply queue expired", fmt.Sprintf("%d of %d", answered, slowCalls*clients))
		},
	},
}

// slowCalls is how many calls of each client run when a fault happens.
const slowCalls = 5

// slowCalls begins calls that take a while, and returns when they run.
func (r *run) slowCalls(takes time.Duration) {
	r.t.Helper()
	running := func() int { return r.history.count(func(o *operation) bool { return o.slow && len(o.runs) > 0 }) }
	for client := range clients {
		for range slowCalls {
			r.load.sending.Go(func() { r.load.slowCall(r.t.Context(), client, int(takes.Milliseconds())) })
		}
	}
	if !r.until(patience, func() bool { return running() == slowCalls*clients }) {
		r.t.Fatal("the slow calls do not run")
	}
}

// aReplyQueue is the name of a reply queue of one of the clients.
func (r *run) aReplyQueue() string {
	r.t.Helper()
	for queue := range strings.Lines(r.ctl("list_queues", "--no-table-headers", "name", "consumers")) {
		fields := strings.Fields(queue)
		if len(fields) == 2 && strings.HasPrefix(fields[0], "reply_") && fields[1] == "1" {
			return fields[0]
		}
	}
	r.t.Fatal("there is no reply queue")
	return ""
}

// replyPath promises what a client may see whose reply queue was deleted, and that the others see nothing.
func replyPath(r *run) {
	deaf := -1
	for i, p := range r.load.parties[servers:] {
		if p.driver.Stats().Cancelled > 0 {
			deaf = i
		}
	}
	r.promise("one client has lost its queue", fmt.Sprintf("client %d", deaf), deaf >= 0)
	inFlight := func(o *operation) bool {
		return o.kind == call && o.client == deaf && o.sent.Before(r.injected) && o.ended.After(r.injected)
	}
	slow := r.history.count(func(o *operation) bool {
		return inFlight(o) && o.failed() && o.ended.Sub(r.injected) > time.Second
	})
	r.none("calls in flight that failed after more than 1 s", slow, r.history.count(inFlight))
	r.tell("calls in flight that were answered", fmt.Sprintf("%d of %d", r.history.count(func(o *operation) bool {
		return inFlight(o) && o.good()
	}), r.history.count(inFlight)))
	others := func(o *operation) bool { return o.client != deaf }
	r.none("failed of other clients", r.history.count(func(o *operation) bool { return others(o) && o.failed() }),
		r.history.count(others))
}
