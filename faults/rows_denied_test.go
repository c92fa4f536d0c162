//go:build integration

package faults

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/transport/transporttest"
)

// denyTransient has a broker refuse what RabbitMQ 4.3 refuses by default: queues that are neither durable nor exclusive.
const denyTransient = "deprecated_features.permit.transient_nonexcl_queues = false"

// deniedFaults are brokers that do not permit the queues of oslo.messaging's defaults, from the start or from some time on.
var deniedFaults = []fault{
	{name: "deprecated-denied", alone: true, inject: conformsWhereDenied}, // the integration tests do so too
	{
		name: "denied-at-run-time", losesQueue: true, prepare: useLegacy, inject: beginToDeny,
		heal: func(r *run) {
			startAgain(r)
			r.saysWhatToDo()
			r.healed = time.Now()
			r.startOtherServers("profile=durable")
			r.until(askedAgain, func() bool { return r.ranLeast() > 0 })
		},
		back: 5 * time.Second,
		check: func(r *run) {
			runs := r.ranLeast()
			r.promise("each server of before uses the queues that are there now", fmt.Sprintf("%d requests or more", runs), runs > 0)
		},
	},
	{
		name: "denied-and-permitted", losesQueue: true, prepare: useLegacy, inject: beginToDeny,
		heal: func(r *run) {
			startAgain(r)
			r.saysWhatToDo()
			permit(r)
		},
		back: 5 * time.Second,
	},
}

// askedAgain is within which time a server looks again for a queue that was refused: half a minute, and some time to do it.
const askedAgain = 35 * time.Second

// conformsWhereDenied runs the suite of all drivers on a broker of its own, once with each profile.
func conformsWhereDenied(r *run) {
	b := broker.ForTest(r.t, broker.WithSettings(denyTransient))
	for _, profile := range []string{"durable", "quorum"} {
		begun := time.Now()
		passed := r.t.Run(profile, func(t *testing.T) { conforms(t, b, profile) })
		r.promise("the conformance suite passes, profile "+profile, fmt.Sprintf("passed: %t", passed), passed)
		r.tell("took, profile "+profile, time.Since(begun).Round(tick).String())
	}
}

// conforms runs the suite of all drivers with a profile, on a virtual host of its own.
func conforms(t *testing.T, b *broker.Broker, profile string) {
	t.Helper()
	vhost := b.VHost(t)
	open := func(tb testing.TB, text string) transport.Driver {
		tb.Helper()
		u, err := transport.ParseURL(text)
		if err != nil {
			tb.Fatal(err)
		}
		d, err := rabbit.Open(u, rabbit.WithLogger((&journal{}).logger()))
		if err != nil {
			tb.Fatal(err)
		}
		return d
	}
	conn, err := amqp.Dial(broker.AMQP(vhost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) })
	transporttest.Run(t, func(tb testing.TB) transport.Driver { tb.Helper(); return open(tb, vhost+"?profile="+profile) },
		transporttest.Features{
			Redelivered: true, LateAck: true, Counts: true, Reordered: profile == "quorum",
			Unreachable: func(tb testing.TB) transport.Driver { tb.Helper(); return open(tb, "rabbit://127.0.0.1:1/") },
			RawPublish: func(tb testing.TB, exchange, key, contentType string, body []byte) {
				tb.Helper()
				ch, err := conn.Channel()
				if err != nil {
					tb.Fatal(err)
				}
				defer ch.Close()
				if err := ch.PublishWithContext(tb.Context(), exchange, key, false, false, amqp.Publishing{
					ContentType: contentType, ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Body: body,
				}); err != nil {
					tb.Fatal(err)
				}
			},
		})
}

// useLegacy gives the row's servers and clients oslo.messaging's defaults.
func useLegacy(r *run) {
	r.url = strings.Replace(r.url, "amqp_durable_queues=true", "profile=legacy", 1)
}

// beginToDeny stops the broker, which is to be another one when it starts again.
func beginToDeny(r *run) {
	r.must(r.suite.broker.Reconfigure(r.t.Context(), denyTransient))
	r.must(r.suite.broker.Stop(r.t.Context()))
	r.t.Cleanup(func() { // for the rows that follow
		const question = "rabbit_deprecated_features:is_permitted(transient_nonexcl_queues)."
		if out, err := r.suite.broker.Ctl(context.WithoutCancel(r.t.Context()), "eval", question); err == nil && out == "true" {
			return
		}
		permit(r)
	})
}

// permit has the broker permit again what it denies. That takes a restart.
func permit(r *run) {
	ctx := context.WithoutCancel(r.t.Context())
	r.must(r.suite.broker.Reconfigure(ctx))
	r.must(r.suite.broker.Stop(ctx))
	startAgain(r)
}

// saysWhatToDo promises that the log tells, for each server once, which queue is refused and which option would help.
func (r *run) saysWhatToDo() {
	r.t.Helper()
	const refusal = "the broker does not permit queues of this kind, set amqp_durable_queues=true"
	r.until(20*time.Second, func() bool { return r.journal.with(refusal) >= servers })
	r.wait(5 * time.Second)
	told := r.journal.with(refusal)
	r.promise("one clear error of each server, with queue and option", fmt.Sprintf("%d lines of %d servers", told, servers), told == servers)
}

// serverNames are those of the load's servers.
var serverNames = []string{"s1", "s2", "s3"}

// ranLeast is how many requests of those sent since the fault's end each of the load's servers has run at least.
func (r *run) ranLeast() int {
	least := math.MaxInt
	for _, name := range serverNames {
		least = min(least, r.history.count(func(o *operation) bool { return o.sent.After(r.healed) && o.runs[name] > 0 }))
	}
	return least
}

// startOtherServers starts servers of the same names with other options, as an operator does who has read the log.
func (r *run) startOtherServers(options string) {
	r.t.Helper()
	for _, name := range serverNames {
		p := r.open(strings.Replace(r.url, "profile=legacy", options, 1))
		r.load.parties = append(r.load.parties, p)
		srv, err := messaging.NewRPCServer(p.Transport, r.target(name), r.load.endpoints("another "+name))
		r.must(err)
		r.must(srv.Start(r.t.Context()))
		r.load.servers = append(r.load.servers, srv)
	}
}
