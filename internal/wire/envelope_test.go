package wire_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/internal/wire"
)

// envelope puts the text of a message into an envelope of a version, both given as JSON strings need them.
func envelope(version, message string) string {
	return fmt.Sprintf(`{"oslo.version": %q, "oslo.message": %s}`, version, pyjson.AppendString(nil, message))
}

const request = `{"method": "echo", "args": {"a": 1}}`

// TestMalformedBodiesAreRefused holds bodies that no oslo.messaging peer reads, and those past goslo's limits.
func TestMalformedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", wire.MaxSize)
	bodies := map[string]string{
		"blank":                   ` `,
		"text":                    `hello`,
		"null":                    `null`,
		"true":                    `true`,
		"number":                  `12`,
		"NaN":                     `NaN`,
		"string":                  `"hello"`,
		"list":                    `[1, 2]`,
		"two objects":             `{} {}`,
		"object and text":         request + `x`,
		"envelope and text":       envelope("2.0", request) + `,`,
		"NUL":                     "\x00",
		"object and NUL":          request + "\x00",
		"byte order mark":         "\xef\xbb\xbf" + request,
		"UTF-16":                  "{\x00}\x00",
		"not UTF-8":               "{\"method\": \"\xff\"}",
		"overlong UTF-8":          "{\"method\": \"\xc0\xaf\"}",
		"surrogate in UTF-8":      "{\"method\": \"\xed\xa0\x80\"}",
		"cut after brace":         `{`,
		"cut in key":              `{"meth`,
		"cut after key":           `{"method"`,
		"cut after colon":         `{"method":`,
		"cut in value":            `{"method": "ec`,
		"cut after value":         `{"method": "echo"`,
		"cut after comma":         `{"method": "echo",`,
		"cut envelope":            envelope("2.0", request)[:60],
		"comma before brace":      `{"method": "echo",}`,
		"single quotes":           `{'method': 'echo'}`,
		"key without quotes":      `{method: "echo"}`,
		"Python words":            `{"args": None}`,
		"comment":                 `{} // done`,
		"control character":       "{\"method\": \"a\nb\"}",
		"unknown escape":          `{"method": "\x41"}`,
		"number with zero":        `{"args": 01}`,
		"hexadecimal":             `{"args": 0x1}`,
		"version 1.0":             envelope("1.0", request),
		"version 2.1":             envelope("2.1", request),
		"version 2.0.1":           envelope("2.0.1", request),
		"version 3.0":             envelope("3.0", request),
		"version 2":               envelope("2", request),
		"version empty":           envelope("", request),
		"version text":            envelope("two", request),
		"version with text":       envelope("2.x", request),
		"version without minor":   envelope("2.", request),
		"version number":          `{"oslo.version": 2.0, "oslo.message": "{}"}`,
		"version null":            `{"oslo.version": null, "oslo.message": "{}"}`,
		"version list":            `{"oslo.version": ["2.0"], "oslo.message": "{}"}`,
		"version repeated":        `{"oslo.version": "2.0", "oslo.message": "{}", "oslo.version": "3.0"}`,
		"message object":          `{"oslo.version": "2.0", "oslo.message": {"method": "echo"}}`,
		"message list":            `{"oslo.version": "2.0", "oslo.message": []}`,
		"message null":            `{"oslo.version": "2.0", "oslo.message": null}`,
		"message number":          `{"oslo.version": "2.0", "oslo.message": 5}`,
		"message true":            `{"oslo.version": "2.0", "oslo.message": true}`,
		"inner empty":             envelope("2.0", ``),
		"inner blank":             envelope("2.0", ` `),
		"inner text":              envelope("2.0", `hello`),
		"inner null":              envelope("2.0", `null`),
		"inner list":              envelope("2.0", `[1]`),
		"inner string":            envelope("2.0", `"{}"`),
		"inner two objects":       envelope("2.0", `{} {}`),
		"inner cut":               envelope("2.0", `{"method": "echo"`),
		"inner control character": `{"oslo.version": "2.0", "oslo.message": "{\"method\": \"a\u0000b\"}"}`,
		"inner raw tab":           "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"method\\\": \\\"\t\\\"}\"}",
		"inner escape":            envelope("2.0", `{"method": "\q"}`),
		"deep lists":              strings.Repeat(`[`, 20_000),
		"deep args":               `{"args": ` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`,
		"deep objects":            strings.Repeat(`{"a":`, 20_000),
		"deep inner":              envelope("2.0", strings.Repeat(`{"a":`, 20_000)),
		"deep envelope":           `{"x": ` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `, "oslo.version": "2.0", "oslo.message": "{}"}`,
		"too large":               `{"a": "` + big + `"}`,
		"too large blank":         big + " ",
		"10 MB string, not ended": `{"a": "` + big[:10<<20],
		"10 MB of escapes, cut":   `{"oslo.version": "2.0", "oslo.message": "` + strings.Repeat(`\\`, 5<<20),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			if r, err := wire.DecodeRequest([]byte(body)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("DecodeRequest = %+v, %v, want ErrMalformed", r, err)
			}
			if r, err := wire.DecodeReply([]byte(body)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("DecodeReply = %+v, %v, want ErrMalformed", r, err)
			}
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("it took %s", d)
			}
			if id := wire.UniqueID(wire.ContentTypeJSON, []byte(body)); id != "" {
				t.Errorf("UniqueID = %s, want none", id)
			}
		})
	}
}

// TestOddBodiesAreRead holds bodies that are no beauty, but that an oslo.messaging peer reads.
func TestOddBodiesAreRead(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"plain":                request,
		"enveloped":            envelope("2.0", request),
		"version 2.0.0":        envelope("2.0.0", request),
		"version 2.0.0.7":      envelope("2.0.0.7", request),
		"version with blanks":  envelope(" 2 . 0 ", request),
		"version with zeros":   envelope("02.00", request),
		"blanks":               " \r\n\t" + envelope("2.0", "\n"+request+" ") + "\n",
		"other order":          `{"oslo.message": "{\"args\":{\"a\":1},\"method\":\"echo\"}","oslo.version":"2.0"}`,
		"more keys":            `{"x": [{}], "oslo.version": "2.0", "y": null, "oslo.message": "{\"method\": \"echo\", \"args\": {\"a\": 1}}"}`,
		"keys with escapes":    `{"\u006fslo.version": "2.0", "oslo\u002emessage": "{\"\\u006dethod\": \"echo\", \"args\": {\"a\": 1}}"}`,
		"value with escapes":   `{"oslo.version": "\u0032.0", "oslo.message": "{\"method\": \"\\u0065cho\", \"args\": {\"a\": 1}}"}`,
		"no version":           `{"oslo.message": "{}", "method": "echo", "args": {"a": 1}}`,
		"no message":           `{"oslo.version": "3.0", "method": "echo", "args": {"a": 1}}`,
		"message repeated":     `{"oslo.version": "2.0", "oslo.message": 5, "oslo.message": "{\"method\": \"echo\", \"args\": {\"a\": 1}}"}`,
		"keys repeated":        `{"method": "none", "args": null, "method": "echo", "args": {"a": 1}}`,
		"100 deep beside args": `{"x": ` + strings.Repeat(`[`, 99) + strings.Repeat(`]`, 99) + `, "method": "echo", "args": {"a": 1}}`,
	}
	for name, body := range bodies {
		r, err := wire.DecodeRequest([]byte(body))
		if err != nil || r.Method != "echo" || strings.ReplaceAll(string(r.Args), " ", "") != `{"a":1}` || r.Fault != "" {
			t.Errorf("%s: DecodeRequest = %+v, %v, want echo with a = 1", name, r, err)
		}
	}
}

func TestEmptyBodyIsAnEmptyMessage(t *testing.T) {
	t.Parallel()
	if r, err := wire.DecodeRequest(nil); err != nil || r.Fault == "" || r.Call() {
		t.Errorf("DecodeRequest(nil) = %+v, %v, want a request with a fault", r, err)
	}
	if r, err := wire.DecodeReply([]byte{}); err != nil || !r.Heartbeat() || r.MsgID != nil {
		t.Errorf("DecodeReply(empty) = %+v, %v, want nothing in it", r, err)
	}
}

func TestTooLargeIsMalformed(t *testing.T) {
	t.Parallel()
	_, err := wire.DecodeRequest(make([]byte, wire.MaxSize+1))
	if !errors.Is(err, wire.ErrTooLarge) || !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
	const frame = `{"method": ""}`
	body := []byte(`{"method": "` + strings.Repeat("x", wire.MaxSize-len(frame)) + `"}`)
	if r, err := wire.DecodeRequest(body); err != nil || len(r.Method) != wire.MaxSize-len(frame) {
		t.Errorf("a body of %d bytes: error %v", len(body), err)
	}
}

// TestMillionKeysTakeBoundedTime guards against work that grows with the square of a message.
func TestMillionKeysTakeBoundedTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, before, after string
		keys, contexts      int
	}{
		{"unknown keys", `,"k`, `":0`, 1_000_000, 0},
		{"context keys", `,"_context_`, `":0`, 200_000, 200_000},
		{"one context key", `,"_context_a":`, ``, 200_000, 1},
		{"one method", `,"method":`, ``, 200_000, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"a":1`)
			for i := range test.keys {
				body = append(body, test.before...)
				body = strconv.AppendInt(body, int64(i), 10)
				body = append(body, test.after...)
			}
			body = append(body, '}')
			start, size := time.Now(), len(body)
			r, err := wire.DecodeRequest(body)
			if err != nil || len(r.Context) != test.contexts {
				t.Fatalf("%d bytes: error %v", size, err)
			}
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("%d bytes took %s", size, d)
			}
			if test.contexts == 1 && string(r.Context[0].Value) != "199999" {
				t.Errorf("the last of equal keys must count, got %s", r.Context[0].Value)
			}
		})
	}
}

func TestManyContextEntriesKeepOrderAndLastValue(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString(`{"method": "m"`)
	for round := range 2 {
		for i := range 100 {
			fmt.Fprintf(&body, `, "_context_%d": "%d/%[1]d"`, i, round)
		}
	}
	r, err := wire.DecodeRequest([]byte(body.String() + "}"))
	if err != nil || len(r.Context) != 100 {
		t.Fatalf("%d entries, error %v, want 100", len(r.Context), err)
	}
	for i, entry := range r.Context {
		if want := fmt.Sprintf(`"1/%d"`, i); entry.Key != strconv.Itoa(i) || string(entry.Value) != want {
			t.Errorf("entry %d is %s = %s, want %s", i, entry.Key, entry.Value, want)
		}
	}
}

func TestUniqueIDOfAnyMessage(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		want := strings.Trim(string(f.Decoded["_unique_id"]), `"`)
		if want == "" { // recorded without a decoded form: NaN and Infinity
			continue
		}
		if got := wire.UniqueID(wire.ContentTypeJSON, f.text(t)); got != want {
			t.Errorf("%s: UniqueID = %s, want %s", f.Name, got, want)
		}
	}
}
