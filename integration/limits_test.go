//go:build integration

package integration_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

// TestWhatTheBrokerCannotTakeIsRefusedAtOnceAndHarmsNobody sends what AMQP cannot carry or the broker does not let
// be made: the sender must learn of it at once, and calls of the same process go on as if nothing had been.
func TestWhatTheBrokerCannotTakeIsRefusedAtOnceAndHarmsNobody(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	long := strings.Repeat("x", 300)
	var invalid *messaging.InvalidTargetError
	isInvalid := func(err error) bool { return errors.As(err, &invalid) }
	for _, c := range []struct {
		name  string
		to    messaging.Target
		right func(error) bool
	}{
		{"a long exchange", messaging.Target{Exchange: long, Topic: "t"}, isInvalid},
		{"a long topic", messaging.Target{Exchange: v.exchange, Topic: long}, isInvalid},
		{"a long topic to fan out", messaging.Target{Exchange: v.exchange, Topic: long[:250], Fanout: true}, isInvalid},
		{"a long server", messaging.Target{Exchange: v.exchange, Topic: v.topic, Server: long}, isInvalid},
		{
			"an exchange of the broker's own",
			messaging.Target{Exchange: "amq.nope", Topic: "t"},
			func(err error) bool { return errors.Is(err, messaging.ErrRejected) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := messaging.NewClient(v.caller.Transport, c.to, messaging.WithTimeout(patience))
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if err := client.Cast(t.Context(), "m", nil); !c.right(err) {
				t.Errorf("Cast = %v", err)
			}
			if took := time.Since(begun); took > promptly {
				t.Errorf("the refusal took %s", took)
			}
			v.lives(t)
		})
	}
	t.Run("a server that would listen there", func(t *testing.T) {
		server, err := messaging.NewRPCServer(v.caller.Transport, messaging.Target{Topic: long, Server: "s"}, newEndpoints("s", nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(patient(t)); !isInvalid(err) {
			t.Errorf("Start = %v, want an InvalidTargetError", err)
		}
		v.lives(t)
	})
}

// TestForgedReplyQueuesHarmNobody asks for replies to queues that no caller has.
func TestForgedReplyQueuesHarmNobody(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.lives(t)
	sessions := v.server.driver.Stats().Sessions
	for _, queue := range []string{
		strings.Repeat("x", 300), "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x", "a\x00b", "", "nobody's",
	} {
		v.publish(t, enveloped(t, map[string]any{"method": "who", "_msg_id": "m", "_reply_q": queue, "_unique_id": unique("u")}))
		for range 20 {
			v.lives(t)
		}
	}
	if got := v.server.driver.Stats().Sessions; got != sessions {
		t.Errorf("the server made %d connections anew", got-sessions)
	}
}

// TestResultThatIsTooLargeIsAFailure calls a method that returns more than the bus carries.
func TestResultThatIsTooLargeIsAFailure(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	var remote *messaging.RemoteError
	if err := v.client.Call(t.Context(), "blob", args{"size": 17 << 20}, nil); !errors.As(err, &remote) || !strings.Contains(remote.Message, "too large") {
		t.Errorf("Call = %v, want a failure that says so", err)
	}
	v.lives(t)
}
