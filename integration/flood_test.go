//go:build integration

package integration_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestFloodOfCallsForAMissingMethodEndsInFailuresAlone sends 10,000 monitored calls for a method that does not
// exist, for each of which oslo.messaging's server keeps a thread that sends heartbeats for ever.
func TestFloodOfCallsForAMissingMethodEndsInFailuresAlone(t *testing.T) {
	t.Parallel()
	const calls = 10_000
	v := newVictim(t)
	v.lives(t)
	ch := channel(t, v.url)
	queue := "reply_" + unique("queue")
	replies := rawQueue(t, ch, queue, "", "", "")
	sender := channel(t, v.url)
	for n := range calls {
		inner := fmt.Sprintf(`{"method": "nope", "args": {}, "_msg_id": "m%d", "_reply_q": "%s", "_timeout": 2, "_unique_id": "u%d"}`, n, queue, n)
		if err := sender.PublishWithContext(patient(t), v.exchange, v.topic, false, false, osloMessage(envelope(`"2.0"`, inner))); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(map[string]bool, calls)
	for range calls {
		body := string(receive(t, replies).Body)
		_, rest, _ := strings.Cut(body, `\"_msg_id\": \"`)
		id, _, _ := strings.Cut(rest, `\"`)
		if answered[id] || !strings.Contains(body, `\"ending\": true`) || !strings.Contains(body, "NoSuchMethod") {
			t.Fatalf("%s, answered before: %t", body, answered[id])
		}
		answered[id] = true
	}
	select { // a heartbeat would come every second
	case d := <-replies:
		t.Errorf("behind the failures comes %s", d.Body)
	case <-time.After(2500 * time.Millisecond):
	}
	stacks := make([]byte, 8<<20)
	if n := bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("heartbeats).beat")); n > 100 { // those of other tests' calls
		t.Errorf("%d goroutines send heartbeats", n)
	}
	v.lives(t)
}
