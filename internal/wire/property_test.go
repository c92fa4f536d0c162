package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/internal/wire"
)

// texts have more of what is special in JSON, and to Python, than chance would give.
func texts() *rapid.Generator[string] {
	special := rapid.RuneFrom([]rune("\u2028\u2029\x7f\x00\x1f\u0080\ufffd\ufffe\U0001f40e\U0010ffff\"\\/\n<&"))
	return rapid.StringOf(rapid.OneOf(special, rapid.Rune()))
}

func quotedTexts() *rapid.Generator[string] {
	return rapid.Map(texts(), func(s string) string { return string(pyjson.AppendString(nil, s)) })
}

// values are JSON as Python's json module writes it, so that they must come back byte for byte; escapes of
// lone surrogates too, which only Python has texts for.
func values(depth int) *rapid.Generator[string] {
	kinds := []*rapid.Generator[string]{
		rapid.SampledFrom([]string{"null", "true", "false", "NaN", "-Infinity", "0.0", "1e+16", `""`, `"\ud800"`, `"\udc0e\ud83d"`}),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,10})?`),
		quotedTexts(),
	}
	if depth > 0 {
		list := rapid.SliceOfN(values(depth-1), 0, 3)
		kinds = append(kinds,
			rapid.Map(list, func(values []string) string { return "[" + strings.Join(values, ", ") + "]" }),
			objects(depth-1),
		)
	}
	return rapid.OneOf(kinds...)
}

func objects(depth int) *rapid.Generator[string] {
	member := rapid.Custom(func(t *rapid.T) string {
		return quotedTexts().Draw(t, "key") + ": " + values(depth).Draw(t, "value")
	})
	return rapid.Map(rapid.SliceOfN(member, 0, 3), func(members []string) string { return "{" + strings.Join(members, ", ") + "}" })
}

func asValue(text string) wire.Value { return wire.Value(text) }

func optionals() *rapid.Generator[wire.Optional] {
	return rapid.OneOf(rapid.Map(texts(), wire.Some), rapid.SampledFrom([]wire.Optional{{}, {State: wire.Null}}))
}

func requests() *rapid.Generator[*wire.Request] {
	return rapid.Custom(func(t *rapid.T) *wire.Request {
		r := &wire.Request{
			Method: texts().Draw(t, "method"), Args: rapid.Map(objects(3), asValue).Draw(t, "args"),
			Namespace: optionals().Draw(t, "namespace"), Version: optionals().Draw(t, "version"), UniqueID: texts().Draw(t, "unique"),
			Context: []wire.ContextEntry{},
		}
		for _, key := range rapid.SliceOfNDistinct(texts(), 0, 40, rapid.ID[string]).Draw(t, "context") {
			r.Context = append(r.Context, wire.ContextEntry{Key: key, Value: wire.Value(values(1).Draw(t, "entry"))})
		}
		if msgID := asValue(values(1).Draw(t, "msg_id")); msgID.Truthy() {
			r.MsgID, r.ReplyQueue = msgID, texts().Draw(t, "reply_q")
			r.MonitorTimeout = asValue(values(0).Draw(t, "timeout"))
		}
		return r
	})
}

func TestAnyRequestSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := requests().Draw(t, "request")
		body := wire.AppendRequest(nil, sent)
		checkBody(t, body)
		got, err := wire.DecodeRequest(append([]byte(nil), body...))
		if err != nil || !reflect.DeepEqual(got, sent) {
			t.Fatalf("%s is read as\n%+v, %v, want\n%+v", body, got, err, sent)
		}
		if id := wire.UniqueID(wire.ContentTypeJSON, body); id != sent.UniqueID {
			t.Fatalf("UniqueID = %q, want %q", id, sent.UniqueID)
		}
	})
}

// checkBody checks that a body is an envelope of printable ASCII: nothing that a terminal, a log or an old
// JSON parser stumbles over.
func checkBody(t *rapid.T, body []byte) {
	for _, c := range body {
		if c < ' ' || c > '~' {
			t.Fatalf("%q holds the byte %q", body, c)
		}
	}
	if err := pyjson.Valid(body); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

func failures() *rapid.Generator[*wire.Failure] {
	return rapid.Custom(func(t *rapid.T) *wire.Failure {
		f := &wire.Failure{
			Class: texts().Draw(t, "class"), Module: texts().Draw(t, "module"), Message: texts().Draw(t, "message"),
			Traceback: rapid.SliceOfN(texts(), 1, 3).Draw(t, "tb"),
			Args:      asValue("[" + values(2).Draw(t, "argument") + "]"), Kwargs: asValue(objects(2).Draw(t, "kwargs")),
		}
		if rapid.Bool().Draw(t, "nested") { // a failure that quotes another: its text has escapes of escapes
			f.Message = string(wire.AppendReply(nil, &wire.Reply{Failure: f, Ending: true}))
		}
		return f
	})
}

func replies() *rapid.Generator[*wire.Reply] {
	return rapid.Custom(func(t *rapid.T) *wire.Reply {
		r := &wire.Reply{
			MsgID: asValue(values(1).Draw(t, "msg_id")), Ending: rapid.Bool().Draw(t, "ending"), UniqueID: texts().Draw(t, "unique"),
		}
		if rapid.Bool().Draw(t, "failed") {
			r.Failure = failures().Draw(t, "failure")
		} else {
			r.Result = asValue(values(4).Draw(t, "result"))
		}
		return r
	})
}

func TestAnyReplySurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := replies().Draw(t, "reply")
		body := wire.AppendReply(nil, sent)
		checkBody(t, body)
		got, err := wire.DecodeReply(append([]byte(nil), body...))
		if err != nil || !reflect.DeepEqual(got, sent) {
			t.Fatalf("%s is read as\n%+v, %v, want\n%+v", body, got, err, sent)
		}
		if got.Heartbeat() != sent.Heartbeat() || wire.UniqueID(wire.ContentTypeJSON, body) != sent.UniqueID {
			t.Fatalf("%s is a heartbeat: %t, want %t", body, got.Heartbeat(), sent.Heartbeat())
		}
	})
}

// TestAnyForeignFormMeansTheSame sends raw characters and blanks where goslo writes escapes.
func TestAnyForeignFormMeansTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[^"\\\x00-\x1f]{0,8}`).Draw(t, "text")
		message := `{ "args" : {"a":"` + text + `"} ,"_context_k":["` + text + `"],"method":"` + text + `"}`
		bare, err := wire.DecodeRequest([]byte(message))
		if err != nil {
			t.Fatalf("%q: %v", message, err)
		}
		wrapped, err := wire.DecodeRequest(append(pyjson.AppendString([]byte(`{"oslo.message":`), message), `,"oslo.version":"2.0"}`...))
		if err != nil || bare.Method != text || !reflect.DeepEqual(wrapped, bare) {
			t.Fatalf("%q is read as %+v, in an envelope as %+v, %v", message, bare, wrapped, err)
		}
		again, err := wire.DecodeRequest(wire.AppendRequest(nil, bare))
		if err != nil || again.Method != text {
			t.Fatalf("%q comes back as %+v, %v", message, again, err)
		}
		if string(again.Context[0].Value) != string(pyjson.AppendString([]byte("["), text))+"]" {
			t.Fatalf("context entry %q comes back as %s", text, again.Context[0].Value)
		}
	})
}
