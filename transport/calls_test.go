package transport_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

func begin(tb testing.TB, calls *transport.Calls, id string, monitor time.Duration) *transport.PendingCall {
	tb.Helper()
	call := calls.New(transport.SendOptions{Monitor: monitor})
	if err := call.Await(id, nil); err != nil {
		tb.Fatal(err)
	}
	return call
}

// replyTo makes a reply; an empty result is none.
func replyTo(id, result string, ending bool) *transport.Reply {
	r := &transport.Reply{MsgID: wire.TextValue(id), Ending: ending}
	if result != "" {
		r.Result = transport.Value(result)
	}
	return r
}

func deliver(tb testing.TB, calls *transport.Calls, reply *transport.Reply) {
	tb.Helper()
	if !calls.Deliver(reply) {
		tb.Errorf("no call takes reply %s", reply.MsgID)
	}
}

func wantWaiting(tb testing.TB, calls *transport.Calls, want int) {
	tb.Helper()
	if got := calls.Waiting(); got != want {
		tb.Errorf("%d calls wait, want %d", got, want)
	}
}

func TestReplyReachesTheCallThatWaits(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	one, two := begin(t, &calls, "1", 0), begin(t, &calls, "2", 0)
	wantWaiting(t, &calls, 2)
	failure := &transport.Failure{Class: "KeyError"}
	deliver(t, &calls, &transport.Reply{MsgID: wire.TextValue("2"), Failure: failure, Ending: true})
	deliver(t, &calls, replyTo("1", "42", true))
	if got, err := one.Wait(t.Context()); err != nil || string(got.Result) != "42" {
		t.Errorf("first call: Wait = %v, %v; want its result", got, err)
	}
	if got, err := two.Wait(t.Context()); err != nil || got.Failure != failure {
		t.Errorf("second call: Wait = %v, %v; want its failure", got, err)
	}
	wantWaiting(t, &calls, 0)
}

func TestReplyThatNoCallWaitsForIsDropped(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	if calls.Deliver(replyTo("1", "1", true)) {
		t.Error("a reply was taken before any call began")
	}
	call, abandoned := begin(t, &calls, "1", 0), begin(t, &calls, "2", 0)
	abandoned.Abandon()
	abandoned.Abandon()
	deliver(t, &calls, replyTo("1", "1", true))
	for name, reply := range map[string]*transport.Reply{
		"a second one":            replyTo("1", "2", true),
		"a late heartbeat":        replyTo("1", "", false),
		"one to an abandoned one": replyTo("2", "1", true),
		"one to an unknown one":   replyTo("3", "1", true),
		"one without id":          {Ending: true},
		"one whose id is no text": {MsgID: transport.Value("1"), Ending: true},
	} {
		if calls.Deliver(reply) {
			t.Errorf("%s was taken", name)
		}
	}
	if got, err := call.Wait(t.Context()); err != nil || string(got.Result) != "1" {
		t.Errorf("Wait = %v, %v; want the first reply", got, err)
	}
	if calls.Deliver(replyTo("1", "2", true)) {
		t.Error("a reply was taken after its call had ended")
	}
}

// TestReplyOfTwoMessagesIsOne delivers what servers of old send: a result that does not end the call, then a
// message without one that does. Heartbeats may come at any point.
func TestReplyOfTwoMessagesIsOne(t *testing.T) {
	t.Parallel()
	failed := func(ending bool) *transport.Reply {
		return &transport.Reply{MsgID: wire.TextValue("1"), Failure: &transport.Failure{Class: "KeyError"}, Ending: ending}
	}
	heartbeat := func() *transport.Reply { return replyTo("1", "", false) }
	ending := func() *transport.Reply { return replyTo("1", "null", true) }
	for name, c := range map[string]struct {
		messages []*transport.Reply
		want     string
	}{
		"one message":                        {[]*transport.Reply{replyTo("1", "7", true)}, "7"},
		"no result at all":                   {[]*transport.Reply{ending()}, "null"},
		"a result and an end":                {[]*transport.Reply{replyTo("1", "7", false), ending()}, "7"},
		"a failure and an end":               {[]*transport.Reply{failed(false), ending()}, "KeyError"},
		"heartbeats all around":              {[]*transport.Reply{heartbeat(), replyTo("1", "7", false), heartbeat(), heartbeat(), ending()}, "7"},
		"heartbeats before one message":      {[]*transport.Reply{heartbeat(), heartbeat(), replyTo("1", "7", true)}, "7"},
		"a result that a later one replaces": {[]*transport.Reply{replyTo("1", "6", false), replyTo("1", "7", true)}, "7"},
		"a result that a failure replaces":   {[]*transport.Reply{replyTo("1", "6", false), failed(true)}, "KeyError"},
		"heartbeats before an empty end":     {[]*transport.Reply{heartbeat(), ending()}, "null"},
		"a false result is a result":         {[]*transport.Reply{replyTo("1", "6", false), replyTo("1", "false", true)}, "false"},
	} {
		for when, pace := range map[string]func(){"all at once": func() {}, "one by one": synctest.Wait} {
			t.Run(name+"/"+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var calls transport.Calls
					call := begin(t, &calls, "1", 0)
					got := make(chan string, 1)
					wait := func() { got <- outcomeOf(call.Wait(t.Context())) }
					if when == "one by one" {
						go wait()
					}
					pace()
					for _, message := range c.messages {
						copied := *message // delivering may add to it, and the messages are used twice
						deliver(t, &calls, &copied)
						pace()
					}
					if when == "all at once" {
						wait()
					}
					if got := <-got; got != c.want {
						t.Errorf("Wait = %s, want %s", got, c.want)
					}
				})
			})
		}
	}
}

func outcomeOf(reply *transport.Reply, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case reply.Failure != nil:
		return reply.Failure.Class
	case reply.Result.Null():
		return "null"
	}
	return string(reply.Result)
}

func TestSilenceEndsAMonitoredCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls transport.Calls
		begun := time.Now()
		_, err := begin(t, &calls, "1", 5*time.Second).Wait(t.Context())
		if !errors.Is(err, transport.ErrMonitorTimeout) || !errors.Is(err, transport.ErrTimeout) {
			t.Errorf("Wait = %v, want ErrMonitorTimeout, which is an ErrTimeout", err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, which matches DeadlineExceeded though no deadline passed", err)
		}
		if text := err.Error(); !strings.Contains(text, "5s") || !strings.Contains(text, "message 1") {
			t.Errorf("Wait = %v, want the time and the message in it", err)
		}
		if waited := time.Since(begun); waited != 5*time.Second {
			t.Errorf("waited %s, want 5s", waited)
		}
		wantWaiting(t, &calls, 0)
	})
}

func TestHeartbeatsKeepAMonitoredCallAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls transport.Calls
		call := begin(t, &calls, "1", 5*time.Second)
		begun := time.Now()
		go func() {
			for range 3 {
				<-time.After(4 * time.Second)
				deliver(t, &calls, replyTo("1", "", false))
			}
		}()
		_, err := call.Wait(t.Context())
		if waited := time.Since(begun); !errors.Is(err, transport.ErrMonitorTimeout) || waited != 17*time.Second {
			t.Errorf("Wait = %v after %s, want ErrMonitorTimeout 5s after the last heartbeat, at 17s", err, waited)
		}
	})
}

func TestHeartbeatsNeverExtendTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls transport.Calls
		call := begin(t, &calls, "1", 5*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		var server sync.WaitGroup
		defer server.Wait()
		server.Go(func() {
			for ctx.Err() == nil {
				<-time.After(time.Second + time.Millisecond)
				calls.Deliver(replyTo("1", "", false))
			}
		})
		_, err := call.Wait(ctx)
		if !errors.Is(err, transport.ErrTimeout) || errors.Is(err, transport.ErrMonitorTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want ErrTimeout with DeadlineExceeded", err)
		}
		if waited := time.Since(begun); waited != 10*time.Second {
			t.Errorf("waited %s, want 10s", waited)
		}
	})
}

func TestHeartbeatsWithoutMonitorAreHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls transport.Calls
		call := begin(t, &calls, "1", 0)
		go func() {
			deliver(t, &calls, replyTo("1", "", false))
			<-time.After(time.Hour)
			deliver(t, &calls, replyTo("1", "1", true))
		}()
		if got := outcomeOf(call.Wait(t.Context())); got != "1" {
			t.Errorf("Wait = %s, want the reply of an hour later", got)
		}
	})
}

func TestCancelledCallIsForgotten(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	call := begin(t, &calls, "1", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := call.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want Canceled", err)
	}
	wantWaiting(t, &calls, 0)
}

func TestFailureToSendEndsTheCall(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	call, other := begin(t, &calls, "1", 0), begin(t, &calls, "2", 0)
	call.Fail(transport.ErrUndeliverable)
	call.Fail(transport.ErrRejected) // the first one counts, and a second one does not block
	if _, err := call.Wait(t.Context()); !errors.Is(err, transport.ErrUndeliverable) {
		t.Errorf("Wait = %v, want ErrUndeliverable", err)
	}
	call.Fail(transport.ErrRejected)
	wantWaiting(t, &calls, 1)
	deliver(t, &calls, replyTo("2", "2", true))
	if got := outcomeOf(other.Wait(t.Context())); got != "2" {
		t.Errorf("the other call: Wait = %s, want its reply", got)
	}
}

func TestFailEndsAllThatWaitAndNoneThatBeginLater(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	calls.Fail(transport.ErrConnectionLost) // nobody waits
	waiting := []*transport.PendingCall{begin(t, &calls, "1", 0), begin(t, &calls, "2", time.Minute)}
	calls.Fail(transport.ErrConnectionLost)
	wantWaiting(t, &calls, 0)
	for _, call := range waiting {
		if _, err := call.Wait(t.Context()); !errors.Is(err, transport.ErrConnectionLost) {
			t.Errorf("Wait = %v, want ErrConnectionLost", err)
		}
	}
	later := begin(t, &calls, "3", 0)
	deliver(t, &calls, replyTo("3", "3", true))
	if got := outcomeOf(later.Wait(t.Context())); got != "3" {
		t.Errorf("a later call: Wait = %s, want its reply", got)
	}
}

func TestCloseEndsAllThatWaitAndAllThatBeginLater(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	call := begin(t, &calls, "1", 0)
	calls.Close(transport.ErrClosed)
	calls.Close(transport.ErrConnectionLost) // the first reason stays
	if _, err := call.Wait(t.Context()); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Wait = %v, want ErrClosed", err)
	}
	if err := calls.New(transport.SendOptions{}).Await("2", nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Await after Close = %v, want ErrClosed", err)
	}
	if calls.Deliver(replyTo("1", "1", true)) {
		t.Error("a reply was taken after Close")
	}
}

// TestReplyThatIsThereWinsOverEverythingElse lets a call find its reply and a reason to fail at the same time:
// the method ran, and its caller must learn the result.
func TestReplyThatIsThereWinsOverEverythingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 50 { // a select between the two would choose at random
			var calls transport.Calls
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			call := begin(t, &calls, "1", time.Second)
			deliver(t, &calls, replyTo("1", "1", true))
			call.Fail(transport.ErrConnectionLost)
			<-ctx.Done()
			if got := outcomeOf(call.Wait(ctx)); got != "1" {
				t.Fatalf("Wait = %s, want the reply", got)
			}
			cancel()
		}
	})
}

func TestHeartbeatThatIsThereDoesNotHideTheEndOfTheCall(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	call := begin(t, &calls, "1", 0)
	deliver(t, &calls, replyTo("1", "", false))
	call.Fail(transport.ErrRejected)
	if _, err := call.Wait(t.Context()); !errors.Is(err, transport.ErrRejected) {
		t.Errorf("Wait = %v, want ErrRejected", err)
	}
}

func TestReplyThatIsThereWinsOverSilence(t *testing.T) {
	t.Parallel()
	for range 200 {
		var calls transport.Calls
		call := begin(t, &calls, "1", time.Nanosecond) // over before Wait looks
		deliver(t, &calls, replyTo("1", "1", true))
		if got := outcomeOf(call.Wait(t.Context())); got != "1" {
			t.Fatalf("Wait = %s, want the reply", got)
		}
	}
}

// TestCallsComeAndGoAtOnce is for the race detector: callers that wait, abandon and are failed, one goroutine
// that delivers, as in a driver.
func TestCallsComeAndGoAtOnce(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	const callers, each = 8, 50
	ids := make(chan string, callers)
	var waiting sync.WaitGroup
	for caller := range callers {
		waiting.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", caller, i)
				call := begin(t, &calls, id, time.Minute)
				switch i % 5 {
				case 0:
					call.Abandon()
				case 1:
					call.Fail(transport.ErrRejected)
					if _, err := call.Wait(t.Context()); !errors.Is(err, transport.ErrRejected) {
						t.Errorf("Wait = %v, want ErrRejected", err)
					}
				default:
					ids <- id
					if got := outcomeOf(call.Wait(t.Context())); got != `"`+id+`"` {
						t.Errorf("call %s got %s", id, got)
					}
				}
			}
		})
	}
	go func() { waiting.Wait(); close(ids) }()
	for id := range ids {
		deliver(t, &calls, replyTo(id, "", false))
		deliver(t, &calls, replyTo(id, `"`+id+`"`, true))
	}
	wantWaiting(t, &calls, 0)
}

func TestPrepareFillsInWhatTheRequestOwes(t *testing.T) {
	t.Parallel()
	var req transport.Request
	first := transport.Prepare(&req, "reply_q", 2500*time.Millisecond)
	if id, _ := req.MsgID.Text(); id != first || len(first) != 32 || req.ReplyQueue != "reply_q" {
		t.Errorf("call: message id %s, reply queue %s; want %s of 32 digits and reply_q", req.MsgID, req.ReplyQueue, first)
	}
	if !req.Call() || string(req.MonitorTimeout) != "2.5" {
		t.Errorf("call: Call() = %v, monitor timeout %s; want a call with 2.5", req.Call(), req.MonitorTimeout)
	}
	unique := req.UniqueID
	if len(unique) != 32 || unique == first {
		t.Errorf("call: unique id %q, want 32 digits of its own", unique)
	}
	if second := transport.Prepare(&req, "reply_q", 0); second == first || req.UniqueID == unique || req.MonitorTimeout != nil {
		t.Errorf("second call: ids %s, %s, monitor timeout %s; want fresh ones and none", second, req.UniqueID, req.MonitorTimeout)
	}
	if id := transport.Prepare(&req, "", time.Second); id != "" || req.Call() || req.ReplyQueue != "" || req.MonitorTimeout != nil {
		t.Errorf("cast: id %q, request %+v; want no trace of the call before", id, req)
	}
	if req.UniqueID == "" {
		t.Error("cast: there is no unique id")
	}
}

// TestCallsThatWereJustSentCanBeFailedAlone has calls of each kind, and fails those that had just been sent.
func TestCallsThatWereJustSentCanBeFailedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls transport.Calls
		begun := func(id string, monitor time.Duration) *transport.PendingCall {
			<-time.After(time.Millisecond) // a time line counts from the begin
			call := begin(t, &calls, id, monitor)
			<-time.After(time.Millisecond)
			call.Sent()
			return call
		}
		begun("old", 0)
		<-time.After(time.Second)
		recent, answered := begun("recent", 0), begun("answered", 0)
		begun("monitored", time.Minute)
		begin(t, &calls, "unsent", 0)
		those := calls.SentWithin(time.Second)
		if len(those) != 2 {
			t.Errorf("%d calls were sent within a second, want 2", len(those))
		}
		deliver(t, &calls, replyTo("answered", "1", true))
		if n := calls.FailThose(those, transport.ErrReplyPathLost); n != 1 {
			t.Errorf("%d calls failed, want 1", n)
		}
		if _, err := recent.Wait(t.Context()); !errors.Is(err, transport.ErrReplyPathLost) {
			t.Errorf("Wait = %v, want ErrReplyPathLost", err)
		}
		if _, err := answered.Wait(t.Context()); err != nil {
			t.Errorf("Wait of the call that was answered = %v", err)
		}
		wantWaiting(t, &calls, 3)
	})
}
