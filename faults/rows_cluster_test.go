//go:build integration

package faults

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
)

// clusterFaults are what happens to one of three nodes: the leader of the topic's queue, which is a quorum queue.
var clusterFaults = []fault{
	{
		name: "quorum-leader-killed", missing: needsCluster, prepare: useCluster,
		inject: func(r *run) {
			r.victim = r.leader()
			r.injected = time.Now() // rabbitmqctl is slow
			r.must(r.victim.Kill(r.t.Context()))
		},
		hold: held(15*time.Second, 5*time.Second),
		heal: func(r *run) {
			r.must(r.victim.StartAgain(context.WithoutCancel(r.t.Context())))
			r.must(r.suite.cluster.Await(context.WithoutCancel(r.t.Context())))
			r.healed = r.injected // what was broken mends itself from then on
		},
		back: 5 * time.Second,
		check: func(r *run) { // that each client is answered once more does not say that it goes on to be
			r.atMost("longest time in which a client had no good call", r.longestGap(call), 5*time.Second)
			r.atMost("longest time in which a client had no confirmed cast", r.longestGap(cast), 5*time.Second)
		},
	},
	{
		name: "partition", missing: needsCluster, prepare: useCluster,
		inject: func(r *run) {
			r.victim = r.leader()
			r.injected = time.Now()
			r.must(r.suite.cluster.Cut(r.t.Context(), r.victim))
		},
		hold: held(30*time.Second, 15*time.Second),
		heal: func(r *run) {
			r.must(r.suite.cluster.Mend(context.WithoutCancel(r.t.Context()), r.victim))
			r.must(r.suite.cluster.Await(context.WithoutCancel(r.t.Context())))
		},
		back: 5 * time.Second,
		check: func(r *run) {
			r.atMost("gap: longest time in which a client had no good call", r.longestGap(call), 20*time.Second)
			r.atMost("gap: longest time in which a client had no confirmed cast", r.longestGap(cast), 20*time.Second)
		},
	},
}

func needsCluster(s *suite) string {
	if s.broker.Kind() != broker.KindDocker {
		return "needs three nodes in networks of their own, which only a Docker engine gives; this broker is " + s.broker.Kind()
	}
	return ""
}

// startCluster starts the cluster of the suite, with its user, for the first row that needs it.
func (s *suite) startCluster(t *testing.T) {
	t.Helper()
	if s.cluster != nil {
		return
	}
	c, err := broker.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.cluster = c
	for _, args := range s.grants() {
		if _, err := c.Nodes[0].Ctl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
}

// useCluster makes the row's servers and clients choose among the nodes of a cluster, without the network in between, and
// use quorum queues.
func useCluster(r *run) {
	r.suite.startCluster(r.t)
	own, err := url.Parse(r.url)
	r.must(err)
	nodes := make([]string, len(r.suite.cluster.Nodes))
	for i, node := range r.suite.cluster.Nodes {
		u, err := url.Parse(node.URL())
		r.must(err)
		nodes[i] = own.User.String() + "@" + u.Host
	}
	r.url = fmt.Sprintf("rabbit://%s/?%s&rabbit_quorum_queue=true", strings.Join(nodes, ","), own.RawQuery)
}

// leader is the node that leads the topic's queue.
func (r *run) leader() *broker.Broker {
	r.t.Helper()
	out, err := r.suite.cluster.Nodes[0].Ctl(r.t.Context(), "list_queues", "--no-table-headers", "name", "leader")
	r.must(err)
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == r.topic {
			if node := r.suite.cluster.Node(fields[1]); node != nil {
				r.tell("leader", fields[1])
				return node
			}
		}
	}
	r.t.Fatalf("no node leads the queue of the topic:\n%s", out)
	return nil
}

// longestGap is the longest time, since the fault, between the ends of two good operations of a kind of one client.
func (r *run) longestGap(k kind) (longest time.Duration) {
	for client := range clients {
		longest = max(longest, r.history.gap(k, client, r.injected))
	}
	return longest
}
