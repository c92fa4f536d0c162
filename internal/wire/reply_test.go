package wire_test

import (
	"reflect"
	"testing"

	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/internal/wire"
)

func decodeReply(tb testing.TB, text string) *wire.Reply {
	tb.Helper()
	r, err := wire.DecodeReply([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return r
}

func TestReplyIsReadByItsKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want wire.Reply
		beat bool
	}{
		{`{}`, wire.Reply{}, true},
		{`{"result": null, "failure": null, "ending": false, "_msg_id": "a"}`, wire.Reply{MsgID: wire.Value(`"a"`), Result: wire.Value("null")}, true},
		{`{"result": 1, "ending": false}`, wire.Reply{Result: wire.Value("1")}, false}, // the first of two, as old peers send
		{`{"result": [1], "failure": null, "ending": true, "_msg_id": 7, "_unique_id": "u"}`, wire.Reply{Result: wire.Value("[1]"), Ending: true, MsgID: wire.Value("7"), UniqueID: "u"}, false},
		{`{"ending": 1, "x": {}}`, wire.Reply{Ending: true}, false},
		{`{"ending": "false"}`, wire.Reply{Ending: true}, false}, // true to Python
		{`{"ending": 0}`, wire.Reply{}, true},
		{`{"result": 1, "failure": "", "ending": true}`, wire.Reply{Result: wire.Value("1"), Ending: true}, false},
		{`{"result": 1, "failure": "{}", "failure": null, "ending": true}`, wire.Reply{Result: wire.Value("1"), Ending: true}, false},
	}
	for _, test := range tests {
		for _, text := range []string{test.text, envelope("2.0", test.text)} {
			got := decodeReply(t, text)
			if !reflect.DeepEqual(*got, test.want) || got.Heartbeat() != test.beat {
				t.Errorf("%s: %+v, heartbeat %t, want %+v, %t", text, got, got.Heartbeat(), test.want, test.beat)
			}
		}
	}
}

func TestFailureIsReadAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		failure string // the JSON of the key
		want    wire.Failure
	}{
		{
			`"{\"class\": \"ValueError\", \"module\": \"builtins\", \"message\": \"m\\u0159\", \"tb\": [\"a\\n\", \"b\"], \"args\": [1], \"kwargs\": {\"k\": 2}}"`,
			wire.Failure{Class: "ValueError", Module: "builtins", Message: "mř", Traceback: []string{"a\n", "b"}, Args: wire.Value("[1]"), Kwargs: wire.Value(`{"k": 2}`)},
		},
		{`"{\"class\": \"E\", \"module\": \"exceptions\"}"`, wire.Failure{Class: "E", Module: "builtins"}},
		{`"{\"class\": \"E\", \"tb\": \"one line\"}"`, wire.Failure{Class: "E", Traceback: []string{"one line"}}},
		{`"{\"class\": \"E\", \"tb\": [1, \"a\", null, [\"b\"]]}"`, wire.Failure{Class: "E", Traceback: []string{"a"}}},
		{`"{\"class\": \"E\", \"tb\": null, \"args\": null, \"kwargs\": []}"`, wire.Failure{Class: "E"}},
		{`"{\"class\": \"E\", \"tb\": {\"a\": 1}, \"args\": {}, \"kwargs\": null}"`, wire.Failure{Class: "E"}},
		{`"{\"class\": 1, \"module\": null, \"message\": [], \"x\": 1}"`, wire.Failure{}},
		{`"{}"`, wire.Failure{}},
		{`"it broke"`, wire.Failure{Class: "RemoteError", Message: "it broke"}},
		{`"\u0159"`, wire.Failure{Class: "RemoteError", Message: "ř"}},
		{`"[1]"`, wire.Failure{Class: "RemoteError", Message: "[1]"}},
		{`"null"`, wire.Failure{Class: "RemoteError", Message: "null"}},
		{`"{\"class\": \"E\""`, wire.Failure{Class: "RemoteError", Message: `{"class": "E"`}},
		{`"{} {}"`, wire.Failure{Class: "RemoteError", Message: `{} {}`}},
		{`{"class": "E"}`, wire.Failure{Class: "RemoteError", Message: `the failure is an object, not a string: {"class": "E"}`}},
		{`[1]`, wire.Failure{Class: "RemoteError", Message: `the failure is an array, not a string: [1]`}},
		{`5`, wire.Failure{Class: "RemoteError", Message: `the failure is a number, not a string: 5`}},
		{`true`, wire.Failure{Class: "RemoteError", Message: `the failure is a boolean, not a string: true`}},
	}
	for _, test := range tests {
		r := decodeReply(t, envelope("2.0", `{"result": 1, "failure": `+test.failure+`, "ending": true, "_msg_id": "i"}`))
		if r.Failure == nil || !reflect.DeepEqual(*r.Failure, test.want) {
			t.Errorf("%s: %+v, want %+v", test.failure, r.Failure, test.want)
		}
		if r.Result != nil || !r.Ending || r.Heartbeat() {
			t.Errorf("%s: result %s, ending %t: a failure wins", test.failure, r.Result, r.Ending)
		}
	}
	for _, none := range []string{`null`, `""`, `false`, `0`, `[]`, `{}`} {
		if r := decodeReply(t, `{"failure": `+none+`}`); r.Failure != nil {
			t.Errorf("failure %s counts as %+v, want none", none, r.Failure)
		}
	}
}

func TestReplyIsWrittenWithAllKeys(t *testing.T) {
	t.Parallel()
	failure := `{"class": "C", "module": "m", "message": "\u0159", "tb": ["a\n", "b\n"], "args": ["x"], "kwargs": {"k": 1}}`
	empty := `{"class": "", "module": "", "message": "", "tb": [], "args": [], "kwargs": {}}`
	tests := []struct {
		reply   wire.Reply
		message string
	}{
		{wire.Reply{}, `{"result": null, "failure": null, "ending": false, "_msg_id": null, "_unique_id": ""}`},
		{
			wire.Reply{MsgID: wire.TextValue("i"), Result: wire.Value(`{"a": "\u0159"}`), Ending: true, UniqueID: "u"},
			`{"result": {"a": "\u0159"}, "failure": null, "ending": true, "_msg_id": "i", "_unique_id": "u"}`,
		},
		{
			wire.Reply{
				MsgID: wire.Value("7"), Ending: true, Result: wire.Value("1"),
				Failure: &wire.Failure{
					Class: "C", Module: "m", Message: "ř", Traceback: []string{"a\n", "b\n"},
					Args: wire.Value(`["x"]`), Kwargs: wire.Value(`{"k": 1}`),
				},
			},
			`{"result": null, "failure": ` + string(pyjson.AppendString(nil, failure)) + `, "ending": true, "_msg_id": 7, "_unique_id": ""}`,
		},
		{
			wire.Reply{Failure: &wire.Failure{}},
			`{"result": null, "failure": ` + string(pyjson.AppendString(nil, empty)) + `, "ending": false, "_msg_id": null, "_unique_id": ""}`,
		},
	}
	for _, test := range tests {
		want := envelope("2.0", test.message)
		if got := string(wire.AppendReply([]byte("x"), &test.reply)); got != "x"+want {
			t.Errorf("AppendReply(%+v) =\n%s\nwant\nx%s", test.reply, got, want)
		}
	}
}
