package rabbit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/target"
)

// transientRefused is what RabbitMQ 4.0 says, and closes the connection.
var transientRefused = &BrokerError{Code: 541, Text: "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n" +
	"Its use is not permitted per the configuration (overriding the default, which is permitted):\n"}

func TestRefusalOfAKindOfQueueIsToldFromOtherInternalErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err               error
		denied, transient bool
	}{
		"transient queues":      {transientRefused, true, true},
		"wrapped":               {fmt.Errorf("declare: %w", transientRefused), true, true},
		"another feature":       {&BrokerError{Code: 541, Text: "INTERNAL_ERROR - Feature `x` is deprecated."}, true, false},
		"a crash":               {&BrokerError{Code: 541, Text: "INTERNAL_ERROR"}, false, false},
		"another code":          {&BrokerError{Code: 406, Text: "Feature `transient_nonexcl_queues` is deprecated."}, false, false},
		"no word of a broker":   {errConnClosed, false, false},
		"nothing that happened": {nil, false, false},
	} {
		if got := denied(c.err); got != c.denied {
			t.Errorf("%s: denied = %v, want %v", name, got, c.denied)
		}
		if got := transientDenied(c.err); got != c.transient {
			t.Errorf("%s: transientDenied = %v, want %v", name, got, c.transient)
		}
	}
}

func TestRefusedQueueIsAskedForAgainAfterHalfAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d denials
		q := &queue{name: "t"}
		if err := d.recent("t"); err != nil {
			t.Fatalf("recent = %v before anything was refused", err)
		}
		refused := d.add(q, transientRefused)
		<-time.After(30*time.Second - 1)
		if got := d.recent("t"); got != refused {
			t.Errorf("recent = %v before 30 s are over, want %v", got, refused)
		}
		if got := d.recent("u"); got != nil {
			t.Errorf("recent = %v for another queue", got)
		}
		<-time.After(1)
		if got := d.recent("t"); got != nil {
			t.Errorf("recent = %v after 30 s", got)
		}
		if refused := d.add(&queue{name: "u"}, transientRefused); refused.Queue != "u" || len(d.queues) != 1 {
			t.Errorf("%d refusals are kept, want the one that counts", len(d.queues))
		}
		if !permanent(refused) {
			t.Error("the refusal is not permanent: Listen would wait for ever")
		}
		if got := pauseAfter(1, refused); got != 30*time.Second {
			t.Errorf("pause after a refusal %s, want 30 s", got)
		}
		if got := pauseAfter(1, errConnClosed); got != channelPause {
			t.Errorf("pause after another error %s, want %s", got, channelPause)
		}
	})
}

func TestRefusalOfTransientQueuesIsNewsOnce(t *testing.T) {
	t.Parallel()
	var d denials
	if _, said := d.refusesTransient(); said != nil || !d.noteTransient(transientRefused) || d.noteTransient(transientRefused) {
		t.Error("the first refusal is news, and no other")
	}
	if outdated, err := d.refusesTransient(); !errors.Is(err, transientRefused) || outdated {
		t.Errorf("refusesTransient = %v, outdated %t, want what the broker said right now", err, outdated)
	}
}

// TestRefusalHoldsForTheBrokerThatSaidIt: one that is started again may permit what it refused.
func TestRefusalHoldsForTheBrokerThatSaidIt(t *testing.T) {
	t.Parallel()
	var d denials
	d.noteTransient(transientRefused)
	refused := d.add(&queue{name: "t"}, transientRefused)
	d.connectionLost(fmt.Errorf("declare: %w", transientRefused))
	if outdated, said := d.refusesTransient(); said == nil || outdated || d.recent("t") != refused {
		t.Error("the refusal is forgotten with the connection that it cost")
	}
	d.connectionLost(errConnClosed)
	if outdated, said := d.refusesTransient(); said == nil || !outdated || d.recent("t") != nil {
		t.Error("the refusal holds for what comes after a lost connection, or is forgotten altogether")
	}
	if d.noteTransient(transientRefused) {
		t.Error("the same refusal by the next broker is news")
	}
	if outdated, said := d.refusesTransient(); said == nil || outdated {
		t.Error("the refusal of the next broker does not hold")
	}
}

// TestRefusalNamesTheOptionToChange for every kind of queue that the options can make.
func TestRefusalNamesTheOptionToChange(t *testing.T) {
	t.Parallel()
	on := target.Target{Exchange: "x", Topic: "t", Server: "s"}
	for query, want := range map[string][]string{ // of the topic's queue and of that for fanout
		"":                                      {"amqp_durable_queues=true or rabbit_quorum_queue=true", "amqp_durable_queues=true or"},
		"profile=durable":                       {"rabbit_quorum_queue=true", "amqp_durable_queues=true or"},
		"profile=quorum":                        {"rabbit_quorum_queue=false", "rabbit_transient_quorum_queue=false"},
		"profile=quorum&rabbit_stream_fanout=1": {"rabbit_quorum_queue=false", "rabbit_stream_fanout=false"},
	} {
		o, err := parse("rabbit://h/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		queues := o.serverQueues(on, o.queueSuffix)
		for i, q := range []queue{queues[0], queues[2]} {
			err := new(denials).add(&q, transientRefused)
			if !strings.HasPrefix(err.Option, want[i]) || !strings.Contains(err.Error(), "set "+want[i]) || !strings.Contains(err.Error(), `"`+q.name+`"`) {
				t.Errorf("%q: %v, want it to name the queue and %s", query, err, want[i])
			}
			wantError(t, "refusal", err, transientRefused)
		}
	}
}

func TestOwnQueueLastsOnlyUntilItExpires(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]any{"": int32(1800000), "rabbit_transient_queues_ttl=300": int32(300000), "rabbit_transient_queues_ttl=0": int32(1800000)} {
		o, err := parse("rabbit://h/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		q := o.replyQueue("1")
		before := len(q.arguments)
		if got := q.lasting(); !got.durable || got.arguments["x-expires"] != want {
			t.Errorf("%q: durable %v, x-expires %v; want a durable queue that expires in %v ms", query, got.durable, got.arguments["x-expires"], want)
		}
		if q.durable || len(q.arguments) != before {
			t.Errorf("%q: the queue itself was changed", query)
		}
	}
}
