//go:build integration

package integration_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/messaging"
)

// nextCall is how long a good call may take behind a bad message.
const nextCall = 50 * time.Millisecond

// deep is nested further than any message may be.
const deep = 20_000

// packed is a message in msgpack.
func packed(body string) amqp.Publishing {
	message := osloMessage(body)
	message.ContentType = "application/msgpack"
	return message
}

// lyingMessages are in msgpack, with lengths and types that their bodies do not keep.
func lyingMessages() map[string]amqp.Publishing {
	const version = "\xadgoslo.version\x01"
	bad := map[string]amqp.Publishing{}
	for name, body := range map[string]string{
		"empty":                                "",
		"JSON":                                 envelope(`"2.0"`, `{"method": "who"}`),
		"a map of 4 billion members":           "\xdf\xff\xff\xff\xff",
		"an array of 4 billion values":         "\xdd\xff\xff\xff\xff",
		"a string of 4 GiB":                    "\x82" + version + "\xa6method\xdb\xff\xff\xff\xffwho",
		"binary data of 4 GiB":                 "\x82" + version + "\xa6method\xc6\xff\xff\xff\xffwho",
		"an extension of 4 GiB":                "\x82" + version + "\xa6method\xc9\xff\xff\xff\xff\x01who",
		"a map with a member too few":          "\x83" + version + "\xa6method\xa3who",
		"a map with a member too many":         "\x81" + version + "\xa6method\xa3who",
		"a string cut off":                     "\x82" + version + "\xa6method\xa9who",
		"an unused code":                       "\x82" + version + "\xa6method\xc1",
		"no version":                           "\x81\xa6method\xa3who",
		"another version":                      "\x82\xadgoslo.version\x02\xa6method\xa3who",
		"a version in words":                   "\x82\xadgoslo.version\xa3one\xa6method\xa3who",
		"a list":                               "\x92" + version,
		"a message id that has no JSON form":   "\x83" + version + "\xa6method\xa3who\xa7_msg_id\xc4\x01\xff",
		"arguments nested 20,000 deep":         "\x83" + version + "\xa6method\xa3who\xa4args" + strings.Repeat("\x91", deep) + "\xc0",
		"maps nested 20,000 deep":              strings.Repeat("\x81\xa1a", deep) + "\xc0",
		"a million members of which one lacks": "\xdf\x00\x0f\x42\x40" + strings.Repeat("\xa1a\xc0", 999_999),
	} {
		bad["msgpack: "+name] = packed(body)
	}
	return bad
}

// anyFailure is for what oslo.messaging's releases answer differently.
const anyFailure = "*"

// oddity is a message that can be read.
type oddity struct {
	members string // of the message in JSON, beside method, ids and reply queue
	class   string // of the failure; empty where there is a result
	silent  bool   // nothing is answered
}

// oddities have a wrong type at every key, or a value that no sender of good will writes.
func oddities() map[string]oddity {
	odd := map[string]oddity{
		"ten megabytes of text":               {members: `"args": {"v": "` + strings.Repeat("x", 10<<20) + `"}`, class: "TypeError"},
		"a million arguments":                 {members: `"args": {` + manyKeys(1_000_000) + `}`, class: "TypeError"},
		"300,000 entries of the context":      {members: manyContextKeys(300_000)},
		"a key twice":                         {members: `"args": {"v": 1, "v": 2}, "args": {}`},
		"NaN":                                 {members: `"args": {"v": NaN}`, class: "TypeError"},
		"a NUL in the method":                 {members: `"method": "who\u0000"`, class: "NoSuchMethod"},
		"escapes in the method":               {members: `"method": "\u001b[31mwho\u001b[0m"`, class: "NoSuchMethod"},
		"line breaks in the method":           {members: `"method": "who\r\nlevel=info msg=fine"`, class: "NoSuchMethod"},
		"a private method":                    {members: `"method": "__init__"`, class: "NoSuchMethod"},
		"a method of 100,000 letters":         {members: `"method": "` + strings.Repeat("w", 100_000) + `"`, class: "NoSuchMethod"},
		"a namespace of 100,000 letters":      {members: `"namespace": "` + strings.Repeat("n", 100_000) + `"`, class: "UnsupportedVersion"},
		"a version of 100,000 digits":         {members: `"version": "1.` + strings.Repeat("9", 100_000) + `"`, class: "ValueError"},
		"a negative version":                  {members: `"version": "-1.0"`, class: "UnsupportedVersion"},
		"a monitor timeout of 1e308":          {members: `"_timeout": 1e308`},
		"a monitor timeout of minus infinity": {members: `"_timeout": -Infinity`},
		"a monitor timeout of no number":      {members: `"_timeout": NaN`},
		"a reply queue that is the server's":  {members: `"_reply_q": "TOPIC"`, silent: true},
		"a reply queue of the broker":         {members: `"_reply_q": "amq.rabbitmq.reply-to"`, silent: true},
		"a reply queue with escapes":          {members: `"_reply_q": "reply_\u001b[2J\r\n"`, silent: true},
		"a reply queue in 300 letters":        {members: `"_reply_q": "` + strings.Repeat("q", 300) + `"`, silent: true},
	}
	values := map[string]string{
		"null": `null`, "true": `true`, "a number": `7`, "text": `"text"`, "an array": `[1]`, "an object": `{"a": 1}`,
	}
	for kind, value := range values {
		add := func(key string, o oddity) {
			o.members = `"` + key + `": ` + value
			odd[fmt.Sprintf("%s is %s", key, kind)] = o
		}
		text := value[0] == '"'
		if !text {
			add("method", oddity{class: "TypeError"})
			add("_reply_q", oddity{silent: true})
		}
		if value[0] != '{' {
			add("args", oddity{class: "TypeError"})
		}
		switch {
		case kind == "null":
			add("namespace", oddity{})
			add("version", oddity{class: "UnsupportedVersion"})
		case text:
			add("namespace", oddity{class: "UnsupportedVersion"})
			add("version", oddity{class: "ValueError"})
		default:
			add("namespace", oddity{class: anyFailure})
			add("version", oddity{class: anyFailure})
		}
		add("_timeout", oddity{})
		add("_unique_id", oddity{})
		add("_context_user_id", oddity{})
		add("_context_client_timeout", oddity{})
	}
	return odd
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d": 0, `, i)
	}
	return b.String() + `"last": 0`
}

func manyContextKeys(n int) string {
	return strings.ReplaceAll(manyKeys(n), `"k`, `"_context_k`)
}

// TestNextCallIsAnsweredWithin50Milliseconds sends every kind of bad message there is, and a good call behind it. It
// measures, and so does not run beside other tests.
func TestNextCallIsAnsweredWithin50Milliseconds(t *testing.T) {
	v := newVictim(t)
	v.lives(t)
	kinds := 0
	for name, message := range badMessages() {
		kinds++
		t.Run("rejected/"+name, func(t *testing.T) { v.rejects(t, message) })
	}
	for name, message := range lyingMessages() {
		kinds++
		t.Run("rejected/"+name, func(t *testing.T) { v.rejects(t, message) })
	}
	ch := channel(t, v.url)
	queue := "reply_" + unique("queue")
	replies := rawQueue(t, ch, queue, "", "", "")
	for name, o := range oddities() {
		kinds++
		t.Run("read/"+name, func(t *testing.T) { v.reads(t, o, queue, replies) })
	}
	receiveNothing(t, replies) // neither a second answer nor one to what is answered by nothing
	if kinds < 120 {
		t.Errorf("%d kinds, want all of at least 120", kinds)
	}
	for _, entry := range v.server.log.AllEntries() {
		line, err := entry.Bytes()
		if err != nil || len(line) > 4000 || bytes.ContainsAny(line, "\x1b\r") || bytes.Count(line, []byte("\n")) > 1 {
			t.Errorf("a line of %d bytes in the log: %.300q, %v", len(line), line, err)
		}
	}
	v.settled(t)
}

// rejects checks that a message is consumed once and does not keep the next call waiting.
func (v *victim) rejects(t *testing.T, message amqp.Publishing) {
	t.Helper()
	v.livesOn(t, func() {
		before := v.server.driver.Stats().Malformed
		v.publish(t, message)
		eventually(t, "the message is rejected", func() bool { return v.server.driver.Stats().Malformed > before })
		if got := v.server.driver.Stats().Malformed - before; got != 1 {
			t.Errorf("counted %d malformed messages, want 1", got)
		}
	})
}

// reads checks that a message is answered as it should be and does not keep the next call waiting.
func (v *victim) reads(t *testing.T, o oddity, queue string, replies <-chan amqp.Delivery) {
	t.Helper()
	v.livesOn(t, func() {
		members := `"method": "who", "args": {}, "_msg_id": "m", "_reply_q": "QUEUE", "_unique_id": "` + unique("id") + `", ` + o.members
		text := strings.NewReplacer("QUEUE", queue, "TOPIC", v.topic).Replace("{" + members + "}")
		v.publish(t, osloMessage(envelope(`"2.0"`, text)))
		if o.silent {
			return
		}
		if got := failureClass(t, receive(t, replies)); got != o.class && (o.class != anyFailure || got == "") {
			t.Errorf("failure %q, want %q", got, o.class)
		}
	})
}

// livesOn has a message consumed and measures the call behind it.
func (v *victim) livesOn(t *testing.T, consume func()) {
	t.Helper()
	promise(t, "a good call", nextCall, func() time.Duration {
		consume()
		begun := time.Now()
		if got, err := messaging.Call[string](t.Context(), v.client, "who", nil); err != nil || got != "host1" {
			t.Fatalf("a good call = %q, %v", got, err)
		}
		return time.Since(begun)
	})
}
