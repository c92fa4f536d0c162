package wire

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
)

// contextPrefix marks the members of a request that are entries of its context.
const contextPrefix = "_context_"

// Request is a call, cast or fanout cast on its way.
type Request struct {
	// Method is the name of the method.
	Method string
	// Args is the JSON object of keyword arguments; nil is an empty one.
	Args Value
	// Namespace and Version are those of the target; absent where it has none.
	Namespace, Version Optional
	// MsgID makes the request a call: the reply carries it back. As a Value it keeps a foreign peer's type.
	MsgID Value
	// ReplyQueue is where the reply goes; empty where the key is absent or no string.
	ReplyQueue string
	// MonitorTimeout is the number of seconds within which the caller wants to see a heartbeat, null where
	// it wants none (key _timeout). It is not the timeout of the call.
	MonitorTimeout Value
	// UniqueID is fresh for every send and kept when that send is repeated; it finds duplicates.
	UniqueID string
	// Context is the request context, one entry a key.
	Context []ContextEntry
	// ContentType tells how the body, Args and the values of Context are encoded; empty is JSON.
	ContentType string
	// Deadline is when the caller stops waiting; zero where that is unknown. It travels beside the body.
	Deadline time.Time
	// UserID is the broker's user that sent the request, where its sender said so; not sent.
	UserID string
	// Fault tells why the request, though it can be read, cannot be dispatched: oslo.messaging answers such
	// a request with a TypeError. Empty for a good one; not sent.
	Fault string
}

// ContextEntry is one key of a request context and its value in JSON.
type ContextEntry struct {
	Key   string
	Value Value
}

// Optional is text that may be absent or null; the three are different to a peer.
type Optional struct {
	Text  string
	State Presence
}

// Presence tells absent, null and present apart.
type Presence uint8

// Absent is the zero value.
const (
	Absent Presence = iota
	Null
	Present
)

// Some is a present text.
func Some(text string) Optional { return Optional{Text: text, State: Present} }

// SomeOrAbsent is absent for an empty text: a target that names no namespace or version.
func SomeOrAbsent(text string) Optional {
	if text == "" {
		return Optional{}
	}
	return Some(text)
}

// Call reports whether the sender waits for a reply: the message id alone decides
// (oslo_messaging/_drivers/amqpdriver.py).
func (r *Request) Call() bool { return r.MsgID.Truthy() }

// HeartbeatInterval is how often the caller wants to see a sign of life while the method runs: half the
// whole seconds of MonitorTimeout. It is 0 where none is wanted; ok is false where the caller asked for
// what cannot be served (less than 2 s, no number).
func (r *Request) HeartbeatInterval() (interval time.Duration, ok bool) {
	if !r.MonitorTimeout.Truthy() {
		return 0, true
	}
	text := string(r.MonitorTimeout)
	if s, isText := r.MonitorTimeout.Text(); isText {
		text = strings.TrimSpace(s) // Python's int() reads integers from strings, but no fractions
		if _, err := strconv.Atoi(text); err != nil {
			return 0, false
		}
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 2 {
		return 0, false
	}
	const longest = float64(math.MaxInt64 / int64(time.Second))
	return time.Duration(min(math.Trunc(seconds), longest)) * time.Second / 2, true
}

// AppendRequest appends the whole body of a request, encoded as its ContentType says.
func AppendRequest(dst []byte, r *Request) []byte {
	if r.ContentType == ContentTypeMsgpack {
		return appendMsgpackRequest(dst, r)
	}
	dst = append(dst, envelopeOpen...)
	dst = append(dst, `\"method\": `...)
	dst = pyjson.AppendNestedString(dst, r.Method)
	dst = append(dst, `, \"args\": `...)
	if len(r.Args) == 0 {
		dst = append(dst, '{', '}')
	} else {
		dst = pyjson.AppendNested(dst, r.Args)
	}
	dst = appendOptional(dst, `, \"namespace\": `, r.Namespace)
	dst = appendOptional(dst, `, \"version\": `, r.Version)
	if r.Call() {
		dst = append(dst, `, \"_msg_id\": `...)
		dst = pyjson.AppendNested(dst, r.MsgID)
		dst = append(dst, `, \"_reply_q\": `...)
		dst = pyjson.AppendNestedString(dst, r.ReplyQueue)
		dst = append(dst, `, \"_timeout\": `...)
		dst = appendValue(dst, r.MonitorTimeout)
	}
	if r.UniqueID != "" {
		dst = append(dst, `, \"_unique_id\": `...)
		dst = pyjson.AppendNestedString(dst, r.UniqueID)
	}
	for i := range r.Context {
		entry := &r.Context[i]
		dst = append(dst, `, \"`+contextPrefix...)
		dst = pyjson.AppendNestedContent(dst, entry.Key)
		dst = append(dst, `\": `...)
		dst = appendValue(dst, entry.Value)
	}
	return append(dst, envelopeClose...)
}

func appendOptional(dst []byte, key string, o Optional) []byte {
	switch o.State {
	case Absent:
		return dst
	case Null:
		return append(append(dst, key...), "null"...)
	case Present:
	}
	return pyjson.AppendNestedString(append(dst, key...), o.Text)
}

func appendValue(dst []byte, v Value) []byte {
	if v == nil {
		return append(dst, "null"...)
	}
	return pyjson.AppendNested(dst, v)
}

// DecodeRequest reads the body of a request in JSON. It takes body over: the values of the request lie in it.
// The error matches [ErrMalformed] where the body is no message at all; a message that is one but cannot be
// dispatched has its Fault set.
func DecodeRequest(body []byte) (*Request, error) {
	members, err := open(body)
	if err != nil {
		return nil, err
	}
	r := &Request{}
	context := contextReader{entries: make([]ContextEntry, 0, 8)}
	var method, namespace, version Value
	err = eachMember(members, func(key, value []byte) {
		switch string(key) {
		case "method":
			method = value
		case "args":
			r.Args = value
		case "namespace":
			namespace = value
		case "version":
			version = value
		case "_msg_id":
			r.MsgID = value
		case "_reply_q":
			r.ReplyQueue, _ = pyjson.Text(value)
		case "_timeout":
			r.MonitorTimeout = value
		case "_unique_id":
			r.UniqueID, _ = pyjson.Text(value)
		default:
			context.add(key, value)
		}
	})
	if err != nil {
		return nil, err
	}
	r.Context = context.entries
	r.checkMembers(method, namespace, version)
	return r, nil
}

// optional reads a namespace or version; of what is no text it keeps the JSON, for the log.
func optional(value Value) Optional {
	switch text, ok := value.Text(); {
	case value == nil:
		return Optional{}
	case value.Null():
		return Optional{State: Null}
	case ok:
		return Some(text)
	}
	return Some(string(value))
}

// contextReader collects the entries of a context. Of a repeated key the last one counts.
type contextReader struct {
	entries []ContextEntry
	index   map[string]int // of the entries; made when a search through them would take long
}

// fewEntries is how many a search looks through. Real contexts have about twenty.
const fewEntries = 32

func (c *contextReader) add(key, value []byte) {
	name, ok := bytes.CutPrefix(key, []byte(contextPrefix))
	if !ok {
		return // unknown keys are ignored
	}
	if i := c.find(name); i >= 0 {
		c.entries[i].Value = value
		return
	}
	entry := ContextEntry{Key: string(name), Value: value}
	if c.index != nil {
		c.index[entry.Key] = len(c.entries)
	}
	c.entries = append(c.entries, entry)
}

func (c *contextReader) find(name []byte) int {
	if c.index == nil && len(c.entries) <= fewEntries {
		return slices.IndexFunc(c.entries, func(e ContextEntry) bool { return e.Key == string(name) })
	}
	if c.index == nil {
		c.index = make(map[string]int)
		for i := range c.entries {
			c.index[c.entries[i].Key] = i
		}
	}
	if i, ok := c.index[string(name)]; ok {
		return i
	}
	return -1
}

func (r *Request) checkMembers(method, namespace, version Value) {
	name, isText := method.Text()
	r.Method, r.Namespace, r.Version = name, optional(namespace), optional(version)
	switch {
	case method == nil:
		r.Fault = "the message has no method"
	case !isText:
		r.Fault = "method must be a string, not " + kind(method)
	case !textOrNull(namespace): // else a number, say, could be the name of an interface
		r.Fault = "namespace must be a string, not " + kind(namespace)
	case !textOrNull(version):
		r.Fault = "version must be a string, not " + kind(version)
	case r.Args != nil && r.Args[0] != '{':
		r.Fault = "args must be an object, not " + kind(r.Args)
	}
}

func textOrNull(v Value) bool { return v.Null() || v[0] == '"' }

// kind names the type of a JSON value.
func kind(v Value) string {
	switch {
	case v.Null():
		return "null"
	case v[0] == '{':
		return "an object"
	case v[0] == '[':
		return "an array"
	case v[0] == '"':
		return "a string"
	case v[0] == 't' || v[0] == 'f':
		return "a boolean"
	}
	return "a number"
}
