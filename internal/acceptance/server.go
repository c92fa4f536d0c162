package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
)

// The names that the recorded server had.
const (
	Exchange   = "openstack"
	Topic      = "widgets"
	ServerName = "node1"
	ReplyQueue = "reply_raw"
)

// What becomes of a message.
const (
	Acknowledged = "acknowledged"
	Rejected     = "rejected without requeue"
)

// ServerCase is one message for a server and what came of it.
type ServerCase struct {
	Case       string
	Exchange   string
	RoutingKey string `json:"routing_key"`
	Message
	Settled string `json:"server_settled"`
	Replies []Reply
	release string
}

// Outcome is what a server did with one message.
type Outcome struct {
	Settled string
	Replies []Reply
}

// Reply is one message on the caller's reply queue, apart from its unique id.
type Reply struct {
	Result  any
	Failure *Failure `json:"failure_without_tb"`
	Ending  bool
	MsgID   any `json:"_msg_id"`
}

// Failure is the failure of a reply, apart from its traceback.
type Failure struct {
	Class, Module, Message string
	Args                   []any
	Kwargs                 map[string]any
}

// Heartbeat reports whether the reply only says that the method still runs.
func (r *Reply) Heartbeat() bool { return !r.Ending && r.Failure == nil && r.Result == nil }

const (
	// serverCases is how many messages each recording of a server has.
	serverCases = 89
	// unrecordedIDs is how many more were sent between two of them, dup_fill_0 and dup_fill_16.
	unrecordedIDs = 15
)

// ServerCases are the recorded messages in the order in which they must be sent, with those that were sent
// between them for their unique ids alone.
func ServerCases(tb testing.TB, release string) []*ServerCase {
	tb.Helper()
	cases := load[ServerCase](tb, "server", release, serverCases)
	again := find(tb, cases, "dup_within_16")
	last := slices.Index(cases, find(tb, cases, "dup_fill_16"))
	for i := range unrecordedIDs {
		id := wire.NewID()
		if i == unrecordedIDs/2 {
			id = again.uniqueID(tb) // the one that is sent again
		}
		fill := GoodCall(fmt.Sprintf("%032x", i+1), id)
		fill.Case = fmt.Sprintf("dup_fill_%d", i+1)
		cases = slices.Insert(cases, last+i, fill)
	}
	for _, c := range cases {
		c.release = release
	}
	return cases
}

func find(tb testing.TB, cases []*ServerCase, name string) *ServerCase {
	tb.Helper()
	i := slices.IndexFunc(cases, func(c *ServerCase) bool { return c.Case == name })
	if i < 0 {
		tb.Fatalf("no case %s is recorded", name)
	}
	return cases[i]
}

func (c *ServerCase) uniqueID(tb testing.TB) string {
	tb.Helper()
	req, err := wire.DecodeRequest(c.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return req.UniqueID
}

// GoodCall is a call that is always answered, with ids of 32 digits.
func GoodCall(msgID, uniqueID string) *ServerCase {
	const inner = `{\"method\": \"echo\", \"args\": {\"a\": 1}, \"_msg_id\": \"%s\", \"_reply_q\": \"` + ReplyQueue +
		`\", \"_timeout\": null, \"_unique_id\": \"%s\"}`
	c := &ServerCase{Case: "good call", Exchange: Exchange, RoutingKey: Topic, Settled: Acknowledged}
	c.Properties.ContentType, c.Properties.ContentEncoding = wire.ContentTypeJSON, wire.ContentEncoding
	c.Body = fmt.Sprintf(`{"oslo.version": "2.0", "oslo.message": "`+inner+`"}`, msgID, uniqueID)
	c.Replies = []Reply{{Result: map[string]any{"a": json.Number("1")}, Ending: true, MsgID: msgID}}
	return c
}

// Key tells the replies to the message from those to others: its id as [Reply.Key] has it, null for none.
func (c *ServerCase) Key() string {
	text, err := c.Text()
	if err != nil {
		return "null"
	}
	req, err := wire.DecodeRequest(text)
	if err != nil || req.MsgID.Null() {
		return "null"
	}
	return string(req.MsgID)
}

// Key is the message id in JSON.
func (r *Reply) Key() string {
	key, err := json.Marshal(r.MsgID)
	if err != nil {
		panic(err) // of what JSON was
	}
	return string(key)
}

// Slow reports whether the case is about time: its method takes 1.3 s, or there might be heartbeats behind the
// answer.
func (c *ServerCase) Slow() bool { return strings.HasPrefix(c.Case, "timeout_") }

// Want is what a goslo server does with the message: what was recorded, unless it is listed in [ServerDifferences].
func (c *ServerCase) Want() Outcome {
	if d, listed := c.difference(); listed {
		return d
	}
	return Outcome{Settled: c.Settled, Replies: c.Replies}
}

func (c *ServerCase) difference() (Outcome, bool) {
	d, listed := ServerDifferences[c.Case]
	if !listed || d.Releases != nil && !slices.Contains(d.Releases, c.release) {
		return Outcome{}, false
	}
	o := Outcome{Settled: Acknowledged}
	if d.Rejects {
		o.Settled = Rejected
	}
	if d.Reply != nil {
		r := *d.Reply
		r.Ending = true
		_ = json.Unmarshal([]byte(c.Key()), &r.MsgID) // Key is JSON
		o.Replies = []Reply{r}
	}
	return o, true
}

// Check compares what a goslo server did with what it must do.
func (c *ServerCase) Check(tb testing.TB, got Outcome) {
	tb.Helper()
	if diff := cmp.Diff(c.Want(), got, cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("%s, %s: the server does otherwise (-want +got):\n%s", c.release, c.Case, diff)
	}
	recorded := Outcome{Settled: c.Settled, Replies: c.Replies}
	if _, listed := c.difference(); listed && cmp.Equal(recorded, got, cmpopts.EquateEmpty()) {
		tb.Errorf("%s, %s: the server does what oslo.messaging does, and is listed to differ", c.release, c.Case)
	}
}

var uniqueID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// ParseReply reads a raw reply. It fails where a Python client would, or where a key is missing or new.
func ParseReply(body []byte) (Reply, error) {
	var r Reply
	envelope, err := members(body, "oslo.message", "oslo.version")
	if err != nil {
		return r, err
	}
	version, _ := envelope["oslo.version"].(string)
	text, ok := envelope["oslo.message"].(string)
	if version != "2.0" || !ok {
		return r, fmt.Errorf("reply %s: want version 2.0 and a text", body)
	}
	inner, err := members([]byte(text), "_msg_id", "_unique_id", "ending", "failure", "result")
	if err != nil {
		return r, err
	}
	r.Result, r.MsgID = inner["result"], inner["_msg_id"]
	if r.Ending, ok = inner["ending"].(bool); !ok {
		return r, fmt.Errorf("reply %s: ending is no boolean", text)
	}
	if id, _ := inner["_unique_id"].(string); !uniqueID.MatchString(id) {
		return r, fmt.Errorf("reply %s: the unique id is not one of 32 digits", text)
	}
	if inner["failure"] == nil {
		return r, nil
	}
	failure, ok := inner["failure"].(string)
	if !ok {
		return r, fmt.Errorf("reply %s: the failure is no text", text)
	}
	r.Failure, err = parseFailure(failure)
	return r, err
}

func parseFailure(text string) (*Failure, error) {
	failure, err := members([]byte(text), "args", "class", "kwargs", "message", "module", "tb")
	if err != nil {
		return nil, err
	}
	if _, ok := failure["tb"].([]any); !ok {
		return nil, fmt.Errorf("failure %s: tb is no list", text)
	}
	f := &Failure{}
	return f, unmarshal([]byte(text), f)
}

// members decodes an object that must have these keys, sorted.
func members(text []byte, keys ...string) (map[string]any, error) {
	var object map[string]any
	if err := unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("read %s: %w", text, err)
	}
	if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, keys) {
		return nil, fmt.Errorf("%s has the keys %q, want %q", text, got, keys)
	}
	return object, nil
}

// Endpoints are those of the recorded server: one without a target, one of version 1.5, one of a namespace.
func Endpoints() []*messaging.Endpoint {
	plain := messaging.NewEndpoint()
	messaging.Handle(plain, "echo", echo)
	messaging.HandleArg(plain, "slow", "seconds", slow)
	messaging.HandleCast(plain, "none", func(context.Context, struct{}) error { return nil })
	messaging.Handle(plain, "ctx", func(ctx context.Context, _ struct{}) (messaging.RequestContext, error) {
		return messaging.RequestContextFrom(ctx), nil
	})
	newer := messaging.NewEndpoint(messaging.WithVersion("1.5"))
	messaging.Handle(newer, "echo", func(_ context.Context, args map[string]any) (any, error) {
		return map[string]any{"v15": args}, nil
	})
	widgets := messaging.NewEndpoint(messaging.WithNamespace("widgets"), messaging.WithVersion("2.3"))
	messaging.Handle(widgets, "echo", echo)
	return []*messaging.Endpoint{plain, newer, widgets}
}

func echo(_ context.Context, args map[string]any) (map[string]any, error) { return args, nil }

func slow(ctx context.Context, seconds float64) (string, error) {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return "done", nil
	case <-ctx.Done():
		return "", errors.New("the server ends")
	}
}
