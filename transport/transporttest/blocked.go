package transporttest

import (
	"context"
	"errors"
	"testing"

	"github.com/goslo/goslo/transport"
)

var blockedTests = []test{
	{"a cast waits as long as its context lasts, and is not sent", blockedCast},
	{"a call waits as long as its context lasts, and says why", blockedCall},
	{"what waits is sent when the broker takes messages again", blockedGoesOn},
	{"requests arrive, and their replies wait", blockedServer},
	{"a closed driver ends a cast that waits", closeEndsBlockedCast},
}

// blocked returns a driver whose broker takes nothing of it before release is called.
func (b *bus) blocked(t *testing.T) (d transport.Driver, release func()) {
	t.Helper()
	d, block := b.features.Blocking(t)
	closed(t, d)
	block(true)
	return d, func() { block(false) }
}

func blockedCast(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	d, release := b.blocked(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*moment)
	defer cancel()
	err := d.Cast(ctx, b.topic, request("cast"), transport.SendOptions{Retry: transport.RetryForever})
	mustMatch(t, "cast", err, transport.ErrBlocked, context.DeadlineExceeded)
	if errors.Is(err, transport.ErrUnconfirmed) {
		t.Errorf("cast: %v, want that nothing was sent", err)
	}
	release()
	pollNothing(t, l)
}

func blockedCall(t *testing.T, b *bus) {
	d, block := b.features.Blocking(t)
	closed(t, d)
	haveReplyQueue(t, b, d)
	block(true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*moment)
	defer cancel()
	_, err := d.Call(ctx, b.topic, request("call"), transport.SendOptions{Retry: transport.RetryForever})
	mustMatch(t, "call", err, transport.ErrBlocked, transport.ErrTimeout, context.DeadlineExceeded)
	if timeout := timedOut(t, err, transport.ReasonBlocked); timeout.Sent != 0 {
		t.Errorf("time line %+v, want nothing sent", timeout.Timeline)
	}
}

// haveReplyQueue calls, in vain, until a request is sent: from then on calls wait for nothing else.
func haveReplyQueue(t *testing.T, b *bus, d transport.Driver) {
	t.Helper()
	for range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), moment)
		_, err := d.Call(ctx, b.topic, request("call"), transport.SendOptions{Retry: transport.RetryForever})
		cancel()
		var timeout *transport.TimeoutError
		if errors.As(err, &timeout) && timeout.Sent != 0 {
			return
		}
	}
	t.Fatal("no call is sent")
}

func blockedGoesOn(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	d, release := b.blocked(t)
	ctx := patient(t)
	ended := make(chan error, 1)
	go func() { // ends with ctx
		ended <- d.Cast(ctx, b.topic, request("cast"), transport.SendOptions{Retry: transport.RetryForever})
	}()
	pass(t, moment) // so that it most probably waits
	if len(ended) > 0 {
		t.Errorf("cast: %v while the broker takes nothing", <-ended)
	}
	release()
	if err := receive(t, ended); err != nil {
		t.Errorf("cast: %v", err)
	}
	take(t, l, "cast")
}

func blockedServer(t *testing.T, b *bus) {
	d, block := b.features.Blocking(t)
	closed(t, d)
	l := b.listenOn(t, d, b.onServer("host"), 1)
	block(true)
	ended := b.call(t, "call")
	answer(t, take(t, l, "call"), `"answer"`)
	b.cast(t, "next") // that it can be taken tells that the acknowledgement went through
	take(t, l, "next")
	if len(ended) > 0 {
		t.Error("the call was answered while the broker takes nothing")
	}
	block(false)
	awaitResult(t, ended, `"answer"`)
}

func closeEndsBlockedCast(t *testing.T, b *bus) {
	d, _ := b.blocked(t)
	ctx := patient(t)
	ended := make(chan error, 1)
	go func() { // ends with ctx
		ended <- d.Cast(ctx, b.topic, request("cast"), transport.SendOptions{Retry: transport.RetryForever})
	}()
	pass(t, moment) // so that it most probably waits
	closeDriver(t, d)
	mustMatch(t, "cast", receive(t, ended), transport.ErrClosed)
}
