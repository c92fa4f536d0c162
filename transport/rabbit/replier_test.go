package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// attempt takes what the replier has handed to the publisher; nil where there is nothing.
func attempt(d *Driver) *publication {
	synctest.Wait()
	select {
	case p := <-d.direct.jobs:
		p.state.Store(written)
		return p
	default:
		return nil
	}
}

func mustAttempt(tb testing.TB, d *Driver) *publication {
	tb.Helper()
	p := attempt(d)
	if p == nil {
		tb.Fatal("nothing was handed to the publisher")
	}
	return p
}

func answer() *transport.Reply {
	return &transport.Reply{MsgID: wire.TextValue("m"), Result: transport.Value("1"), Ending: true}
}

func mustSend(tb testing.TB, d *Driver, queue string, count *outstanding) {
	tb.Helper()
	if err := d.replier.send(tb.Context(), queue, answer(), count, func(error) {}); err != nil {
		tb.Fatal(err)
	}
}

func (o *outstanding) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

func wantOutstanding(tb testing.TB, count *outstanding, want int) {
	tb.Helper()
	if got := count.count(); got != want {
		tb.Errorf("%d replies are outstanding, want %d", got, want)
	}
}

// inBubble runs a test with a driver that never dials, in fake time.
func inBubble(t *testing.T, url string, test func(t *testing.T, d *Driver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, undialled(t, url)) })
}

func TestConfirmedReplyIsDone(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var count outstanding
		mustSend(t, d, "reply_q", &count)
		wantOutstanding(t, &count, 1)
		p := mustAttempt(t, d)
		if p.exchange.name != "" || p.key != "reply_q" || !p.mandatory || p.message.Expiration != "" {
			t.Errorf("published %+v, want a mandatory message to the queue by the default exchange", p)
		}
		got, err := wire.DecodeReply(p.message.Body)
		if err != nil || string(got.Result) != "1" || !got.Ending || got.UniqueID != p.uniqueID || len(p.uniqueID) != 32 {
			t.Errorf("the message is %+v, %v; want the reply with a fresh unique id", got, err)
		}
		p.settle(nil)
		wantOutstanding(t, &count, 0)
		<-time.After(time.Hour)
		if attempt(d) != nil || d.Stats() != (Stats{}) {
			t.Errorf("a confirmed reply is sent again, or counted: %+v", d.Stats())
		}
	})
}

func TestRepliesAreNotMandatoryWhereTheOptionSaysSo(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/?direct_mandatory_flag=false", func(t *testing.T, d *Driver) {
		var count outstanding
		mustSend(t, d, "reply_q", &count)
		if mustAttempt(t, d).mandatory {
			t.Error("the reply is mandatory")
		}
		if err := d.replier.heartbeat(t.Context(), requestOf("reply_q")); err != nil {
			t.Fatal(err)
		}
		if mustAttempt(t, d).mandatory {
			t.Error("the heartbeat is mandatory")
		}
	})
}

// TestReplyToAMissingQueueIsTriedForAMinute: every quarter of a second, then the queue counts as dead.
func TestReplyToAMissingQueueIsTriedForAMinute(t *testing.T) {
	t.Parallel()
	for query, patience := range map[string]time.Duration{
		"": time.Minute, "kombu_missing_consumer_retry_timeout=5": 5 * time.Second, "kombu_reconnect_timeout=0": 0,
	} {
		inBubble(t, "rabbit://h/?"+query, func(t *testing.T, d *Driver) {
			var count outstanding
			begun := time.Now()
			mustSend(t, d, "reply_gone", &count)
			attempts := 0
			for p := attempt(d); p != nil; p = attempt(d) {
				attempts++
				p.settle(transport.ErrUndeliverable)
				wantOutstanding(t, &count, 0) // nobody waits for a caller that is gone
				if attempts > 1000 {
					t.Fatal("it is tried for ever")
				}
				<-time.After(replyRetryPause)
			}
			if want := int(patience/replyRetryPause) + 1; attempts != want {
				t.Errorf("%q: %d attempts, want %d", query, attempts, want)
			}
			if waited := time.Since(begun); waited != patience+replyRetryPause {
				t.Errorf("%q: tried for %s, want %s", query, waited-replyRetryPause, patience)
			}
			if got := d.Stats(); got.RepliesDropped != 1 || got.RepliesRetried != uint64(attempts-1) {
				t.Errorf("%q: stats %+v, want one dropped after %d were retried", query, got, attempts-1)
			}
			mustSend(t, d, "reply_gone", &count)
			if attempt(d) != nil {
				t.Errorf("%q: a reply is sent to a queue that counts as dead", query)
			}
			if err := d.replier.heartbeat(t.Context(), requestOf("reply_gone")); !errors.Is(err, errDeadQueue) {
				t.Errorf("%q: heartbeat = %v, want errDeadQueue", query, err)
			}
			wantOutstanding(t, &count, 0)
		})
	}
}

func TestQueueThatAppearsGetsItsReply(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var count outstanding
		mustSend(t, d, "reply_late", &count)
		first := mustAttempt(t, d)
		first.settle(transport.ErrUndeliverable)
		if attempt(d) != nil {
			t.Error("it is tried again without a pause")
		}
		<-time.After(replyRetryPause)
		second := mustAttempt(t, d)
		if second.uniqueID != first.uniqueID || string(second.message.Body) != string(first.message.Body) {
			t.Error("the second attempt is another message, want the same one with its unique id")
		}
		second.settle(nil)
		if d.replier.isDead("reply_late") || d.Stats().RepliesDropped != 0 {
			t.Error("the reply was dropped")
		}
		wantOutstanding(t, &count, 0)
	})
}

func TestDeadQueueIsForgottenAfterAMinute(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		d.replier.markDead("reply_gone")
		<-time.After(deadQueueAge)
		if !d.replier.isDead("reply_gone") {
			t.Error("forgotten within the minute")
		}
		<-time.After(1)
		if d.replier.isDead("reply_gone") {
			t.Error("remembered for more than a minute")
		}
		if len(d.replier.dead) != 0 {
			t.Error("its name is kept")
		}
	})
}

func TestOldestOf200DeadQueuesGivesWay(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		for i := range maxDeadQueues + 10 {
			d.replier.markDead("q" + strconv.Itoa(i))
			<-time.After(time.Millisecond)
		}
		if len(d.replier.dead) != maxDeadQueues {
			t.Errorf("%d queues are remembered, want %d", len(d.replier.dead), maxDeadQueues)
		}
		for i := range maxDeadQueues + 10 {
			if got := d.replier.isDead("q" + strconv.Itoa(i)); got != (i >= 10) {
				t.Errorf("queue %d: dead = %v", i, got)
			}
		}
	})
}

func TestQueueThatIsDeadAlreadyPushesNoOtherOut(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		for i := range maxDeadQueues {
			d.replier.markDead("q" + strconv.Itoa(i))
			<-time.After(time.Millisecond)
		}
		d.replier.markDead("q150") // by another reply to it that was under way
		if !d.replier.isDead("q0") || len(d.replier.dead) != maxDeadQueues {
			t.Errorf("%d queues are remembered, the first among them: %v; want all %d", len(d.replier.dead), d.replier.isDead("q0"), maxDeadQueues)
		}
	})
}

func TestReplyThatTheBrokerRefusesIsRepeatedTenTimes(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{transport.ErrRejected, fmt.Errorf("%w: EOF", transport.ErrConnectionLost)} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			var count outstanding
			mustSend(t, d, "reply_q", &count)
			attempts := 0
			for p := attempt(d); p != nil; p = attempt(d) {
				attempts++
				wantOutstanding(t, &count, 1)
				p.settle(reason)
				<-time.After(replyRetryPause)
			}
			if attempts != maxReplyRepeats+1 {
				t.Errorf("%d attempts, want %d", attempts, maxReplyRepeats+1)
			}
			wantOutstanding(t, &count, 0)
			if d.replier.isDead("reply_q") {
				t.Error("the queue counts as dead")
			}
			if got := d.Stats(); got.RepliesDropped != 1 || got.RepliesRetried != maxReplyRepeats {
				t.Errorf("stats %+v, want one dropped, %d retried", got, maxReplyRepeats)
			}
		})
	}
}

// TestWhoFollowsAReplyIsToldOnce ends replies in each way.
func TestWhoFollowsAReplyIsToldOnce(t *testing.T) {
	t.Parallel()
	again := func(t *testing.T, d *Driver, reason error) {
		t.Helper()
		for p := mustAttempt(t, d); p != nil; p = attempt(d) {
			p.settle(reason)
			<-time.After(replyRetryPause)
		}
	}
	for name, c := range map[string]struct {
		queue string
		end   func(t *testing.T, d *Driver)
		want  error
	}{
		"taken": {"reply_q", func(t *testing.T, d *Driver) { t.Helper(); mustAttempt(t, d).settle(nil) }, nil},
		"taken at the second time": {"reply_q", func(t *testing.T, d *Driver) {
			t.Helper()
			mustAttempt(t, d).settle(transport.ErrConnectionLost)
			<-time.After(replyRetryPause)
			mustAttempt(t, d).settle(nil)
		}, nil},
		"without a queue":           {"reply_q", func(t *testing.T, d *Driver) { t.Helper(); again(t, d, transport.ErrUndeliverable) }, transport.ErrUndeliverable},
		"refused":                   {"reply_q", func(t *testing.T, d *Driver) { t.Helper(); again(t, d, transport.ErrRejected) }, transport.ErrRejected},
		"to what is no reply queue": {"another", func(*testing.T, *Driver) {}, errNoReplyQueue},
		"of a driver that is closed": {"reply_q", func(t *testing.T, d *Driver) {
			t.Helper()
			if err := d.Close(t.Context()); err != nil {
				t.Errorf("Close = %v", err)
			}
		}, transport.ErrClosed},
	} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			in := &incoming{listener: &listener{driver: d}, request: requestOf(c.queue)}
			told := make(chan error, 10)
			if err := in.ReplyThen(t.Context(), answer(), func(err error) { told <- err }); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c.end(t, d)
			synctest.Wait()
			if len(told) != 1 {
				t.Fatalf("%s: told %d times, want once", name, len(told))
			}
			if err := <-told; !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%s: told %v, want %v", name, err, c.want)
			}
		})
	}
}

func TestRepliesThatWaitForTheirQueuesAreBounded(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var count outstanding
		for i := range maxRetrying + 5 {
			mustSend(t, d, "reply_gone"+strconv.Itoa(i), &count)
			mustAttempt(t, d).settle(transport.ErrUndeliverable)
		}
		if got := d.Stats(); got.RepliesRetried != maxRetrying || got.RepliesDropped != 5 {
			t.Errorf("stats %+v, want %d retried and 5 dropped", got, maxRetrying)
		}
		<-time.After(replyRetryPause)
		for range maxRetrying {
			mustAttempt(t, d).settle(nil)
		}
		mustSend(t, d, "reply_another", &count) // there is room again
		mustAttempt(t, d).settle(transport.ErrUndeliverable)
		if got := d.Stats().RepliesRetried; got != maxRetrying+1 {
			t.Errorf("%d retried, want one more than %d", got, maxRetrying)
		}
		<-time.After(replyRetryPause)
		mustAttempt(t, d).settle(nil)
		wantOutstanding(t, &count, 0)
	})
}

func TestReplyWithoutQueueIsDropped(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var count outstanding
		mustSend(t, d, "", &count)
		if attempt(d) != nil || d.Stats().RepliesDropped != 1 {
			t.Error("it was sent, or is not counted")
		}
		wantError(t, "heartbeat", d.replier.heartbeat(t.Context(), requestOf("")), errNoReplyQueue)
		wantOutstanding(t, &count, 0)
	})
}

func TestHeartbeatIsOneMessageWithoutResult(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		if err := d.replier.heartbeat(t.Context(), requestOf("reply_q")); err != nil {
			t.Fatal(err)
		}
		p := mustAttempt(t, d)
		got, err := wire.DecodeReply(p.message.Body)
		if id, _ := got.MsgID.Text(); err != nil || !got.Heartbeat() || id != "m" || got.UniqueID == "" {
			t.Errorf("sent %+v, %v; want a heartbeat of the call", got, err)
		}
		p.settle(transport.ErrUndeliverable)
		<-time.After(time.Hour)
		if attempt(d) != nil || d.replier.isDead("reply_q") {
			t.Error("a heartbeat is sent again, or its queue counts as dead")
		}
	})
}

func TestReplyThatIsTriedAgainEndsWithTheDriver(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{transport.ErrUndeliverable, transport.ErrRejected} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			var count outstanding
			mustSend(t, d, "reply_gone", &count)
			mustAttempt(t, d).settle(reason)
			begun := time.Now()
			if err := d.Close(t.Context()); err != nil {
				t.Errorf("Close = %v", err)
			}
			if took := time.Since(begun); took != 0 {
				t.Errorf("Close took %s", took)
			}
			wantError(t, "send after Close", d.replier.send(t.Context(), "q", answer(), &count, func(error) {}), transport.ErrClosed)
		})
	}
}

func TestNoReplyIsOutstandingOnceTheDriverIsClosed(t *testing.T) {
	t.Parallel()
	for range 50 { // between a queue with room and the end, a select chooses at random
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			var count outstanding
			mustSend(t, d, "reply_q", &count)
			mustAttempt(t, d).settle(transport.ErrRejected) // it is sent again after a pause, or by Close
			if err := d.Close(t.Context()); err != nil {
				t.Errorf("Close = %v", err)
			}
			wantOutstanding(t, &count, 0)
			var s settlement
			if err := d.direct.submit(t.Context(), s.publication("late")); err == nil {
				s.want(t, "late", transport.ErrClosed)
			}
		})
	}
}

func TestReplyOnItsWayEndsWithTheDriver(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var count outstanding
		mustSend(t, d, "reply_q", &count)
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
		wantOutstanding(t, &count, 0)
		if d.Stats().RepliesDropped != 1 {
			t.Error("it is not counted as dropped")
		}
	})
}

func TestSendGivesUpWithItsContextWhereThePublisherIsBusy(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var count outstanding
		for range laneQueue {
			mustSend(t, d, "reply_q", &count)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := d.replier.send(ctx, "reply_q", answer(), &count, func(error) {})
		wantError(t, "send", err, transport.ErrNotConnected)
		wantError(t, "send", err, context.DeadlineExceeded)
		wantOutstanding(t, &count, laneQueue)
	})
}

func TestOutstandingWaitsForTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o outstanding
		if err := o.wait(t.Context()); err != nil {
			t.Errorf("wait for none = %v", err)
		}
		o.add()
		o.add()
		waits := make(chan error, 2)
		for range 2 {
			go func() { waits <- o.wait(t.Context()) }()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantError(t, "wait", o.wait(ctx), context.DeadlineExceeded)
		o.done()
		synctest.Wait()
		if len(waits) != 0 {
			t.Error("the wait ended before the last reply")
		}
		o.done()
		for range 2 {
			if err := <-waits; err != nil {
				t.Errorf("wait = %v", err)
			}
		}
		o.add() // and round again
		go func() { waits <- o.wait(t.Context()) }()
		synctest.Wait()
		o.done()
		if err := <-waits; err != nil {
			t.Errorf("second wait = %v", err)
		}
	})
}

// requestOf is a call whose caller has that reply queue.
func requestOf(queue string) *transport.Request {
	return &transport.Request{MsgID: wire.TextValue("m"), ReplyQueue: queue}
}
