//go:build integration

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
)

// frame is a recorded message of nova, in testdata/nova. The texts of JSON within it are shown decoded, under
// the key decodedKey.
type frame struct {
	Exchange    string   `json:"exchange"`
	RoutingKeys []string `json:"routing_keys"`
	Properties  struct {
		Expiration      string `json:"expiration"`
		Priority        uint8  `json:"priority"`
		DeliveryMode    uint8  `json:"delivery_mode"`
		ContentType     string `json:"content_type"`
		ContentEncoding string `json:"content_encoding"`
	} `json:"properties"`
	Body json.RawMessage `json:"body"`
}

const decodedKey = "(decoded JSON string)"

func readFrameFile(tb testing.TB, name string) frame {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "nova", name))
	if err != nil {
		tb.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return f
}

// request is what the tests read of a recorded request.
type request struct {
	Method    string          `json:"method"`
	Args      json.RawMessage `json:"args"`
	Namespace string          `json:"namespace"`
	Version   string          `json:"version"`
	MsgID     string          `json:"_msg_id"`
	ReplyQ    string          `json:"_reply_q"`
	Timeout   int             `json:"_timeout"`
}

// inner is the message within the envelope.
func (f frame) inner(tb testing.TB) json.RawMessage {
	tb.Helper()
	var envelope struct {
		Message map[string]json.RawMessage `json:"oslo.message"`
	}
	if err := json.Unmarshal(f.Body, &envelope); err != nil {
		tb.Fatal(err)
	}
	return envelope.Message[decodedKey]
}

func (f frame) request(tb testing.TB) request {
	tb.Helper()
	var r request
	if err := json.Unmarshal(f.inner(tb), &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// context is the request context that was sent along.
func (f frame) context(tb testing.TB) map[string]any {
	tb.Helper()
	var members map[string]any
	decodeObject(tb, string(f.inner(tb)), &members)
	context := map[string]any{}
	for key, value := range members {
		if name, ok := strings.CutPrefix(key, "_context_"); ok {
			context[name] = value
		}
	}
	return context
}

// message is the frame as it was published, with the body as Python's json writes it.
func (f frame) message(tb testing.TB) amqp.Publishing {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(f.Body))
	d.UseNumber()
	body, err := pythonJSON(d)
	if err != nil {
		tb.Fatal(err)
	}
	p := f.Properties
	return amqp.Publishing{
		ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, DeliveryMode: p.DeliveryMode,
		Priority: p.Priority, Expiration: p.Expiration, Headers: amqp.Table{}, Body: []byte(body),
	}
}

// pythonJSON writes the next value of d as json.dumps does, keys in the order they come. An object with
// nothing but decodedKey becomes a string that holds the JSON of what is under it.
func pythonJSON(d *json.Decoder) (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return pythonScalar(token), nil
	}
	var items []string
	for d.More() {
		item, err := pythonJSON(d)
		if err != nil {
			return "", err
		}
		if delim == '{' {
			value, err := pythonJSON(d)
			if err != nil {
				return "", err
			}
			if item == pythonScalar(decodedKey) {
				_, err := d.Token()
				return pythonScalar(value), err
			}
			item += ": " + value
		}
		items = append(items, item)
	}
	closing, err := d.Token()
	if err != nil {
		return "", err
	}
	return delim.String() + strings.Join(items, ", ") + closing.(json.Delim).String(), nil
}

func pythonScalar(v any) string {
	text, ok := v.(string)
	if !ok {
		if v == nil {
			return "null"
		}
		return fmt.Sprint(v)
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r > '~':
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// replace changes the text of the body.
func (f frame) replace(pairs ...string) frame {
	f.Body = json.RawMessage(strings.NewReplacer(pairs...).Replace(string(f.Body)))
	return f
}

// novaBus is a bus on which a scheduler serves under nova's own names, where that disturbs nobody.
func novaBus(t *testing.T) *bus {
	t.Helper()
	shared := broker.Shared(t)
	b := busOf(t, shared)
	if shared.CanControl() {
		b.url, b.exchange, b.topic = shared.VHost(t), "nova", "scheduler"
	}
	return b
}

// startScheduler runs a worker with the recorded hosts.
func startScheduler(t *testing.T, b *bus, host string) {
	t.Helper()
	startWorker(t, b.url, "--control-exchange", b.exchange, "--topic", b.topic, "--host", host,
		"--hosts", filepath.Join("testdata", "nova", "hosts.json"))
}

// replay publishes recorded requests and receives what is answered.
type replay struct {
	*bus
	conn    *amqp.Connection
	queue   string
	replies <-chan amqp.Delivery
}

func newReplay(t *testing.T, b *bus) *replay {
	t.Helper()
	r := &replay{bus: b, conn: dial(t, b.url), queue: "reply_" + unique("queue")}
	ch, err := r.conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	r.replies = rawQueue(t, ch, r.queue, "", "", "")
	return r
}

// publish sends a recorded request as it was, but for its reply queue.
func (r *replay) publish(t *testing.T, f frame) {
	t.Helper()
	if queue := f.request(t).ReplyQ; queue != "" {
		f = f.replace(queue, r.queue)
	}
	exchange, key := r.exchange, r.topic
	if f.Exchange != "nova" {
		exchange, key = r.topic+"_fanout", ""
	}
	rawPublish(t, r.conn, exchange, key, f.message(t))
}

// call publishes a recorded call and returns the message in its reply.
func (r *replay) call(t *testing.T, f frame) map[string]any {
	t.Helper()
	r.publish(t, f)
	for {
		reply := checkDelivery(t, receive(t, r.replies), "", r.queue, "")
		if reply["ending"] == true && reply["_msg_id"] == f.request(t).MsgID {
			return reply
		}
	}
}

// meaning takes what differs by nature out of a reply: its id, the traceback, and the order of what is a set.
func meaning(t *testing.T, reply map[string]any) map[string]any {
	t.Helper()
	delete(reply, "_unique_id")
	if failure, ok := reply["failure"].(string); ok {
		var decoded map[string]any
		decodeObject(t, failure, &decoded)
		reply["failure"] = map[string]any{decodedKey: decoded}
	}
	if failure, ok := reply["failure"].(map[string]any); ok {
		delete(failure[decodedKey].(map[string]any), "tb")
	}
	sortChanges(reply)
	return reply
}

// sortChanges puts every nova_object.changes, which is a set, into one order.
func sortChanges(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			sortChanges(item)
		}
	case map[string]any:
		for key, item := range v {
			sortChanges(item)
			if changes, ok := item.([]any); ok && key == "nova_object.changes" {
				slices.SortFunc(changes, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
		}
	}
}

// recordedCalls are the names of the frames that were answered.
var recordedCalls = []string{"01_ping", "03_select_destinations", "05_select_destinations", "07_select_destinations"}

// recordedReply is what nova's scheduler answered.
func recordedReply(t *testing.T, name string) map[string]any {
	t.Helper()
	f := readFrameFile(t, name+".reply.json")
	var reply map[string]any
	decodeObject(t, string(f.inner(t)), &reply)
	return meaning(t, reply)
}

// TestSchedulerAnswersRecordedRequestsAsNovaDid replays what nova's conductor sent to a scheduler of nova's.
func TestSchedulerAnswersRecordedRequestsAsNovaDid(t *testing.T) {
	t.Parallel()
	b := novaBus(t)
	startScheduler(t, b, "host1")
	r := newReplay(t, b)
	selections, err := filepath.Glob("testdata/nova/*select_destinations.json")
	if err != nil || len(selections) != len(recordedCalls)-1 {
		t.Fatalf("recorded selections = %v, %v, want those of recordedCalls", selections, err)
	}
	answers := func(t *testing.T) {
		t.Helper()
		for _, name := range recordedCalls {
			t.Run(name, func(t *testing.T) {
				got := meaning(t, r.call(t, fresh(readFrameFile(t, name+".json"))))
				if diff := cmp.Diff(recordedReply(t, name), got); diff != "" {
					t.Errorf("reply (-nova +goslo):\n%s", diff)
				}
			})
		}
	}
	answers(t)
	t.Run("casts", func(t *testing.T) {
		casts, err := filepath.Glob("testdata/nova/*_info.json")
		if err != nil {
			t.Fatal(err)
		}
		more, err := filepath.Glob("testdata/nova/*_aggregate*.json")
		if err != nil {
			t.Fatal(err)
		}
		casts = sorted(append(casts, more...))
		if len(casts) != 5 {
			t.Fatalf("recorded casts = %v, want 5", casts)
		}
		for _, path := range casts {
			r.publish(t, fresh(readFrameFile(t, filepath.Base(path))))
		}
	})
	t.Run("once more", answers) // the last cast took back what the others had reported
	receiveNothing(t, r.replies)
}

// fresh gives a recorded request another unique id, without which it would be a duplicate the second time.
func fresh(f frame) frame {
	var members struct {
		UniqueID string `json:"_unique_id"`
	}
	var envelope struct {
		Message map[string]json.RawMessage `json:"oslo.message"`
	}
	if json.Unmarshal(f.Body, &envelope) != nil || json.Unmarshal(envelope.Message[decodedKey], &members) != nil {
		return f
	}
	return f.replace(members.UniqueID, strings.ReplaceAll(unique("id"), "-", ""))
}

// TestRecordedCastsReachEverySchedulerByFanout lets a recorded cast change something that can be asked for: the
// zone of a host.
func TestRecordedCastsReachEverySchedulerByFanout(t *testing.T) {
	t.Parallel()
	b := novaBus(t)
	hosts := []string{"host1", "host2"}
	for _, host := range hosts {
		startScheduler(t, b, host)
	}
	r := newReplay(t, b)
	selection := readFrameFile(t, "05_select_destinations.json").replace(`"availability_zone": null`, `"availability_zone": "elsewhere"`)
	found := func(t *testing.T, host string) bool {
		t.Helper()
		f := fresh(selection)
		rawPublish(t, r.conn, b.exchange, b.topic+"."+host, f.replace(f.request(t).ReplyQ, r.queue).message(t))
		reply := checkDelivery(t, receive(t, r.replies), "", r.queue, "")
		return reply["failure"] == nil
	}
	for _, step := range []struct {
		cast frame
		want bool
	}{
		{readFrameFile(t, "09_update_aggregates.json").replace(`"az1"`, `"elsewhere"`), true},
		{readFrameFile(t, "10_delete_aggregate.json"), false},
	} {
		method := step.cast.request(t).Method
		for _, host := range hosts {
			if found(t, host) == step.want {
				t.Fatalf("%s knows of %s before it was sent", host, method)
			}
		}
		r.publish(t, fresh(step.cast))
		for _, host := range hosts {
			eventually(t, host+" has heard of "+method, func() bool { return found(t, host) == step.want })
		}
	}
}

// TestPythonClientCallsSchedulerAsNovaDoes goes nova's own way: through oslo.messaging, with the recorded
// arguments and context, and with nova.exception among the modules whose exceptions may be raised.
func TestPythonClientCallsSchedulerAsNovaDoes(t *testing.T) {
	t.Parallel()
	withEachPython(t, callAsNova)
}

func callAsNova(t *testing.T, py *python) {
	b := novaBus(t)
	startScheduler(t, b, "host1")
	client := startPeer(t, py, "peer_client.py", "--url", b.url, "--allow", "nova.exception")
	for _, name := range recordedCalls {
		t.Run(name, func(t *testing.T) {
			f := readFrameFile(t, name+".json")
			sent := f.request(t)
			to := b.to("")
			to.Namespace, to.Version = sent.Namespace, sent.Version
			o := client.do(t, command{
				Op: "call", Target: to, Method: sent.Method, Args: string(sent.Args), Context: f.context(t), Monitor: sent.Timeout,
			})
			want := recordedReply(t, name)
			if want["failure"] != nil {
				checkNoValidHost(t, o.failed(t), want["failure"])
				return
			}
			if o.Error != nil {
				t.Fatalf("exception: %s", o.Error.Text)
			}
			var got map[string]any
			decodeObject(t, `{"result": `+o.Result+`}`, &got)
			sortChanges(got)
			if diff := cmp.Diff(want["result"], got["result"]); diff != "" {
				t.Errorf("result (-nova +goslo):\n%s", diff)
			}
		})
	}
	t.Run("casts", func(t *testing.T) {
		for _, name := range []string{"09_update_aggregates", "10_delete_aggregate", "11_update_instance_info", "12_sync_instance_info", "13_delete_instance_info"} {
			f := readFrameFile(t, name+".json")
			sent := f.request(t)
			to := b.to("")
			to.Version, to.Fanout = sent.Version, true
			client.do(t, command{Op: "cast", Target: to, Method: sent.Method, Args: string(sent.Args), Context: f.context(t)}).want(t, "None")
		}
		f := readFrameFile(t, "01_ping.json")
		to := b.to("host1")
		to.Namespace, to.Version = "baseapi", "1.0"
		client.do(t, command{Op: "call", Target: to, Method: "ping", Args: string(f.request(t).Args)}).
			want(t, "{'service': 'scheduler', 'arg': {'a': 1}}")
	})
}

func checkNoValidHost(t *testing.T, got *exception, recorded any) {
	t.Helper()
	want := recorded.(map[string]any)[decodedKey].(map[string]any)
	if got.Class != "NoValidHost_Remote" || !slices.Contains(got.Bases, "nova.exception.NoValidHost") {
		t.Errorf("exception %s with bases %v, want nova's NoValidHost", got.Class, got.Bases)
	}
	if firstLine(got.Text) != want["message"] {
		t.Errorf("text %q, want %q", firstLine(got.Text), want["message"])
	}
	if got.Kwargs["reason"] != want["kwargs"].(map[string]any)["reason"] {
		t.Errorf("kwargs %v, want %v", got.Kwargs, want["kwargs"])
	}
}
