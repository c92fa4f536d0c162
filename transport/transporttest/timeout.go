package transporttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// allowance is the time of calls that shall end without a reply: enough for a busy broker to take or to return a
// request, and for a server to send heartbeats.
const allowance = 2 * time.Second

var timeoutTests = []test{
	{"a call that no queue takes ends at its deadline and says so", returnedCall},
	{"a monitored call that no queue takes ends with its monitor and says so", returnedMonitoredCall},
	{"a call that is taken and not answered has a time line", unansweredCall},
	{"heartbeats of a call that times out are counted", heartbeatsAreCounted},
	{"a monitored call tells when its server was last heard of", lastHeardOf},
	{"a cancelled call tells its cause and how far it came", cancelledWithCause},
	{"a deadline's cause is kept", deadlineWithCause},
	{"a call whose deadline has passed is a timeout that sent nothing", passedDeadline},
}

// nowhere is a target that nobody listens on, of an exchange that exists.
func (b *bus) nowhere() target.Target {
	to := b.topic
	to.Topic = unique("nobody")
	return to
}

// timedOut checks that err is a timeout for that reason, whose time line is in order.
func timedOut(tb testing.TB, err error, reason transport.TimeoutReason) *transport.TimeoutError {
	tb.Helper()
	mustMatch(tb, "call", err, transport.ErrTimeout)
	var timeout *transport.TimeoutError
	if !errors.As(err, &timeout) {
		tb.Fatalf("call: error %v, want a TimeoutError", err)
	}
	if timeout.Reason != reason {
		tb.Errorf("call: error %v has reason %q, want %q", err, timeout.Reason, reason)
	}
	for _, at := range []time.Duration{timeout.Sent, timeout.Confirmed, timeout.Returned, timeout.LastHeartbeat} {
		if at < 0 || at > timeout.Ended {
			tb.Errorf("call: time line %+v, want everything in it before the end", timeout.Timeline)
		}
	}
	if age := max(time.Since(timeout.Began), 1); age < timeout.Ended {
		tb.Errorf("call: ended %s after its begin, which is %s ago", timeout.Ended, age)
	}
	return timeout
}

// mustNotMatch checks that err matches none of these.
func mustNotMatch(tb testing.TB, err error, others ...error) {
	tb.Helper()
	for _, other := range others {
		if errors.Is(err, other) {
			tb.Errorf("call: error %v matches %q", err, other)
		}
	}
}

func returnedCall(t *testing.T, b *bus) {
	b.warmUp(t, b.listen(t, "host", 4))
	ctx, cancel := context.WithTimeout(t.Context(), allowance)
	defer cancel()
	got := receive(t, b.callTo(ctx, b.client, b.nowhere(), request("lost"), transport.SendOptions{}))
	mustMatch(t, "call", got.err, transport.ErrUndeliverable, context.DeadlineExceeded)
	timeout := timedOut(t, got.err, transport.ReasonNoQueue)
	if timeout.Sent == 0 || timeout.Returned < timeout.Sent || timeout.Confirmed != 0 {
		t.Errorf("time line %+v, want a request that was sent and returned", timeout.Timeline)
	}
}

func returnedMonitoredCall(t *testing.T, b *bus) {
	b.warmUp(t, b.listen(t, "host", 4))
	got := receive(t, b.callTo(patient(t), b.client, b.nowhere(), request("lost"), transport.SendOptions{Monitor: allowance}))
	mustMatch(t, "call", got.err, transport.ErrMonitorTimeout, transport.ErrUndeliverable)
	if timeout := timedOut(t, got.err, transport.ReasonNoQueue); timeout.Monitor != allowance {
		t.Errorf("the monitor waited %s, want %s", timeout.Monitor, allowance)
	}
}

func unansweredCall(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.warmUp(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), allowance)
	defer cancel()
	begun := time.Now()
	ended := b.callTo(ctx, b.client, b.topic, request("lost"), transport.SendOptions{})
	id, _ := take(t, l, "lost").Request().MsgID.Text()
	got := receive(t, ended)
	mustMatch(t, "call", got.err, context.DeadlineExceeded)
	mustNotMatch(t, got.err, transport.ErrMonitorTimeout, transport.ErrUndeliverable, transport.ErrUnconfirmed, transport.ErrNotConnected)
	timeout := timedOut(t, got.err, transport.ReasonUnanswered)
	if timeout.Sent == 0 || timeout.Confirmed < timeout.Sent || timeout.Returned != 0 || timeout.Heartbeats != 0 {
		t.Errorf("time line %+v, want a request that was sent and taken", timeout.Timeline)
	}
	if timeout.MsgID != id || !strings.Contains(got.err.Error(), id) {
		t.Errorf("call: error %v of message %s, want message %s", got.err, timeout.MsgID, id)
	}
	if timeout.Began.Before(begun) || timeout.Ended < allowance*9/10 {
		t.Errorf("the call began %s after it did and ended after %s, want %s", timeout.Began.Sub(begun), timeout.Ended, allowance)
	}
}

func heartbeatsAreCounted(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.warmUp(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), allowance)
	defer cancel()
	ended := b.callTo(ctx, b.client, b.topic, request("long"), transport.SendOptions{Monitor: Patience})
	in := take(t, l, "long")
	for range 3 { // at once: they count each, though the caller looks at the newest only
		if err := in.Heartbeat(patient(t)); err != nil {
			t.Fatalf("heartbeat: %v", err)
		}
	}
	timeout := timedOut(t, receive(t, ended).err, transport.ReasonUnanswered)
	if timeout.Heartbeats != 3 || timeout.LastHeartbeat == 0 || timeout.Monitor != 0 {
		t.Errorf("time line %+v with a monitor that waited %s, want three heartbeats and no such monitor", timeout.Timeline, timeout.Monitor)
	}
}

func lastHeardOf(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.warmUp(t, l)
	ended := b.callTo(patient(t), b.client, b.topic, request("stuck"), transport.SendOptions{Monitor: allowance})
	in := take(t, l, "stuck")
	pass(t, moment)
	if err := in.Heartbeat(patient(t)); err != nil {
		t.Fatalf("heartbeat: %v", err)
	}
	got := receive(t, ended)
	mustMatch(t, "call", got.err, transport.ErrMonitorTimeout)
	mustNotMatch(t, got.err, transport.ErrUndeliverable, transport.ErrUnconfirmed, transport.ErrNotConnected)
	timeout := timedOut(t, got.err, transport.ReasonSilent)
	if timeout.Heartbeats != 1 || timeout.LastHeartbeat < moment || timeout.Ended < timeout.LastHeartbeat+timeout.Monitor {
		t.Errorf("time line %+v, want one heartbeat %s before the end", timeout.Timeline, allowance)
	}
	if timeout.Monitor != allowance {
		t.Errorf("the monitor waited %s, want %s", timeout.Monitor, allowance)
	}
}

func cancelledWithCause(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ctx, cancel := context.WithCancelCause(patient(t))
	ended := b.callTo(ctx, b.client, b.topic, request("cancelled"), transport.SendOptions{})
	take(t, l, "cancelled")
	pass(t, allowance/2) // a broker's confirm may come later than the message at its receiver
	cause := errors.New("the user left")
	cancel(cause)
	got := receive(t, ended)
	mustMatch(t, "call", got.err, cause, context.Canceled)
	mustNotMatch(t, got.err, transport.ErrTimeout, transport.ErrUnconfirmed, transport.ErrNotConnected)
	for _, part := range []string{"taken by the broker", cause.Error()} {
		if !strings.Contains(got.err.Error(), part) {
			t.Errorf("call: error %v, want %q in it", got.err, part)
		}
	}
}

func deadlineWithCause(t *testing.T, b *bus) {
	b.warmUp(t, b.listen(t, "host", 4))
	cause := errors.New("the user's patience")
	ctx, cancel := context.WithTimeoutCause(t.Context(), moment, cause)
	defer cancel()
	got := receive(t, b.callTo(ctx, b.client, b.topic, request("lost"), transport.SendOptions{}))
	mustMatch(t, "call", got.err, transport.ErrTimeout, context.DeadlineExceeded, cause)
}

func passedDeadline(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.warmUp(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	_, err := b.client.Call(ctx, b.topic, request("late"), transport.SendOptions{})
	mustMatch(t, "call", err, context.DeadlineExceeded, transport.ErrNotConnected)
	if timeout := timedOut(t, err, transport.ReasonNotSent); timeout.Sent != 0 {
		t.Errorf("time line %+v, want nothing sent", timeout.Timeline)
	}
	pollNothing(t, l)
}
