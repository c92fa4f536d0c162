package transporttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/goslo/goslo/transport"
)

var listenerTests = []test{
	{"a poll ends with its context", pollEndsWithContext},
	{"a waiting poll ends when its listener stops", stopEndsPoll},
	{"a stopped listener hands back what was not polled", stopHandsBack},
	{"a stopped listener's polled requests can be answered", stoppedStillAnswers},
	{"a stopped listener gets nothing more", stoppedGetsNothing},
	{"a closed listener's unacknowledged requests come again", closeHandsBack},
	{"stopping and closing again is harmless", stopAgain},
}

var driverTests = []test{
	{"a closed driver ends its waiting polls and calls", closeEndsWaiting},
	{"a closed driver ends its casts", closeEndsCasts},
	{"a closed driver refuses everything", closedRefuses},
	{"a closed server's unacknowledged requests come again", closedServerHandsBack},
	{"a client's end does not trouble its server", clientGone},
}

func pollEndsWithContext(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	pollNothing(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	ended := polling(ctx, l)
	cancel()
	mustMatch(t, "poll", receive(t, ended), context.Canceled)
	b.cast(t, "next")
	_, err := l.Poll(ctx)
	mustMatch(t, "poll with a context that has ended", err, context.Canceled)
	take(t, l, "next")
}

// polling starts a poll that is to end with an error; the channel tells which.
func polling(ctx context.Context, l transport.Listener) <-chan error {
	ended := make(chan error, 1)
	go func() { // ends with ctx
		_, err := l.Poll(ctx)
		ended <- err
	}()
	return ended
}

func stopEndsPoll(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := polling(patient(t), l)
	stop(t, l)
	mustMatch(t, "poll", receive(t, ended), transport.ErrClosed)
	_, err := l.Poll(patient(t))
	mustMatch(t, "next poll", err, transport.ErrClosed)
}

func stopHandsBack(t *testing.T, b *bus) {
	l := b.listen(t, "host", 8)
	for i := range 4 {
		b.cast(t, fmt.Sprint("method_", i))
	}
	held := pollMethod(t, l, "method_0") // the others are prefetched
	stop(t, l)
	next := b.listenOn(t, b.driver(t), b.onServer("host"), 8)
	b.takeReturned(t, next, "method_1", "method_2", "method_3")
	ack(t, held)
	pollNothing(t, next)
}

func stoppedStillAnswers(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	shared := b.call(t, "shared")
	inShared := pollMethod(t, l, "shared")
	directed := b.callTo(patient(t), b.client, b.onServer("host"), request("directed"), transport.SendOptions{})
	inDirected := pollMethod(t, l, "directed")
	b.castTo(t, fanout(b.topic), "fanout")
	inFanout := pollMethod(t, l, "fanout")
	stop(t, l)
	for _, in := range []transport.Incoming{inFanout, inShared, inDirected} {
		ack(t, in)
		answer(t, in, `"after all"`)
	}
	awaitResult(t, shared, `"after all"`)
	awaitResult(t, directed, `"after all"`)
	closeListener(t, l)
	pollNothing(t, b.listen(t, "host", 4))
}

func stoppedGetsNothing(t *testing.T, b *bus) {
	stopped := b.listen(t, "host1", 4)
	l := b.listenOn(t, b.driver(t), b.onServer("host2"), 4)
	stop(t, stopped)
	for i := range 4 {
		b.cast(t, fmt.Sprint("method_", i))
	}
	for i := range 4 {
		take(t, l, fmt.Sprint("method_", i))
	}
}

func closeHandsBack(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "shared")
	lost := []transport.Incoming{pollMethod(t, l, "shared")}
	b.castTo(t, b.onServer("host"), "directed")
	lost = append(lost, pollMethod(t, l, "directed"))
	closeListener(t, l)
	mustMatch(t, "acknowledge", lost[0].Ack(patient(t)), transport.ErrStale)

	l = b.listenOn(t, b.driver(t), b.onServer("host"), 4)
	held := []transport.Incoming{poll(t, l), poll(t, l)}
	mustMatch(t, "acknowledge what another one holds", lost[1].Ack(patient(t)), transport.ErrStale)
	closeListener(t, l)

	l = b.listenOn(t, b.driver(t), b.onServer("host"), 4)
	for range held { // the late acknowledgements have taken none away
		in := poll(t, l)
		b.checkRedelivered(t, in, true)
		ack(t, in)
	}
	pollNothing(t, l)
}

func stopAgain(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	var all sync.WaitGroup
	ctx := patient(t)
	for range 3 {
		all.Go(func() { report(t, "stop", l.Stop(ctx)) })
		all.Go(func() { report(t, "close", l.Close(ctx)) })
	}
	all.Wait()
	report(t, "stop", l.Stop(ctx))
	report(t, "close", l.Close(ctx))
	take(t, b.listenAfter(t, "next"), "next")
}

func report(tb testing.TB, what string, err error) {
	tb.Helper()
	if err != nil {
		tb.Errorf("%s: %v", what, err)
	}
}

// listenAfter casts a method, then listens as a new server.
func (b *bus) listenAfter(tb testing.TB, method string) transport.Listener {
	tb.Helper()
	b.cast(tb, method)
	return b.listenOn(tb, b.driver(tb), b.onServer("next"), 4)
}

func closeEndsWaiting(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	called := b.call(t, "unanswered")
	take(t, l, "unanswered")
	polled := polling(patient(t), l)
	closeDriver(t, b.client)
	mustMatch(t, "call", receive(t, called).err, transport.ErrClosed)
	closeDriver(t, b.server)
	mustMatch(t, "poll", receive(t, polled), transport.ErrClosed)
}

// closeEndsCasts closes a driver under four senders: each of their casts succeeds or ends with ErrClosed.
func closeEndsCasts(t *testing.T, b *bus) {
	serve(t, b.listen(t, "host", 16), func(ctx context.Context, in transport.Incoming) error { return in.Ack(ctx) })
	ctx := patient(t)
	var senders, sending sync.WaitGroup
	for range 4 {
		sending.Add(1)
		sent := sync.OnceFunc(sending.Done)
		senders.Go(func() {
			defer sent()
			for {
				err := b.client.Cast(ctx, b.topic, request("cast"), transport.SendOptions{})
				sent()
				if err == nil {
					continue
				}
				if !errors.Is(err, transport.ErrClosed) {
					t.Errorf("cast: error %v, want ErrClosed", err)
				}
				return
			}
		})
	}
	sending.Wait()
	closeDriver(t, b.client)
	senders.Wait()
}

func closedRefuses(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "call")
	in := take(t, l, "call")
	for _, d := range []transport.Driver{b.client, b.server} {
		closeDriver(t, d)
		closeDriver(t, d)
		_, err := d.Call(patient(t), b.topic, request("call"), transport.SendOptions{})
		mustMatch(t, "call", err, transport.ErrClosed)
		err = d.Cast(patient(t), b.topic, request("cast"), transport.SendOptions{})
		mustMatch(t, "cast", err, transport.ErrClosed)
		_, err = d.Listen(patient(t), b.onServer("host"), transport.ListenOptions{Prefetch: 1})
		mustMatch(t, "listen", err, transport.ErrClosed)
		if pinger, ok := d.(transport.Pinger); ok {
			mustMatch(t, "ping", pinger.Ping(patient(t)), transport.ErrClosed)
		}
	}
	_, err := l.Poll(patient(t))
	mustMatch(t, "poll", err, transport.ErrClosed)
	err = in.Reply(patient(t), &transport.Reply{Ending: true})
	mustMatch(t, "reply", err, transport.ErrClosed)
	mustMatch(t, "call", receive(t, ended).err, transport.ErrClosed)
}

func closedServerHandsBack(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "held")
	b.cast(t, "prefetched")
	in := pollMethod(t, l, "held")
	closeDriver(t, b.server)
	l = b.listenOn(t, b.driver(t), b.onServer("host"), 4)
	b.takeReturned(t, l, "held", "prefetched")
	mustMatch(t, "acknowledge", in.Ack(patient(t)), transport.ErrStale)
}

// clientGone answers a client that is gone: whether that is an error is the driver's to say, but it must not
// take longer than Patience, nor keep the server from others.
func clientGone(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.callTo(patient(t), b.client, b.topic, request("gone"), transport.SendOptions{Monitor: Patience})
	in := take(t, l, "gone")
	closeDriver(t, b.client)
	receive(t, ended)
	_ = in.Heartbeat(patient(t))
	_ = in.Reply(patient(t), &transport.Reply{Ending: true})
	other := b.driver(t)
	ended = b.callTo(patient(t), other, b.topic, request("here"), transport.SendOptions{})
	answer(t, take(t, l, "here"), `1`)
	awaitResult(t, ended, `1`)
}
