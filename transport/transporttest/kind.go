package transporttest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

var kindTests = []test{
	{"a request in msgpack arrives as it was sent", msgpackRequest},
	{"a request in msgpack is answered in msgpack, one in JSON in JSON", answeredInKind},
	{"a heartbeat and a failure reach a caller that speaks msgpack", msgpackFailure},
	{"the caller's deadline travels beside the request", deadlineTravels},
	{"a request without deadline has none when it arrives", noDeadline},
}

// packed is v in msgpack.
func packed(t *testing.T, v any) transport.Value {
	t.Helper()
	value, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func unpacked(t *testing.T, value transport.Value) any {
	t.Helper()
	var v any
	if err := msgpack.Unmarshal(value, &v); err != nil {
		t.Fatalf("%x: %v", []byte(value), err)
	}
	return v
}

func (b *bus) msgpackRequest(t *testing.T, method string, args map[string]any) *transport.Request {
	t.Helper()
	return &transport.Request{Method: method, ContentType: wire.ContentTypeMsgpack, Args: packed(t, args)}
}

func msgpackRequest(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	args := map[string]any{"text": "é\u2028", "bytes": []byte{0, 0xff}, "list": []any{nil, true, 1.5}, "nested": map[string]any{"a": "b"}}
	req := b.msgpackRequest(t, "cast", args)
	req.Namespace, req.Version = wire.Some("n"), wire.Optional{State: wire.Null}
	req.Context = []transport.ContextEntry{{Key: "request_id", Value: packed(t, "req-1")}, {Key: "roles", Value: packed(t, []any{"admin"})}}
	want := *req
	if err := b.client.Cast(patient(t), b.topic, req, transport.SendOptions{}); err != nil {
		t.Fatalf("cast: %v", err)
	}
	got := take(t, l, "cast").Request()
	if got.ContentType != wire.ContentTypeMsgpack || got.Namespace != want.Namespace || got.Version != want.Version || got.UniqueID == "" {
		t.Errorf("arrived as %+v, want %+v", got, want)
	}
	if diff := cmp.Diff(any(args), unpacked(t, got.Args)); diff != "" {
		t.Errorf("the arguments arrived otherwise (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Context, got.Context); diff != "" {
		t.Errorf("the context arrived otherwise (-want +got):\n%s", diff)
	}
}

func answeredInKind(t *testing.T, b *bus) {
	serve(t, b.listen(t, "host", 4), echo)
	args := map[string]any{"a": "b"}
	reply := await(t, b.callTo(patient(t), b.client, b.topic, b.msgpackRequest(t, "echo", args), transport.SendOptions{}))
	if reply.ContentType != wire.ContentTypeMsgpack {
		t.Errorf("answered in %q", reply.ContentType)
	}
	if diff := cmp.Diff(any(args), unpacked(t, reply.Result)); diff != "" {
		t.Errorf("the result arrived otherwise (-want +got):\n%s", diff)
	}
	if got := b.sent(t, `{"a": "b"}`); got != `{"a": "b"}` {
		t.Errorf("the answer to a call in JSON is %s", got)
	}
}

func msgpackFailure(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.callTo(patient(t), b.client, b.topic, b.msgpackRequest(t, "call", nil), transport.SendOptions{Monitor: time.Minute})
	in := take(t, l, "call")
	if err := in.Heartbeat(patient(t)); err != nil {
		t.Fatalf("heartbeat: %v", err)
	}
	want := &transport.Failure{
		Class: "KeyError", Module: "builtins", Message: "'a'", Traceback: []string{"line\n"},
		Args: packed(t, []any{"a"}), Kwargs: packed(t, map[string]any{"code": "404"}),
	}
	if err := in.Reply(patient(t), &transport.Reply{Failure: want, Ending: true}); err != nil {
		t.Fatalf("reply: %v", err)
	}
	if diff := cmp.Diff(want, await(t, ended).Failure); diff != "" {
		t.Errorf("the failure arrived otherwise (-want +got):\n%s", diff)
	}
}

func deadlineTravels(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	want := time.Now().Add(time.Hour).Truncate(time.Millisecond) // the header has milliseconds
	req := &transport.Request{Method: "cast", Deadline: want}
	if err := b.client.Cast(patient(t), b.topic, req, transport.SendOptions{}); err != nil {
		t.Fatalf("cast: %v", err)
	}
	if got := take(t, l, "cast").Request().Deadline; !got.Equal(want) {
		t.Errorf("the deadline is %s, want %s", got, want)
	}
}

func noDeadline(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "bare")
	if got := take(t, l, "bare").Request().Deadline; !got.IsZero() {
		t.Errorf("the deadline is %s, want none", got)
	}
}
