package wire_test

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/acceptance"
	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/internal/wire"
)

func addFixtures(f *testing.F) {
	f.Helper()
	for _, fixture := range fixtures(f) {
		f.Add(fixture.text(f))
	}
	for _, c := range acceptance.ServerCases(f, acceptance.Oslo14) {
		f.Add([]byte(c.Body))
	}
	for _, c := range acceptance.ClientCases(f, acceptance.Oslo14) {
		for i := range c.Sent {
			f.Add([]byte(c.Sent[i].Body))
		}
	}
}

// FuzzDecodeRequest checks that whatever can be read is written in a form that reads the same.
func FuzzDecodeRequest(f *testing.F) {
	addFixtures(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		foreign := string(body)
		r, err := wire.DecodeRequest(body)
		if err != nil {
			checkMalformed(t, foreign, err)
			return
		}
		_, _ = r.HeartbeatInterval()
		once := wire.AppendRequest(nil, r)
		checkClean(t, once)
		again, err := wire.DecodeRequest(append([]byte(nil), once...))
		if err != nil {
			t.Fatalf("%q is written %s, which is read with %v", foreign, once, err)
		}
		if twice := wire.AppendRequest(nil, again); string(twice) != string(once) {
			t.Fatalf("%q is written\n%s, then\n%s", foreign, once, twice)
		}
		sameRequest(t, r, again)
	})
}

func sameRequest(t *testing.T, a, b *wire.Request) {
	t.Helper()
	if a.Method != b.Method || a.Namespace != b.Namespace || a.Version != b.Version || a.UniqueID != b.UniqueID || a.Call() != b.Call() || len(a.Context) != len(b.Context) {
		t.Fatalf("%+v comes back as %+v", a, b)
	}
	if a.Call() {
		sameValue(t, "_msg_id", a.MsgID, b.MsgID)
		sameValue(t, "_timeout", a.MonitorTimeout, b.MonitorTimeout)
	}
	if a.Args != nil {
		sameValue(t, "args", a.Args, b.Args)
	}
	for i := range a.Context {
		if a.Context[i].Key != b.Context[i].Key {
			t.Fatalf("context key %q comes back as %q", a.Context[i].Key, b.Context[i].Key)
		}
		sameValue(t, a.Context[i].Key, a.Context[i].Value, b.Context[i].Value)
	}
}

// sameValue compares up to the escapes of characters that are no ASCII.
func sameValue(t *testing.T, key string, a, b wire.Value) {
	t.Helper()
	if a == nil {
		a = wire.Value("null")
	}
	clean := pyjson.Unquote(pyjson.AppendNested(nil, a))
	if string(clean) != string(b) {
		t.Fatalf("%s: %s comes back as %s", key, a, b)
	}
}

// checkClean checks that a body is ASCII, and an envelope.
func checkClean(t *testing.T, body []byte) {
	t.Helper()
	for _, c := range body {
		if c < ' ' || c > '~' {
			t.Fatalf("%q is not printable ASCII", body)
		}
	}
	if err := pyjson.Valid(body); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

func checkMalformed(t *testing.T, body string, err error) {
	t.Helper()
	if !errors.Is(err, wire.ErrMalformed) {
		t.Fatalf("%q: error %v must match ErrMalformed", body, err)
	}
}

// FuzzDecodeReply does for replies what FuzzDecodeRequest does for requests.
func FuzzDecodeReply(f *testing.F) {
	addFixtures(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		foreign := string(body)
		r, err := wire.DecodeReply(body)
		if err != nil {
			checkMalformed(t, foreign, err)
			return
		}
		once := wire.AppendReply(nil, r)
		checkClean(t, once)
		again, err := wire.DecodeReply(append([]byte(nil), once...))
		if err != nil {
			t.Fatalf("%q is written %s, which is read with %v", foreign, once, err)
		}
		if twice := wire.AppendReply(nil, again); string(twice) != string(once) {
			t.Fatalf("%q is written\n%s, then\n%s", foreign, once, twice)
		}
		if r.Heartbeat() != again.Heartbeat() || r.Ending != again.Ending || r.UniqueID != again.UniqueID {
			t.Fatalf("%+v comes back as %+v", r, again)
		}
		sameValue(t, "_msg_id", r.MsgID, again.MsgID)
		sameFailure(t, r, again)
	})
}

func sameFailure(t *testing.T, a, b *wire.Reply) {
	t.Helper()
	if a.Failure == nil || b.Failure == nil {
		if a.Failure != b.Failure {
			t.Fatalf("failure %+v comes back as %+v", a.Failure, b.Failure)
		}
		sameValue(t, "result", a.Result, b.Result)
		return
	}
	x, y := a.Failure, b.Failure
	if x.Class != y.Class || x.Module != y.Module || x.Message != y.Message || len(x.Traceback) != len(y.Traceback) {
		t.Fatalf("failure %+v comes back as %+v", x, y)
	}
}

// FuzzRemoteError reads any text as a failure: the caller must learn that its call has failed.
func FuzzRemoteError(f *testing.F) {
	for _, fixture := range fixtures(f) {
		if text, ok := wire.Value(fixture.Decoded["failure"]).Text(); ok && fixture.reply() {
			f.Add(text)
		}
	}
	f.Add(`{"class": "E", "module": "exceptions", "message": "m", "tb": "t", "args": [NaN], "kwargs": {"a": {}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || !utf8.ValidString(text) {
			return
		}
		body := pyjson.AppendString([]byte(`{"failure": `), text)
		r, err := wire.DecodeReply(append(body, `, "ending": true}`...))
		if err != nil || r.Failure == nil || r.Heartbeat() || r.Result != nil {
			t.Fatalf("%q: %+v, %v, want a failure", text, r, err)
		}
		if pyjson.Valid([]byte(text)) != nil && (r.Failure.Class != "RemoteError" || r.Failure.Message != text) {
			t.Fatalf("%q: %+v, want the text as message", text, r.Failure)
		}
		again, err := wire.DecodeReply(wire.AppendReply(nil, r))
		if err != nil {
			t.Fatal(err)
		}
		sameFailure(t, r, again)
	})
}
