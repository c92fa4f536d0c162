package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
)

// ClientCase is one call, the replies that it got, and what its caller saw.
type ClientCase struct {
	Case         string
	MsgID        string          `json:"request_msg_id"`
	TimeoutField *json.Number    `json:"request_timeout_field"`
	Sent         []ClientReply   `json:"replies_sent"`
	Recorded     recordedOutcome `json:"client_outcome"`
	release      string
}

// ClientReply is a message on the client's reply queue.
type ClientReply struct {
	After float64 `json:"after_seconds"` // since the request came
	Message
}

// recordedOutcome is what the caller saw, in Python's words.
type recordedOutcome struct {
	OK                bool
	Result, Type, Str string
	Elapsed           float64
}

// ClientOutcome is what the caller of one call saw.
type ClientOutcome struct {
	// Result is what the call returned, as Python's repr prints it; empty where it failed.
	Result string
	// Timeout tells that the call failed because no reply came, or no sign of life.
	Timeout bool
	// Class and Message are those of any other failure, as is Module where a Python caller can see it.
	Module, Class, Message string
	// Elapsed is how long the call took, in seconds.
	Elapsed float64
}

// clientCases is how many calls each recording of a client has.
const clientCases = 48

// ClientCases are the recorded calls in their order.
func ClientCases(tb testing.TB, release string) []*ClientCase {
	tb.Helper()
	cases := load[ClientCase](tb, "client", release, clientCases)
	for _, c := range cases {
		c.release = release
		if c.Case == "fail_empty_string" {
			// The case was recorded with the replies to other calls, and the id of the last; the first is its own.
			reply, err := wire.DecodeReply(c.Sent[0].Bytes())
			if err != nil {
				tb.Fatal(err)
			}
			c.MsgID, _ = reply.MsgID.Text()
		}
	}
	return cases
}

// minMonitor is the least call monitor that a goslo client takes, in seconds: servers answer nothing shorter.
const minMonitor = 2

// Slowness is by what all times of the call are multiplied: calls with a monitor that goslo refuses are played so
// slowly that it takes it.
func (c *ClientCase) Slowness() float64 {
	if monitor := c.monitor(); monitor > 0 && monitor < minMonitor {
		return minMonitor / monitor
	}
	return 1
}

func (c *ClientCase) monitor() float64 {
	if c.TimeoutField == nil {
		return 0
	}
	seconds, err := c.TimeoutField.Float64()
	if err != nil {
		panic(err) // of a recording
	}
	return seconds
}

// shortTimeouts are the calls that were made with a timeout of two seconds, not three.
var shortTimeouts = []string{"only_ending_false", "bad_envelope_version", "no_content_type", "cm_not_beyond_total"}

// Options are those of the client that makes the call.
func (c *ClientCase) Options() []messaging.ClientOption {
	timeout := 3.0
	if slices.Contains(shortTimeouts, c.Case) {
		timeout = 2
	}
	return []messaging.ClientOption{
		messaging.WithTimeout(c.Time(timeout)), messaging.WithCallMonitor(c.Time(c.monitor())),
	}
}

// MonitorField is the key _timeout of the request, in JSON.
func (c *ClientCase) MonitorField() string {
	if c.TimeoutField == nil {
		return "null"
	}
	return fmt.Sprint(c.monitor() * c.Slowness())
}

// Time is a time of the recording, in seconds, as it is played.
func (c *ClientCase) Time(seconds float64) time.Duration {
	return time.Duration(seconds * c.Slowness() * float64(time.Second))
}

// Duration is how long it takes to play the call.
func (c *ClientCase) Duration() time.Duration {
	longest := c.Recorded.Elapsed
	for i := range c.Sent {
		longest = max(longest, c.Sent[i].After)
	}
	return c.Time(longest)
}

// Reply is the body of reply i to a call with another id.
func (c *ClientCase) Reply(i int, msgID string) []byte {
	return bytes.ReplaceAll(c.Sent[i].Bytes(), []byte(c.MsgID), []byte(msgID))
}

// Observe turns what a call returned into an outcome.
func (c *ClientCase) Observe(result any, err error, elapsed time.Duration) ClientOutcome {
	o := ClientOutcome{Elapsed: elapsed.Seconds() / c.Slowness()}
	var remote *messaging.RemoteError
	switch {
	case err == nil:
		o.Result = repr(result)
	case errors.As(err, &remote):
		o.Module, o.Class, o.Message = remote.Module, remote.Class, remote.Message
	case errors.Is(err, messaging.ErrTimeout):
		o.Timeout = true
	default:
		o.Message = err.Error()
	}
	return o
}

// repr prints a result as Python does.
func repr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return "'" + v + "'"
	}
	return fmt.Sprint(v)
}

// python is the outcome that was recorded. The module of a RemoteError is not visible there.
func (r *recordedOutcome) python() ClientOutcome {
	o := ClientOutcome{Result: r.Result, Elapsed: r.Elapsed}
	if r.OK {
		return o
	}
	text, _, _ := strings.Cut(r.Str, "\n") // a traceback follows
	dot := strings.LastIndexByte(r.Type, '.')
	module, class := strings.TrimSuffix(r.Type[:dot], "_Remote"), strings.TrimSuffix(r.Type[dot+1:], "_Remote")
	switch r.Type {
	case "oslo_messaging.exceptions.MessagingTimeout":
		o.Timeout = true
	case "oslo_messaging.rpc.client.RemoteError":
		o.Class, o.Message, _ = strings.Cut(strings.TrimPrefix(text, "Remote error: "), " ")
	default:
		o.Module, o.Class, o.Message = module, class, text
	}
	return o
}

// Want is what a goslo client sees: what was recorded, unless it is listed in [ClientDifferences].
func (c *ClientCase) Want() ClientOutcome {
	if d, listed := c.difference(); listed {
		return d.Outcome
	}
	return c.Recorded.python()
}

func (c *ClientCase) difference() (ClientDifference, bool) {
	d, listed := ClientDifferences[c.Case]
	return d, listed && (d.Releases == nil || slices.Contains(d.Releases, c.release))
}

// patience is how much sooner or later than recorded a call may end: releases from 16.1 on look for replies
// every half a second.
const patience = 0.75

// Check compares what a goslo client saw with what it must see.
func (c *ClientCase) Check(tb testing.TB, got ClientOutcome) {
	tb.Helper()
	aboutWhen := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < patience })
	c.check(tb, got, aboutWhen)
	recorded := c.Recorded.python()
	if _, listed := c.difference(); listed && cmp.Equal(recorded, visible(recorded, got), aboutWhen) {
		tb.Errorf("%s, %s: the caller sees what Python's sees, and is listed to differ", c.release, c.Case)
	}
}

// CheckAnyTime is Check for a clock that cannot be relied on.
func (c *ClientCase) CheckAnyTime(tb testing.TB, got ClientOutcome) {
	tb.Helper()
	c.check(tb, got, cmpopts.IgnoreFields(ClientOutcome{}, "Elapsed"))
}

func (c *ClientCase) check(tb testing.TB, got ClientOutcome, opt cmp.Option) {
	tb.Helper()
	want := c.Want()
	if diff := cmp.Diff(want, visible(want, got), opt); diff != "" {
		tb.Errorf("%s, %s: the caller sees otherwise (-want +got):\n%s", c.release, c.Case, diff)
	}
}

// visible leaves out the module where it is not visible in what is wanted.
func visible(want, got ClientOutcome) ClientOutcome {
	if want.Module == "" {
		got.Module = ""
	}
	return got
}
