package wire_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/wire"
)

func decodeRequest(tb testing.TB, text string) *wire.Request {
	tb.Helper()
	r, err := wire.DecodeRequest([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return r
}

func TestHeartbeatIntervalIsHalfTheWholeSeconds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		timeout  string // empty for none
		interval time.Duration
		ok       bool
	}{
		{``, 0, true},
		{`null`, 0, true},
		{`0`, 0, true},
		{`0.0`, 0, true},
		{`false`, 0, true},
		{`""`, 0, true},
		{`[]`, 0, true},
		{`2`, time.Second, true},
		{`3`, 1500 * time.Millisecond, true},
		{`2.9`, time.Second, true},
		{`60`, 30 * time.Second, true},
		{`6e1`, 30 * time.Second, true},
		{`"4"`, 2 * time.Second, true},
		{`" +5 "`, 2500 * time.Millisecond, true},
		{`1e300`, 1 << 61, true}, // bounded; see below
		{`Infinity`, 1 << 61, true},
		{`1`, 0, false},
		{`1.9`, 0, false},
		{`0.5`, 0, false},
		{`-4`, 0, false},
		{`-Infinity`, 0, false},
		{`NaN`, 0, false},
		{`true`, 0, false},
		{`"x"`, 0, false},
		{`"2.5"`, 0, false},
		{`"1"`, 0, false},
		{`"NaN"`, 0, false},
		{`"0x10"`, 0, false},
		{`"99999999999999999999"`, 0, false},
		{`[2]`, 0, false},
		{`{"a": 2}`, 0, false},
		{`1e400`, 0, false},
	}
	for _, test := range tests {
		text := `{"method": "m"}`
		if test.timeout != "" {
			text = `{"method": "m", "_timeout": ` + test.timeout + `}`
		}
		interval, ok := decodeRequest(t, text).HeartbeatInterval()
		if test.interval == 1<<61 { // as long as a Duration can be, almost
			if interval < 100*365*24*time.Hour || !ok {
				t.Errorf("_timeout %s: %s, %t, want more than a hundred years", test.timeout, interval, ok)
			}
		} else if interval != test.interval || ok != test.ok {
			t.Errorf("_timeout %s: %s, %t, want %s, %t", test.timeout, interval, ok, test.interval, test.ok)
		}
	}
}

func TestFaultsTellWhatCannotBeDispatched(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, fault string }{
		{`{"method": "m"}`, ``},
		{`{"method": "m", "args": {}}`, ``},
		{`{"method": ""}`, ``}, // a name like any other, that no endpoint has
		{`{"args": {}}`, `the message has no method`},
		{`{}`, `the message has no method`},
		{`{"method": null}`, `method must be a string, not null`},
		{`{"method": 5}`, `method must be a string, not a number`},
		{`{"method": NaN}`, `method must be a string, not a number`},
		{`{"method": true}`, `method must be a string, not a boolean`},
		{`{"method": ["m"]}`, `method must be a string, not an array`},
		{`{"method": {}}`, `method must be a string, not an object`},
		{`{"method": "m", "namespace": null, "version": null}`, ``},
		{`{"method": "m", "namespace": 5}`, `namespace must be a string, not a number`},
		{`{"method": "m", "version": 1.0}`, `version must be a string, not a number`},
		{`{"method": "m", "version": []}`, `version must be a string, not an array`},
		{`{"method": "m", "args": null}`, `args must be an object, not null`},
		{`{"method": "m", "args": [1]}`, `args must be an object, not an array`},
		{`{"method": "m", "args": "x"}`, `args must be an object, not a string`},
		{`{"method": "m", "args": false}`, `args must be an object, not a boolean`},
		{`{"method": "m", "args": -Infinity}`, `args must be an object, not a number`},
	}
	for _, test := range tests {
		if got := decodeRequest(t, test.text).Fault; got != test.fault {
			t.Errorf("%s: fault %q, want %q", test.text, got, test.fault)
		}
	}
}

func TestAbsentNullAndPresentDiffer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text               string
		namespace, version wire.Optional
	}{
		{`{}`, wire.Optional{}, wire.Optional{}},
		{`{"namespace": null, "version": null}`, wire.Optional{State: wire.Null}, wire.Optional{State: wire.Null}},
		{`{"namespace": "", "version": "1.0"}`, wire.Some(""), wire.Some("1.0")},
		{`{"namespace": [1], "version": 1.0}`, wire.Some("[1]"), wire.Some("1.0")},
	}
	for _, test := range tests {
		r := decodeRequest(t, test.text)
		if r.Namespace != test.namespace || r.Version != test.version {
			t.Errorf("%s: namespace %+v, version %+v, want %+v, %+v", test.text, r.Namespace, r.Version, test.namespace, test.version)
		}
	}
	if got := wire.SomeOrAbsent(""); got != (wire.Optional{}) {
		t.Errorf("SomeOrAbsent of nothing = %+v, want absent", got)
	}
	if got := wire.SomeOrAbsent("a"); got != wire.Some("a") {
		t.Errorf("SomeOrAbsent(a) = %+v, want a", got)
	}
}

func TestMessageIDMakesTheCall(t *testing.T) {
	t.Parallel()
	for text, call := range map[string]bool{
		`{}`: false, `{"_msg_id": null}`: false, `{"_msg_id": ""}`: false, `{"_msg_id": 0}`: false, `{"_reply_q": "q"}`: false,
		`{"_msg_id": "x"}`: true, `{"_msg_id": 77}`: true, `{"_msg_id": true}`: true,
	} {
		if got := decodeRequest(t, text).Call(); got != call {
			t.Errorf("%s: Call = %t, want %t", text, got, call)
		}
	}
}

func TestContextIsWhatHasThePrefix(t *testing.T) {
	t.Parallel()
	r := decodeRequest(t, `{"method": "m", "_context_user": "u", "_context_": 5, "_context": 1, "context_x": 2, "_contexts_": 3,
		"_\u0063ontext_\u0159": {"a": [1]}, "_future": 1, "_reply_q": 7, "_unique_id": 8}`)
	want := []wire.ContextEntry{{Key: "user", Value: wire.Value(`"u"`)}, {Key: "", Value: wire.Value("5")}, {Key: "ř", Value: wire.Value(`{"a": [1]}`)}}
	if len(r.Context) != len(want) {
		t.Fatalf("context %+v, want %+v", r.Context, want)
	}
	for i := range want {
		if r.Context[i].Key != want[i].Key || string(r.Context[i].Value) != string(want[i].Value) {
			t.Errorf("entry %d is %s = %s, want %s = %s", i, r.Context[i].Key, r.Context[i].Value, want[i].Key, want[i].Value)
		}
	}
	if r.ReplyQueue != "" || r.UniqueID != "" {
		t.Errorf("what is no string counts as none: reply queue %q, unique id %q", r.ReplyQueue, r.UniqueID)
	}
}

func TestRequestIsWrittenAsPythonWritesIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		request wire.Request
		message string
	}{
		{wire.Request{Method: "m"}, `{"method": "m", "args": {}}`},
		{
			wire.Request{Method: "m", Args: wire.Value(`{"a": "\u0159"}`), Namespace: wire.Some("n"), Version: wire.Some("1.1"), UniqueID: "u"},
			`{"method": "m", "args": {"a": "\u0159"}, "namespace": "n", "version": "1.1", "_unique_id": "u"}`,
		},
		{
			wire.Request{Method: "m", MsgID: wire.TextValue("id"), ReplyQueue: "q", MonitorTimeout: wire.Seconds(time.Minute), Version: wire.Optional{State: wire.Null}},
			`{"method": "m", "args": {}, "version": null, "_msg_id": "id", "_reply_q": "q", "_timeout": 60}`,
		},
		{
			wire.Request{Method: `a"b`, MsgID: wire.Value("77"), Context: []wire.ContextEntry{{Key: "ř\"", Value: wire.Value(`"ř"`)}, {Key: ""}}},
			`{"method": "a\"b", "args": {}, "_msg_id": 77, "_reply_q": "", "_timeout": null, "_context_\u0159\"": "\u0159", "_context_": null}`,
		},
	}
	for _, test := range tests {
		want := envelope("2.0", test.message)
		if got := string(wire.AppendRequest([]byte("x"), &test.request)); got != "x"+want {
			t.Errorf("AppendRequest(%+v) =\n%s\nwant\nx%s", test.request, got, want)
		}
	}
}

// TestValuesLieInTheBody makes sure that nobody counts on the body after handing it over, and that a value
// cannot be appended into its neighbour.
func TestValuesLieInTheBody(t *testing.T) {
	t.Parallel()
	r := decodeRequest(t, envelope("2.0", `{"method": "m", "args": {"a": 1}, "_context_x": "y"}`))
	_ = append(r.Args, strings.Repeat("!", 100)...)
	if got := string(r.Context[0].Value); got != `"y"` {
		t.Errorf("after an append to args the context reads %s", got)
	}
}
