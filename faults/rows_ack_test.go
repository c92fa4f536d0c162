//go:build integration

package faults

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/messaging"
)

// ackFaults are requests that are acknowledged later than the broker puts up with.
var ackFaults = []fault{
	{
		name: "ack-timeout", prepare: impatient,
		inject: func(r *run) {
			r.overdue("classic", "")
			r.overdue("quorum", "&rabbit_quorum_queue=true")
		},
		check: func(r *run) {
			load := func(o *operation) bool { return o.client >= 0 }
			r.none("failed of other clients", r.history.count(func(o *operation) bool { return load(o) && o.failed() }), r.history.count(load))
		},
	},
}

const (
	// consumerTimeout is how long the broker waits for an acknowledgement. It closes the consumer's channel then.
	consumerTimeout = 3 * time.Second
	// overdueWork takes longer than that, and less than it takes from the channel that follows.
	overdueWork  = 5 * time.Second
	overdueTasks = 4
	// overdueClient stands for who sends that, in place of a client of the load.
	overdueClient = -3
)

// impatient has the broker look every second for acknowledgements that are overdue, by default every minute, which they are
// after consumerTimeout, by default half an hour. A channel reads both when it is opened. They are the broker's own names,
// which rabbitmq.conf has no setting for, or one that takes a restart.
func impatient(r *run) {
	set := func(name string, d time.Duration) {
		r.ctl("eval", fmt.Sprintf("application:set_env(rabbit, %s, %d).", name, d.Milliseconds()))
	}
	set("channel_tick_interval", time.Second)
	set("consumer_timeout", consumerTimeout)
	r.t.Cleanup(func() {
		set("channel_tick_interval", time.Minute)
		set("consumer_timeout", 30*time.Minute)
	})
}

// overdue has a server that acknowledges what it has finished take too long for each of several requests. It is the only
// one of its topic, so that the broker hands them to it again while they run.
func (r *run) overdue(kind, query string) {
	r.t.Helper()
	p := r.open(r.url + query)
	r.load.parties = append(r.load.parties, p)
	on := r.target(kind)
	on.Topic += "-" + kind
	srv, err := messaging.NewRPCServer(p.Transport, on, r.load.endpoints(kind), messaging.WithAck(messaging.AckOnFinish))
	r.must(err)
	r.must(srv.Start(r.t.Context()))
	r.load.servers = append(r.load.servers, srv)
	c, err := messaging.NewClient(p.Transport, messaging.Target{Exchange: on.Exchange, Topic: on.Topic})
	r.must(err)
	told := r.journal.with(overdueText)
	for range overdueTasks {
		r.load.note(r.t.Context(), cast, overdueClient, func(ctx context.Context, id string) error {
			return c.Cast(ctx, "work", work{ID: id, Milliseconds: int(overdueWork.Milliseconds())})
		})
	}
	settled := r.until(patience, func() bool { return srv.Stats().Received >= 2*overdueTasks && r.emptied(on.Topic) })
	redelivered := srv.Stats().Redelivered
	r.promise(kind+" queue: redelivered once, counted", fmt.Sprintf("%d of %d", redelivered, overdueTasks), redelivered == overdueTasks)
	r.promise(kind+" queue: acknowledged in the end", strconv.FormatBool(settled), settled)
	closed, sessions := r.journal.with(overdueText)-told, p.driver.Stats().Sessions
	r.promise(kind+" queue: channel renewed, connections stay", fmt.Sprintf("closed %d times, %d connections", closed, sessions),
		closed == 1 && sessions == 2)
	ran := r.history.count(func(o *operation) bool { return o.runs[kind] == 1 })
	r.promise(kind+" queue: run once", fmt.Sprintf("%d of %d", ran, overdueTasks), ran == overdueTasks)
}

// overdueText is in the broker's reason to close a channel.
const overdueText = "delivery acknowledgement on channel"

// emptied reports whether nothing is left in a queue, neither waiting nor unacknowledged.
func (r *run) emptied(queue string) bool {
	for line := range strings.Lines(r.ctl("list_queues", "--no-table-headers", "name", "messages")) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == queue {
			return fields[1] == "0"
		}
	}
	return false
}
