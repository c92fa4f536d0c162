//go:build integration

package integration_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// rawQueue consumes a queue of the test's own, bound as given; no binding where the exchange has no name. It goes
// with the channel's connection.
func rawQueue(tb testing.TB, ch *amqp.Channel, name, exchange, kind, key string) <-chan amqp.Delivery {
	tb.Helper()
	if _, err := ch.QueueDeclare(name, false, false, true, false, nil); err != nil {
		tb.Fatalf("declare queue %s: %v", name, err)
	}
	if exchange != "" {
		if err := ch.ExchangeDeclare(exchange, kind, false, kind == "fanout", false, false, nil); err != nil {
			tb.Fatalf("declare exchange %s: %v", exchange, err)
		}
		if err := ch.QueueBind(name, key, exchange, false, nil); err != nil {
			tb.Fatalf("bind queue %s: %v", name, err)
		}
	}
	deliveries, err := ch.Consume(name, "", true, false, false, false, nil)
	if err != nil {
		tb.Fatalf("consume %s: %v", name, err)
	}
	return deliveries
}

// onlyOslo are the properties that oslo.messaging sets, and no others.
var onlyOslo = amqp.Delivery{ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: 2}

// checkDelivery compares all properties of a delivery with what oslo.messaging sets, and reads its message.
func checkDelivery(t *testing.T, got amqp.Delivery, exchange, key, expiration string) map[string]any {
	t.Helper()
	checkProperties(t, got, exchange, key, expiration)
	var envelope map[string]string
	if keys := decodeObject(t, string(got.Body), &envelope); !cmp.Equal(keys, []string{"oslo.version", "oslo.message"}) {
		t.Errorf("keys of the envelope %v", keys)
	}
	var message map[string]any
	decodeObject(t, envelope["oslo.message"], &message)
	return message
}

func checkProperties(t *testing.T, got amqp.Delivery, exchange, key, expiration string) {
	t.Helper()
	want := onlyOslo
	want.Exchange, want.RoutingKey = exchange, key
	if expiration != "" { // calls alone have goslo's own header, which oslo.messaging ignores
		checkDeadline(t, got.Headers, expiration)
		want.Headers = got.Headers
	}
	if expiration == "" || !littleLess(got.Expiration, expiration) {
		want.Expiration = expiration
	} else {
		want.Expiration = got.Expiration
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(amqp.Delivery{}, "Acknowledger", "ConsumerTag", "DeliveryTag", "Body"),
		cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
}

// checkDeadline checks that the deadline is the one header, and that it is what the expiration says, which began when
// the call did, at most a few seconds ago.
func checkDeadline(t *testing.T, headers amqp.Table, expiration string) {
	t.Helper()
	deadline, ok := headers["goslo.deadline"].(int64)
	timeout, err := strconv.Atoi(expiration)
	if !ok || err != nil || len(headers) != 1 {
		t.Errorf("headers %v, want the deadline alone", headers)
		return
	}
	begun := time.UnixMilli(deadline).Add(-time.Duration(timeout) * time.Millisecond)
	if ago := time.Since(begun); ago < 0 || ago > patience {
		t.Errorf("the deadline is that of a call of %d ms that began %s ago", timeout, ago)
	}
}

// littleLess tells whether an expiration is what was left of a call's timeout when the request was made.
func littleLess(expiration, timeout string) bool {
	left, err := strconv.Atoi(expiration)
	all, err2 := strconv.Atoi(timeout)
	return err == nil && err2 == nil && left <= all && left > all/2
}

// TestRawConsumerReceivesWhatGoClientSends stands in for a server with a bare AMQP consumer.
func TestRawConsumerReceivesWhatGoClientSends(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	ch := channel(t, b.url)
	shared := rawQueue(t, ch, b.topic, b.exchange, "topic", b.topic)
	directed := rawQueue(t, ch, b.topic+".host1", b.exchange, "topic", b.topic+".host1")
	everyone := rawQueue(t, ch, unique("fanout"), b.topic+"_fanout", "fanout", b.topic)
	client := join(t, b.url).client(t, b)
	host1 := client.Prepare(messaging.ToServer("host1"))

	// This opens connections, channels and the reply queue, for which no call has time.
	nobody := client.Prepare(messaging.ToServer("nobody"), messaging.WithMandatory(), messaging.WithTimeout(patience))
	if err := nobody.Call(t.Context(), "m", nil, nil); !errors.Is(err, messaging.ErrUndeliverable) {
		t.Fatalf("Call to nobody = %v, want ErrUndeliverable", err)
	}

	call := func(c *messaging.Client) {
		t.Helper()
		if err := c.Call(t.Context(), "m", nil, nil); !errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want ErrTimeout", err)
		}
	}
	cast := func(err error) {
		t.Helper()
		if err != nil {
			t.Errorf("cast: %v", err)
		}
	}
	t.Run("call", func(t *testing.T) {
		call(client.Prepare(messaging.WithTimeout(2 * time.Second)))
		message := checkDelivery(t, receive(t, shared), b.exchange, b.topic, "2000")
		for _, key := range []string{"_msg_id", "_unique_id"} {
			if id, _ := message[key].(string); !isID(id) {
				t.Errorf("%s = %v, want 32 hexadecimal digits", key, message[key])
			}
		}
		if queue, _ := message["_reply_q"].(string); !strings.HasPrefix(queue, "reply_") || !isID(queue[len("reply_"):]) {
			t.Errorf("_reply_q = %v, want reply_ and 32 hexadecimal digits", message["_reply_q"])
		}
	})
	t.Run("call with a fraction of a second", func(t *testing.T) {
		call(client.Prepare(messaging.WithTimeout(2234567 * time.Microsecond)))
		checkDelivery(t, receive(t, shared), b.exchange, b.topic, "2235")
	})
	t.Run("call to one server", func(t *testing.T) {
		call(host1.Prepare(messaging.WithTimeout(1500 * time.Millisecond)))
		checkDelivery(t, receive(t, directed), b.exchange, b.topic+".host1", "1500")
	})
	t.Run("cast", func(t *testing.T) {
		cast(client.Cast(patient(t), "m", nil))
		message := checkDelivery(t, receive(t, shared), b.exchange, b.topic, "")
		for _, key := range []string{"_msg_id", "_reply_q", "_timeout"} {
			if _, there := message[key]; there {
				t.Errorf("a cast has %s", key)
			}
		}
	})
	t.Run("cast with a timeout", func(t *testing.T) {
		cast(client.Prepare(messaging.WithTimeout(5*time.Second)).Cast(t.Context(), "m", nil))
		checkDelivery(t, receive(t, shared), b.exchange, b.topic, "")
	})
	t.Run("cast to one server", func(t *testing.T) {
		cast(host1.Cast(patient(t), "m", nil))
		checkDelivery(t, receive(t, directed), b.exchange, b.topic+".host1", "")
	})
	t.Run("fanout", func(t *testing.T) {
		cast(client.Fanout(patient(t), "m", nil))
		checkDelivery(t, receive(t, everyone), b.topic+"_fanout", "", "")
		receiveNothing(t, shared)
	})
}

func isID(text string) bool { return len(text) == 32 && randomID.MatchString(text) }

// TestRawCallerReceivesWhatGoServerSends stands in for a client with bare AMQP.
func TestRawCallerReceivesWhatGoServerSends(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	server := join(t, b.url+"?reply_queue_prefix=amq.gen-") // as brokers name queues
	server.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
	conn := dial(t, b.url)
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	queue := "reply_" + unique("queue")
	replies := rawQueue(t, ch, queue, "", "", "")

	// ask publishes a call as Python writes it and returns the next message on the reply queue.
	ask := func(t *testing.T, request map[string]any) {
		t.Helper()
		rawPublish(t, conn, b.exchange, b.topic, enveloped(t, request))
	}
	check := func(t *testing.T, want map[string]any) {
		t.Helper()
		got := checkDelivery(t, receive(t, replies), "", queue, "")
		if id, _ := got["_unique_id"].(string); !isID(id) {
			t.Errorf("_unique_id = %v, want 32 hexadecimal digits", got["_unique_id"])
		}
		delete(got, "_unique_id")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reply (-want +got):\n%s", diff)
		}
	}
	t.Run("result", func(t *testing.T) {
		ask(t, map[string]any{"method": "who", "args": map[string]any{}, "_msg_id": "m1", "_reply_q": queue, "_timeout": nil, "_unique_id": "u1"})
		check(t, map[string]any{"result": "host1", "failure": nil, "ending": true, "_msg_id": "m1"})
	})
	t.Run("null", func(t *testing.T) {
		ask(t, map[string]any{"method": "nothing", "_msg_id": "m2", "_reply_q": queue, "_unique_id": "u2"})
		check(t, map[string]any{"result": nil, "failure": nil, "ending": true, "_msg_id": "m2"})
	})
	t.Run("heartbeat, then result", func(t *testing.T) {
		ask(t, map[string]any{
			"method": "sleep", "args": map[string]any{"seconds": 1.5}, "_timeout": 2,
			"_msg_id": "m3", "_reply_q": queue, "_unique_id": "u3",
		})
		check(t, map[string]any{"result": nil, "failure": nil, "ending": false, "_msg_id": "m3"})
		check(t, map[string]any{"result": json.Number("1.5"), "failure": nil, "ending": true, "_msg_id": "m3"})
		receiveNothing(t, replies)
	})
	t.Run("a message id that is no text is sent back as it is", func(t *testing.T) {
		ask(t, map[string]any{"method": "nothing", "_msg_id": 7, "_reply_q": queue, "_unique_id": "u4"})
		check(t, map[string]any{"result": nil, "failure": nil, "ending": true, "_msg_id": json.Number("7")})
	})
	t.Run("a request that comes twice is run once", func(t *testing.T) {
		request := map[string]any{"method": "nothing", "_msg_id": "m5", "_reply_q": queue, "_unique_id": "u5"}
		ask(t, request)
		check(t, map[string]any{"result": nil, "failure": nil, "ending": true, "_msg_id": "m5"})
		ask(t, request)
		receiveNothing(t, replies)
	})
	t.Run("a reply queue that the broker has named", func(t *testing.T) {
		q, err := ch.QueueDeclare("", false, false, true, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		deliveries, err := ch.Consume(q.Name, "", true, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		ask(t, map[string]any{"method": "who", "_msg_id": "m", "_reply_q": q.Name, "_unique_id": "u0"})
		checkDelivery(t, receive(t, deliveries), "", q.Name, "")
	})
	t.Run("a reply whose queue comes later is sent when it is there", func(t *testing.T) {
		late := "reply_" + unique("queue")
		ask(t, map[string]any{"method": "who", "_msg_id": "m6", "_reply_q": late, "_unique_id": "u6"})
		// The reply is mandatory: without the broker's return nobody would know that it went nowhere.
		eventually(t, "a reply that is sent again", func() bool { return server.driver.Stats().RepliesRetried > 0 })
		reply := receive(t, rawQueue(t, ch, late, "", "", ""))
		checkDelivery(t, reply, "", late, "")
	})
}

// enveloped is a message as oslo.messaging publishes it, JSON in JSON.
func enveloped(tb testing.TB, message any) amqp.Publishing {
	tb.Helper()
	inner, err := json.Marshal(message)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(inner)})
	if err != nil {
		tb.Fatal(err)
	}
	return osloMessage(string(body))
}

// osloMessage has the properties of a message of oslo.messaging.
func osloMessage(body string) amqp.Publishing {
	return amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Body: []byte(body),
	}
}

// TestGoDeclaresAsPythonWould declares again, with the flags that Python was seen to use, what a Go server and
// client have declared: the broker refuses that where a flag or an argument differs.
func TestGoDeclaresAsPythonWould(t *testing.T) {
	t.Parallel()
	type flags struct{ durable, autoDelete bool }
	quorum := amqp.Table{"x-queue-type": "quorum"}
	expires := func(ms int32) amqp.Table { return amqp.Table{"x-expires": ms} }
	for _, tt := range []struct {
		name, query             string
		shared                  flags // control exchange and queues of the topic
		arguments               amqp.Table
		transientDurable        bool // fanout exchange and queue, reply queue
		transient               amqp.Table
		fanoutQueue, replyQueue string
	}{
		{name: "default", transient: expires(1800000)},
		{name: "durable", query: "amqp_durable_queues=true", shared: flags{durable: true}, transient: expires(1800000)},
		{name: "auto-delete", query: "amqp_auto_delete=true", shared: flags{autoDelete: true}, transient: expires(1800000)},
		{
			name: "durable and auto-delete", query: "amqp_durable_queues=true&amqp_auto_delete=true",
			shared: flags{true, true}, transient: expires(1800000),
		},
		{
			name: "quorum", query: "rabbit_quorum_queue=true",
			shared: flags{durable: true}, arguments: quorum, transient: expires(1800000),
		},
		{
			name: "transient quorum", query: "rabbit_transient_quorum_queue=true",
			transientDurable: true, transient: amqp.Table{"x-queue-type": "quorum", "x-expires": int32(1800000)},
		},
		{name: "ttl of 300 s", query: "rabbit_transient_queues_ttl=300", transient: expires(300000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			tap := newTap(t, b.url+"?"+tt.query)
			p := join(t, tap.url)
			p.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
			client := p.client(t, b, messaging.WithTimeout(patience))
			if err := client.Call(t.Context(), "who", nil, nil); err != nil {
				t.Fatalf("call: %v", err)
			}
			if err := client.Fanout(patient(t), "note", nil); err != nil {
				t.Fatalf("fanout: %v", err)
			}
			conn := dial(t, b.url)
			try := func(declare func(ch *amqp.Channel) error) error {
				t.Helper()
				ch, err := conn.Channel()
				if err != nil {
					t.Fatal(err)
				}
				defer ch.Close()
				return declare(ch)
			}
			queue := func(name string, f flags, arguments amqp.Table) func(ch *amqp.Channel) error {
				return func(ch *amqp.Channel) error {
					_, err := ch.QueueDeclare(name, f.durable, f.autoDelete, false, false, arguments)
					return err
				}
			}
			exchange := func(name, kind string, f flags) func(ch *amqp.Channel) error {
				return func(ch *amqp.Channel) error {
					return ch.ExchangeDeclare(name, kind, f.durable, f.autoDelete, false, false, nil)
				}
			}
			transient := flags{durable: tt.transientDurable}
			for what, declare := range map[string]func(ch *amqp.Channel) error{
				"control exchange": exchange(b.exchange, "topic", tt.shared),
				"topic's queue":    queue(b.topic, tt.shared, tt.arguments),
				"server's queue":   queue(b.topic+".host1", tt.shared, tt.arguments),
				"fanout exchange":  exchange(b.topic+"_fanout", "fanout", flags{tt.transientDurable, true}),
				"fanout queue":     queue(declared(t, tap, "^"+regexp.QuoteMeta(b.topic)+"_fanout_[0-9a-f]{32}$"), transient, tt.transient),
				"reply queue":      queue(declared(t, tap, "^reply_[0-9a-f]{32}$"), transient, tt.transient),
			} {
				if err := try(declare); err != nil {
					t.Errorf("%s: the broker refuses Python's declaration: %v", what, err)
				}
			}
			// The broker does tell: with another flag it refuses.
			var refused *amqp.Error
			err := try(queue(b.topic, flags{!tt.shared.durable, tt.shared.autoDelete}, tt.arguments))
			if !errors.As(err, &refused) || refused.Code != amqp.PreconditionFailed && refused.Code != amqp.NotImplemented {
				t.Errorf("another flag: %v, want a refusal", err)
			}
		})
	}
}

// declared finds the one queue that was declared with a name of that pattern.
func declared(t *testing.T, tap *tap, pattern string) string {
	t.Helper()
	names := map[string]bool{}
	eventually(t, "a queue like "+pattern+" is declared", func() bool {
		for _, m := range tap.sent("queue.declare") {
			if name := m.Fields["queue"].(string); regexp.MustCompile(pattern).MatchString(name) {
				names[name] = true
			}
		}
		return len(names) > 0
	})
	if len(names) != 1 {
		t.Fatalf("declared queues like %s: %v, want one", pattern, names)
	}
	return slices.Collect(maps.Keys(names))[0]
}

// TestBrokerSeesPrefetchOnEveryConsumer asks the broker, for the prefetch of 0 that would mean none.
func TestBrokerSeesPrefetchOnEveryConsumer(t *testing.T) {
	t.Parallel()
	shared := broker.Shared(t)
	shared.RequireControl(t)
	b := busOf(t, shared)
	b.url = shared.VHost(t)
	p := join(t, b.url)
	p.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
	if err := p.client(t, b, messaging.WithTimeout(patience)).Call(t.Context(), "who", nil, nil); err != nil {
		t.Fatalf("call: %v", err)
	}
	u, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	out, err := shared.Ctl(t.Context(), "list_consumers", "-p", strings.TrimPrefix(u.Path, "/"), "--no-table-headers",
		"queue_name", "ack_required", "prefetch_count")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out) {
		lines = append(lines, strings.TrimSpace(strings.ReplaceAll(randomID.ReplaceAllString(line, "ID"), b.topic, "TOPIC")))
	}
	// 64 handlers run at once by default, and twice that is the default prefetch.
	want := []string{"TOPIC\ttrue\t128", "TOPIC.host1\ttrue\t128", "TOPIC_fanout_ID\ttrue\t128"}
	if diff := cmp.Diff(append(want, "reply_ID\ttrue\t256"), sorted(lines)); diff != "" {
		t.Errorf("consumers (-want +got):\n%s", diff)
	}
}
