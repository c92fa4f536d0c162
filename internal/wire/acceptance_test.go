package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/acceptance"
	"github.com/goslo/goslo/internal/wire"
)

// TestRequestsAreReadAsTheServerNeeds compares verdicts on the bodies of the recorded requests alone; what a server
// makes of them is tested in package messaging.
func TestRequestsAreReadAsTheServerNeeds(t *testing.T) {
	t.Parallel()
	for _, release := range acceptance.Releases() {
		for _, c := range acceptance.ServerCases(t, release) {
			if c.Properties.ContentType != wire.ContentTypeJSON {
				continue // for the driver to judge
			}
			text, err := c.Text()
			if err != nil {
				t.Errorf("%s, %s: %v", release, c.Case, err)
				continue
			}
			r, err := wire.DecodeRequest(text)
			want := c.Want()
			if rejected := want.Settled == acceptance.Rejected; rejected != errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s, %s: DecodeRequest = %v, want it %s", release, c.Case, err, want.Settled)
			}
			if err == nil && len(want.Replies) > 0 && !r.Call() {
				t.Errorf("%s, %s: read as a cast, the server replies", release, c.Case)
			}
		}
	}
}

// TestHeartbeatsAreThoseThatPythonSends derives from the recorded replies, within 1.3 seconds, whether there
// is a heartbeat each second.
func TestHeartbeatsAreThoseThatPythonSends(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, c := range acceptance.ServerCases(t, acceptance.Oslo14) {
		if !strings.HasPrefix(c.Case, "timeout_") {
			continue
		}
		compared++
		r, err := wire.DecodeRequest([]byte(c.Body))
		if err != nil {
			t.Fatal(err)
		}
		var want bool
		for i := range c.Replies {
			want = want || c.Replies[i].Heartbeat()
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
