package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/internal/wire"
)

// inMsgpack is the msgpack form of a JSON text.
func inMsgpack(tb testing.TB, text string) wire.Value {
	tb.Helper()
	data, err := msgpack.AppendFromJSON(nil, []byte(text), msgpack.MaxDepth)
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return data
}

// packedMessage is the msgpack form of a message, with its version mark.
func packedMessage(tb testing.TB, members string) []byte {
	tb.Helper()
	return inMsgpack(tb, strings.Replace(`{"goslo.version": 1, `+members, ", }", "}", 1))
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestMsgpackRequestIsOneMap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		request wire.Request
		message string
	}{
		{wire.Request{Method: "m"}, `{"goslo.version": 1, "method": "m", "args": {}}`},
		{
			wire.Request{Method: "m", Args: inMsgpack(t, `{"a": "ř"}`), Namespace: wire.Some("n"), Version: wire.Some("1.1"), UniqueID: "u"},
			`{"goslo.version": 1, "method": "m", "args": {"a": "ř"}, "namespace": "n", "version": "1.1", "_unique_id": "u"}`,
		},
		{
			wire.Request{Method: "m", MsgID: wire.TextValue("id"), ReplyQueue: "q", MonitorTimeout: wire.Seconds(time.Minute), Version: wire.Optional{State: wire.Null}},
			`{"goslo.version": 1, "method": "m", "args": {}, "version": null, "_msg_id": "id", "_reply_q": "q", "_timeout": 60}`,
		},
		{
			wire.Request{Method: `a"b`, MsgID: wire.Value("77"), Context: []wire.ContextEntry{{Key: "ř", Value: inMsgpack(t, `["ř"]`)}, {Key: ""}}},
			`{"goslo.version": 1, "method": "a\"b", "args": {}, "_msg_id": 77, "_reply_q": "", "_timeout": null, "_context_ř": ["ř"], "_context_": null}`,
		},
		{
			wire.Request{MsgID: wire.Value(`"\u0159"`), MonitorTimeout: wire.Seconds(2500 * time.Millisecond), Namespace: wire.Optional{State: wire.Null}},
			`{"goslo.version": 1, "method": "", "args": {}, "namespace": null, "_msg_id": "ř", "_reply_q": "", "_timeout": 2.5}`,
		},
		{
			wire.Request{Method: "m", MsgID: wire.Value(`18446744073709551616`)}, // which only JSON can have brought
			`{"goslo.version": 1, "method": "m", "args": {}, "_msg_id": "18446744073709551616", "_reply_q": "", "_timeout": null}`,
		},
	}
	for _, test := range tests {
		want := "x" + string(inMsgpack(t, test.message))
		if got := string(wire.AppendMsgpackRequest([]byte("x"), &test.request)); got != want {
			t.Errorf("%+v is written\n%q\nwant\n%q", test.request, got, want)
		}
	}
}

// TestMsgpackMessagesAreReadByAnotherLibrary makes sure that the golden values are not our own mistakes.
func TestMsgpackMessagesAreReadByAnotherLibrary(t *testing.T) {
	t.Parallel()
	var got map[string]any
	body := wire.AppendMsgpackRequest(nil, &wire.Request{Method: "m", Args: inMsgpack(t, `{"a": [1.0]}`), MsgID: wire.TextValue("i"), ReplyQueue: "q", MonitorTimeout: wire.Value("60")})
	if err := vmihailenco.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"goslo.version": int8(1), "method": "m", "args": map[string]any{"a": []any{1.0}}, "_msg_id": "i", "_reply_q": "q", "_timeout": int8(60)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read as %#v, want %#v", got, want)
	}
}

func TestMsgpackReplyHasAllKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		reply   wire.Reply
		message string
	}{
		{wire.Reply{}, `{"goslo.version": 1, "result": null, "failure": null, "ending": false, "_msg_id": null, "_unique_id": ""}`},
		{
			wire.Reply{MsgID: wire.TextValue("i"), Result: inMsgpack(t, `{"a": "ř"}`), Ending: true, UniqueID: "u"},
			`{"goslo.version": 1, "result": {"a": "ř"}, "failure": null, "ending": true, "_msg_id": "i", "_unique_id": "u"}`,
		},
		{
			wire.Reply{
				MsgID: wire.Value("7"), Ending: true, Result: inMsgpack(t, "1"),
				Failure: &wire.Failure{Class: "C", Module: "m", Message: "ř", Traceback: []string{"a\n", "b\n"}, Args: inMsgpack(t, `["x"]`), Kwargs: inMsgpack(t, `{"k": 1}`)},
			},
			`{"goslo.version": 1, "result": null, "failure": {"class": "C", "module": "m", "message": "ř", "tb": ["a\n", "b\n"], "args": ["x"], "kwargs": {"k": 1}}, ` +
				`"ending": true, "_msg_id": 7, "_unique_id": ""}`,
		},
		{
			wire.Reply{Failure: &wire.Failure{}},
			`{"goslo.version": 1, "result": null, "failure": {"class": "", "module": "", "message": "", "tb": [], "args": [], "kwargs": {}}, ` +
				`"ending": false, "_msg_id": null, "_unique_id": ""}`,
		},
	}
	for _, test := range tests {
		want := "x" + string(inMsgpack(t, test.message))
		if got := string(wire.AppendMsgpackReply([]byte("x"), &test.reply)); got != want {
			t.Errorf("%+v is written\n%q\nwant\n%q", test.reply, got, want)
		}
	}
}

// jsonForm is a request or a reply with its msgpack values in JSON, for a comparison with what the JSON codec reads.
func jsonForm(tb testing.TB, v wire.Value) wire.Value {
	tb.Helper()
	if v == nil {
		return nil
	}
	text, err := msgpack.AppendJSON(nil, v)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func jsonRequest(tb testing.TB, r *wire.Request) *wire.Request {
	tb.Helper()
	r.Args = jsonForm(tb, r.Args)
	for i := range r.Context {
		r.Context[i].Value = jsonForm(tb, r.Context[i].Value)
	}
	return r
}

// requestTexts are messages that both codecs must read alike.
var requestTexts = []string{
	`{"method": "m"}`, `{"method": "m", "args": {}}`, `{"method": ""}`, `{"args": {}}`, `{}`, `{"method": null}`, `{"method": 5}`, `{"method": 1.5}`, `{"method": true}`,
	`{"method": ["m"]}`, `{"method": {}}`, `{"method": "m", "args": null}`, `{"method": "m", "args": [1]}`, `{"method": "m", "args": "x"}`, `{"method": "m", "args": false}`,
	`{"method": "m", "args": -Infinity}`, `{"namespace": null, "version": null}`, `{"namespace": "", "version": "1.0"}`, `{"namespace": [1], "version": 1.0}`,
	`{"namespace": {"a": "ř"}, "version": true}`, `{"_msg_id": null}`, `{"_msg_id": ""}`, `{"_msg_id": 0}`, `{"_msg_id": 0.0}`, `{"_reply_q": "q"}`, `{"_msg_id": "x"}`, `{"_msg_id": 77}`,
	`{"_msg_id": true}`, `{"_msg_id": [1, {"a": null}]}`, `{"_timeout": 60}`, `{"_timeout": 2.5}`, `{"_timeout": "4"}`, `{"_timeout": null}`, `{"_timeout": Infinity}`, `{"_timeout": [2]}`,
	`{"method": "m", "_context_user": "u", "_context_": 5, "_context": 1, "context_x": 2, "_contexts_": 3, "_context_ř": {"a": [1]}, "_future": 1, "_reply_q": 7, "_unique_id": 8}`,
	`{"_context_a": 1, "_context_b": 2, "_context_a": 3, "method": "x", "method": "y", "args": {}, "args": {"b": 1}, "_msg_id": 1, "_msg_id": 2}`,
}

func TestMsgpackRequestIsReadAsJSONIs(t *testing.T) {
	t.Parallel()
	for _, text := range requestTexts {
		want := decodeRequest(t, text)
		got, err := wire.DecodeMsgpackRequest(packedMessage(t, text[1:]))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		gotInterval, gotOK := got.HeartbeatInterval()
		wantInterval, wantOK := want.HeartbeatInterval()
		if !reflect.DeepEqual(jsonRequest(t, got), jsonRequestClean(want)) || got.Call() != want.Call() || gotInterval != wantInterval || gotOK != wantOK {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// jsonRequestClean writes the values as goslo does, that is in ASCII.
func jsonRequestClean(r *wire.Request) *wire.Request {
	clean := func(v wire.Value) wire.Value {
		if v == nil {
			return nil
		}
		return pyjson.Unquote(pyjson.AppendNested(nil, v))
	}
	r.Args, r.MsgID, r.MonitorTimeout = clean(r.Args), clean(r.MsgID), clean(r.MonitorTimeout)
	if strings.HasPrefix(r.Namespace.Text, "{") {
		r.Namespace.Text = string(clean(wire.Value(r.Namespace.Text)))
	}
	for i := range r.Context {
		r.Context[i].Value = clean(r.Context[i].Value)
	}
	return r
}

func TestMsgpackReplyIsReadAsJSONIs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `{"result": null, "failure": null, "ending": false, "_msg_id": "a"}`, `{"result": 1, "ending": false}`,
		`{"result": [1], "failure": null, "ending": true, "_msg_id": 7, "_unique_id": "u"}`, `{"ending": 1, "x": {}}`, `{"ending": "false"}`, `{"ending": 0}`, `{"ending": 0.0}`,
		`{"ending": ""}`, `{"ending": []}`, `{"ending": [0]}`, `{"ending": {}}`, `{"ending": null}`, `{"result": 1, "failure": "", "ending": true}`, `{"result": {"a": null}}`,
		`{"result": 1, "failure": false}`, `{"result": 1, "failure": 0}`, `{"result": 1, "failure": []}`, `{"result": 1, "failure": {}}`,
	} {
		want := decodeReply(t, text)
		got, err := wire.DecodeMsgpackReply(packedMessage(t, text[1:]))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got.Result = jsonForm(t, got.Result); want.Result.Null() {
			want.Result = nil
		}
		if !reflect.DeepEqual(got, want) || got.Heartbeat() != want.Heartbeat() {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestMsgpackFailureIsReadAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		failure string
		want    wire.Failure
	}{
		{
			`{"class": "ValueError", "module": "builtins", "message": "mř", "tb": ["a\n", "b"], "args": [1], "kwargs": {"k": 2}}`,
			wire.Failure{Class: "ValueError", Module: "builtins", Message: "mř", Traceback: []string{"a\n", "b"}, Args: inMsgpack(t, "[1]"), Kwargs: inMsgpack(t, `{"k": 2}`)},
		},
		{`{"class": "E", "tb": "one line"}`, wire.Failure{Class: "E", Traceback: []string{"one line"}}},
		{`{"class": "E", "tb": [1, "a", null, ["b"]]}`, wire.Failure{Class: "E", Traceback: []string{"a"}}},
		{`{"class": "E", "tb": null, "args": null, "kwargs": []}`, wire.Failure{Class: "E"}},
		{`{"class": 1, "module": null, "message": [], "x": 1}`, wire.Failure{}},
		{`"it broke"`, wire.Failure{Class: "RemoteError", Message: "it broke"}},
		{`[1]`, wire.Failure{Class: "RemoteError", Message: "the failure is an array, not an object: [1]"}},
		{`5`, wire.Failure{Class: "RemoteError", Message: "the failure is a number, not an object: 5"}},
		{`true`, wire.Failure{Class: "RemoteError", Message: "the failure is a boolean, not an object: true"}},
	}
	for _, test := range tests {
		r, err := wire.DecodeMsgpackReply(packedMessage(t, `"result": 1, "failure": `+test.failure+`, "ending": true, "_msg_id": "i"}`))
		if err != nil || r.Failure == nil || !reflect.DeepEqual(*r.Failure, test.want) {
			t.Errorf("%s: %+v, %v, want %+v", test.failure, r, err, test.want)
			continue
		}
		if r.Result != nil || !r.Ending || r.Heartbeat() {
			t.Errorf("%s: result %s, ending %t: a failure wins", test.failure, r.Result, r.Ending)
		}
	}
	for data, want := range map[string]string{"c401ff": "the failure is binary data, not an object: c401ff", "d42100": "the failure is an extension, not an object: d42100"} {
		body := packedMessage(t, `"failure": 1}`)
		body = append(body[:len(body)-1], unhex(t, data)...)
		r, err := wire.DecodeMsgpackReply(body)
		if err != nil || r.Failure == nil || r.Failure.Class != "RemoteError" || r.Failure.Message != want {
			t.Errorf("%s: %+v, %v, want message %s", data, r, err, want)
		}
	}
}

// brokenMessages are no messages; mark stands for the version mark.
var brokenMessages = map[string]string{
	"":                            "message: not msgpack: ends where a value should stand",
	"90":                          "message: not msgpack: want a value of kind map at byte 0, got array",
	"c0":                          "message: not msgpack: want a value of kind map at byte 0, got nil",
	"80":                          "no goslo.version",
	"df ffffffff":                 "message: not msgpack: the map at byte 0 claims a length of 4294967295, 0 bytes are left",
	"81 mark 02":                  "goslo.version is 2, want 1",
	"81 mark cb3ff0000000000000":  "goslo.version is 1.0, want 1",
	"81 mark a131":                `goslo.version is "1", want 1`,
	"81 mark c0":                  "goslo.version is null, want 1",
	"81 mark c400":                "goslo.version: no JSON form for a value of kind binary value",
	"82 mark 01 mark 02":          "goslo.version is 2, want 1",
	"81 mark 01 00":               "message: not msgpack: want the end at byte 16, got 1 bytes more",
	"82 mark 01 a178":             "message: not msgpack: ends where a value should stand",
	"82 mark 01 a178 c1":          "message: not msgpack: 0xc1 at byte 18 begins no value",
	"82 mark 01 c1 01":            "message: not msgpack: 0xc1 at byte 16 begins no value",
	"82 mark 01 a1ff 01":          "message: not msgpack: the string at byte 16 is not UTF-8",
	"82 mark 01 a178 a1ff":        "message: not msgpack: the string at byte 18 is not UTF-8",
	"82 mark 01 a461726773 91dd ": "message: not msgpack: ends within the head of the array at byte 22",
}

func TestMsgpackRefusesWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	mark := hex.EncodeToString(msgpack.AppendString(nil, "goslo.version"))
	for text, want := range brokenMessages {
		body := unhex(t, strings.ReplaceAll(text, "mark", mark))
		_, err := wire.DecodeMsgpackRequest(bytes.Clone(body))
		_, errReply := wire.DecodeMsgpackReply(body)
		for _, err := range []error{err, errReply} {
			if !errors.Is(err, wire.ErrMalformed) || err.Error() != "malformed message: "+want {
				t.Errorf("%s: error %v, want %s", text, err, want)
			}
		}
	}
	for _, key := range []string{"_msg_id", "_timeout", "namespace", "version"} {
		for _, value := range []string{"c400", "d42100", "91c400", "81c0c0"} {
			body := msgpack.AppendString(append(msgpack.AppendMapLen(nil, 2), unhex(t, mark+"01")...), key)
			if r, err := wire.DecodeMsgpackRequest(append(body, unhex(t, value)...)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s %s: %+v, %v, want ErrMalformed", key, value, r, err)
			}
		}
	}
	if _, err := wire.DecodeMsgpackReply(append(msgpack.AppendString(append(msgpack.AppendMapLen(nil, 2), unhex(t, mark+"01")...), "_msg_id"), 0xc4, 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a reply whose _msg_id is binary: %v, want ErrMalformed", err)
	}
}

func TestMsgpackMessagesAreBounded(t *testing.T) {
	t.Parallel()
	nested := func(n int) []byte {
		r := &wire.Request{Method: "m", Args: inMsgpack(t, `{"a": 1}`)}
		r.Args = append(r.Args[:len(r.Args)-1], append(bytes.Repeat([]byte{0x91}, n), 0xc0)...)
		return wire.AppendMsgpackRequest(nil, r)
	}
	if _, err := wire.DecodeMsgpackRequest(nested(msgpack.MaxDepth - 2)); err != nil {
		t.Errorf("100 levels with the message: %v", err)
	}
	for _, n := range []int{msgpack.MaxDepth - 1, 20_000} {
		if _, err := wire.DecodeMsgpackRequest(nested(n)); !errors.Is(err, wire.ErrMalformed) || !errors.Is(err, msgpack.ErrDepth) {
			t.Errorf("%d levels in args: %v, want ErrMalformed and ErrDepth", n, err)
		}
	}
	large := wire.AppendMsgpackRequest(nil, &wire.Request{Method: strings.Repeat("m", wire.MaxSize)})
	if _, err := wire.DecodeMsgpackRequest(large); !errors.Is(err, wire.ErrTooLarge) || !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("%d bytes: %v, want ErrTooLarge", len(large), err)
	}
}

func TestMsgpackFaultsNameKindsThatJSONLacks(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"c400": "method must be a string, not binary data", "d42100": "method must be a string, not an extension"} {
		body := packedMessage(t, `"method": 0}`)
		r, err := wire.DecodeMsgpackRequest(append(body[:len(body)-1], unhex(t, value)...))
		if err != nil || r.Fault != want {
			t.Errorf("%s: %+v, %v, want fault %s", value, r, err, want)
		}
	}
}

func TestMsgpackKeysThatAreNoStringsAreIgnored(t *testing.T) {
	t.Parallel()
	body := unhex(t, "84 01 02 c406 6d6574686f64 c0 a6 6d6574686f64 a16d")
	body = append(body, packedMessage(t, `}`)[1:]...)
	if r, err := wire.DecodeMsgpackRequest(body); err != nil || r.Method != "m" || r.Fault != "" {
		t.Errorf("%+v, %v, want method m", r, err)
	}
}

func TestMsgpackValuesLieInTheBody(t *testing.T) {
	t.Parallel()
	body := packedMessage(t, `"method": "m", "args": {"a": 1}, "_context_x": "y"}`)
	r, err := wire.DecodeMsgpackRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(body, r.Args); at < 0 || &body[at] != &r.Args[0] {
		t.Error("args are a copy")
	}
	_ = append(r.Args, strings.Repeat("!", 100)...)
	if got := string(r.Context[0].Value); got != "\xa1y" {
		t.Errorf("after an append to args the context reads %q", got)
	}
}

// TestRecordedMessagesTravelInMsgpack takes what Python peers have sent, writes it in msgpack and reads it again.
func TestRecordedMessagesTravelInMsgpack(t *testing.T) {
	t.Parallel()
	travelled := 0
	for _, f := range fixtures(t) {
		if strings.HasSuffix(f.Name, "lone_surrogate") {
			continue // it becomes U+FFFD, as whatever goslo reads
		}
		if f.reply() {
			want := decodeReply(t, string(f.text(t)))
			sent := *want
			result, err := msgpack.AppendFromJSON(nil, want.Result, msgpack.MaxDepth)
			if want.Failure != nil || errors.Is(err, msgpack.ErrRange) {
				continue // a failure is covered above; 2**70 has no form in msgpack
			}
			sent.Result = result
			got, err := wire.DecodeMsgpackReply(wire.AppendMsgpackReply(nil, &sent))
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			if got.Result = jsonForm(t, got.Result); want.Result.Null() {
				want.Result = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v comes back as %+v", f.Name, want, got)
			}
			travelled++
			continue
		}
		want := decodeRequest(t, string(f.text(t)))
		sent := *want
		args, err := msgpack.AppendFromJSON(nil, want.Args, msgpack.MaxDepth)
		if errors.Is(err, msgpack.ErrRange) {
			continue
		}
		sent.Args, sent.Context = args, nil
		for _, entry := range want.Context {
			sent.Context = append(sent.Context, wire.ContextEntry{Key: entry.Key, Value: inMsgpack(t, string(entry.Value))})
		}
		got, err := wire.DecodeMsgpackRequest(wire.AppendMsgpackRequest(nil, &sent))
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if got = jsonRequest(t, got); got.MonitorTimeout == nil && !got.Call() {
			got.MonitorTimeout = want.MonitorTimeout
		}
		if len(want.Context) == 0 {
			got.Context, want.Context = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v comes back as %+v", f.Name, want, got)
		}
		travelled++
	}
	if travelled < 60 {
		t.Errorf("%d messages travelled, want at least 60", travelled)
	}
}

// FuzzDecodeMsgpackMessage checks that whatever can be read is written in a form that reads the same.
func FuzzDecodeMsgpackMessage(f *testing.F) {
	mark := hex.EncodeToString(msgpack.AppendString(nil, "goslo.version"))
	for text := range brokenMessages {
		f.Add(unhex(f, strings.ReplaceAll(text, "mark", mark)))
	}
	for _, text := range requestTexts {
		f.Add(packedMessage(f, text[1:]))
	}
	for _, text := range []string{
		`"result": [1], "failure": null, "ending": true, "_msg_id": 7, "_unique_id": "u"}`, `"failure": {"class": "C", "module": "m", "message": "ř", "tb": ["a"], "args": [1], "kwargs": {"k": 1}}}`,
		`"failure": "text"}`, `"failure": [1], "ending": 1}`, `"failure": {"tb": "x", "args": {}, "kwargs": []}}`,
	} {
		f.Add(packedMessage(f, text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		foreign := bytes.Clone(body)
		request, err := wire.DecodeMsgpackRequest(body)
		if !bytes.Equal(body, foreign) {
			t.Fatalf("%x was written over", foreign)
		}
		reply, errReply := wire.DecodeMsgpackReply(body)
		if err != nil {
			checkMalformed(t, string(foreign), err)
		} else {
			checkPackedRequest(t, request)
		}
		if errReply != nil {
			checkMalformed(t, string(foreign), errReply)
		} else {
			checkPackedReply(t, reply)
		}
	})
}

func checkPackedRequest(t *testing.T, r *wire.Request) {
	t.Helper()
	_, _ = r.HeartbeatInterval()
	once := wire.AppendMsgpackRequest(nil, r)
	again, err := wire.DecodeMsgpackRequest(once)
	if err != nil {
		t.Fatalf("%+v is written %x, which is read with %v", r, once, err)
	}
	if twice := wire.AppendMsgpackRequest(nil, again); !bytes.Equal(twice, once) {
		t.Fatalf("%+v is written\n%x, then\n%x", r, once, twice)
	}
	if r.Method != again.Method || r.Namespace != again.Namespace || r.Version != again.Version || r.UniqueID != again.UniqueID || r.Call() != again.Call() || len(r.Context) != len(again.Context) {
		t.Fatalf("%+v comes back as %+v", r, again)
	}
	for i := range r.Context {
		if r.Context[i].Key != again.Context[i].Key || !bytes.Equal(r.Context[i].Value, again.Context[i].Value) {
			t.Fatalf("%+v comes back as %+v", r.Context[i], again.Context[i])
		}
	}
}

func checkPackedReply(t *testing.T, r *wire.Reply) {
	t.Helper()
	once := wire.AppendMsgpackReply(nil, r)
	again, err := wire.DecodeMsgpackReply(once)
	if err != nil {
		t.Fatalf("%+v is written %x, which is read with %v", r, once, err)
	}
	if twice := wire.AppendMsgpackReply(nil, again); !bytes.Equal(twice, once) {
		t.Fatalf("%+v is written\n%x, then\n%x", r, once, twice)
	}
	if r.Heartbeat() != again.Heartbeat() || r.Ending != again.Ending || r.UniqueID != again.UniqueID || !bytes.Equal(r.Result, again.Result) {
		t.Fatalf("%+v comes back as %+v", r, again)
	}
	if r.Failure != nil || again.Failure != nil {
		sameFailure(t, r, again)
	}
}

func BenchmarkMsgpackMessage(b *testing.B) {
	request, reply := benchRequest(), benchReply()
	requestText, replyText := wire.AppendRequest(nil, request), wire.AppendReply(nil, reply)
	packedRequest, packedReply := *request, *reply
	packedRequest.Args, packedReply.Result = inMsgpack(b, benchArgs), inMsgpack(b, benchArgs)
	packedRequest.Context = nil
	for _, entry := range request.Context {
		packedRequest.Context = append(packedRequest.Context, wire.ContextEntry{Key: entry.Key, Value: inMsgpack(b, string(entry.Value))})
	}
	requestData, replyData := wire.AppendMsgpackRequest(nil, &packedRequest), wire.AppendMsgpackReply(nil, &packedReply)
	buf := make([]byte, 2*len(requestText))
	for _, bench := range []struct {
		name string
		size int
		work func() error
	}{
		{"append_request/json", len(requestText), func() error { buf = wire.AppendRequest(buf[:0], request); return nil }},
		{"append_request/msgpack", len(requestData), func() error { buf = wire.AppendMsgpackRequest(buf[:0], &packedRequest); return nil }},
		{"decode_request/json", len(requestText), func() error {
			_, err := wire.DecodeRequest(append(buf[:0], requestText...))
			return err
		}},
		{"decode_request/msgpack", len(requestData), func() error {
			_, err := wire.DecodeMsgpackRequest(requestData)
			return err
		}},
		{"append_reply/json", len(replyText), func() error { buf = wire.AppendReply(buf[:0], reply); return nil }},
		{"append_reply/msgpack", len(replyData), func() error { buf = wire.AppendMsgpackReply(buf[:0], &packedReply); return nil }},
		{"decode_reply/json", len(replyText), func() error {
			_, err := wire.DecodeReply(append(buf[:0], replyText...))
			return err
		}},
		{"decode_reply/msgpack", len(replyData), func() error {
			_, err := wire.DecodeMsgpackReply(replyData)
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(bench.size))
			for b.Loop() {
				if err := bench.work(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
