package wire_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/wire"
)

// acceptance is a recording of what an oslo.messaging peer did with hand-made messages.
type acceptance struct {
	Cases []struct {
		Case string
		message
		Settled string          `json:"server_settled"`
		Replies []serverReply   // of a server
		Sent    []clientMessage `json:"replies_sent"` // to a client
		MsgID   string          `json:"request_msg_id"`
		Outcome struct {
			OK     bool
			Result string // as Python's repr
		} `json:"client_outcome"`
	}
}

type message struct {
	Properties   map[string]any
	Headers      map[string]string
	Body         string
	BodyEncoding string `json:"body_encoding"`
}

type serverReply struct {
	Ending  bool
	Failure *struct{ Class string } `json:"failure_without_tb"`
}

type clientMessage struct{ message }

func (m *message) text(tb testing.TB) ([]byte, error) {
	tb.Helper()
	body := []byte(m.Body)
	if m.BodyEncoding == "base64" {
		var err error
		if body, err = base64.StdEncoding.DecodeString(m.Body); err != nil {
			tb.Fatal(err)
		}
	}
	return wire.Decompress(m.Headers[wire.CompressionHeader], body)
}

func recording(tb testing.TB, name string) *acceptance {
	tb.Helper()
	data, err := os.ReadFile("testdata/acceptance/" + name + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte(": NaN"), []byte(": null")) // a result that Python has printed
	r := &acceptance{}
	if err := json.Unmarshal(data, r); err != nil || len(r.Cases) < 40 {
		tb.Fatalf("%s: %d cases, error %v", name, len(r.Cases), err)
	}
	return r
}

// otherOnPurpose are the cases in which goslo reads what the recorded server rejects, or the other way round.
var otherOnPurpose = map[string]string{
	"gzip_real": "goslo reads a gzip file, too",
	"lzma_hdr":  "goslo has no xz",
}

// TestServerAcceptsWhatPythonAccepts compares verdicts on the bodies of hand-made requests.
func TestServerAcceptsWhatPythonAccepts(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, c := range recording(t, "server").Cases {
		if c.Properties["content_type"] != wire.ContentTypeJSON || otherOnPurpose[c.Case] != "" {
			continue // the content type is for the driver to judge
		}
		compared++
		text, err := c.text(t)
		if err != nil {
			t.Errorf("%s: %v", c.Case, err)
			continue
		}
		r, err := wire.DecodeRequest(text)
		if rejected := c.Settled == "rejected without requeue"; rejected != errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: DecodeRequest = %v, the server has %s it", c.Case, err, c.Settled)
			continue
		}
		if err == nil {
			checkVerdict(t, c.Case, r, c.Replies)
		}
	}
	if compared < 75 {
		t.Errorf("%d cases compared, want at least 75", compared)
	}
}

// checkVerdict compares what a server answers, which it must if it is called, with the request as read.
func checkVerdict(t *testing.T, name string, r *wire.Request, replies []serverReply) {
	t.Helper()
	if len(replies) > 0 && !r.Call() {
		t.Errorf("%s: read as a cast, the server has replied", name)
	}
	faulty := false
	if len(replies) > 0 && replies[0].Failure != nil {
		class := replies[0].Failure.Class
		faulty = strings.HasPrefix(name, "args_") && class == "AttributeError" || strings.Contains(name, "method_") && class == "TypeError"
	}
	if faulty != (r.Fault != "") && name != "no_method" && name != "empty" && name != "envelope_no_version" {
		t.Errorf("%s: fault %q, the server's failure is %t", name, r.Fault, faulty)
	}
}

// TestHeartbeatsAreThoseThatPythonSends derives from the recorded replies, within 1.3 seconds, whether there
// is a heartbeat each second.
func TestHeartbeatsAreThoseThatPythonSends(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, c := range recording(t, "server").Cases {
		if !strings.HasPrefix(c.Case, "timeout_") {
			continue
		}
		compared++
		r, err := wire.DecodeRequest([]byte(c.Body))
		if err != nil {
			t.Fatal(err)
		}
		var want bool
		for _, reply := range c.Replies {
			want = want || !reply.Ending
		}
		interval, ok := r.HeartbeatInterval()
		if got := interval > 0 && interval <= 1300*time.Millisecond; got != want {
			t.Errorf("%s: interval %s, %t; the server has sent a heartbeat: %t", c.Case, interval, ok, want)
		}
	}
	if compared != 11 {
		t.Errorf("%d cases compared, want 11", compared)
	}
}

// clientQuirks are the cases in which a goslo client fares better than the recorded one, or in which the clock
// or the driver decides.
var clientQuirks = map[string]string{
	"no_failure_field":        "Python raises KeyError",
	"heartbeat_unrequested":   "Python raises AttributeError",
	"cm_timeout_no_heartbeat": "times out before the reply",
	"cm_not_beyond_total":     "times out before the reply",
	"no_content_type":         "rejected by the driver",
	"fail_empty_string":       "recorded with the replies to other calls",
}

// TestClientSeesWhatPythonSees plays the recorded replies to a minimal waiter.
func TestClientSeesWhatPythonSees(t *testing.T) {
	t.Parallel()
	pythonText := map[string]string{`"R"`: `'R'`, `"ok"`: `'ok'`, `"v1"`: `'v1'`, `1`: `1`, `null`: `None`, ``: `None`}
	for _, c := range recording(t, "client").Cases {
		if clientQuirks[c.Case] != "" {
			continue
		}
		ok, result := false, wire.Value(nil)
		for _, m := range c.Sent {
			r, err := wire.DecodeReply([]byte(m.Body))
			if err != nil || string(r.MsgID) != `"`+c.MsgID+`"` {
				continue
			}
			if r.Failure != nil {
				break
			}
			if !r.Result.Null() {
				result = r.Result
			}
			if ok = r.Ending; ok {
				break
			}
		}
		if ok != c.Outcome.OK || ok && pythonText[string(result)] != c.Outcome.Result {
			t.Errorf("%s: ok %t, result %s; Python has %t, %s", c.Case, ok, result, c.Outcome.OK, c.Outcome.Result)
		}
	}
}
