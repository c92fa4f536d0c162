//go:build integration

package faults

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// messageFaults are callers that do what goslo's do not.
var messageFaults = []fault{
	{
		name: "callers-gone", short: true, calm: held(10*time.Second, 2*time.Second),
		inject: func(r *run) {
			ch, done := r.channel()
			defer done()
			lasts := held(10*time.Second, 2*time.Second)(r.short)
			for range goneCallers { // among the good load, not before it
				r.publish(ch, r.topic, "", "reply_"+strings.ToLower(rand.Text()))
				r.wait(lasts / goneCallers)
			}
		},
		check: func(r *run) {
			before := r.history.slowest(0.99, r.begun, r.injected)
			during := r.history.slowest(0.99, r.injected, r.healed)
			r.promise("p99 of other callers <= 2 x", fmt.Sprintf("%s, was %s", during.Round(time.Microsecond*100),
				before.Round(time.Microsecond*100)), during <= 2*before)
			good := func(o *operation) bool { return o.client >= 0 }
			r.none("failed of other callers", r.history.count(func(o *operation) bool { return good(o) && o.failed() }),
				r.history.count(good))
			gone := r.history.count(func(o *operation) bool { return o.client == gone && len(o.runs) == 1 })
			r.promise("all requests of gone callers are run", fmt.Sprintf("%d of %d", gone, goneCallers), gone == goneCallers)
		},
	},
	{
		name: "duplicates", short: true,
		inject: func(r *run) {
			ch, done := r.channel()
			defer done()
			for range duplicated {
				id := r.publish(ch, r.topic+".s1", "", "")
				r.publish(ch, r.topic+".s1", id, "")
			}
		},
		check: func(r *run) {
			once := r.history.count(func(o *operation) bool { return o.client == gone && len(o.runs) == 1 })
			r.promise("duplicates run once", fmt.Sprintf("%d of %d", once, duplicated), once == duplicated)
			counted := r.load.parties[0].driver.Stats().Duplicates
			r.promise("duplicates are counted", strconv.FormatUint(counted, 10), counted >= duplicated)
		},
	},
	{
		name: "stale-ack",
		inject: func(r *run) {
			b := r.startBystander(4)
			for range backlog {
				b.cast(r, 20*time.Millisecond)
			}
			r.injected = time.Now()
			r.network.cut() // some run, some lie unacknowledged with the server, some with the broker
			r.must(r.network.mend())
		},
		check: func(r *run) {
			ran := r.history.count(func(o *operation) bool { return o.client == -1 && len(o.runs) > 0 })
			of := r.history.count(func(o *operation) bool { return o.client == -1 && o.good() })
			r.promise("no message acknowledged in another's place", fmt.Sprintf("%d of %d were run", ran, of), ran >= of)
		},
	},
}

const (
	goneCallers = 1000
	duplicated  = 50
	backlog     = 200
	// gone stands for the callers whose reply queue has vanished, in place of a client.
	gone = -2
)

// publish sends a bare request, as oslo.messaging writes it, and returns its id, which is that of an earlier one where
// it is given. A request with a reply queue is a call.
func (r *run) publish(ch *amqp.Channel, key, id, replyTo string) string {
	r.t.Helper()
	now := time.Now()
	if id == "" {
		id = r.history.begin(cast, gone, now, now.Add(deadline))
		r.history.end(id, now, nil)
	}
	request := map[string]any{"method": "work", "args": work{ID: id}, "_unique_id": r.topic + id}
	if replyTo != "" {
		request["_msg_id"], request["_reply_q"] = r.topic+id, replyTo
	}
	text, err := json.Marshal(request)
	r.must(err)
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(text)})
	r.must(err)
	r.must(ch.PublishWithContext(r.t.Context(), r.topic+"-x", key, false, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Body: body,
	}))
	return id
}
