package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// stubIncoming is a request whose driver does as a test says.
type stubIncoming struct {
	req              *transport.Request
	ackErr, replyErr error
	replies          chan *transport.Reply
}

func newStubIncoming(method, args string) *stubIncoming {
	return &stubIncoming{
		req: &transport.Request{
			Method: method, Args: transport.Value(args), MsgID: wire.TextValue("m"), ReplyQueue: "q", UniqueID: wire.NewID(),
		},
		replies: make(chan *transport.Reply, 1),
	}
}

func (in *stubIncoming) Request() *transport.Request     { return in.req }
func (in *stubIncoming) Ack(context.Context) error       { return in.ackErr }
func (in *stubIncoming) Requeue(context.Context) error   { return nil }
func (in *stubIncoming) Heartbeat(context.Context) error { return nil }
func (in *stubIncoming) Reply(_ context.Context, reply *transport.Reply) error {
	in.replies <- reply
	return in.replyErr
}

// handing is a listener that hands out the requests, in their order, and then waits.
func handing(requests ...transport.Incoming) *stubListener {
	l := newStubListener()
	wait := l.poll
	l.poll = func(ctx context.Context) (transport.Incoming, error) {
		if len(requests) == 0 {
			return wait(ctx)
		}
		next := requests[0]
		requests = requests[1:]
		return next, nil
	}
	return l
}

// TestServerGoesOnWhateverTheDriverSays is the table of what comes of a request that the driver cannot acknowledge
// or answer (oslo_messaging/rpc/server.py, _process_incoming): a line in the log, and the next request is served.
func TestServerGoesOnWhateverTheDriverSays(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, c := range []struct {
		name             string
		ackErr, replyErr error
		runs             bool
		level            logrus.Level
		message          string
	}{
		{"all is well", nil, nil, true, logrus.DebugLevel, "replied"},
		{"the acknowledgement fails", broken, nil, false, logrus.WarnLevel, "not run: cannot acknowledge"},
		{"the connection is gone", transport.ErrStale, nil, false, logrus.DebugLevel, "not run: the message will be delivered again"},
		{"it is a duplicate", transport.ErrDuplicate, nil, false, logrus.InfoLevel, "dropped a duplicate"},
		{"the reply fails", nil, broken, true, logrus.ErrorLevel, "cannot send the reply"},
		{"nobody takes the reply", nil, transport.ErrUndeliverable, true, logrus.ErrorLevel, "cannot send the reply"},
	} {
		synctest.Test(t, func(t *testing.T) {
			bad, good := newStubIncoming("echo", `{"value": 1}`), newStubIncoming("echo", `{"value": 2}`)
			bad.ackErr, bad.replyErr = c.ackErr, c.replyErr
			l := handing(bad, good)
			server, hook := stubServer(t, func() (transport.Listener, error) { return l, nil })
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if reply := <-good.replies; string(reply.Result) != "2" {
				t.Errorf("%s: the next request is answered %s", c.name, reply.Result)
			}
			stop(t, server)
			if ran := len(bad.replies) > 0; ran != c.runs {
				t.Errorf("%s: ran %t, want %t", c.name, ran, c.runs)
			}
			if !slices.ContainsFunc(hook.AllEntries(), func(e *logrus.Entry) bool { return e.Level == c.level && e.Message == c.message }) {
				t.Errorf("%s: no line %q of level %s", c.name, c.message, c.level)
			}
		})
	}
}

// TestMonitorTimeoutsThatCannotBeServedAreWarnedOf lets methods run long, and counts heartbeats by their driver.
func TestMonitorTimeoutsThatCannotBeServedAreWarnedOf(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[string]struct {
		beats  int32
		warned bool
	}{
		`null`: {0, false}, `0`: {0, false}, `1`: {0, true}, `"bad"`: {0, true}, `-4`: {0, true}, `1.9`: {0, true}, `1e308`: {0, false},
		`2`: {9, false}, `"4"`: {4, false}, `2.9`: {9, false}, `[]`: {0, false}, `{"a": 1}`: {0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := &beating{stubIncoming: newStubIncoming("wait", `{}`)}
			in.req.MonitorTimeout = transport.Value(timeout)
			l := handing(in)
			log, hook := quietLogger()
			tr := messaging.NewTransport(&stubDriver{listen: func() (transport.Listener, error) { return l, nil }}, messaging.WithLogger(log))
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "wait", func(context.Context, struct{}) error {
				<-time.After(9*time.Second + 500*time.Millisecond)
				return nil
			})
			server, err := messaging.NewRPCServer(tr, messaging.Target{Topic: "t", Server: "s"}, []*messaging.Endpoint{ep})
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-in.replies
			<-time.After(time.Minute)
			stop(t, server)
			if got := in.beats.Load(); got != want.beats {
				t.Errorf("_timeout %s: %d heartbeats in 9.5 s, want %d", timeout, got, want.beats)
			}
			warned := slices.ContainsFunc(hook.AllEntries(), func(e *logrus.Entry) bool {
				return e.Message == "the caller's monitor timeout cannot be served: no heartbeats"
			})
			if warned != want.warned {
				t.Errorf("_timeout %s: warned %t, want %t", timeout, warned, want.warned)
			}
		})
	}
}

type beating struct {
	*stubIncoming
	beats atomic.Int32
}

func (in *beating) Heartbeat(context.Context) error {
	in.beats.Add(1)
	return nil
}

// TestPollLoopLogsAnErrorThatDiffersFromTheLastOne is the other half of the rule of once a minute
// (oslo_utils excutils): a text that differs from the last logged one is logged, however often that was.
func TestPollLoopLogsAnErrorThatDiffersFromTheLastOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ errors, want []string }{
		{[]string{"a", "a", "a", "b"}, []string{"0s a x1", "3s b x1"}},
		{[]string{"a", "b", "a", "b"}, []string{"0s a x1", "1s b x1", "2s a x1", "3s b x1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newStubListener()
			wait, left := l.poll, c.errors
			l.poll = func(ctx context.Context) (transport.Incoming, error) {
				if len(left) == 0 {
					return wait(ctx)
				}
				text := left[0]
				left = left[1:]
				return nil, errors.New(text)
			}
			server, hook := stubServer(t, func() (transport.Listener, error) { return l, nil })
			begun := time.Now()
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
			stop(t, server)
			var got []string
			for _, entry := range hook.AllEntries() {
				if entry.Message == "unexpected error, retrying" {
					got = append(got, fmt.Sprintf("%s %s x%d", entry.Time.Sub(begun),
						errors.Unwrap(entry.Data["error"].(error)), entry.Data["count"]))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("errors %q are logged as %q, want %q", c.errors, got, c.want)
			}
		})
	}
}

// TestStartOverridesThePoolSizeForOneLife counts what runs at once.
func TestStartOverridesThePoolSizeForOneLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var running, most atomic.Int32
		ep := messaging.NewEndpoint()
		messaging.HandleCast(ep, "work", func(context.Context, struct{}) error {
			storeMax(&most, running.Add(1))
			<-time.After(time.Second)
			running.Add(-1)
			return nil
		})
		server, err := messaging.NewRPCServer(b.servers, messaging.Target{Topic: "t", Server: "s"}, []*messaging.Endpoint{ep},
			messaging.WithExecutorThreadPoolSize(3))
		if err != nil {
			t.Fatal(err)
		}
		client := b.newClient(t)
		for _, c := range []struct {
			opts []messaging.StartOption
			want int32
		}{
			{[]messaging.StartOption{messaging.WithPoolSize(7)}, 7},
			{nil, 3},
			{[]messaging.StartOption{messaging.WithPoolSize(0)}, 3}, // 0 is no override
		} {
			if err := server.Start(t.Context(), c.opts...); err != nil {
				t.Fatal(err)
			}
			most.Store(0)
			for range 30 {
				if err := client.Cast(t.Context(), "work", nil); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Minute)
			stop(t, server)
			if most.Load() != c.want {
				t.Errorf("%d ran at once, want %d", most.Load(), c.want)
			}
		}
		if err := server.Start(t.Context(), messaging.WithPoolSize(-1)); err == nil {
			t.Error("Start took a negative pool size")
		}
		if err := server.Start(t.Context()); err != nil {
			t.Errorf("Start after one that failed = %v", err)
		}
		stop(t, server)
	})
}

// TestLimitedServerPrefetchesMore looks at what a server takes of many requests for one limited method.
func TestLimitedServerPrefetchesMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, limit, want int }{{4, 0, 16}, {64, 0, 128}, {4, 1, 256}, {200, 1, 400}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := messaging.NewEndpoint()
			release := make(chan struct{})
			messaging.HandleCast(ep, "work", func(context.Context, struct{}) error { <-release; return nil }, messaging.Limit(c.limit))
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithExecutor(executor.Threading), messaging.WithExecutorThreadPoolSize(c.size))
			client := b.newClient(t)
			for range 1000 {
				if err := client.Cast(t.Context(), "work", nil); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if got := b.broker.Stats().Queues["t"].Unacknowledged; got != c.want {
				t.Errorf("size %d, limit %d: %d unacknowledged, want the prefetch of %d", c.size, c.limit, got, c.want)
			}
			close(release)
			synctest.Wait()
		})
	}
}
