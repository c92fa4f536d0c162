//go:build integration

package integration_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

const (
	// promptly is how long may take what does not wait for anything: less than patience, which is a call's timeout.
	promptly = 15 * time.Second
	// maxSize is the longest message that goslo takes.
	maxSize = 16 << 20
)

// envelope is a message in JSON around an inner text that need not be JSON.
func envelope(version, inner string) string {
	text, _ := json.Marshal(inner)
	return `{"oslo.version": ` + version + `, "oslo.message": ` + string(text) + `}`
}

// badMessages cannot be read. An oslo.messaging server rejects each, and goes on.
func badMessages() map[string]amqp.Publishing {
	call := func(inner string) string { return envelope(`"2.0"`, inner) }
	bad := map[string]amqp.Publishing{}
	for name, body := range map[string]string{
		"a word":                             `hello`,
		"half an envelope":                   `{"oslo.version": "2.0", "oslo.mess`,
		"an array":                           `[]`,
		"a string":                           `"text"`,
		"a number":                           `1`,
		"null":                               `null`,
		"true":                               `true`,
		"spaces":                             "   ",
		"zero bytes":                         "\x00\x00\x00\x00",
		"no UTF-8":                           "{\"method\": \"\xff\xfe\"}",
		"UTF-16":                             utf16Text(call(`{"method": "who"}`)),
		"two messages":                       call(`{"method": "who"}`) + call(`{"method": "who"}`),
		"a comma too many":                   `{"method": "who",}`,
		"a line break in a string":           "{\"method\": \"w\nho\"}",
		"single quotes":                      `{'method': 'who'}`,
		"envelope version 1.0":               envelope(`"1.0"`, `{"method": "who"}`),
		"envelope version 2.1":               envelope(`"2.1"`, `{"method": "who"}`),
		"envelope version 3.0":               envelope(`"3.0"`, `{"method": "who"}`),
		"envelope version as a number":       envelope(`2.0`, `{"method": "who"}`),
		"envelope version null":              envelope(`null`, `{"method": "who"}`),
		"inner message as an object":         `{"oslo.version": "2.0", "oslo.message": {"method": "who"}}`,
		"inner message null":                 `{"oslo.version": "2.0", "oslo.message": null}`,
		"inner message an array":             call(`[]`),
		"inner message empty":                call(``),
		"inner message no JSON":              call(`{"method": who}`),
		"inner message with garbage behind":  call(`{"method": "who"} x`),
		"arguments with a number of Octal":   call(`{"method": "echo", "args": {"v": 01}}`),
		"arguments nested a thousand deep":   call(`{"method": "echo", "args": {"v": ` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`),
		"an envelope nested a thousand deep": strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
	} {
		bad[name] = osloMessage(body)
	}
	good := call(`{"method": "who", "args": {}}`)
	for _, contentType := range []string{"", "text/plain", "application/json; charset=utf-8", "application/x-python-serialize"} {
		message := osloMessage(good)
		message.ContentType = contentType
		bad[fmt.Sprintf("content type %q", contentType)] = message
	}
	for name, body := range map[string]string{
		"compression that is none": good,
		"compression cut off":      compressed(good)[:40],
		"compressed beyond limits": bomb(),
	} {
		message := osloMessage(body)
		message.Headers = amqp.Table{"compression": "application/x-gzip"}
		bad[name] = message
	}
	return bad
}

// bomb is short until it is decompressed. To make it takes a second.
var bomb = sync.OnceValue(func() string {
	return compressed(envelope(`"2.0"`, `{"method": "`+strings.Repeat("x", maxSize)+`"}`))
})

func utf16Text(text string) string {
	var b bytes.Buffer
	for _, unit := range utf16.Encode([]rune(text)) {
		b.Write([]byte{byte(unit >> 8), byte(unit)})
	}
	return b.String()
}

func compressed(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// victim is a Go server on a tap, for bad messages, and a client for good calls between them.
type victim struct {
	*bus
	tap    *tap
	server *party
	caller *party
	client *messaging.Client
	raw    *amqp.Connection
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	b := newBus(t)
	v := &victim{bus: b, tap: newTap(t, b.url), raw: dial(t, b.url)}
	v.server = join(t, v.tap.url)
	v.server.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
	v.caller = join(t, b.url)
	v.client = v.caller.client(t, b, messaging.WithTimeout(patience))
	return v
}

// publish sends a message to the server's topic, past the client.
func (v *victim) publish(t *testing.T, message amqp.Publishing) {
	t.Helper()
	rawPublish(t, v.raw, v.exchange, v.topic, message)
}

// lives checks that a good call is answered, and soon.
func (v *victim) lives(t *testing.T) {
	t.Helper()
	begun := time.Now()
	if got, err := messaging.Call[string](t.Context(), v.client, "who", nil); err != nil || got != "host1" {
		t.Errorf("a good call = %q, %v", got, err)
	}
	if d := time.Since(begun); d > promptly {
		t.Errorf("a good call took %s", d)
	}
}

// rejected counts the messages that the server rejected; each at most once, none for redelivery.
func (v *victim) rejected(t *testing.T) int {
	t.Helper()
	tags := map[string]bool{}
	for _, m := range v.tap.sent("basic.reject") {
		if m.Fields["requeue"] != false {
			t.Errorf("rejected for redelivery: %v", m)
		}
		tag := fmt.Sprint(m.Connection, m.Channel, m.Fields["tag"])
		if tags[tag] {
			t.Errorf("rejected twice: %v", m)
		}
		tags[tag] = true
	}
	if nacks := v.tap.sent("basic.nack"); len(nacks) > 0 {
		t.Errorf("handed back: %v", nacks)
	}
	return len(tags)
}

// left counts the messages that the topic's queue holds: those that wait, and once its consumers have ended also
// those that were not acknowledged.
func (b *bus) left(t *testing.T) int {
	t.Helper()
	q, err := channel(t, b.url).QueueDeclarePassive(b.topic, false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

func TestBadMessagesAreRejectedOnceAndServingGoesOn(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.lives(t)
	bad := badMessages()
	if len(bad) < 20 {
		t.Fatalf("%d kinds of bad messages, want at least 20", len(bad))
	}
	for name, message := range bad {
		t.Run(name, func(t *testing.T) {
			before, rejected := v.server.driver.Stats().Malformed, v.rejected(t)
			v.publish(t, message)
			v.lives(t)
			if got := v.server.driver.Stats().Malformed - before; got != 1 {
				t.Errorf("counted %d malformed messages, want 1", got)
			}
			eventually(t, "the tap has seen that it was rejected", func() bool { return v.rejected(t) > rejected })
			if got := v.rejected(t) - rejected; got != 1 {
				t.Errorf("rejected %d messages, want 1", got)
			}
		})
	}
	t.Run("longer than goslo takes", func(t *testing.T) {
		raiseLimit(t)
		before := v.server.driver.Stats().Malformed
		v.raw = dial(t, v.url) // the limit is that of new channels
		v.publish(t, osloMessage(envelope(`"2.0"`, `{"method": "`+strings.Repeat("x", maxSize)+`"}`)))
		v.lives(t)
		if got := v.server.driver.Stats().Malformed - before; got != 1 {
			t.Errorf("counted %d malformed messages, want 1", got)
		}
	})
	if n := v.server.logged("malformed message rejected"); n != 1 {
		t.Errorf("%d lines in the log within a minute, want 1", n)
	}
	for _, entry := range v.server.log.AllEntries() {
		if line, err := entry.Bytes(); err != nil || len(line) > 2000 {
			t.Errorf("a line of %d bytes in the log, %v", len(line), err)
		}
	}
	v.settled(t)
}

// raiseLimit lets the broker carry longer messages than goslo, which brokers before 4.0 do anyway.
func raiseLimit(t *testing.T) {
	t.Helper()
	b := broker.Shared(t)
	b.RequireControl(t)
	// RabbitMQ 3 reads the one, RabbitMQ 4 the other.
	const set = "application:set_env(rabbit, max_message_size, %[1]d), persistent_term:put(max_message_size, %[1]d)."
	if _, err := b.Ctl(t.Context(), "eval", fmt.Sprintf(set, 4*maxSize)); err != nil {
		t.Fatal(err)
	}
}

// settled checks that nothing is left on the queue, neither waiting nor unacknowledged.
func (v *victim) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := v.server.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	eventually(t, "the broker has taken back what was not acknowledged", func() bool {
		q, err := channel(t, v.url).QueueDeclarePassive(v.topic, false, false, false, false, nil)
		return err == nil && q.Consumers == 0
	})
	if n := v.left(t); n != 0 {
		t.Errorf("%d messages are left on the queue", n)
	}
}

// TestOddMessagesAreAnsweredAsPythonDoes sends what can be read but not served.
func TestOddMessagesAreAnsweredAsPythonDoes(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	ch := channel(t, v.url)
	queue := "reply_" + unique("queue")
	replies := rawQueue(t, ch, queue, "", "", "")
	for name, tt := range map[string]struct {
		body   string
		class  string // of the failure; empty where there is a result
		silent bool   // nothing is answered at all
	}{
		"empty body":                  {body: ``, silent: true},
		"empty object":                {body: `{}`, silent: true},
		"empty message":               {body: envelope(`"2.0"`, `{}`), silent: true},
		"a notification":              {body: envelope(`"2.0"`, `{"message_id": "1", "event_type": "e", "payload": {}}`), silent: true},
		"a reply":                     {body: envelope(`"2.0"`, `{"result": 1, "failure": null, "ending": true}`), silent: true},
		"cast of an unknown method":   {body: envelope(`"2.0"`, `{"method": "no_such"}`), silent: true},
		"empty message id":            {body: envelope(`"2.0"`, `{"method": "who", "_msg_id": "", "_reply_q": "QUEUE"}`), silent: true},
		"no reply queue":              {body: envelope(`"2.0"`, `{"method": "who", "_msg_id": "m"}`), silent: true},
		"reply queue in 300 letters":  {body: envelope(`"2.0"`, `{"method": "who", "_msg_id": "m", "_reply_q": "`+strings.Repeat("q", 300)+`"}`), silent: true},
		"without envelope":            {body: `{"method": "who", "args": {}, "_msg_id": "m", "_reply_q": "QUEUE"}`},
		"without arguments":           {body: envelope(`"2.0"`, `{"method": "who", "_msg_id": "m", "_reply_q": "QUEUE"}`)},
		"unknown keys":                {body: envelope(`"2.0"`, `{"method": "who", "x": {"y": []}, "_msg_id": "m", "_reply_q": "QUEUE"}`)},
		"unknown keys beside":         {body: strings.Replace(envelope(`"2.0"`, `{"method": "who", "_msg_id": "m", "_reply_q": "QUEUE"}`), "{", `{"a": 1, `, 1)},
		"envelope version 2.0.0":      {body: envelope(`"2.0.0"`, `{"method": "who", "_msg_id": "m", "_reply_q": "QUEUE"}`)},
		"monitor timeout in words":    {body: envelope(`"2.0"`, `{"method": "who", "_timeout": "soon", "_msg_id": "m", "_reply_q": "QUEUE"}`)},
		"no method":                   {body: envelope(`"2.0"`, `{"args": {}, "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "TypeError"},
		"method is a number":          {body: envelope(`"2.0"`, `{"method": 1, "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "TypeError"},
		"arguments are null":          {body: envelope(`"2.0"`, `{"method": "who", "args": null, "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "TypeError"},
		"arguments are an array":      {body: envelope(`"2.0"`, `{"method": "who", "args": [1], "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "TypeError"},
		"version is null":             {body: envelope(`"2.0"`, `{"method": "who", "version": null, "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "UnsupportedVersion"},
		"version is a word":           {body: envelope(`"2.0"`, `{"method": "who", "version": "new", "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "ValueError"},
		"namespace is empty":          {body: envelope(`"2.0"`, `{"method": "who", "namespace": "", "_msg_id": "m", "_reply_q": "QUEUE"}`), class: "UnsupportedVersion"},
		"namespace is null":           {body: envelope(`"2.0"`, `{"method": "who", "namespace": null, "_msg_id": "m", "_reply_q": "QUEUE"}`)},
		"arguments with a lone surro": {body: envelope(`"2.0"`, `{"method": "size", "args": {"blob": "\ud800"}, "_msg_id": "m", "_reply_q": "QUEUE"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			before := v.server.driver.Stats().Malformed
			v.publish(t, osloMessage(strings.ReplaceAll(tt.body, "QUEUE", queue)))
			v.lives(t)
			if got := v.server.driver.Stats().Malformed - before; got != 0 {
				t.Errorf("counted %d malformed messages, want none", got)
			}
			if tt.silent {
				receiveNothing(t, replies)
				return
			}
			if got := failureClass(t, receive(t, replies)); got != tt.class {
				t.Errorf("failure %q, want %q", got, tt.class)
			}
		})
	}
	if n := v.rejected(t); n != 0 {
		t.Errorf("rejected %d messages, want none", n)
	}
	if n := v.server.driver.Stats().Sessions; n != 2 {
		t.Errorf("the server has had %d connections, want the 2 of its start: a message cost it one", n)
	}
	v.settled(t)
}

// failureClass is the class of a reply's failure; empty for a result.
func failureClass(t *testing.T, d amqp.Delivery) string {
	t.Helper()
	var envelope map[string]string
	decodeObject(t, string(d.Body), &envelope)
	var reply struct{ Failure *string }
	decodeObject(t, envelope["oslo.message"], &reply)
	if reply.Failure == nil {
		return ""
	}
	var failure struct{ Class string }
	decodeObject(t, *reply.Failure, &failure)
	return failure.Class
}

// TestBadRepliesDoNotHideTheGoodOne answers a Go client's call with rubbish before the reply.
func TestBadRepliesDoNotHideTheGoodOne(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	requests := rawQueue(t, channel(t, b.url), b.topic, b.exchange, "topic", b.topic)
	raw := dial(t, b.url)
	p := join(t, b.url)
	client := p.client(t, b, messaging.WithTimeout(patience))

	// call has the client call, and returns the ids in its request and how the call ends.
	call := func(t *testing.T) (id, queue string, ended <-chan error) {
		t.Helper()
		done := make(chan error, 1)
		ctx := patient(t)
		go func() { // ends with ctx
			got, err := messaging.Call[string](ctx, client, "m", nil)
			if err == nil && got != "good" {
				err = fmt.Errorf("result %q", got)
			}
			done <- err
		}()
		var envelope map[string]string
		decodeObject(t, string(receive(t, requests).Body), &envelope)
		var request map[string]any
		decodeObject(t, envelope["oslo.message"], &request)
		return request["_msg_id"].(string), request["_reply_q"].(string), done
	}
	good := `{"result": "good", "failure": null, "ending": true, "_msg_id": "ID", "_unique_id": "u"}`
	for name, message := range badMessages() {
		t.Run(name, func(t *testing.T) {
			before := p.driver.Stats().Malformed
			id, queue, ended := call(t)
			rawPublish(t, raw, "", queue, message)
			rawPublish(t, raw, "", queue, osloMessage(envelope(`"2.0"`, strings.Replace(good, "ID", id, 1))))
			if err := receive(t, ended); err != nil {
				t.Errorf("call: %v", err)
			}
			if got := p.driver.Stats().Malformed - before; got != 1 {
				t.Errorf("counted %d malformed messages, want 1", got)
			}
		})
	}
	for name, inner := range map[string]string{
		"for nobody":               `{"result": 1, "failure": null, "ending": true, "_msg_id": "nobody"}`,
		"without message id":       `{"result": 1, "failure": null, "ending": true}`,
		"heartbeat nobody wanted":  `{"result": null, "failure": null, "ending": false, "_msg_id": "ID"}`,
		"without failure key":      `{"result": null, "ending": false, "_msg_id": "ID"}`,
		"message id of another":    `{"result": 1, "failure": null, "ending": true, "_msg_id": 7}`,
		"empty":                    `{}`,
		"a request, not a reply":   `{"method": "who", "args": {}}`,
		"a failure without ending": `{"result": null, "failure": "", "ending": false, "_msg_id": "ID"}`,
	} {
		t.Run(name, func(t *testing.T) {
			id, queue, ended := call(t)
			for _, text := range []string{inner, good} {
				rawPublish(t, raw, "", queue, osloMessage(envelope(`"2.0"`, strings.Replace(text, "ID", id, 1))))
			}
			if err := receive(t, ended); err != nil {
				t.Errorf("call: %v", err)
			}
		})
	}
	for name, failure := range map[string]string{
		"failure is an object":   `{"class": "ValueError"}`,
		"failure is no JSON":     `"boom"`,
		"failure is an array":    `"[]"`,
		"failure lacks its keys": `"{}"`,
		"failure of null values": `"{\"class\": null, \"module\": null, \"message\": null, \"tb\": null, \"args\": null, \"kwargs\": null}"`,
	} {
		t.Run(name, func(t *testing.T) {
			id, queue, ended := call(t)
			inner := `{"result": null, "failure": ` + failure + `, "ending": true, "_msg_id": "` + id + `"}`
			rawPublish(t, raw, "", queue, osloMessage(envelope(`"2.0"`, inner)))
			var remote *messaging.RemoteError
			if err := receive(t, ended); !errors.As(err, &remote) {
				t.Errorf("call = %v, want a RemoteError", err)
			}
		})
	}
	if n := p.logged("malformed message rejected"); n != 1 {
		t.Errorf("%d lines in the log within a minute, want 1", n)
	}
}

// TestOddMessagesDoNotFloodTheLog sends the same few mistakes again and again: whoever can publish must not be able
// to fill a disk.
func TestOddMessagesDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	const times = 20
	for name, message := range map[string]map[string]any{
		"unknown method":           {"method": "no_such"},
		"no method":                {"args": map[string]any{}},
		"arguments are null":       {"method": "who", "args": nil},
		"unknown argument":         {"method": "who", "args": map[string]any{"x": 1}},
		"unknown version":          {"method": "who", "version": "7.0"},
		"no reply queue":           {"method": "who", "_msg_id": "m"},
		"monitor timeout in words": {"method": "who", "_timeout": "soon"},
		"the same message":         {"method": "who", "_unique_id": "same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t)
			v.lives(t)
			before := len(v.server.log.AllEntries())
			for n := range times {
				if name != "the same message" {
					message["_unique_id"] = strconv.Itoa(n)
				}
				v.publish(t, enveloped(t, message))
			}
			v.lives(t)
			if lines := v.server.log.AllEntries()[before:]; len(lines) > 2 {
				t.Errorf("%d lines in the log for %d messages, want one a minute: %q", len(lines), times, lines[0].Message)
			}
		})
	}
}

// TestMessagesTooLongForTheBrokerHarmOnlyTheirSenders has a broker that takes less than goslo. It closes the
// channel that such a message came on, which others share.
func TestMessagesTooLongForTheBrokerHarmOnlyTheirSenders(t *testing.T) {
	t.Parallel()
	b := busOf(t, broker.ForTest(t, broker.WithSettings("max_message_size = 1000000")))
	server, client := join(t, b.url), join(t, b.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	c := client.client(t, b, messaging.WithTimeout(patience))
	if err := c.Call(t.Context(), "who", nil, nil); err != nil {
		t.Fatal(err)
	}
	long := args{"blob": strings.Repeat("x", 2_000_000)}
	const fault = "message longer than the broker takes"
	for _, tt := range []struct {
		name string
		send func() error
		want *ending
	}{
		{"reply", func() error { return c.Call(t.Context(), "blob", args{"size": 2_000_000}, nil) }, &ending{remote: true}},
		{"request", func() error { return c.Call(t.Context(), "size", long, nil) }, clientCell(t, fault, sent, call)},
		{"cast", func() error { return c.Cast(patient(t), "note", long) }, clientCell(t, fault, sent, cast)},
		{"fanout", func() error { return c.Fanout(patient(t), "note", long) }, clientCell(t, fault, sent, fanout)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stop := make(chan struct{})
			var bystanders sync.WaitGroup
			for range 8 {
				bystanders.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := c.Call(t.Context(), "who", nil, nil); err != nil {
							t.Errorf("a bystander's call: %v", err)
							return
						}
					}
				})
			}
			tt.want.check(t, tt.send())
			close(stop)
			bystanders.Wait()
		})
	}
}
