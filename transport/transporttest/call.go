package transporttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

var callTests = []test{
	{"a call is answered by a server of its topic", callIsAnswered},
	{"calls get their own answers in whatever order they come", callsAnsweredInReverse},
	{"many calls at once each get their own answer", manyCalls},
	{"two clients each get their own answers", twoClients},
	{"a failure reaches the caller whole", failureReachesCaller},
	{"a method without a result answers null", nullResult},
	{"of two answers the first one counts", firstAnswerCounts},
	{"an answer in two parts is put together", answerInTwoParts},
	{"a request can be asked for by more than one goroutine", concurrentIncoming},
}

func callIsAnswered(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "ping")
	in := take(t, l, "ping")
	if req := in.Request(); !req.Call() || req.ReplyQueue == "" || req.UniqueID == "" || !req.MonitorTimeout.Null() {
		t.Errorf("received %+v, want a call with a reply queue, a unique id and no monitor timeout", req)
	}
	answer(t, in, `"pong"`)
	awaitResult(t, ended, `"pong"`)
}

func callsAnsweredInReverse(t *testing.T, b *bus) {
	l := b.listen(t, "host", 8)
	var calls []<-chan outcome
	var received []transport.Incoming
	for i := range 5 {
		method := fmt.Sprintf("method_%d", i)
		calls = append(calls, b.call(t, method))
		received = append(received, take(t, l, method))
	}
	for _, in := range slices.Backward(received) {
		answer(t, in, `"`+in.Request().Method+`"`)
	}
	for i, ended := range calls {
		awaitResult(t, ended, fmt.Sprintf(`"method_%d"`, i))
	}
}

func manyCalls(t *testing.T, b *bus) {
	const goroutines, calls = 64, 50
	serve(t, b.listen(t, "host1", 64), echo)
	serve(t, b.listen(t, "host2", 64), echo)
	ctx, cancel := context.WithTimeout(t.Context(), 6*Patience)
	defer cancel()
	var callers sync.WaitGroup
	for g := range goroutines {
		callers.Go(func() {
			for i := range calls {
				want := fmt.Sprintf(`{"caller": %d, "call": %d}`, g, i)
				req := &transport.Request{Method: "echo", Args: transport.Value(want)}
				reply, err := b.client.Call(ctx, b.topic, req, transport.SendOptions{})
				if err != nil {
					t.Errorf("call: %v", err)
					return
				}
				if got := string(reply.Result); got != want {
					t.Errorf("result %s, want %s", got, want)
				}
			}
		})
	}
	callers.Wait()
}

func twoClients(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	other := b.driver(t)
	first := b.call(t, "first")
	inFirst := take(t, l, "first")
	second := b.callTo(patient(t), other, b.topic, request("second"), transport.SendOptions{})
	inSecond := take(t, l, "second")
	if inFirst.Request().ReplyQueue == inSecond.Request().ReplyQueue {
		t.Errorf("both clients wait on %q, want a queue for each", inFirst.Request().ReplyQueue)
	}
	answer(t, inSecond, `2`)
	answer(t, inFirst, `1`)
	awaitResult(t, first, `1`)
	awaitResult(t, second, `2`)
}

func failureReachesCaller(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "fail")
	want := &transport.Failure{
		Class: "InstanceNotFound", Module: "nova.exception", Message: "no \"such\" instance: \u00fc\n",
		Traceback: []string{"Traceback (most recent call last):\n", "  File \"x.py\", line 1\n"},
		Args:      transport.Value(`["a", 1]`), Kwargs: transport.Value(`{"code": 404}`),
	}
	reply(t, take(t, l, "fail"), &transport.Reply{Failure: want, Ending: true})
	got := await(t, ended)
	if diff := cmp.Diff(want, got.Failure); diff != "" {
		t.Errorf("the failure arrived otherwise (-want +got):\n%s", diff)
	}
	if !got.Result.Null() {
		t.Errorf("result %s beside the failure, want none", got.Result)
	}
}

func nullResult(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "nothing")
	reply(t, take(t, l, "nothing"), &transport.Reply{Ending: true})
	if got := await(t, ended); !got.Result.Null() || got.Failure != nil {
		t.Errorf("reply %+v, want neither result nor failure", got)
	}
}

func firstAnswerCounts(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "twice")
	in := take(t, l, "twice")
	answer(t, in, `1`)
	answer(t, in, `2`)
	awaitResult(t, ended, `1`)
	ended = b.call(t, "next") // the second answer must not be taken for this call's
	answer(t, take(t, l, "next"), `3`)
	awaitResult(t, ended, `3`)
}

// answerInTwoParts answers as oslo.messaging of long ago does: the result first, then the end.
func answerInTwoParts(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.call(t, "old")
	in := take(t, l, "old")
	reply(t, in, &transport.Reply{Result: transport.Value(`"result"`)})
	reply(t, in, &transport.Reply{Ending: true})
	awaitResult(t, ended, `"result"`)
}

// concurrentIncoming uses all methods of one request at once, for the race detector.
func concurrentIncoming(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	ended := b.callTo(patient(t), b.client, b.topic, request("work"), transport.SendOptions{Monitor: time.Minute})
	in := pollMethod(t, l, "work")
	ctx := patient(t)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() { _ = in.Heartbeat(ctx) })
		users.Go(func() { _ = in.Request().Call() })
		users.Go(func() {
			if err := in.Reply(ctx, &transport.Reply{Result: transport.Value(`"done"`), Ending: true}); err != nil {
				t.Errorf("reply: %v", err)
			}
		})
	}
	users.Go(func() {
		if err := in.Ack(ctx); err != nil {
			t.Errorf("acknowledge: %v", err)
		}
	})
	users.Wait()
	awaitResult(t, ended, `"done"`)
}
