package acceptance

import (
	"cmp"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Here is all in which goslo differs on purpose from the releases of oslo.messaging that were recorded. Users read
// it in DESIGN.md.

// ServerDifference is a message with which a goslo server does something else.
type ServerDifference struct {
	Reason string
	// Releases are those from which goslo differs; nil for all.
	Releases []string
	// Rejects tells that goslo rejects the message; otherwise it acknowledges it.
	Rejects bool
	// Reply is what goslo answers; nil for nothing.
	Reply *Reply
}

func builtin(class, message string) *Reply {
	return &Reply{Failure: &Failure{Class: class, Module: "builtins", Message: message, Args: []any{message}, Kwargs: map[string]any{}}}
}

func echoed(args map[string]any) *Reply { return &Reply{Result: args} }

// ServerDifferences are the messages of the server's recordings with which goslo does something else.
var ServerDifferences = map[string]ServerDifference{
	"dup_after_16_others_accepted_again": {
		Reason: "goslo remembers the unique ids of the last minute, and at least 1,024 of them, not 16: the repeated request is dropped",
	},
	"args_ctxt_collision": {
		Reason: "no argument name is reserved: the request context is no argument in Go",
		Reply:  echoed(map[string]any{"ctxt": json.Number("1")}),
	},
	"args_null": {
		Reason: ownWords + ", and a TypeError as for other bad arguments",
		Reply:  builtin("TypeError", "args must be an object, not null"),
	},
	"args_list": {
		Reason: ownWords + ", and a TypeError as for other bad arguments",
		Reply:  builtin("TypeError", "args must be an object, not an array"),
	},
	"no_method":   {Reason: ownWords, Reply: builtin("TypeError", "the message has no method")},
	"method_null": {Reason: ownWords, Reply: builtin("TypeError", "method must be a string, not null")},
	"method_int":  {Reason: ownWords, Reply: builtin("TypeError", "method must be a string, not a number")},
	"version_1":   {Reason: ownWords, Reply: builtin("IndexError", `version "1" has no minor number`)},
	"version_number": {
		Reason: ownWords + ", and a TypeError as for a method that is no string",
		Reply:  builtin("TypeError", "version must be a string, not a number"),
	},
	"version_junk":  {Reason: ownWords, Reply: builtin("ValueError", `version "a.b" is not made of decimal numbers`)},
	"version_empty": {Reason: ownWords, Reply: builtin("ValueError", `version "" is not made of decimal numbers`)},
	"reply_q_missing": {
		Reason: "a reply that has nowhere to go is dropped at once; oslo.messaging publishes it to nobody for a minute",
	},
	"timeout_2_nosuch_method": {
		Reason: "no heartbeat follows an answer; oslo.messaging goes on for ever where it found no method",
		Reply: &Reply{Failure: &Failure{
			Class: "NoSuchMethod", Module: "oslo_messaging.rpc.dispatcher", Message: "Endpoint does not support RPC method zzz",
			Args: []any{"Endpoint does not support RPC method zzz"}, Kwargs: map[string]any{},
		}},
	},
	"gzip_real": {
		Reason: "a gzip file is read as well as the zlib stream that kombu calls gzip",
		Reply:  echoed(map[string]any{"a": json.Number("1")}),
	},
	"type_tag_noenvelope": {
		Reason:   "goslo leaves `__type__` objects as they are, as 14.0 does; releases from 16.1 on turn them into Python values in bare messages",
		Releases: []string{Oslo16, Oslo18},
		Reply: echoed(map[string]any{
			"a": map[string]any{"__type__": "datetime", "__value__": "2024-01-02T03:04:05"},
		}),
	},
}

// ownWords is the reason for texts of failures that are not Python's.
const ownWords = "the failure says what is wrong with the message, not what went wrong in Python"

// ClientDifference is a call of which the caller sees something else.
type ClientDifference struct {
	Reason string
	// Releases are those from which goslo differs; nil for all.
	Releases []string
	// Outcome is what the caller sees.
	Outcome ClientOutcome
}

// ClientDifferences are the calls of the client's recordings of which goslo's caller sees something else.
var ClientDifferences = map[string]ClientDifference{
	"no_failure_field": {
		Reason:  "a reply without failure is a result; oslo.messaging raises KeyError",
		Outcome: ClientOutcome{Result: "'R'"},
	},
	"heartbeat_unrequested": {
		Reason:  "a heartbeat that was not asked for is passed over; oslo.messaging raises AttributeError",
		Outcome: ClientOutcome{Result: "'R'"},
	},
	"cm_heartbeats_extend": {
		Reason:   "every heartbeat counts, as in 14.0; releases from 16.1 on look for replies every half a second and come too late here",
		Releases: []string{Oslo16, Oslo18},
		Outcome:  ClientOutcome{Timeout: true, Elapsed: 2.66},
	},
	"fail_tb_null": {
		Reason:  "a failure without a traceback is the failure that it says; oslo.messaging raises TypeError",
		Outcome: ClientOutcome{Module: "builtins", Class: "ValueError", Message: "MSG"},
	},
	"fail_not_json_string": {
		Reason:  unreadable,
		Outcome: ClientOutcome{Class: "RemoteError", Message: "plain text"},
	},
	"fail_json_list": {Reason: unreadable, Outcome: ClientOutcome{Class: "RemoteError", Message: "[1]"}},
	"fail_json_null": {Reason: unreadable, Outcome: ClientOutcome{Class: "RemoteError", Message: "null"}},
	"fail_object_not_string": {
		Reason: unreadable,
		Outcome: ClientOutcome{
			Class: "RemoteError",
			Message: `the failure is an object, not a string: ` +
				`{"class": "ValueError", "module": "builtins", "message": "msg", "args": ["x"]}`,
		},
	},
}

// unreadable is the reason for failures that oslo.messaging's client stumbles over.
const unreadable = "a failure that cannot be read is a RemoteError with what was sent; oslo.messaging raises what its decoder did"

// SlowedClientCases are the calls that are played at half the recorded speed.
var SlowedClientCases = map[string]string{
	"cm_timeout_no_heartbeat": slowed,
	"cm_heartbeats_extend":    slowed,
	"cm_not_beyond_total":     slowed,
}

// slowed is the reason for calls with a monitor that goslo's client does not take.
const slowed = "a call monitor under 2 s is refused: no server sends heartbeats for it; played at half the speed, goslo does as recorded"

// CheckDocumented checks that DESIGN.md, at that path, lists each case with its reason.
func CheckDocumented(tb testing.TB, path string, reasons map[string]string) {
	tb.Helper()
	design, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	for name, reason := range reasons {
		if row := "| `" + cmp.Or(name, `""`) + "` | " + reason + " |\n"; !strings.Contains(string(design), row) {
			tb.Errorf("DESIGN.md lacks the line\n%s", row)
		}
	}
}
