package transporttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
)

var timeTests = []test{
	{"a call ends with its caller's deadline", callEndsWithDeadline},
	{"a cancelled call ends with its context's error", cancelledCall},
	{"a call whose context has ended is not sent", endedContextSendsNothing},
	{"an answer that comes late is dropped", lateAnswer},
	{"heartbeats keep a monitored call alive", heartbeatsKeepAlive},
	{"a monitored call ends when its server falls silent", silentServer},
	{"heartbeats do not move the caller's deadline", heartbeatsKeepDeadline},
	{"a heartbeat that nobody asked for is harmless", unaskedHeartbeat},
	{"an expired request is never polled", expiredRequest},
	{"a request is polled as long as it has not expired", unexpiredRequest},
}

func callEndsWithDeadline(t *testing.T, b *bus) {
	b.warmUp(t, b.listen(t, "host", 4))
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	got := receive(t, b.callTo(ctx, b.client, b.topic, request("lost"), transport.SendOptions{}))
	mustMatch(t, "call", got.err, transport.ErrTimeout, context.DeadlineExceeded)
	if errors.Is(got.err, transport.ErrMonitorTimeout) {
		t.Errorf("call: error %v matches ErrMonitorTimeout, though nothing is monitored", got.err)
	}
}

func cancelledCall(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := b.callTo(ctx, b.client, b.topic, request("cancelled"), transport.SendOptions{})
	take(t, l, "cancelled")
	cancel()
	got := receive(t, ended)
	mustMatch(t, "call", got.err, context.Canceled)
	if errors.Is(got.err, transport.ErrTimeout) {
		t.Errorf("call: error %v matches ErrTimeout, though it was cancelled", got.err)
	}
}

func endedContextSendsNothing(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.warmUp(t, l) // a driver that is connected could send
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.client.Call(ctx, b.topic, request("call"), transport.SendOptions{})
	mustMatch(t, "call", err, context.Canceled)
	err = b.client.Cast(ctx, b.topic, request("cast"), transport.SendOptions{})
	mustMatch(t, "cast", err, context.Canceled)
	pollNothing(t, l)
}

func lateAnswer(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := b.callTo(ctx, b.client, b.topic, request("slow"), transport.SendOptions{})
	slow := take(t, l, "slow")
	cancel()
	receive(t, ended)
	answer(t, slow, `"late"`)
	next := b.call(t, "next")
	answer(t, take(t, l, "next"), `"in time"`)
	awaitResult(t, next, `"in time"`)
}

// heartbeatsKeepAlive lets a call take longer than its monitor timeout. Heartbeats come seven times in that
// span, so that a slow broker does not end the call.
func heartbeatsKeepAlive(t *testing.T, b *bus) {
	const monitor = 2 * time.Second
	l := b.listen(t, "host", 4)
	ended := b.callTo(patient(t), b.client, b.topic, request("long"), transport.SendOptions{Monitor: monitor})
	in := take(t, l, "long")
	if got, ok := in.Request().HeartbeatInterval(); got != monitor/2 || !ok {
		t.Errorf("the caller asks for a heartbeat every %s (%t), want %s", got, ok, monitor/2)
	}
	for begun := time.Now(); time.Since(begun) < monitor*3/2; {
		if err := in.Heartbeat(patient(t)); err != nil {
			t.Fatalf("heartbeat: %v", err)
		}
		pass(t, monitor/7)
	}
	answer(t, in, `"done"`)
	awaitResult(t, ended, `"done"`)
}

func silentServer(t *testing.T, b *bus) {
	b.listen(t, "host", 4)
	ended := b.callTo(patient(t), b.client, b.topic, request("stuck"), transport.SendOptions{Monitor: moment})
	got := receive(t, ended)
	mustMatch(t, "call", got.err, transport.ErrMonitorTimeout, transport.ErrTimeout)
	if errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("call: error %v matches DeadlineExceeded, though the caller's deadline was far", got.err)
	}
}

func heartbeatsKeepDeadline(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.warmUp(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	ended := b.callTo(ctx, b.client, b.topic, request("endless"), transport.SendOptions{Monitor: Patience})
	in := take(t, l, "endless")
	for ctx.Err() == nil {
		if err := in.Heartbeat(patient(t)); err != nil {
			t.Fatalf("heartbeat: %v", err)
		}
		pass(t, 100*time.Millisecond)
	}
	mustMatch(t, "call", receive(t, ended).err, transport.ErrTimeout, context.DeadlineExceeded)
}

func unaskedHeartbeat(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "work")
	in := take(t, l, "work")
	if err := in.Heartbeat(patient(t)); err != nil {
		t.Errorf("heartbeat: %v, want none sent and no error", err)
	}
	answer(t, in, `"done"`)
	awaitResult(t, ended, `"done"`)
	b.cast(t, "cast")
	if err := take(t, l, "cast").Heartbeat(patient(t)); err != nil {
		t.Errorf("heartbeat of a cast: %v, want none sent and no error", err)
	}
}

// expiredRequest sends while nobody listens: a request that a listener has prefetched need not expire.
func expiredRequest(t *testing.T, b *bus) {
	closeListener(t, b.listen(t, "host", 4))
	opts := transport.SendOptions{Expiration: moment}
	if err := b.client.Cast(patient(t), b.topic, request("expired"), opts); err != nil {
		t.Fatalf("cast: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	_, err := b.client.Call(ctx, b.topic, request("expired too"), opts)
	mustMatch(t, "call", err, transport.ErrTimeout)
	pass(t, 2*moment)
	b.cast(t, "fresh")
	l := b.listen(t, "host", 4)
	take(t, l, "fresh")
	pollNothing(t, l)
}

func unexpiredRequest(t *testing.T, b *bus) {
	closeListener(t, b.listen(t, "host", 4))
	opts := transport.SendOptions{Expiration: 2*time.Minute + 300*time.Millisecond}
	if err := b.client.Cast(patient(t), b.topic, request("patient"), opts); err != nil {
		t.Fatalf("cast: %v", err)
	}
	take(t, b.listen(t, "host", 4), "patient")
}
