package transporttest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

var payloadTests = []test{
	{"ASCII text travels there and back byte for byte", asciiByteTrue},
	{"other text means the same when it arrives", unicodeMeaning},
	{"a request without arguments has an empty object", noArguments},
	{"the context arrives entry by entry", contextEntries},
	{"a namespace and version that is missing differs from an empty and a null one", presence},
	{"a megabyte travels there and back", largePayload},
	{"what is longer than the bus carries is refused", tooLarge},
}

// sent makes a server that echoes, and returns what comes back for the arguments.
func (b *bus) sent(t *testing.T, args string) string {
	t.Helper()
	req := &transport.Request{Method: "echo", Args: transport.Value(args)}
	reply := await(t, b.callTo(patient(t), b.client, b.topic, req, transport.SendOptions{}))
	if reply.Failure != nil {
		t.Fatalf("failure %+v", reply.Failure)
	}
	return string(reply.Result)
}

func asciiByteTrue(t *testing.T, b *bus) {
	serve(t, b.listen(t, "host", 4), echo)
	for _, args := range []string{
		`{}`,
		`{"float": 1.0, "tiny": 1e-07, "big": 123456789012345678901234567890, "minus": -0.0}`,
		`{"words": [null, true, false, NaN, Infinity, -Infinity]}`,
		`{"escapes": "\"\\\/\b\f\n\r\t\u0000\u001f\u00e9\ud83d\ude00", "lone": "\ud800"}`,
		`{"": {"nested": [[], {}, [{"a": [1,  2]}]]}, "twice": 1, "twice": 2}`,
		`{"json": "{\"a\": \"\\\"\\\\\\\"\"}"}`,
		`{"deep": ` + strings.Repeat("[", 90) + strings.Repeat("]", 90) + `}`,
	} {
		if got := b.sent(t, args); got != args {
			t.Errorf("sent\n%s\ngot\n%s", args, got)
		}
	}
}

func unicodeMeaning(t *testing.T, b *bus) {
	serve(t, b.listen(t, "host", 4), echo)
	for _, text := range []string{"äöü ß", "日本語", "\U0001f600\U0010ffff", "\u2028\u2029\ufeff\u007f\u0080", "e\u0301"} {
		args := `{"` + text + `": "` + text + `"}`
		var got map[string]string
		if err := json.Unmarshal([]byte(b.sent(t, args)), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{text: text}, got); diff != "" {
			t.Errorf("arrived otherwise (-want +got):\n%s", diff)
		}
	}
}

func noArguments(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "bare")
	if got := string(take(t, l, "bare").Request().Args); got != `{}` {
		t.Errorf("args %s, want {}", got)
	}
}

func contextEntries(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	want := []transport.ContextEntry{
		{Key: "request_id", Value: transport.Value(`"req-1"`)},
		{Key: "roles", Value: transport.Value(`["admin", {"a": null}]`)},
		{Key: "is_admin", Value: transport.Value(`true`)},
		{Key: "", Value: transport.Value(`1.0`)},
		{Key: "with \"quotes\"", Value: transport.Value(`null`)},
	}
	req := &transport.Request{Method: "cast", Context: want}
	if err := b.client.Cast(patient(t), b.topic, req, transport.SendOptions{}); err != nil {
		t.Fatalf("cast: %v", err)
	}
	if diff := cmp.Diff(want, take(t, l, "cast").Request().Context); diff != "" {
		t.Errorf("the context arrived otherwise (-want +got):\n%s", diff)
	}
}

func presence(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	for _, want := range []wire.Optional{{}, {State: wire.Null}, wire.Some(""), wire.Some("1.4")} {
		req := &transport.Request{Method: "cast", Namespace: want, Version: want}
		if err := b.client.Cast(patient(t), b.topic, req, transport.SendOptions{}); err != nil {
			t.Fatalf("cast: %v", err)
		}
		if got := take(t, l, "cast").Request(); got.Namespace != want || got.Version != want {
			t.Errorf("namespace %+v, version %+v, want both %+v", got.Namespace, got.Version, want)
		}
	}
}

func largePayload(t *testing.T, b *bus) {
	serve(t, b.listen(t, "host", 4), echo)
	args := `{"blob": "` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`
	if got := b.sent(t, args); got != args {
		t.Errorf("%d bytes came back, not the %d that were sent", len(got), len(args))
	}
}

func tooLarge(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	blob := transport.Value(`{"blob": "` + strings.Repeat("x", wire.MaxSize) + `"}`)
	err := b.client.Cast(patient(t), b.topic, &transport.Request{Method: "cast", Args: blob}, transport.SendOptions{})
	mustMatch(t, "cast", err, transport.ErrTooLarge)
	ended := b.call(t, "call")
	in := take(t, l, "call")
	err = in.Reply(patient(t), &transport.Reply{Result: blob, Ending: true})
	mustMatch(t, "reply", err, transport.ErrTooLarge)
	answer(t, in, `"shorter"`)
	awaitResult(t, ended, `"shorter"`)
}
