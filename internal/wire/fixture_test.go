package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/wire"
)

// fixture is one message of a real oslo.messaging peer, as testdata holds it.
type fixture struct {
	Name         string
	RoutingKey   string `json:"routing_key"`
	Headers      map[string]string
	Body         string
	BodyEncoding string `json:"body_encoding"`
	Decoded      map[string]json.RawMessage
}

func (f *fixture) reply() bool { return strings.HasPrefix(f.RoutingKey, "reply_") }

// text is the body after decompression, in memory of its own: the decoder writes into it.
func (f *fixture) text(tb testing.TB) []byte {
	tb.Helper()
	body := []byte(f.Body)
	if f.BodyEncoding == "base64" {
		var err error
		if body, err = base64.StdEncoding.DecodeString(f.Body); err != nil {
			tb.Fatal(err)
		}
	}
	text, err := wire.Decompress(f.Headers[wire.CompressionHeader], body)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func fixtures(tb testing.TB) []*fixture {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 90 {
		tb.Fatalf("testdata holds %d fixtures (error %v), want at least 90", len(files), err)
	}
	all := make([]*fixture, len(files))
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		all[i] = &fixture{}
		if err := json.Unmarshal(data, all[i]); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

// TestFixturesSurviveDecodingAndEncoding checks that every recorded message is written again byte for byte:
// key order, separators, escapes and all.
func TestFixturesSurviveDecodingAndEncoding(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			want := string(f.text(t))
			if got := reencode(t, f); got != want {
				t.Errorf("written again as\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func reencode(t *testing.T, f *fixture) string {
	t.Helper()
	if f.reply() {
		reply, err := wire.DecodeReply(f.text(t))
		if err != nil {
			t.Fatal(err)
		}
		return string(wire.AppendReply(nil, reply))
	}
	request, err := wire.DecodeRequest(f.text(t))
	if err != nil {
		t.Fatal(err)
	}
	if request.Fault != "" {
		t.Fatalf("fault %q in a good request", request.Fault)
	}
	return string(wire.AppendRequest(nil, request))
}

// TestFixturesDecodeToWhatPythonSees compares each member with the fixture's decoded form.
func TestFixturesDecodeToWhatPythonSees(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		if f.Name == "rpc_value_nan" || f.Name == "rpc_value_inf" {
			continue // JSON proper cannot hold their decoded form; the byte comparison covers them
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			if f.reply() {
				checkReply(t, f)
			} else {
				checkRequest(t, f)
			}
		})
	}
}

func checkRequest(t *testing.T, f *fixture) {
	t.Helper()
	r, err := wire.DecodeRequest(f.text(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]json.RawMessage{"method": quoted(r.Method), "args": json.RawMessage(r.Args)}
	if r.Namespace.State != wire.Absent {
		got["namespace"] = quoted(r.Namespace.Text)
	}
	if r.Version.State != wire.Absent {
		got["version"] = quoted(r.Version.Text)
	}
	if r.Call() {
		got["_msg_id"], got["_reply_q"] = json.RawMessage(r.MsgID), quoted(r.ReplyQueue)
		got["_timeout"] = json.RawMessage(r.MonitorTimeout)
	}
	got["_unique_id"] = quoted(r.UniqueID)
	for _, entry := range r.Context {
		got["_context_"+entry.Key] = json.RawMessage(entry.Value)
	}
	compare(t, got, f.Decoded)
}

func checkReply(t *testing.T, f *fixture) {
	t.Helper()
	r, err := wire.DecodeReply(f.text(t))
	if err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(f.Decoded)
	got := map[string]json.RawMessage{
		"result": json.RawMessage(r.Result), "_msg_id": json.RawMessage(r.MsgID), "_unique_id": quoted(r.UniqueID),
		"ending": json.RawMessage(map[bool]string{true: "true", false: "false"}[r.Ending]),
	}
	if r.Failure != nil {
		got["result"] = json.RawMessage("null")
		checkFailure(t, r.Failure, want["failure"])
		delete(want, "failure")
	} else {
		got["failure"] = json.RawMessage("null")
	}
	compare(t, got, want)
}

func checkFailure(t *testing.T, f *wire.Failure, nested json.RawMessage) {
	t.Helper()
	var text string
	var want map[string]json.RawMessage
	if err := json.Unmarshal(nested, &text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	tb, err := json.Marshal(f.Traceback)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, map[string]json.RawMessage{
		"class": quoted(f.Class), "module": quoted(f.Module), "message": quoted(f.Message), "tb": tb,
		"args": json.RawMessage(f.Args), "kwargs": json.RawMessage(f.Kwargs),
	}, want)
}

func quoted(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return text
}

// compare holds two objects against each other by the meaning of their values.
func compare(t *testing.T, got, want map[string]json.RawMessage) {
	t.Helper()
	for key, value := range want {
		if !sameMeaning(got[key], value) {
			t.Errorf("%s = %s, want %s", key, got[key], value)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s = %s, want no such key", key, got[key])
		}
	}
}

func sameMeaning(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return string(a) == strings.Join(strings.Fields(string(b)), " ") // NaN and Infinity
	}
	xs, errX := json.Marshal(x)
	ys, errY := json.Marshal(y)
	return errX == nil && errY == nil && string(xs) == string(ys)
}
