package rabbit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// fakeChannel is an attachment without a channel: the test is the goroutine that owns it.
func fakeChannel() *attachment {
	return &attachment{acks: make(chan ackRequest, ackQueue), idle: make(chan struct{}), ended: make(chan struct{})}
}

// asked are the requests that wait for the owner of the channel. They are sent by that.
func (a *attachment) asked() []ackRequest {
	var all []ackRequest
	for {
		select {
		case request := <-a.acks:
			if request.sent != nil {
				close(request.sent)
				request.sent = nil
			}
			all = append(all, request)
		default:
			return all
		}
	}
}

func wantAsked(tb testing.TB, a *attachment, want ...ackRequest) {
	tb.Helper()
	if diff := cmp.Diff(want, a.asked(), cmp.AllowUnexported(ackRequest{}), cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("the channel was asked otherwise (-want +got):\n%s", diff)
	}
}

// acked acknowledges a request, and returns what its channel was asked for that.
func acked(ctx context.Context, in *incoming) (asked []ackRequest, err error) {
	done := make(chan error, 1)
	go func() { done <- in.Ack(ctx) }()
	synctest.Wait()
	asked = in.delivery.attachment.asked()
	return asked, <-done
}

// attachedListener is a listener of d on a channel, or on none.
func attachedListener(d *Driver, a *attachment) *listener {
	l := &listener{driver: d, arrived: make(chan struct{}, 1)}
	queues := d.options.serverQueues(target.Target{Exchange: "x", Topic: "t", Server: "s"}, d.options.queueSuffix)
	l.subscription = newSubscription(d, queues, 1, l.receive, l.lost)
	d.consumer.add(l.subscription)
	if a != nil {
		l.subscription.set(a, nil)
	}
	return l
}

// request is a delivery of a request as a peer sends it; a call where id is not empty.
func (a *attachment) request(tag uint64, method, id, unique string) *delivery {
	req := &transport.Request{Method: method, UniqueID: unique}
	if id != "" {
		req.MsgID, req.ReplyQueue = wire.TextValue(id), "reply_q"
	}
	return a.delivery(tag, wire.AppendRequest(nil, req))
}

func (a *attachment) delivery(tag uint64, body []byte) *delivery {
	return &delivery{attachment: a, Delivery: amqp091.Delivery{
		DeliveryTag: tag, ContentType: wire.ContentTypeJSON, ContentEncoding: wire.ContentEncoding, Body: body,
	}}
}

func mustPoll(tb testing.TB, l *listener) *incoming {
	tb.Helper()
	in, err := l.Poll(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return in.(*incoming)
}

func TestPollHandsOutRequestsInTheirOrder(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		polled := make(chan string, 1)
		go func() { polled <- mustPoll(t, l).Request().Method }()
		synctest.Wait()
		l.receive(a.request(1, "first", "", "u1"))
		if got := <-polled; got != "first" {
			t.Errorf("polled %s, want the one that came while it waited", got)
		}
		again := a.request(3, "third", "", "u3")
		again.Redelivered = true
		l.receive(a.request(2, "second", "", "u2"))
		l.receive(again)
		if in := mustPoll(t, l); in.Request().Method != "second" || in.Redelivered() {
			t.Errorf("polled %s, redelivered %v; want second, new", in.Request().Method, in.Redelivered())
		}
		if in := mustPoll(t, l); in.Request().Method != "third" || !in.Redelivered() {
			t.Errorf("polled %s, redelivered %v; want third, again", in.Request().Method, in.Redelivered())
		}
		wantAsked(t, a)
	})
}

func TestPollRejectsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		noJSON := a.delivery(1, []byte("no JSON"))
		otherType := a.request(2, "m", "", "u")
		otherType.ContentType = "application/json; charset=utf-8"
		broken := a.request(3, "m", "", "u")
		broken.Headers = amqp091.Table{"compression": "application/x-gzip"}
		for _, m := range []*delivery{noJSON, otherType, broken, a.request(4, "good", "", "u")} {
			l.receive(m)
		}
		if in := mustPoll(t, l); in.Request().Method != "good" {
			t.Errorf("polled %s, want the only one that can be read", in.Request().Method)
		}
		wantAsked(t, a, ackRequest{tag: 1, verdict: reject}, ackRequest{tag: 2, verdict: reject}, ackRequest{tag: 3, verdict: reject})
		if got := d.Stats(); got.Malformed != 3 || got.Stale != 0 {
			t.Errorf("stats %+v, want 3 malformed", got)
		}

		l.receive(a.delivery(5, []byte("no JSON")))
		l.receive(a.request(6, "good", "", "u"))
		close(a.ended)
		mustPoll(t, l)
		wantAsked(t, a)
		if got := d.Stats().Stale; got != 1 {
			t.Errorf("%d stale, want the one whose channel is gone", got)
		}
	})
}

func TestWhatPollCannotReadIsRejectedEvenIfItsContextEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		a.acks = make(chan ackRequest) // its owner is busy
		l := attachedListener(d, a)
		l.receive(a.delivery(1, []byte("no JSON")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		polled := make(chan error, 1)
		go func() {
			_, err := l.Poll(ctx)
			polled <- err
		}()
		<-ctx.Done()
		synctest.Wait()
		wantAsked(t, a, ackRequest{tag: 1, verdict: reject})
		wantError(t, "Poll", <-polled, context.DeadlineExceeded)
		if got := d.Stats().Stale; got != 0 {
			t.Errorf("%d stale, want none", got)
		}
	})
}

func TestPollEndsWithItsContextItsListenerAndItsDriver(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l, other := attachedListener(d, a), attachedListener(d, nil)
		poll := func(l *listener) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := l.Poll(t.Context())
				done <- err
			}()
			synctest.Wait()
			return done
		}
		reason := errors.New("the server stops")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancelled := make(chan error, 1)
		go func() {
			_, err := l.Poll(ctx)
			cancelled <- err
		}()
		synctest.Wait()
		cancel(reason)
		wantError(t, "Poll", <-cancelled, reason)
		l.receive(a.request(1, "m", "", "u"))
		_, err := l.Poll(ctx)
		wantError(t, "Poll with something to poll", err, reason)
		mustPoll(t, l)

		first, second, third := poll(l), poll(l), poll(other)
		close(a.idle)
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, "Poll", <-first, transport.ErrClosed)
		wantError(t, "another Poll", <-second, transport.ErrClosed)
		wantError(t, "Poll after Stop", <-poll(l), transport.ErrClosed)
		close(a.ended)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, "Poll on the other listener", <-third, transport.ErrClosed)
	})
}

func TestDeliveriesOfALostChannelAreForgotten(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		gone, a := fakeChannel(), fakeChannel()
		l := attachedListener(d, a)
		l.receive(gone.request(1, "gone", "", "u1"))
		l.receive(a.request(1, "kept", "", "u2"))
		l.receive(gone.request(2, "gone", "", "u3"))
		l.lost(gone)
		if in := mustPoll(t, l); in.Request().Method != "kept" {
			t.Errorf("polled %s, want what came on the channel that is there", in.Request().Method)
		}
		if len(l.waiting) != 0 {
			t.Errorf("%d more wait", len(l.waiting))
		}
	})
}

func TestAckTakesTheRequestOffOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		for tag, unique := range []string{"", "u", "u", "", ""} {
			l.receive(a.request(uint64(tag+1), "m", "", unique))
		}
		for i, want := range []error{nil, nil, transport.ErrDuplicate, nil, nil} {
			asked, err := acked(t.Context(), mustPoll(t, l))
			if !errors.Is(err, want) {
				t.Errorf("Ack of request %d = %v, want %v", i+1, err, want)
			}
			if len(asked) != 1 || asked[0] != (ackRequest{tag: uint64(i + 1), verdict: accept}) { // the duplicate too: it must not come again
				t.Errorf("the channel was asked %+v for request %d", asked, i+1)
			}
		}
		if got := d.Stats(); got.Duplicates != 1 || got.Stale != 0 {
			t.Errorf("stats %+v, want one duplicate", got)
		}
	})
}

func TestAckThatCannotBeSentLeavesTheRequestNew(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		l.receive(a.request(1, "m", "", "u"))
		first := mustPoll(t, l)
		for tag := range uint64(ackQueue) { // the owner of the channel is busy
			if err := a.ask(t.Context(), ackRequest{tag: tag}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantError(t, "Ack", first.Ack(ctx), context.DeadlineExceeded)
		waiting := make(chan error, 1)
		go func() { waiting <- first.Ack(t.Context()) }()
		synctest.Wait()
		close(a.ended)
		wantError(t, "Ack while the channel ends", <-waiting, transport.ErrStale)
		wantError(t, "Ack after that", first.Ack(t.Context()), transport.ErrStale)
		if err := first.Requeue(t.Context()); err != nil {
			t.Errorf("Requeue = %v, want nothing to do", err)
		}

		again := fakeChannel()
		l.receive(again.request(1, "m", "", "u"))
		if _, err := acked(t.Context(), mustPoll(t, l)); err != nil {
			t.Errorf("Ack when it comes again = %v, want it to be no duplicate", err)
		}
	})
}

// TestRequestIsNotRunBeforeItsAcknowledgementIsSent ends the channel before and after the acknowledgement has gone to the kernel.
func TestRequestIsNotRunBeforeItsAcknowledgementIsSent(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		for sent, want := range map[bool]error{false: transport.ErrStale, true: nil} {
			a := fakeChannel()
			l := attachedListener(d, a)
			l.receive(a.request(1, "m", "", "u"))
			in := mustPoll(t, l)
			done := make(chan error, 1)
			go func() { done <- in.Ack(t.Context()) }()
			synctest.Wait()
			request := <-a.acks
			select {
			case err := <-done:
				t.Fatalf("Ack = %v before anything was sent", err)
			default:
			}
			if sent {
				close(request.sent)
			}
			close(a.ended)
			if err := <-done; !errors.Is(err, want) {
				t.Errorf("Ack = %v when the channel ends, sent = %v, want %v", err, sent, want)
			}
		}
	})
}

func TestDuplicateWhoseAckFailsStaysADuplicate(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a, gone, third := fakeChannel(), fakeChannel(), fakeChannel()
		l := attachedListener(d, a)
		for _, m := range []*delivery{a.request(1, "m", "", "u"), gone.request(1, "m", "", "u"), third.request(1, "m", "", "u")} {
			l.receive(m)
		}
		close(gone.ended)
		for i, want := range []error{nil, transport.ErrStale, transport.ErrDuplicate} {
			if _, err := acked(t.Context(), mustPoll(t, l)); !errors.Is(err, want) {
				t.Errorf("Ack %d = %v, want %v", i+1, err, want)
			}
		}
	})
}

func TestRequeueHandsTheRequestBack(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		l.receive(a.request(7, "m", "", "u"))
		if err := mustPoll(t, l).Requeue(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantAsked(t, a, ackRequest{tag: 7, verdict: requeue})
	})
}

func TestOnlyCallsAreAnswered(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		l.receive(a.request(1, "cast", "", "u1"))
		l.receive(a.request(2, "call", "m-1", "u2"))
		cast, call := mustPoll(t, l), mustPoll(t, l)
		if err := errors.Join(cast.Reply(t.Context(), answer()), cast.Heartbeat(t.Context())); err != nil {
			t.Errorf("Reply and Heartbeat to a cast = %v", err)
		}
		if attempt(d) != nil {
			t.Error("a cast was answered")
		}
		if err := call.Heartbeat(t.Context()); err != nil {
			t.Errorf("Heartbeat = %v", err)
		}
		reply := &transport.Reply{Result: transport.Value("1"), Ending: true}
		if err := call.Reply(t.Context(), reply); err != nil {
			t.Errorf("Reply = %v", err)
		}
		for _, heartbeat := range []bool{true, false} {
			p := mustAttempt(t, d)
			got, err := wire.DecodeReply(p.message.Body)
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := got.MsgID.Text(); id != "m-1" || p.key != "reply_q" || got.Heartbeat() != heartbeat {
				t.Errorf("sent %+v to %s, want an answer to m-1 on reply_q", got, p.key)
			}
			p.settle(nil)
		}
		wantOutstanding(t, &l.replies, 0)
	})
}

func TestStopHandsBackWhatWasNotPolled(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		for tag := range uint64(3) {
			l.receive(a.request(tag+1, "m", "", "u"))
		}
		polled := mustPoll(t, l)
		stopped := make(chan error, 1)
		go func() { stopped <- l.Stop(t.Context()) }()
		synctest.Wait()
		wantAsked(t, a, ackRequest{tag: 2, verdict: requeue}, ackRequest{tag: 3, verdict: requeue})
		l.receive(a.request(4, "late", "", "u")) // while the consumers are being cancelled
		select {
		case err := <-stopped:
			t.Errorf("Stop = %v before the consumers had ended", err)
		default:
		}
		close(a.idle)
		if err := <-stopped; err != nil {
			t.Errorf("Stop = %v", err)
		}
		wantAsked(t, a, ackRequest{tag: 4, verdict: requeue})
		if err := l.Stop(t.Context()); err != nil {
			t.Errorf("second Stop = %v", err)
		}
		asked, err := acked(t.Context(), polled)
		if err != nil || len(asked) != 1 || asked[0] != (ackRequest{tag: 1, verdict: accept}) {
			t.Errorf("Ack of what was polled = %v, and asks %+v", err, asked)
		}
	})
}

func TestStopNeedsNoChannelAndNoBroker(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		if err := attachedListener(d, nil).Stop(t.Context()); err != nil {
			t.Errorf("Stop without a channel = %v", err)
		}
		gone := fakeChannel()
		l := attachedListener(d, gone)
		l.receive(gone.request(1, "m", "", "u"))
		close(gone.ended)
		if err := l.Stop(t.Context()); err != nil {
			t.Errorf("Stop on a channel that is gone = %v", err)
		}
		ends := fakeChannel()
		stopped := make(chan error, 1)
		l = attachedListener(d, ends)
		go func() { stopped <- l.Stop(t.Context()) }()
		synctest.Wait()
		close(ends.ended)
		if err := <-stopped; err != nil {
			t.Errorf("Stop while the channel ends = %v", err)
		}
		silent := attachedListener(d, fakeChannel())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantError(t, "Stop where the broker does not answer", silent.Stop(ctx), context.DeadlineExceeded)
		wantError(t, "Close where the broker does not answer", silent.Close(ctx), context.DeadlineExceeded)
	})
}

func TestCloseOfAListenerWaitsForItsReplies(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, a)
		l.receive(a.request(1, "call", "m-1", "u"))
		in := mustPoll(t, l)
		if err := in.Reply(t.Context(), answer()); err != nil {
			t.Fatal(err)
		}
		p := mustAttempt(t, d)
		closed := make(chan error, 1)
		close(a.idle)
		go func() { closed <- l.Close(t.Context()) }()
		synctest.Wait()
		wantAsked(t, a)
		p.settle(nil)
		synctest.Wait()
		wantAsked(t, a, ackRequest{end: true})
		if len(closed) != 0 {
			t.Error("Close ended before the channel did")
		}
		close(a.ended)
		if err := <-closed; err != nil {
			t.Errorf("Close = %v", err)
		}
		if len(d.consumer.subs) != 0 {
			t.Error("the driver would attach the listener again")
		}
		if err := l.Close(t.Context()); err != nil {
			t.Errorf("second Close = %v", err)
		}
	})
}

func TestCloseOfAListenerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		replying := fakeChannel()
		l := attachedListener(d, replying)
		close(replying.idle)
		close(replying.ended)
		l.replies.add()
		wantError(t, "Close with a reply under way", l.Close(ctx), context.DeadlineExceeded)
		l.replies.done()

		stuck := fakeChannel()
		l = attachedListener(d, stuck)
		close(stuck.idle)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantError(t, "Close of a channel that does not end", l.Close(ctx), context.DeadlineExceeded)
		if err := attachedListener(d, nil).Close(t.Context()); err != nil {
			t.Errorf("Close without a channel = %v", err)
		}
	})
}

func TestListenRefusesATargetThatIsNoServers(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	var invalid *target.InvalidTargetError
	if _, err := d.Listen(t.Context(), target.Target{Topic: "t"}, transport.ListenOptions{}); !errors.As(err, &invalid) {
		t.Errorf("Listen = %v, want an InvalidTargetError", err)
	}
	if _, err := d.Call(t.Context(), target.Target{Topic: "t", Fanout: true}, &transport.Request{}, transport.SendOptions{}); !errors.As(err, &invalid) {
		t.Errorf("Call = %v, want an InvalidTargetError", err)
	}
	if err := d.Cast(t.Context(), target.Target{}, &transport.Request{}, transport.SendOptions{}); !errors.As(err, &invalid) {
		t.Errorf("Cast = %v, want an InvalidTargetError", err)
	}
}
