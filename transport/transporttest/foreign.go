package transporttest

import (
	"testing"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

var foreignTests = []test{
	{"what is no message is consumed once and does no harm", malformedBodies},
	{"a message of another content type is consumed once", foreignContentTypes},
	{"a message without envelope is read as it stands", bareMessage},
	{"a request without method is polled to be answered", faultyRequest},
	{"a reply that cannot be read leaves its caller waiting for a good one", malformedReply},
	{"a unique id is taken once", duplicateID},
	{"requests without unique id are no duplicates", noUniqueID},
}

func malformedBodies(t *testing.T, b *bus) {
	l := b.listen(t, "host", 2) // less than there are bodies: each must free its place
	for _, text := range []string{
		`not JSON`,
		`[]`,
		`"text"`,
		`{"method": "cut off"`,
		"{\"method\": \"not UTF-8 \xff\"}",
		`{"oslo.version": "3.0", "oslo.message": "{\"method\": \"version\"}"}`,
		`{"oslo.version": 2.0, "oslo.message": "{\"method\": \"version\"}"}`,
		`{"oslo.version": "2.0", "oslo.message": {"method": "object"}}`,
		`{"oslo.version": "2.0", "oslo.message": "[]"}`,
		`{"oslo.version": "2.0", "oslo.message": "{\"method\": "}`,
	} {
		b.rawPublish(t, wire.ContentTypeJSON, text)
	}
	b.servesOn(t, l)
}

func foreignContentTypes(t *testing.T, b *bus) {
	l := b.listen(t, "host", 2)
	for _, contentType := range []string{"", "text/plain", "application/json; charset=utf-8", "application/x-python"} {
		b.rawPublish(t, contentType, body("foreign", wire.NewID()))
	}
	b.servesOn(t, l)
}

// servesOn checks that the next call is the next request that l polls, and that nothing from before comes
// back when l goes.
func (b *bus) servesOn(t *testing.T, l transport.Listener) {
	t.Helper()
	ended := b.call(t, "good")
	answer(t, take(t, l, "good"), `"served"`)
	awaitResult(t, ended, `"served"`)
	closeListener(t, l)
	pollNothing(t, b.listen(t, "host", 2))
}

func bareMessage(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.rawPublish(t, wire.ContentTypeJSON, `{"method": "bare", "args": {"a": 1}, "_unique_id": "x", "unknown": null}`)
	if got := string(take(t, l, "bare").Request().Args); got != `{"a": 1}` {
		t.Errorf(`args %s, want {"a": 1}`, got)
	}
}

func faultyRequest(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	for _, text := range []string{``, `{}`, `{"method": null}`, `{"method": "", "args": []}`} {
		b.rawPublish(t, wire.ContentTypeJSON, text)
		in := take(t, l, "")
		if in.Request().Fault == "" {
			t.Errorf("%s is polled as %+v, want a fault", text, in.Request())
		}
	}
}

func malformedReply(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "call")
	in := take(t, l, "call")
	for _, text := range []string{`not JSON`, `{"oslo.version": "2.0", "oslo.message": 1}`, ``} {
		b.features.RawPublish(t, "", in.Request().ReplyQueue, wire.ContentTypeJSON, []byte(text))
	}
	answer(t, in, `"good"`)
	awaitResult(t, ended, `"good"`)
}

// body is a cast as it goes over the wire.
func body(method, uniqueID string) string {
	return string(wire.AppendRequest(nil, &transport.Request{Method: method, UniqueID: uniqueID}))
}

func duplicateID(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	id := wire.NewID()
	b.rawPublish(t, wire.ContentTypeJSON, body("first", id))
	take(t, l, "first")
	b.rawPublish(t, wire.ContentTypeJSON, body("repeated", id))
	b.rawPublish(t, wire.ContentTypeJSON, body("other", wire.NewID()))
	mustMatch(t, "acknowledge", pollMethod(t, l, "repeated").Ack(patient(t)), transport.ErrDuplicate)
	take(t, l, "other")
	closeListener(t, l)
	pollNothing(t, b.listen(t, "host", 4)) // the duplicate is off the queue too
}

func noUniqueID(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	for range 3 {
		b.rawPublish(t, wire.ContentTypeJSON, body("anonymous", ""))
	}
	for range 3 {
		take(t, l, "anonymous")
	}
}
