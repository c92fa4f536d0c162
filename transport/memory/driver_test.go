package memory_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

var (
	_ transport.Driver = (*memory.Driver)(nil)
	_ transport.Pinger = (*memory.Driver)(nil)
)

func TestCallEndsExactlyAtItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, memory.NewBroker(memory.Config{}))
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := d.Call(ctx, topic, &transport.Request{Method: "nobody"}, transport.SendOptions{})
		mustMatch(t, "call", err, transport.ErrTimeout)
		mustMatch(t, "call", err, context.DeadlineExceeded)
		if got := time.Since(begun); got != time.Minute {
			t.Errorf("the call took %s, want a minute", got)
		}
	})
}

// TestHeartbeatsCarryACallThroughTheNight sends heartbeats for eight hours, then falls silent.
func TestHeartbeatsCarryACallThroughTheNight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, memory.NewBroker(memory.Config{}))
		l := listen(t, d, onServer, 1)
		ended := call(t.Context(), d, transport.SendOptions{Monitor: time.Minute})
		in := take(t, l, "call")
		for range 16 * 60 {
			<-time.After(30 * time.Second)
			if err := in.Heartbeat(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("the call ended with %v, want it to wait", err)
		default:
		}
		silent := time.Now()
		mustMatch(t, "call", <-ended, transport.ErrMonitorTimeout)
		if got := time.Since(silent); got != time.Minute {
			t.Errorf("the call ended after %s of silence, want a minute", got)
		}
	})
}

func TestRepliesWithoutACallerAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{})
		client, server := newDriver(t, b), newDriver(t, b)
		l := listen(t, server, onServer, 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended := call(ctx, client, transport.SendOptions{Monitor: time.Hour})
		in := take(t, l, "call")
		cancel()
		mustMatch(t, "call", <-ended, context.Canceled)
		answer := &transport.Reply{Ending: true}
		if err := in.Reply(t.Context(), answer); err != nil {
			t.Errorf("reply to a call that has ended: %v", err)
		}
		synctest.Wait()
		if s := b.Stats(); s.LateReplies != 1 || s.LostReplies != 0 {
			t.Errorf("stats %+v, want 1 late reply", s)
		}
		closeDriver(t, client)
		if err := in.Reply(t.Context(), answer); err != nil {
			t.Errorf("reply to a client that is gone: %v", err)
		}
		mustMatch(t, "heartbeat to a client that is gone", in.Heartbeat(t.Context()), transport.ErrUndeliverable)
		if s := b.Stats(); s.LateReplies != 1 || s.LostReplies != 1 || s.Unroutable != 2 {
			t.Errorf("stats %+v, want 1 lost reply and 2 unroutable messages", s)
		}
		if answer.MsgID != nil || answer.UniqueID != "" {
			t.Errorf("the reply was changed to %+v", answer)
		}
	})
}

func TestReplyToACastSendsNothing(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	d := newDriver(t, b)
	l := listen(t, d, onServer, 1)
	cast(t, d, "cast", transport.SendOptions{})
	in := take(t, l, "cast")
	if err := in.Reply(t.Context(), &transport.Reply{Ending: true}); err != nil {
		t.Errorf("reply: %v", err)
	}
	if err := in.Heartbeat(t.Context()); err != nil {
		t.Errorf("heartbeat: %v", err)
	}
	if s := b.Stats(); s.Published != 1 || s.Unroutable != 0 {
		t.Errorf("stats %+v, want nothing published but the cast", s)
	}
}

func TestMalformedRepliesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{})
		d := newDriver(t, b)
		l := listen(t, d, onServer, 1)
		ended := call(t.Context(), d, transport.SendOptions{})
		in := take(t, l, "call")
		p := raw("no reply")
		p.ContentType = "text/plain"
		if err := b.Publish("", in.Request().ReplyQueue, p); err != nil {
			t.Fatal(err)
		}
		if err := in.Reply(t.Context(), &transport.Reply{Ending: true}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("call: %v", err)
		}
		if got := b.Stats().Malformed; got != 1 {
			t.Errorf("%d malformed messages, want 1", got)
		}
	})
}

func TestReplyQueueIsMadeForTheFirstCallAndGoesWithItsDriver(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	d := newDriver(t, b)
	l := listen(t, d, onServer, 1)
	cast(t, d, "cast", transport.SendOptions{})
	take(t, l, "cast")
	if got := replyQueues(b); len(got) != 0 {
		t.Errorf("queues %q before the first call, want none for replies", got)
	}
	for range 2 {
		ended := call(t.Context(), d, transport.SendOptions{})
		if err := take(t, l, "call").Reply(t.Context(), &transport.Reply{Ending: true}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if got := replyQueues(b); len(got) != 1 || len(got[0]) != len("reply_")+32 {
		t.Errorf("queues %q, want one named reply_ and 32 digits", got)
	}
	closeDriver(t, d)
	if got := replyQueues(b); len(got) != 0 {
		t.Errorf("queues %q after the end of the driver, want none", got)
	}
}

func replyQueues(b *memory.Broker) (names []string) {
	for name := range b.Stats().Queues {
		if strings.HasPrefix(name, "reply_") {
			names = append(names, name)
		}
	}
	return names
}

func TestIncompleteTargetsAreRefused(t *testing.T) {
	t.Parallel()
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	fanout := topic
	fanout.Fanout = true
	_, callErr := d.Call(t.Context(), fanout, &transport.Request{}, transport.SendOptions{})
	_, listenErr := d.Listen(t.Context(), topic, transport.ListenOptions{Prefetch: 1})
	for what, err := range map[string]error{
		"call with fanout":        callErr,
		"cast without topic":      d.Cast(t.Context(), target.Target{}, &transport.Request{}, transport.SendOptions{}),
		"listen without a server": listenErr,
	} {
		var invalid *target.InvalidTargetError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: error %v, want an InvalidTargetError", what, err)
		}
	}
}

func TestPrefetchMustBePositive(t *testing.T) {
	t.Parallel()
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	for _, prefetch := range []int{0, -1} {
		_, err := d.Listen(t.Context(), onServer, transport.ListenOptions{Prefetch: prefetch})
		if err == nil || !strings.Contains(err.Error(), "Prefetch") {
			t.Errorf("listen with prefetch %d: error %v, want one that names it", prefetch, err)
		}
	}
	listen(t, d, onServer, 1<<40) // as many as AMQP can carry
}

func TestEndedContextStartsNothing(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	d := newDriver(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Listen(ctx, onServer, transport.ListenOptions{Prefetch: 1})
	mustMatch(t, "listen", err, context.Canceled)
	mustMatch(t, "ping", d.Ping(ctx), context.Canceled)
	if got := b.Stats().Queues; len(got) != 0 {
		t.Errorf("queues %v, want none", got)
	}
	if err := d.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestReplyQueueCanBeFull(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{MaxQueueBytes: 1000})
	d := newDriver(t, b)
	l := listen(t, d, onServer, 1)
	ended := call(t.Context(), d, transport.SendOptions{})
	in := take(t, l, "call")
	blob := transport.Value(`"` + strings.Repeat("x", 1000) + `"`)
	mustMatch(t, "reply", in.Reply(t.Context(), &transport.Reply{Result: blob, Ending: true}), transport.ErrRejected)
	if err := in.Reply(t.Context(), &transport.Reply{Ending: true}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("call: %v", err)
	}
}

func TestNewDriversAreAlone(t *testing.T) {
	t.Parallel()
	first, second := memory.New(), memory.New()
	defer closeDriver(t, first)
	defer closeDriver(t, second)
	listen(t, first, onServer, 1)
	err := second.Cast(t.Context(), topic, &transport.Request{}, transport.SendOptions{Mandatory: true})
	mustMatch(t, "cast", err, transport.ErrUndeliverable)
}
