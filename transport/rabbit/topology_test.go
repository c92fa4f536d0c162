package rabbit

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/target"
)

// frame is one method that was sent to the broker. What is false or empty is left out of its arguments.
type frame struct {
	Producer  string
	OptionSet string `json:"option_set"`
	Step      string
	Method    string
	Args      map[string]any
}

type recording struct {
	OptionSets map[string]map[string]any `json:"option_sets"`
	Frames     []frame
}

func declarations(tb testing.TB) *recording {
	tb.Helper()
	file, err := os.Open("testdata/declarations.json.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	var r recording
	if err := json.NewDecoder(unpacked).Decode(&r); err != nil {
		tb.Fatal(err)
	}
	if len(r.OptionSets) < 24 || len(r.Frames) < 1000 {
		tb.Fatalf("%d option sets and %d frames, want at least 24 and 1000", len(r.OptionSets), len(r.Frames))
	}
	return &r
}

// add notes a method; arguments come as name, value, and are left out where they say nothing.
func add(frames []string, method string, pairs ...any) []string {
	args := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		switch v := pairs[i+1].(type) {
		case amqp091.Table:
			if len(v) > 0 {
				args[pairs[i].(string)] = map[string]any(v)
				args["argument_types"] = fieldTypes(v)
			}
		default:
			if v != false && v != "" && v != 0 {
				args[pairs[i].(string)] = v
			}
		}
	}
	return append(frames, text(method, args))
}

// fieldTypes are the letters by which AMQP tells the types of arguments.
func fieldTypes(table amqp091.Table) map[string]any {
	types := make(map[string]any, len(table))
	for name, value := range table {
		switch value.(type) {
		case int32:
			types[name] = "I"
		case int64:
			types[name] = "l"
		case string:
			types[name] = "S"
		case bool:
			types[name] = "t"
		default:
			types[name] = fmt.Sprintf("%T", value)
		}
	}
	return types
}

// privateName finds the end of a name that tells queues apart: the manager's number is counted over a process, which
// called more often in some recordings than in others.
var privateName = regexp.MustCompile(`(reply|_fanout)_(?:[0-9a-f]{32}\b|(\S+:\S+:)\d+\b)`)

// text is how frames are compared: with sorted arguments, and the random part of names taken out.
func text(method string, args map[string]any) string {
	var b strings.Builder
	b.WriteString(method)
	for _, name := range slices.Sorted(maps.Keys(args)) {
		value := args[name]
		if table, ok := value.(map[string]any); ok {
			value = strings.TrimPrefix(text("", table), " ")
		}
		fmt.Fprintf(&b, " %s=%v", name, number(value))
	}
	return privateName.ReplaceAllString(b.String(), "${1}_${2}<id>")
}

// number makes numbers of JSON and of Go look alike.
func number(value any) any {
	if f, ok := value.(float64); ok {
		return int64(f)
	}
	return value
}

// declared are the methods by which an attachment sets up queues on its channel; see attachment.open. Without the
// option, goslo sets a prefetch of its own, which is no matter of agreement between peers.
func declared(o *Options, queues []queue) []string {
	frames := add(nil, "basic.qos", "prefetch_count", o.Prefetch)
	if o.Prefetch == 0 {
		frames = nil
	}
	for i := range queues {
		q := &queues[i]
		if q.exchange.name != "" {
			frames = exchangeDeclared(frames, q.exchange)
		}
		frames = add(frames, "queue.declare", "queue", q.name, "durable", q.durable, "auto_delete", q.autoDelete, "arguments", q.arguments)
		if q.exchange.name != "" {
			frames = add(frames, "queue.bind", "queue", q.name, "exchange", q.exchange.name, "routing_key", q.bindingKey)
		}
	}
	for i := range queues {
		var position streamPosition
		frames = add(frames, "basic.consume", "queue", queues[i].name, "consumer_tag", strconv.Itoa(i+1),
			"arguments", o.consumeArguments(&queues[i], &position))
	}
	return frames
}

func exchangeDeclared(frames []string, ex exchange) []string {
	return add(frames, "exchange.declare", "exchange", ex.name, "type", ex.kind, "durable", ex.durable, "auto_delete", ex.autoDelete)
}

// deleted are the methods by which an attachment takes private queues away.
func deleted(queues []queue) []string {
	var frames []string
	for i := range queues {
		if queues[i].private {
			frames = add(frames, "queue.delete", "queue", queues[i].name)
		}
	}
	return frames
}

// TestDeclarationsAreThoseOfOslo compares what a server and a client declare with what three releases of
// oslo.messaging sent with the same options.
func TestDeclarationsAreThoseOfOslo(t *testing.T) {
	t.Parallel()
	r := declarations(t)
	for set, values := range r.OptionSets {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			query := map[string]string{}
			for name, value := range values {
				query[name] = fmt.Sprint(number(value))
			}
			if strings.HasPrefix(query["kombu_compression"], "bz") { // refused, and no matter of declarations
				delete(query, "kombu_compression")
			}
			o, err := parseOptions(query)
			if err != nil {
				t.Fatal(err)
			}
			topic := target.Target{Exchange: "x_" + set, Topic: set + "_topic"}
			server, fanout := topic, topic
			server.Server, fanout.Fanout = "node1", true
			control, _ := o.address(topic)
			all, _ := o.address(fanout)
			queues, reply := o.serverQueues(server, o.queueSuffix), []queue{o.replyQueue(o.queueSuffix())}
			want := map[string][]string{
				"server_start": declared(&o, queues),
				"call":         exchangeDeclared(declared(&o, reply), control),
				"cast_fanout":  exchangeDeclared(nil, all),
				"stop":         append(deleted(queues), deleted(reply)...),
			}
			got := map[string]map[string][]string{} // by producer and step
			for _, f := range r.Frames {
				if f.OptionSet == set {
					if got[f.Producer] == nil {
						got[f.Producer] = map[string][]string{}
					}
					got[f.Producer][f.Step] = append(got[f.Producer][f.Step], text(f.Method, f.Args))
				}
			}
			if len(got) == 0 {
				t.Fatal("nobody used these options")
			}
			for producer, steps := range got {
				want := maps.Clone(want)
				if len(want["stop"]) == 0 { // nothing was sent
					delete(want, "stop")
				}
				if diff := cmp.Diff(steps, want); diff != "" {
					t.Errorf("goslo declares otherwise than oslo.messaging %s (-oslo +goslo):\n%s", producer, diff)
				}
			}
		})
	}
}

// TestArgumentsHaveTypesThatTheBrokerTakes: a number that does not fit its type would arrive as another one.
func TestArgumentsHaveTypesThatTheBrokerTakes(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{time.Second, 1800 * time.Second, 2147483 * time.Second, 2147484 * time.Second, 4294967 * time.Second} {
		o := DefaultOptions()
		o.TransientQueuesTTL, o.TransientQuorumQueue, o.QuorumQueue = ttl, true, true
		queues := append(o.serverQueues(target.Target{Topic: "t", Server: "s"}, o.queueSuffix), o.replyQueue("1"))
		for _, q := range queues {
			if err := q.arguments.Validate(); err != nil {
				t.Errorf("queue %s: %v", q.name, err)
			}
			for name, value := range q.arguments {
				var got int64
				switch v := value.(type) {
				case string:
					continue
				case int32:
					got = int64(v)
				case int64:
					got = v
					if v <= math.MaxInt32 {
						t.Errorf("%s of %s is 64 bits wide, want 32 as oslo.messaging sends it", name, ttl)
					}
				default:
					t.Errorf("%s is a %T", name, value)
				}
				if got != ttl.Milliseconds() {
					t.Errorf("%s = %d for %s, want its milliseconds", name, got, ttl)
				}
			}
		}
	}
}

func TestRequestsGoWhereOsloSendsThem(t *testing.T) {
	t.Parallel()
	o := DefaultOptions()
	for name, c := range map[string]struct {
		to                  target.Target
		exchange, kind, key string
	}{
		"to a topic":          {target.Target{Exchange: "x", Topic: "t"}, "x", "topic", "t"},
		"to a server":         {target.Target{Exchange: "x", Topic: "t", Server: "s.example.org"}, "x", "topic", "t.s.example.org"},
		"to all":              {target.Target{Exchange: "x", Topic: "t", Fanout: true}, "t_fanout", "fanout", ""},
		"to all, not the one": {target.Target{Exchange: "x", Topic: "t", Server: "s", Fanout: true}, "t_fanout", "fanout", ""},
		"to an interface":     {target.Target{Exchange: "x", Topic: "t", Namespace: "n", Version: "1.1"}, "x", "topic", "t"},
	} {
		ex, key := o.address(c.to)
		if ex.name != c.exchange || ex.kind != c.kind || key != c.key {
			t.Errorf("%s: %s exchange %s, key %q; want %s exchange %s, key %q", name, ex.kind, ex.name, key, c.kind, c.exchange, c.key)
		}
	}
}

func TestPrivateQueuesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	o := DefaultOptions()
	on := target.Target{Exchange: "x", Topic: "t", Server: "s"}
	seen := map[string]bool{}
	for range 3 {
		for _, q := range []queue{o.serverQueues(on, o.queueSuffix)[2], o.replyQueue(o.queueSuffix())} {
			if seen[q.name] || !privateName.MatchString(q.name) {
				t.Errorf("queue name %s, want a new one with 32 hexadecimal digits", q.name)
			}
			seen[q.name] = true
		}
	}
}

func TestRepliesGoToReplyQueuesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prefix, queue string
		want          bool
	}{
		{"", "reply_5f", true},
		{"", "reply_", true},
		{"", "", false},
		{"", "nova", false},
		{"", "REPLY_5f", false},
		{"", "amq.rabbitmq.reply-to.x", false},
		{"", "reply_" + strings.Repeat("q", maxName), false},
		{"answers.", "answers.1", true},
		{"answers.", "reply_5f", true},
		{"answers.", "nova", false},
		{"amq.", "amq.rabbitmq.reply-to.x", false},
	} {
		o := Options{ReplyQueuePrefix: c.prefix}
		if got := o.canReply(c.queue); got != c.want {
			t.Errorf("with prefix %q, canReply(%q) = %v, want %v", c.prefix, c.queue, got, c.want)
		}
	}
}
