//go:build integration

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/messaging"
)

// conversation is what a client and a server of one kind sent to the broker, each on a tap of its own.
type conversation struct {
	*bus
	client, server *tap
}

func newConversation(t *testing.T) *conversation {
	t.Helper()
	b := newBus(t)
	return &conversation{bus: b, client: newTap(t, b.url), server: newTap(t, b.url)}
}

// Both conversations are made of the same requests, one after the other.

func pythonConversation(t *testing.T, py *python) *conversation {
	t.Helper()
	c := newConversation(t)
	server := startPeer(t, py, "peer_server.py", "--url", c.server.url, "--exchange", c.exchange, "--topic", c.topic, "--server", "host1")
	client := startPeer(t, py, "peer_client.py", "--url", c.client.url)
	plain, compute, host1, fanout := c.to(""), c.to(""), c.to("host1"), c.to("")
	compute.Namespace, compute.Version = "compute", "2.1"
	fanout.Fanout = true
	context := map[string]any{"is_admin": true, "roles": []string{"admin"}, "user": "ß"}
	for _, cmd := range []command{
		{Op: "call", Target: plain, Method: "echo", Args: `{"a": 1, "b": [1.0, null, "ß😀"], "c": {}}`, Context: context},
		{Op: "call", Target: compute, Method: "interface"},
		{Op: "call", Target: plain, Method: "sleep", Args: `{"seconds": 1.5}`, Monitor: 2},
		{Op: "call", Target: host1, Method: "who"},
		{Op: "call", Target: host1, Method: "nothing", Mandatory: true},
		{Op: "call", Target: plain, Method: "fail", Args: `{"kind": "quota"}`},
		{Op: "call", Target: plain, Method: "no_such"},
		{Op: "cast", Target: plain, Method: "note", Context: context},
		{Op: "cast", Target: host1, Method: "note"},
		{Op: "cast", Target: host1, Method: "note", Mandatory: true},
		{Op: "cast", Target: fanout, Method: "note"},
	} {
		client.do(t, cmd)
		if cmd.Op == "cast" {
			receive(t, server.notes)
		}
	}
	return c
}

func goConversation(t *testing.T) *conversation {
	t.Helper()
	c := newConversation(t)
	notes := make(chan note, 10)
	join(t, c.server.url).serve(t, c.target("host1"), newEndpoints("host1", notes)...)
	client := join(t, c.client.url).client(t, c.bus, messaging.WithTimeout(20*time.Second))
	host1 := client.Prepare(messaging.ToServer("host1"))
	ctx := t.Context()
	withContext := messaging.WithRequestContext(ctx, messaging.RequestContext{"is_admin": true, "roles": []string{"admin"}, "user": "ß"})
	cast := func(err error) {
		if err != nil {
			t.Errorf("cast: %v", err)
		}
		receive(t, notes)
	}
	_ = client.Call(withContext, "echo", args{"a": 1, "b": []any{1.0, nil, "ß😀"}, "c": args{}}, nil)
	_ = client.Prepare(messaging.ToNamespace("compute"), messaging.ToVersion("2.1")).Call(ctx, "interface", nil, nil)
	_ = client.Prepare(messaging.WithCallMonitor(2*time.Second)).Call(ctx, "sleep", args{"seconds": 1.5}, nil)
	_ = host1.Call(ctx, "who", nil, nil)
	_ = host1.Prepare(messaging.WithMandatory()).Call(ctx, "nothing", nil, nil)
	_ = client.Call(ctx, "fail", args{"kind": "quota"}, nil)
	_ = client.Call(ctx, "no_such", nil, nil)
	cast(client.Cast(withContext, "note", nil))
	cast(host1.Cast(ctx, "note", nil))
	cast(host1.Prepare(messaging.WithMandatory()).Cast(ctx, "note", nil))
	cast(client.Fanout(ctx, "note", nil))
	return c
}

// publication is a message as it was published, with what is random made the same.
type publication struct {
	Exchange, RoutingKey any
	Mandatory, Immediate any
	Properties           map[string]any
	EnvelopeKeys, Keys   []string // in their order
	Message              map[string]any
	FailureKeys          []string
}

var randomID = regexp.MustCompile(`[0-9a-f]{32}`)

// plain takes the names of this conversation and random ids out of a text.
func (c *conversation) plain(text string) string {
	text = strings.NewReplacer(c.exchange, "EXCHANGE", c.topic, "TOPIC").Replace(text)
	return randomID.ReplaceAllString(text, "ID")
}

func (c *conversation) publications(t *testing.T, from *tap) []publication {
	t.Helper()
	sent := from.sent("basic.publish")
	publications := make([]publication, 0, len(sent))
	for _, m := range sent {
		p := publication{
			Exchange: c.plain(m.Fields["exchange"].(string)), RoutingKey: c.plain(m.Fields["routing_key"].(string)),
			Mandatory: m.Fields["mandatory"], Immediate: m.Fields["immediate"], Properties: m.Properties,
		}
		// amqp091-go leaves out what is zero, Python writes it: a priority of 0 and a table of no headers. No
		// receiver can tell.
		if m.Properties["priority"] == nil {
			m.Properties["priority"] = 0
		}
		if m.Properties["headers"] == nil {
			m.Properties["headers"] = map[string]any{}
		}
		if headers, ok := m.Properties["headers"].(map[string]any); ok && headers["goslo.deadline"] != nil {
			headers["goslo.deadline"] = "DEADLINE" // TestRawConsumerReceivesWhatGoClientSends looks at it
		}
		if expiration, ok := m.Properties["expiration"].(string); ok {
			m.Properties["expiration"] = coarse(t, expiration)
		}
		var envelope map[string]string
		p.EnvelopeKeys = decodeObject(t, c.plain(m.Body), &envelope)
		p.Keys = decodeObject(t, envelope["oslo.message"], &p.Message)
		if failure, ok := p.Message["failure"].(string); ok {
			var decoded map[string]any
			p.FailureKeys = decodeObject(t, failure, &decoded)
			decoded["tb"] = fmt.Sprintf("%T", decoded["tb"]) // a list in any case
			p.Message["failure"] = decoded
		}
		publications = append(publications, p)
	}
	return publications
}

// coarse checks an expiration, which is what was left of the call's 20 s, and rounds it.
func coarse(t *testing.T, expiration string) string {
	t.Helper()
	ms, err := strconv.Atoi(expiration)
	if err != nil || ms > 20000 || ms < 19000 {
		t.Errorf("expiration %q, want the call's timeout in milliseconds", expiration)
	}
	return "20000 or a little less"
}

// decodeObject decodes a JSON object and returns its keys in their order.
func decodeObject(tb testing.TB, text string, into any) (keys []string) {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		tb.Fatalf("decode %s: %v", clip(text), err)
	}
	d = json.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil {
		tb.Fatal(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			tb.Fatal(err)
		}
	}
	return keys
}

// declarations are the methods that set up exchanges, queues and consumers, each once, in their order.
func (c *conversation) declarations(from *tap) []string {
	var lines []string
	seen := map[string]bool{}
	for _, m := range from.sent("") {
		switch m.Name {
		case "exchange.declare", "queue.declare", "queue.bind", "basic.consume":
		default:
			continue
		}
		line := c.plain(m.Name + " " + fmt.Sprint(m.Fields))
		if !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	return lines
}

// ownCalls makes of what Python sends what goslo does: its calls differ on purpose in two things.
//
// All are mandatory, oslo.messaging's only where their transport is at_least_once. The broker then tells the caller
// that no queue took a request, which its timeout passes on; without it nobody could know. Receivers never see that
// bit. And the caller's deadline is in a header, which oslo.messaging ignores.
func ownCalls(python []publication) []publication {
	for i := range python {
		if python[i].Message["_msg_id"] != nil {
			python[i].Mandatory = true
			python[i].Properties["headers"] = map[string]any{"goslo.deadline": "DEADLINE"}
		}
	}
	return python
}

func TestGoSendsFrameByFrameWhatPythonSends(t *testing.T) {
	t.Parallel()
	withEachPython(t, compareConversations)
}

func compareConversations(t *testing.T, py *python) {
	var python, golang *conversation
	t.Run("conversations", func(t *testing.T) { // until they end, so that the servers' deletions are there too
		python, golang = pythonConversation(t, py), goConversation(t)
	})
	if python == nil || golang == nil {
		t.FailNow()
	}
	t.Run("requests", func(t *testing.T) {
		if diff := cmp.Diff(ownCalls(python.publications(t, python.client)), golang.publications(t, golang.client)); diff != "" {
			t.Errorf("(-Python +Go):\n%s", diff)
		}
	})
	t.Run("replies and heartbeats", func(t *testing.T) {
		if diff := cmp.Diff(python.publications(t, python.server), golang.publications(t, golang.server)); diff != "" {
			t.Errorf("(-Python +Go):\n%s", diff)
		}
	})
	t.Run("declarations of the server", func(t *testing.T) {
		if diff := cmp.Diff(python.declarations(python.server), golang.declarations(golang.server)); diff != "" {
			t.Errorf("(-Python +Go):\n%s", diff)
		}
	})
	t.Run("declarations of the client", func(t *testing.T) {
		if diff := cmp.Diff(sorted(python.declarations(python.client)), sorted(golang.declarations(golang.client))); diff != "" {
			t.Errorf("(-Python +Go):\n%s", diff)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		for name, tap := range map[string]*tap{"client": golang.client, "server": golang.server} {
			for _, m := range tap.sent("connection.start-ok") {
				if m.Fields["mechanism"] != "AMQPLAIN" || m.Fields["locale"] != "en_US" {
					t.Errorf("%s: mechanism %v, locale %v, want AMQPLAIN, en_US", name, m.Fields["mechanism"], m.Fields["locale"])
				}
				if properties := m.Fields["client"].(map[string]any); properties["connection_name"] == nil {
					t.Errorf("%s: a connection without a name: %v", name, properties)
				}
			}
		}
	})
	t.Run("prefetch before every consumer", func(t *testing.T) {
		for name, tap := range map[string]*tap{"client": golang.client, "server": golang.server} {
			checkPrefetch(t, name, tap)
		}
	})
	t.Run("confirms before every publication", func(t *testing.T) {
		for name, tap := range map[string]*tap{"client": golang.client, "server": golang.server} {
			checkConfirms(t, name, tap)
		}
	})
	t.Run("the fanout queue is deleted on a clean stop", func(t *testing.T) {
		for name, c := range map[string]*conversation{"Python": python, "Go": golang} {
			var deleted []string
			for _, m := range c.server.sent("queue.delete") {
				deleted = append(deleted, c.plain(fmt.Sprint(m.Fields)))
			}
			want := []string{"map[if_empty:false if_unused:false nowait:false queue:TOPIC_fanout_ID]"}
			if diff := cmp.Diff(want, deleted); diff != "" {
				t.Errorf("%s deleted (-want +got):\n%s", name, diff)
			}
		}
	})
}

// place is a channel of a connection.
type place struct{ connection, channel int }

// checkConfirms checks that no channel publishes without confirms.
func checkConfirms(t *testing.T, name string, tap *tap) {
	t.Helper()
	confirms := map[place]bool{}
	for _, m := range tap.sent("") {
		at := place{m.Connection, m.Channel}
		switch m.Name {
		case "confirm.select":
			confirms[at] = true
		case "basic.publish":
			if !confirms[at] {
				t.Errorf("%s: published to %v without confirms", name, m.Fields["routing_key"])
			}
		}
	}
}

// checkPrefetch checks that every channel with a consumer has a limit from before it, per consumer.
func checkPrefetch(t *testing.T, name string, tap *tap) {
	t.Helper()
	limit := map[place]int{}
	consumers := 0
	for _, m := range tap.sent("") {
		at := place{m.Connection, m.Channel}
		switch m.Name {
		case "basic.qos":
			if m.Fields["global"] == true || m.Fields["prefetch_size"] != 0 {
				t.Errorf("%s: basic.qos %v, want it per consumer and in messages", name, m.Fields)
			}
			limit[at] = m.Fields["prefetch_count"].(int)
		case "basic.consume":
			consumers++
			if limit[at] == 0 {
				t.Errorf("%s: consumer of %v without a prefetch", name, m.Fields["queue"])
			}
		}
	}
	if consumers == 0 {
		t.Errorf("%s: no consumers", name)
	}
}
