package messaging_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// answeredCall is a call of "echo" whose reply is on its way until the test says what becomes of it.
type answeredCall struct {
	request         *transport.Request
	settled         chan func(error) // holds what is to be told, once it is answered
	refused         error            // why its reply is not taken
	acked, requeued atomic.Int32
}

func newAnsweredCall() *answeredCall {
	return &answeredCall{settled: make(chan func(error), 1), request: &transport.Request{
		Method: "echo", Args: []byte(`{"value": 1}`), MsgID: wire.TextValue(wire.NewID()), ReplyQueue: "reply_1", UniqueID: wire.NewID(),
		ContentType: wire.ContentTypeJSON,
	}}
}

func (c *answeredCall) Request() *transport.Request { return c.request }
func (c *answeredCall) Ack(context.Context) error   { c.acked.Add(1); return nil }

func (c *answeredCall) Requeue(context.Context) error   { c.requeued.Add(1); return nil }
func (c *answeredCall) Heartbeat(context.Context) error { return nil }
func (c *answeredCall) Reply(context.Context, *transport.Reply) error {
	return errors.New("not followed")
}

func (c *answeredCall) ReplyThen(_ context.Context, _ *transport.Reply, settled func(error)) error {
	if c.refused == nil {
		c.settled <- settled
	}
	return c.refused
}

// want checks what has become of the request.
func (c *answeredCall) want(t *testing.T, when string, acked, requeued int32) {
	t.Helper()
	synctest.Wait()
	if a, r := c.acked.Load(), c.requeued.Load(); a != acked || r != requeued {
		t.Errorf("%s: acknowledged %d times, handed back %d times; want %d and %d", when, a, r, acked, requeued)
	}
}

// serveCalls starts a server with one place and late acknowledgement, which is given those calls.
func serveCalls(t *testing.T, calls ...*answeredCall) *messaging.MessageHandlingServer {
	t.Helper()
	l := newStubListener()
	poll := l.poll
	l.poll = func(ctx context.Context) (transport.Incoming, error) {
		if len(calls) == 0 {
			return poll(ctx)
		}
		next := calls[0]
		calls = calls[1:]
		return next, nil
	}
	server, _ := stubServer(t, func() (transport.Listener, error) { return l, nil },
		messaging.WithAck(messaging.AckOnFinish), messaging.WithExecutorThreadPoolSize(1))
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server
}

func TestCallIsAcknowledgedWhenTheBrokerHasItsReply(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end             func(settled func(error))
		acked, requeued int32
	}{
		"the broker takes it":           {func(settled func(error)) { settled(nil) }, 1, 0},
		"there is no queue for it":      {func(settled func(error)) { settled(transport.ErrUndeliverable) }, 1, 0},
		"the broker refuses it":         {func(settled func(error)) { settled(transport.ErrRejected) }, 1, 0},
		"the driver is closed":          {func(settled func(error)) { settled(transport.ErrClosed) }, 0, 1},
		"nothing is heard for too long": {func(func(error)) { <-time.After(10 * time.Second) }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, second := newAnsweredCall(), newAnsweredCall()
				server := serveCalls(t, first, second)
				settled := <-first.settled
				<-time.After(9 * time.Second)
				first.want(t, "while its reply is on its way", 0, 0)
				if got := server.Stats().Received; got != 2 {
					t.Errorf("%d requests were begun: the place is not free", got)
				}
				(<-second.settled)(nil)
				second.want(t, "the other", 1, 0)
				c.end(settled)
				first.want(t, "in the end", c.acked, c.requeued)
				stop(t, server)
			})
		})
	}
}

// TestReplyThatIsNotTakenDoesNotKeepItsRequest has the driver refuse a reply.
func TestReplyThatIsNotTakenDoesNotKeepItsRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call := newAnsweredCall()
		call.refused = errors.New("no")
		server := serveCalls(t, call)
		call.want(t, "at once", 1, 0)
		stop(t, server)
	})
}

func TestWaitWaitsForRepliesToBeConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call := newAnsweredCall()
		server := serveCalls(t, call)
		settled := <-call.settled
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTaskTimeout(t, server.Wait(bounded(t, time.Second)), "wait", "replies to be confirmed")
		call.want(t, "while its reply is on its way", 0, 0)
		ended := make(chan error, 1)
		go func() { ended <- server.Wait(t.Context()) }()
		synctest.Wait()
		if len(ended) > 0 {
			t.Error("Wait did not wait")
		}
		settled(nil)
		if err := <-ended; err != nil {
			t.Errorf("Wait = %v", err)
		}
		call.want(t, "in the end", 1, 0)
	})
}

// TestCopyOfACallWhoseReplyIsOnItsWayIsNotRun delivers it again, as a broker does when the connection is lost on which
// it came.
func TestCopyOfACallWhoseReplyIsOnItsWayIsNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, again := newAnsweredCall(), newAnsweredCall()
		again.request = call.request
		server := serveCalls(t, call, again)
		synctest.Wait()
		if len(again.settled) > 0 {
			t.Error("the copy was answered too")
		}
		again.want(t, "the copy, while the reply is on its way", 0, 0)
		(<-call.settled)(nil)
		call.want(t, "the call", 1, 0)
		again.want(t, "its copy", 1, 0)
		stop(t, server)
	})
}

// unreadable are bodies of no request.
var unreadable = map[string]string{
	"not JSON": `not JSON`, "cut off": `{"method": "cut off"`, "of another version": `{"oslo.version": "3.0", "oslo.message": "{}"}`,
}

func TestWhatCannotBeReadIsParkedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, body := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				server := b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithAck(messaging.AckOnFinish))
				b.publishRaw(t, body)
				synctest.Wait()
				p := b.parked(t)
				if string(p.Body) != body || p.Headers["x-mine"] != "kept" {
					t.Errorf("parked %+v, want it as it was", p)
				}
				if h := p.Headers; h[transport.ReasonHeader] == "" || h[transport.ReasonHeader] == nil || h[transport.QueueHeader] != "t" ||
					h[transport.DeliveriesHeader] != int64(1) {
					t.Errorf("headers %v, want why and from where", h)
				}
				if got := server.Stats(); got.Parked != 1 || got.Requeued != 0 {
					t.Errorf("stats %+v, want one parked", got)
				}
				b.wantQueue(t, "in the end", 0, 0)
			})
		})
	}
}

func TestWhatCannotBeReadIsDroppedAndCountedInOtherModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []messaging.AckMode{messaging.AckOnReceive, messaging.AckOnStart} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			server := b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithAck(mode))
			b.publishRaw(t, "not JSON")
			synctest.Wait()
			b.wantQueue(t, string(mode), 0, 0)
			if got := b.broker.Stats(); got.Malformed != 1 || got.Queues["t.parking"].Waiting != 0 {
				t.Errorf("%s: stats %+v, want one malformed and none parked", mode, got)
			}
			if got := server.Stats(); got.Received != 0 {
				t.Errorf("%s: stats %+v, want none received", mode, got)
			}
		})
	}
}

// publishRaw publishes a body as it is.
func (b *bus) publishRaw(t testing.TB, body string) {
	t.Helper()
	if err := b.broker.Publish("openstack", "t", memory.Publishing{
		ContentType: wire.ContentTypeJSON, Body: []byte(body), Headers: map[string]any{"x-mine": "kept"},
	}); err != nil {
		t.Fatal(err)
	}
}
