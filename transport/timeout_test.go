package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/transport"
)

// sentinels are what the end of a call may match.
var sentinels = []error{
	transport.ErrTimeout, transport.ErrMonitorTimeout, transport.ErrUndeliverable, transport.ErrRejected,
	transport.ErrUnconfirmed, transport.ErrConnectionLost, transport.ErrNotConnected, transport.ErrClosed,
	context.DeadlineExceeded, context.Canceled, errPatience,
}

// errPatience is a cause that contexts of the tests may have.
var errPatience = errors.New("the user's patience")

// wantMatches checks that err matches those of the sentinels that are wanted, and none of the others.
func wantMatches(tb testing.TB, err error, want ...error) {
	tb.Helper()
	for _, sentinel := range sentinels {
		wanted := slices.ContainsFunc(want, func(w error) bool { return errors.Is(w, sentinel) })
		if got := errors.Is(err, sentinel); got != wanted {
			tb.Errorf("error %v matches %q: %t, want %t", err, sentinel, got, wanted)
		}
	}
}

// after waits for a time of the bubble.
func after(d time.Duration) { <-time.After(d) }

// TestTimeoutTellsHowFarTheCallCame lets calls of a minute come as far as there is, and end.
func TestTimeoutTellsHowFarTheCallCame(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	heartbeats := func(t *testing.T, calls *transport.Calls, n int) {
		t.Helper()
		for range n {
			after(10 * time.Second)
			deliver(t, calls, replyTo("m-1", "", false))
		}
	}
	for name, c := range map[string]struct {
		monitor  time.Duration
		withdraw bool
		script   func(t *testing.T, calls *transport.Calls, call *transport.PendingCall)
		want     transport.TimeoutError
		matches  []error // but ErrTimeout
		text     string  // behind "... message m-1 after "
	}{
		"still in a queue of the driver": {
			withdraw: true,
			script:   func(*testing.T, *transport.Calls, *transport.PendingCall) {},
			want:     transport.TimeoutError{Reason: transport.ReasonNotSent, Timeline: transport.Timeline{Ended: time.Minute}},
			matches:  []error{transport.ErrNotConnected, context.DeadlineExceeded},
			text:     "1m0s: nothing was sent: not connected to a broker: context deadline exceeded",
		},
		"about to be sent": {
			script:  func(*testing.T, *transport.Calls, *transport.PendingCall) {},
			want:    transport.TimeoutError{Reason: transport.ReasonUnconfirmed, Timeline: transport.Timeline{Ended: time.Minute}},
			matches: []error{transport.ErrUnconfirmed, context.DeadlineExceeded},
			text:    "1m0s: the broker did not confirm the request, which was about to be sent",
		},
		"sent": {
			script: func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) {
				after(1234567)
				call.Sent()
			},
			want: transport.TimeoutError{
				Reason: transport.ReasonUnconfirmed, Timeline: transport.Timeline{Sent: 1234567, Ended: time.Minute},
			},
			matches: []error{transport.ErrUnconfirmed, context.DeadlineExceeded},
			text:    "1m0s: the broker did not confirm the request, sent after 1.23ms",
		},
		"sent on a second connection": {
			script: func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) {
				call.Sent()
				after(3 * time.Second)
				call.Sent()
			},
			want: transport.TimeoutError{
				Reason: transport.ReasonUnconfirmed, Timeline: transport.Timeline{Sent: 3 * time.Second, Ended: time.Minute},
			},
			matches: []error{transport.ErrUnconfirmed, context.DeadlineExceeded},
			text:    "1m0s: the broker did not confirm the request, sent after 3s",
		},
		"returned": {
			script: func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) {
				after(ms)
				call.Sent()
				after(2 * ms)
				call.Settled(fmt.Errorf("publish: %w", transport.ErrUndeliverable))
			},
			want: transport.TimeoutError{
				Reason: transport.ReasonNoQueue, Timeline: transport.Timeline{Sent: ms, Returned: 3 * ms, Ended: time.Minute},
			},
			matches: []error{transport.ErrUndeliverable, context.DeadlineExceeded},
			text:    "1m0s: no queue took the request (returned after 3ms)",
		},
		"returned, with a monitor": {
			monitor: 5 * time.Second,
			script: func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) {
				after(ms)
				call.Settled(transport.ErrUndeliverable)
			},
			want: transport.TimeoutError{
				Reason: transport.ReasonNoQueue, Monitor: 5 * time.Second,
				Timeline: transport.Timeline{Sent: ms, Returned: ms, Ended: 5*time.Second + ms},
			},
			matches: []error{transport.ErrUndeliverable, transport.ErrMonitorTimeout},
			text:    "5s: no queue took the request (returned after 1ms), no heartbeat for 5s",
		},
		"taken": {
			script: func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) {
				call.Sent()
				after(4 * ms)
				call.Settled(nil)
			},
			want: transport.TimeoutError{
				Reason: transport.ReasonUnanswered, Timeline: transport.Timeline{Sent: 1, Confirmed: 4 * ms, Ended: time.Minute},
			},
			matches: []error{context.DeadlineExceeded},
			text:    "1m0s: taken by the broker after 4ms, no answer",
		},
		"taken and running": {
			monitor: 15 * time.Second,
			script: func(t *testing.T, calls *transport.Calls, call *transport.PendingCall) {
				t.Helper()
				call.Settled(nil)
				heartbeats(t, calls, 5)
			},
			want: transport.TimeoutError{Reason: transport.ReasonUnanswered, Timeline: transport.Timeline{
				Sent: 1, Confirmed: 1, Heartbeats: 5, LastHeartbeat: 50 * time.Second, Ended: time.Minute,
			}},
			matches: []error{context.DeadlineExceeded},
			text:    "1m0s: taken by the broker after 1ns, 5 heartbeats, the last after 50s, no answer",
		},
		"running, though the broker's confirm never came": {
			monitor: 55 * time.Second,
			script: func(t *testing.T, calls *transport.Calls, _ *transport.PendingCall) {
				t.Helper()
				heartbeats(t, calls, 1)
			},
			want: transport.TimeoutError{Reason: transport.ReasonUnanswered, Timeline: transport.Timeline{
				Heartbeats: 1, LastHeartbeat: 10 * time.Second, Ended: time.Minute,
			}},
			matches: []error{context.DeadlineExceeded},
			text:    "1m0s: taken by a server, 1 heartbeat after 10s, no answer",
		},
		"taken, and silent since": {
			monitor: 2500 * ms,
			script:  func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) { call.Settled(nil) },
			want: transport.TimeoutError{
				Reason: transport.ReasonSilent, Monitor: 2500 * ms,
				Timeline: transport.Timeline{Sent: 1, Confirmed: 1, Ended: 2500 * ms},
			},
			matches: []error{transport.ErrMonitorTimeout},
			text:    "2.5s: taken by the broker after 1ns, no heartbeat for 2.5s",
		},
		"running, and silent after two heartbeats": {
			monitor: 12 * time.Second,
			script: func(t *testing.T, calls *transport.Calls, call *transport.PendingCall) {
				t.Helper()
				call.Settled(nil)
				heartbeats(t, calls, 2)
			},
			want: transport.TimeoutError{
				Reason: transport.ReasonSilent, Monitor: 12 * time.Second, Timeline: transport.Timeline{
					Sent: 1, Confirmed: 1, Heartbeats: 2, LastHeartbeat: 20 * time.Second, Ended: 32 * time.Second,
				},
			},
			matches: []error{transport.ErrMonitorTimeout},
			text:    "32s: taken by the broker after 1ns, 2 heartbeats, the last after 20s, then none for 12s",
		},
		"still in a queue of the driver, with a monitor": {
			monitor: 5 * time.Second, withdraw: true,
			script: func(*testing.T, *transport.Calls, *transport.PendingCall) {},
			want: transport.TimeoutError{
				Reason: transport.ReasonNotSent, Monitor: 5 * time.Second, Timeline: transport.Timeline{Ended: 5 * time.Second},
			},
			matches: []error{transport.ErrMonitorTimeout, transport.ErrNotConnected},
			text:    "5s: nothing was sent, no heartbeat for 5s: not connected to a broker",
		},
		"sent, with a monitor": {
			monitor: 5 * time.Second,
			script:  func(_ *testing.T, _ *transport.Calls, call *transport.PendingCall) { call.Sent() },
			want: transport.TimeoutError{
				Reason: transport.ReasonUnconfirmed, Monitor: 5 * time.Second,
				Timeline: transport.Timeline{Sent: 1, Ended: 5 * time.Second},
			},
			matches: []error{transport.ErrMonitorTimeout, transport.ErrUnconfirmed},
			text:    "5s: the broker did not confirm the request, sent after 1ns, no heartbeat for 5s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls transport.Calls
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				call := calls.New(transport.SendOptions{Monitor: c.monitor})
				c.want.Began = time.Now()
				if err := call.Await("m-1", func() bool { return c.withdraw }); err != nil {
					t.Fatal(err)
				}
				if c.monitor > 0 && c.want.Heartbeats > 0 { // they restart the monitor of one that waits
					go c.script(t, &calls, call)
				} else {
					c.script(t, &calls, call)
				}
				_, err := call.Wait(ctx)
				var got *transport.TimeoutError
				if !errors.As(err, &got) {
					t.Fatalf("Wait = %v, want a TimeoutError", err)
				}
				c.want.MsgID = "m-1"
				if diff := cmp.Diff(&c.want, got, cmpopts.IgnoreUnexported(transport.TimeoutError{})); diff != "" {
					t.Errorf("another time line (-want +got):\n%s", diff)
				}
				wantMatches(t, err, append(c.matches, transport.ErrTimeout)...)
				if want := "timed out waiting for a reply to message m-1 after " + c.text; err.Error() != want {
					t.Errorf("the text is\n%s, want\n%s", err, want)
				}
				wantWaiting(t, &calls, 0)
			})
		})
	}
}

// TestEndOfTheContextKeepsItsCause ends calls that the broker took by deadlines and cancellations, with causes and
// without.
func TestEndOfTheContextKeepsItsCause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end     func(context.Context) (context.Context, context.CancelFunc)
		matches []error
		text    string
	}{
		"a deadline": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			},
			[]error{transport.ErrTimeout, context.DeadlineExceeded},
			"timed out waiting for a reply to message m-1 after 1s: taken by the broker after 1ns, no answer",
		},
		"a deadline with a cause": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeoutCause(ctx, time.Second, errPatience)
			},
			[]error{transport.ErrTimeout, context.DeadlineExceeded, errPatience},
			"timed out waiting for a reply to message m-1 after 1s: taken by the broker after 1ns, no answer: the user's patience",
		},
		"a cancellation": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			},
			[]error{context.Canceled},
			"cancelled after 1s waiting for a reply to message m-1: taken by the broker after 1ns, no answer: context canceled",
		},
		"a cancellation with a cause": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Second, func() { cancel(errPatience) })
				return ctx, func() { cancel(nil) }
			},
			[]error{context.Canceled, errPatience},
			"cancelled after 1s waiting for a reply to message m-1: taken by the broker after 1ns, no answer: the user's patience",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls transport.Calls
				ctx, cancel := c.end(t.Context())
				defer cancel()
				call := begin(t, &calls, "m-1", 0)
				call.Settled(nil)
				_, err := call.Wait(ctx)
				wantMatches(t, err, c.matches...)
				if err.Error() != c.text {
					t.Errorf("the text is\n%s, want\n%s", err, c.text)
				}
				var timeout *transport.TimeoutError
				if want := errors.Is(err, transport.ErrTimeout); errors.As(err, &timeout) != want {
					t.Errorf("Wait = %v is a TimeoutError: %t, want %t", err, !want, want)
				}
			})
		})
	}
}

// TestCancelledCallTellsHowFarItCame cancels calls at every stage.
func TestCancelledCallTellsHowFarItCame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script   func(call *transport.PendingCall)
		withdraw bool
		matches  error // but the context's errors
		text     string
	}{
		"not sent": {
			func(*transport.PendingCall) {}, true, transport.ErrNotConnected,
			"nothing was sent: not connected to a broker: the user's patience",
		},
		"sent": {
			(*transport.PendingCall).Sent, false, transport.ErrUnconfirmed,
			"the broker did not confirm the request, sent after 1ns: the user's patience",
		},
		"returned": {
			func(call *transport.PendingCall) { call.Settled(transport.ErrUndeliverable) }, false, transport.ErrUndeliverable,
			"no queue took the request (returned after 1ns): the user's patience",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls transport.Calls
				ctx, cancel := context.WithCancelCause(t.Context())
				call := calls.New(transport.SendOptions{})
				if err := call.Await("m-1", func() bool { return c.withdraw }); err != nil {
					t.Fatal(err)
				}
				c.script(call)
				after(time.Minute)
				cancel(errPatience)
				_, err := call.Wait(ctx)
				wantMatches(t, err, c.matches, context.Canceled, errPatience)
				if want := "cancelled after 1m0s waiting for a reply to message m-1: " + c.text; err.Error() != want {
					t.Errorf("the text is\n%s, want\n%s", err, want)
				}
			})
		})
	}
}

func TestReturnEndsAMandatoryCallAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls transport.Calls
		begun := time.Now()
		call := calls.New(transport.SendOptions{Mandatory: true})
		if err := call.Await("m-1", nil); err != nil {
			t.Fatal(err)
		}
		returned := fmt.Errorf("publish: %w", transport.ErrUndeliverable)
		call.Settled(returned)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := call.Wait(ctx)
		if waited := time.Since(begun); waited != 0 || !errors.Is(err, returned) {
			t.Errorf("Wait = %v after %s, want %v at once", err, waited, returned)
		}
		wantMatches(t, err, transport.ErrUndeliverable)
	})
}

func TestBrokersRefusalEndsEveryCallAtOnce(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{transport.ErrRejected, transport.ErrConnectionLost, transport.ErrTooLarge} {
		var calls transport.Calls
		call := begin(t, &calls, "m-1", 0)
		call.Sent()
		call.Settled(reason)
		if _, err := call.Wait(t.Context()); !errors.Is(err, reason) || errors.Is(err, transport.ErrTimeout) {
			t.Errorf("Wait = %v, want %v and no timeout", err, reason)
		}
	}
}

func TestFailureOfACallThatWasNotSentSaysSo(t *testing.T) {
	t.Parallel()
	var calls transport.Calls
	call := calls.New(transport.SendOptions{})
	if err := call.Await("m-1", func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	calls.Close(transport.ErrClosed)
	_, err := call.Wait(t.Context())
	wantMatches(t, err, transport.ErrClosed, transport.ErrNotConnected)
}

// TestCallThatCouldNotBeSentIsATimeoutIfItsDeadlinePassed gives drivers' errors to Unsent, before there is a message
// id.
func TestCallThatCouldNotBeSentIsATimeoutIfItsDeadlinePassed(t *testing.T) {
	t.Parallel()
	refused := errors.New("connection refused")
	expired, cancelExpired := context.WithTimeoutCause(t.Context(), -1, errPatience)
	defer cancelExpired()
	plain, cancelPlain := context.WithTimeout(t.Context(), -1)
	defer cancelPlain()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context //nolint:containedctx // a table of contexts
		err     error
		matches []error
		text    string // behind the time
	}{
		"a deadline": {
			plain, fmt.Errorf("%w: %w (last attempt: %w)", transport.ErrNotConnected, context.DeadlineExceeded, refused),
			[]error{transport.ErrTimeout, transport.ErrNotConnected, context.DeadlineExceeded},
			": nothing was sent: not connected to a broker: context deadline exceeded (last attempt: connection refused)",
		},
		"a deadline with a cause": {
			expired, fmt.Errorf("%w: %w (last attempt: %w)", transport.ErrNotConnected, errPatience, refused),
			[]error{transport.ErrTimeout, transport.ErrNotConnected, context.DeadlineExceeded, errPatience},
			": nothing was sent: not connected to a broker: the user's patience (last attempt: connection refused)",
		},
		"a cancellation": {
			cancelled, fmt.Errorf("%w: %w (last attempt: %w)", transport.ErrNotConnected, context.Canceled, refused),
			[]error{transport.ErrNotConnected, context.Canceled},
			": nothing was sent: not connected to a broker: context canceled (last attempt: connection refused)",
		},
		"another reason, though the deadline passed": {plain, refused, nil, "connection refused"},
		"another reason": {t.Context(), transport.ErrClosed, []error{transport.ErrClosed}, "closed"},
	} {
		var calls transport.Calls
		err := calls.New(transport.SendOptions{}).Unsent(c.ctx, c.err)
		wantMatches(t, err, c.matches...)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: Unsent = %v, want what was given in its chain", name, err)
		}
		if got := err.Error(); len(got) < len(c.text) || got[len(got)-len(c.text):] != c.text {
			t.Errorf("%s: Unsent = %v, want it to end in %q", name, err, c.text)
		}
	}
}

func TestDurationsInTheTextHaveThreeDigitsOrSeconds(t *testing.T) {
	t.Parallel()
	for want, sent := range map[string]time.Duration{
		"1ns": 1, "999ns": 999, "1.23µs": 1234, "12.3µs": 12345, "124µs": 123567, "1ms": 999999, "58.1s": 58_123 * time.Millisecond,
		"1m17.3s": 77_345 * time.Millisecond, "27h50m34s": 100_234 * time.Second,
	} {
		err := &transport.TimeoutError{Reason: transport.ReasonUnconfirmed, Timeline: transport.Timeline{Sent: sent}}
		if got, want := err.Error(), "timed out waiting for a reply after 0s: the broker did not confirm the request, sent after "+want; got != want {
			t.Errorf("the text is %q, want %q", got, want)
		}
	}
}

func TestReasonsHaveNames(t *testing.T) {
	t.Parallel()
	for reason, want := range map[transport.TimeoutReason]string{
		transport.ReasonNotSent: "not sent", transport.ReasonUnconfirmed: "unconfirmed", transport.ReasonNoQueue: "no queue",
		transport.ReasonSilent: "silent", transport.ReasonUnanswered: "unanswered",
		transport.ReasonBlocked: "blocked", 0: "TimeoutReason(0)",
	} {
		if got := reason.String(); got != want {
			t.Errorf("reason %d is %q, want %q", int(reason), got, want)
		}
	}
}

func TestTimeLineTakesNoMemoryOfItsOwn(t *testing.T) { // not beside others, whose memory would be counted
	var calls transport.Calls
	call := begin(t, &calls, "m-1", 0)
	if allocs := testing.AllocsPerRun(100, func() { call.Sent(); call.Settled(nil) }); allocs > 0 {
		t.Errorf("%v allocations to note that a request was sent and taken, want none", allocs)
	}
	call.Abandon()
}

// TestBlockedCallSaysSoWhateverEndsIt has the broker take no messages, with the request sent or not.
func TestBlockedCallSaysSoWhateverEndsIt(t *testing.T) {
	t.Parallel()
	blocked := fmt.Errorf("%w (low on memory)", transport.ErrBlocked)
	for name, c := range map[string]struct {
		unsent  bool
		monitor time.Duration
		reason  transport.TimeoutReason
		matches []error
	}{
		"not sent":            {true, 0, transport.ReasonBlocked, []error{transport.ErrBlocked, context.DeadlineExceeded}},
		"not sent, monitored": {true, time.Second, transport.ReasonBlocked, []error{transport.ErrBlocked, transport.ErrMonitorTimeout}},
		"sent": {
			false, 0, transport.ReasonUnconfirmed,
			[]error{transport.ErrBlocked, transport.ErrUnconfirmed, context.DeadlineExceeded},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var calls transport.Calls
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			call := calls.New(transport.SendOptions{Monitor: c.monitor})
			call.Explain(func() error { return blocked })
			if err := call.Await("m-1", func() bool { return c.unsent }); err != nil {
				t.Fatal(err)
			}
			_, err := call.Wait(ctx)
			var timeout *transport.TimeoutError
			if !errors.As(err, &timeout) || timeout.Reason != c.reason {
				t.Errorf("%s: Wait = %v, want a timeout for the reason %q", name, err, c.reason)
			}
			for _, want := range c.matches {
				if !errors.Is(err, want) {
					t.Errorf("%s: Wait = %v, want an error that matches %q", name, err, want)
				}
			}
			if errors.Is(err, transport.ErrUnconfirmed) == c.unsent || errors.Is(err, transport.ErrNotConnected) {
				t.Errorf("%s: Wait = %v tells otherwise whether it was sent", name, err)
			}
		})
	}
}
