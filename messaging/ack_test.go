package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// ackModes are all of them.
var ackModes = []messaging.AckMode{messaging.AckOnReceive, messaging.AckOnStart, messaging.AckOnFinish}

// another starts one more server of the topic on a driver of its own, which kill closes over its head.
func (b *bus) another(t testing.TB, endpoint *messaging.Endpoint, opts ...messaging.ServerOption) (server *messaging.MessageHandlingServer, kill func()) {
	t.Helper()
	log, _ := quietLogger()
	driver := messaging.NewTransport(b.broker.NewDriver(), messaging.WithLogger(log))
	server, err := messaging.NewRPCServer(driver, messaging.Target{Topic: "t", Server: "other"}, []*messaging.Endpoint{endpoint}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		if err := driver.Close(context.Background()); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	t.Cleanup(func() {
		kill()
		stop(t, server)
	})
	return server, kill
}

// worker is an endpoint whose method "work" does what do says.
func worker(do func(ctx context.Context) error) *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleCast(ep, "work", func(ctx context.Context, _ struct{}) error { return do(ctx) })
	return ep
}

// takes is a method that takes its time.
func takes(d time.Duration) *messaging.Endpoint {
	return worker(func(context.Context) error { <-time.After(d); return nil })
}

func (b *bus) cast(t testing.TB, times int) {
	t.Helper()
	client := b.newClient(t)
	for range times {
		if err := client.Cast(t.Context(), "work", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// wantQueue checks what is on the topic's queue.
func (b *bus) wantQueue(t testing.TB, when string, waiting, unacknowledged int) {
	t.Helper()
	if got := b.broker.Stats().Queues["t"]; got.Waiting != waiting || got.Unacknowledged != unacknowledged {
		t.Errorf("%s: %d wait and %d are unacknowledged, want %d and %d", when, got.Waiting, got.Unacknowledged, waiting, unacknowledged)
	}
}

// publishWork publishes a request for work as it is.
func (b *bus) publishWork(t testing.TB, uniqueID string) {
	t.Helper()
	body := wire.AppendRequest(nil, &wire.Request{Method: "work", UniqueID: uniqueID})
	if err := b.broker.Publish("openstack", "t", memory.Publishing{ContentType: "application/json", Body: body}); err != nil {
		t.Fatal(err)
	}
}

// parked takes the next message of the parking queue.
func (b *bus) parked(t testing.TB) memory.Publishing {
	t.Helper()
	consumer := b.broker.Consume("t.parking")
	defer consumer.Close()
	p, err := consumer.Next(bounded(t, time.Second))
	if err != nil {
		t.Fatalf("nothing is parked: %v", err)
	}
	return p
}

func TestRequestIsAcknowledgedWhenTheModeSays(t *testing.T) {
	t.Parallel()
	for mode, want := range map[messaging.AckMode]int{"": 2, messaging.AckOnReceive: 0, messaging.AckOnStart: 2, messaging.AckOnFinish: 3} {
		for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
			if kind == executor.Pool && mode != messaging.AckOnReceive && mode != messaging.AckOnFinish {
				continue // it takes one more in hand
			}
			t.Run(fmt.Sprintf("%s %s", mode, kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBus(t)
					opts := []messaging.ServerOption{messaging.WithExecutor(kind), messaging.WithExecutorThreadPoolSize(1)}
					if mode != "" {
						opts = append(opts, messaging.WithAck(mode))
					}
					server := b.serve(t, []*messaging.Endpoint{takes(time.Minute)}, opts...)
					b.cast(t, 3)
					synctest.Wait()
					b.wantQueue(t, "while the first runs", 0, want)
					<-time.After(4 * time.Minute)
					b.wantQueue(t, "in the end", 0, 0)
					if got := server.Stats(); got.Received != 3 {
						t.Errorf("stats = %+v, want 3 received", got)
					}
				})
			})
		}
	}
}

func TestServerThatDiesLosesWhatItsModeAllows(t *testing.T) {
	t.Parallel()
	for mode, lost := range map[messaging.AckMode]int32{messaging.AckOnReceive: 3, messaging.AckOnStart: 1, messaging.AckOnFinish: 0} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			opts := []messaging.ServerOption{messaging.WithAck(mode), messaging.WithExecutorThreadPoolSize(1)}
			release := make(chan struct{})
			defer close(release)
			_, kill := b.another(t, worker(func(context.Context) error { <-release; return nil }), opts...)
			b.cast(t, 3)
			synctest.Wait()
			kill()
			var ran, again atomic.Int32
			second := b.serve(t, []*messaging.Endpoint{worker(func(ctx context.Context) error {
				ran.Add(1)
				if rpc := messaging.RPCFrom(ctx); rpc.Redelivered && rpc.Deliveries == 2 {
					again.Add(1)
				}
				return nil
			})}, opts...)
			synctest.Wait()
			if got := ran.Load(); got != 3-lost {
				t.Errorf("%s: the next server ran %d of 3, want %d", mode, got, 3-lost)
			}
			if again.Load() != ran.Load() || second.Stats().Redelivered != uint64(ran.Load()) {
				t.Errorf("%s: %d of %d know that they come again, %d were counted", mode, again.Load(), ran.Load(), second.Stats().Redelivered)
			}
		})
	}
}

// TestHoweverAMethodEndsItsRequestIsFinished looks at all ends but the one that asks for more.
func TestHoweverAMethodEndsItsRequestIsFinished(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func() error{
		"a result":  func() error { return nil },
		"an error":  func() error { return errors.New("no") },
		"a panic":   func() error { panic("no") },
		"an exit":   func() error { runtime.Goexit(); return nil },
		"cancelled": func() error { return context.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				server := b.serve(t, []*messaging.Endpoint{worker(func(context.Context) error { return end() })}, messaging.WithAck(messaging.AckOnFinish))
				var remote *messaging.RemoteError
				err := b.newClient(t).Call(t.Context(), "work", nil, nil)
				if answered := err == nil || errors.As(err, &remote); !answered || (err == nil) != (name == "a result") {
					t.Errorf("Call = %v", err)
				}
				synctest.Wait()
				b.wantQueue(t, "in the end", 0, 0)
				if got := server.Stats(); got.Received != 1 {
					t.Errorf("it was delivered %d times, want once", got.Received)
				}
			})
		})
	}
	t.Run("not a method", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithAck(messaging.AckOnFinish))
			if err := b.newClient(t).Call(t.Context(), "nope", nil, nil); !errors.Is(err, messaging.ErrNoSuchMethod) {
				t.Errorf("Call = %v, want ErrNoSuchMethod", err)
			}
			synctest.Wait()
			b.wantQueue(t, "in the end", 0, 0)
		})
	})
	t.Run("no caller", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			server := b.serve(t, []*messaging.Endpoint{takes(0)}, messaging.WithAck(messaging.AckOnFinish))
			body := wire.AppendRequest(nil, &wire.Request{Method: "work", UniqueID: "u"})
			if err := b.broker.Publish("openstack", "t", memory.Publishing{
				ContentType: "application/json", Body: body, Deadline: time.Now().Add(-time.Second),
			}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			b.wantQueue(t, "in the end", 0, 0)
			if got := server.Stats(); got.Expired != 1 {
				t.Errorf("stats = %+v, want 1 expired", got)
			}
		})
	})
}

func TestRequeuedRequestRunsAgainUntilItSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var deliveries []int
		ep := messaging.NewEndpoint()
		messaging.Handle(ep, "work", func(ctx context.Context, _ struct{}) (string, error) {
			n := messaging.RPCFrom(ctx).Deliveries
			if deliveries = append(deliveries, n); n < 4 {
				return "", fmt.Errorf("cell 1: %w", messaging.Requeue(errors.New("not yet")))
			}
			return "done", nil
		})
		server := b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAck(messaging.AckOnFinish))
		got, err := messaging.Call[string](t.Context(), b.newClient(t), "work", nil)
		if err != nil || got != "done" {
			t.Errorf("Call = %q, %v; want what it returned at last", got, err)
		}
		if fmt.Sprint(deliveries) != "[1 2 3 4]" {
			t.Errorf("it ran as delivery %v, want 1 to 4", deliveries)
		}
		synctest.Wait()
		b.wantQueue(t, "in the end", 0, 0)
		if got := server.Stats(); got.Requeued != 3 || got.Parked != 0 || got.Failed != 0 {
			t.Errorf("stats = %+v, want 3 requeued", got)
		}
	})
}

func TestRequeuedRequestGoesBehindTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ran := make(chan string, 10)
		ep := messaging.NewEndpoint()
		messaging.HandleArg(ep, "work", "name", func(ctx context.Context, name string) (any, error) {
			ran <- name
			if messaging.RPCFrom(ctx).Deliveries == 1 {
				return nil, messaging.Requeue(errors.New("not yet"))
			}
			return nil, nil
		})
		b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAck(messaging.AckOnFinish), messaging.WithExecutor(executor.Blocking), messaging.WithPrefetch(1))
		for _, name := range []string{"a", "b", "c"} {
			if err := b.newClient(t).Cast(t.Context(), "work", map[string]any{"name": name}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		close(ran)
		var order []string
		for name := range ran {
			order = append(order, name)
		}
		if got := strings.Join(order, " "); got != "a b c a b c" {
			t.Errorf("ran %s, want each twice and the others between", got)
		}
	})
}

func TestRequestThatIsRequeuedForEverIsParkedWithAllItHad(t *testing.T) {
	t.Parallel()
	for _, most := range []int{0, 1, 3} {
		t.Run(strconv.Itoa(most), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				var ran atomic.Int32
				opts, want := []messaging.ServerOption{messaging.WithAck(messaging.AckOnFinish)}, most
				if most > 0 {
					opts = append(opts, messaging.WithMaxDeliveries(most))
				} else {
					want = messaging.DefaultMaxDeliveries
				}
				server := b.serve(t, []*messaging.Endpoint{worker(func(context.Context) error {
					ran.Add(1)
					return messaging.Requeue(errors.New("the cell is gone"))
				})}, opts...)
				body := wire.AppendRequest(nil, &wire.Request{Method: "work", UniqueID: "u", MsgID: wire.TextValue("m"), ReplyQueue: "reply_1"})
				replies := b.broker.Consume("reply_1")
				defer replies.Close()
				if err := b.broker.Publish("openstack", "t", memory.Publishing{
					ContentType: "application/json", Body: body, Headers: map[string]any{"x-mine": "kept"}, Expiration: time.Minute,
				}); err != nil {
					t.Fatal(err)
				}
				answer, err := replies.Next(bounded(t, time.Second))
				if text := string(answer.Body); err != nil || !strings.Contains(text, "the cell is gone") ||
					!strings.Contains(text, "t.parking") || !strings.Contains(text, "RuntimeError") {
					t.Errorf("the caller is told %s, %v; want a failure that says what became of its request", text, err)
				}
				if got := int(ran.Load()); got != want {
					t.Errorf("it ran %d times, want %d", got, want)
				}
				<-time.After(time.Hour) // nothing in the parking queue expires
				p := b.parked(t)
				if string(p.Body) != string(body) || p.ContentType != "application/json" || p.Headers["x-mine"] != "kept" {
					t.Errorf("parked %+v, want what was sent", p)
				}
				if h := p.Headers; h[transport.ReasonHeader] != "the cell is gone" || h[transport.QueueHeader] != "t" ||
					h[transport.DeliveriesHeader] != int64(want) || h[wire.AttemptHeader] != nil {
					t.Errorf("headers of the parked request: %v", h)
				}
				if at, err := time.Parse(time.RFC3339, fmt.Sprint(p.Headers[transport.TimeHeader])); err != nil || time.Since(at) > 61*time.Minute {
					t.Errorf("parked at %v, %v", p.Headers[transport.TimeHeader], err)
				}
				b.wantQueue(t, "in the end", 0, 0)
				if got := server.Stats(); got.Parked != 1 || got.Requeued != uint64(want-1) {
					t.Errorf("stats = %+v, want 1 parked, %d requeued", got, want-1)
				}
				if !b.logged(logrus.ErrorLevel, "request parked") {
					t.Error("that was not logged")
				}
				if err := b.broker.Publish("", "t", p); err != nil { // as a person would, who has mended the cell
					t.Fatal(err)
				}
				synctest.Wait()
				if got := int(ran.Load()); got != 2*want {
					t.Errorf("published again it ran %d times, want %d as before", got-want, want)
				}
			})
		})
	}
}

func TestRequestThatEndsItsServersIsParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		const most = 3
		opts := []messaging.ServerOption{messaging.WithAck(messaging.AckOnFinish), messaging.WithMaxDeliveries(most)}
		var ran atomic.Int32
		release := make(chan struct{})
		defer close(release)
		killer := worker(func(context.Context) error { ran.Add(1); <-release; return nil })
		b.cast(t, 0)
		_, kill := b.another(t, killer, opts...)
		b.publishWork(t, "u")
		for range most {
			synctest.Wait()
			kill()
			_, kill = b.another(t, killer, opts...)
		}
		synctest.Wait()
		if got := ran.Load(); got != most {
			t.Errorf("it ran %d times, want %d", got, most)
		}
		if h := b.parked(t).Headers; h[transport.DeliveriesHeader] != int64(most) || h[transport.ReasonHeader] == "" {
			t.Errorf("headers of the parked request: %v", h)
		}
	})
}

func TestRequestThatCannotBeParkedStaysOnItsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.broker = memory.NewBroker(memory.Config{MaxQueueLength: 1})
		log, _ := quietLogger()
		b.client = messaging.NewTransport(b.broker.NewDriver(), messaging.WithLogger(log))
		defer b.client.Close(context.Background())
		b.broker.Consume("t.parking").Close()
		fill := memory.Publishing{Body: []byte("in the way")}
		if err := b.broker.Publish("", "t.parking", fill); err != nil {
			t.Fatal(err)
		}
		var ran atomic.Int32
		server, _ := b.another(t, worker(func(context.Context) error {
			ran.Add(1)
			return messaging.Requeue(errors.New("not yet"))
		}), messaging.WithAck(messaging.AckOnFinish), messaging.WithMaxDeliveries(1))
		b.publishWork(t, "u")
		<-time.After(10 * time.Second)
		if got := server.Stats(); got.Parked != 0 || got.Received < 9 || got.Received > 12 || ran.Load() != 1 {
			t.Errorf("stats = %+v, ran %d times; want one attempt a second to park it", got, ran.Load())
		}
		if got := b.parked(t); string(got.Body) != "in the way" {
			t.Errorf("parked %+v", got)
		}
		<-time.After(2 * time.Second)
		if got := b.parked(t); got.Headers[transport.QueueHeader] != "t" {
			t.Errorf("parked %+v, want the request now that there is room", got)
		}
	})
}

// TestCopyOfARequestThatRunsIsNotRun sends what a lost connection brings: the same request once more.
func TestCopyOfARequestThatRunsIsNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var ran atomic.Int32
		b.serve(t, []*messaging.Endpoint{worker(func(context.Context) error {
			ran.Add(1)
			<-time.After(time.Second)
			return nil
		})}, messaging.WithAck(messaging.AckOnFinish))
		b.publishWork(t, "u")
		b.publishWork(t, "u")
		b.publishWork(t, "other")
		b.publishWork(t, "")
		b.publishWork(t, "")
		synctest.Wait()
		b.wantQueue(t, "while it runs", 0, 5)
		<-time.After(2 * time.Second)
		b.wantQueue(t, "when it has ended", 0, 0)
		b.publishWork(t, "u")
		synctest.Wait()
		b.wantQueue(t, "after another copy", 0, 0)
		if got := ran.Load(); got != 4 {
			t.Errorf("%d ran, want 4", got)
		}
	})
}

// TestUnfinishedRequestIsNoDuplicateOfItself lets a server have the same request again that it had not finished.
func TestUnfinishedRequestIsNoDuplicateOfItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var ran atomic.Int32
		server := b.serve(t, []*messaging.Endpoint{worker(func(ctx context.Context) error {
			if ran.Add(1) == 1 {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		})}, messaging.WithAck(messaging.AckOnFinish))
		b.publishWork(t, "u")
		synctest.Wait()
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTaskTimeout(t, server.Wait(bounded(t, time.Second)), "wait", "running handlers")
		if err := server.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wantQueue(t, "after the server's end", 1, 0)
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := ran.Load(); got != 2 {
			t.Errorf("it ran %d times, want once more", got)
		}
		b.wantQueue(t, "in the end", 0, 0)
	})
}

func TestStopEndsInOrderWhateverTheAckMode(t *testing.T) {
	t.Parallel()
	for mode, want := range map[messaging.AckMode]struct{ first, second int32 }{
		messaging.AckOnReceive: {5, 0}, messaging.AckOnStart: {1, 4}, messaging.AckOnFinish: {1, 4},
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				opts := []messaging.ServerOption{messaging.WithAck(mode), messaging.WithExecutorThreadPoolSize(1)}
				count := func(ran *atomic.Int32) []*messaging.Endpoint {
					return []*messaging.Endpoint{worker(func(context.Context) error {
						<-time.After(time.Second)
						ran.Add(1)
						return nil
					})}
				}
				var first, second atomic.Int32
				server := b.serve(t, count(&first), opts...)
				answered := make(chan error, 5)
				client := b.newClient(t)
				for range cap(answered) {
					go func() { answered <- client.Call(t.Context(), "work", nil, nil) }()
				}
				synctest.Wait()
				begun := time.Now()
				if err := server.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(begun); waited != 0 {
					t.Errorf("Stop waited %s for handlers", waited)
				}
				if err := server.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.wantQueue(t, "when the first has ended", int(want.second), 0)
				b.serve(t, count(&second), opts...)
				for range cap(answered) {
					if err := <-answered; err != nil {
						t.Errorf("Call = %v", err)
					}
				}
				if first.Load() != want.first || second.Load() != want.second {
					t.Errorf("the servers ran %d and %d, want %d and %d", first.Load(), second.Load(), want.first, want.second)
				}
				synctest.Wait()
				b.wantQueue(t, "in the end", 0, 0)
			})
		})
	}
}

// TestWhatWaitLeavesNoTimeForIsNotLostInSilence ends Wait before anything else ends.
func TestWhatWaitLeavesNoTimeForIsNotLostInSilence(t *testing.T) {
	t.Parallel()
	for _, kind := range []executor.Type{executor.Blocking, executor.Threading, executor.Pool} {
		t.Run(string(messaging.AckOnReceive)+" "+string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				server := b.serve(t, []*messaging.Endpoint{takes(time.Minute)}, messaging.WithAck(messaging.AckOnReceive),
					messaging.WithExecutor(kind), messaging.WithExecutorThreadPoolSize(1))
				answered := make(chan error, 6)
				client := b.newClient(t, messaging.WithTimeout(time.Hour))
				for range cap(answered) {
					go func() { answered <- client.Call(t.Context(), "work", nil, nil) }()
				}
				synctest.Wait()
				if err := server.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := server.Wait(bounded(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("Wait = %v, want the end of its context", err)
				}
				if err := server.Wait(t.Context()); err != nil {
					t.Errorf("second Wait = %v", err)
				}
				told, ran := 0, 0
				for range cap(answered) {
					var remote *messaging.RemoteError
					switch err := <-answered; {
					case err == nil:
						ran++
					case errors.As(err, &remote) && strings.Contains(remote.Message, "not run"):
						told++
					default:
						t.Errorf("Call = %v", err)
					}
				}
				if ran == 0 || told == 0 || server.Stats().Abandoned != uint64(told) || b.count("lost: acknowledged and not run") != told {
					t.Errorf("%d ran, %d were told that they did not, stats %+v", ran, told, server.Stats())
				}
			})
		})
	}
	t.Run(string(messaging.AckOnFinish), func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			obeys := worker(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			server := b.serve(t, []*messaging.Endpoint{obeys}, messaging.WithAck(messaging.AckOnFinish))
			answered := make(chan error, 1)
			go func() { answered <- b.newClient(t).Call(t.Context(), "work", nil, nil) }()
			synctest.Wait()
			if err := server.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantTaskTimeout(t, server.Wait(bounded(t, time.Second)), "wait", "running handlers")
			if err := server.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.another(t, takes(0), messaging.WithAck(messaging.AckOnFinish))
			if err := <-answered; err != nil {
				t.Errorf("Call = %v, want the answer of the other server", err)
			}
		})
	})
}

func TestRequestsAreReceivedNoFurtherThanThePrefetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{takes(time.Second)}, messaging.WithAck(messaging.AckOnReceive),
			messaging.WithExecutorThreadPoolSize(1), messaging.WithPrefetch(4))
		b.cast(t, 20)
		synctest.Wait()
		// One runs, four wait acknowledged, four are prefetched.
		b.wantQueue(t, "while the first runs", 11, 4)
		<-time.After(time.Minute)
		b.wantQueue(t, "in the end", 0, 0)
	})
}

func TestLimitsHoldWhateverTheAckMode(t *testing.T) {
	t.Parallel()
	for _, mode := range ackModes {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			var running, most, ran atomic.Int32
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "work", func(context.Context, struct{}) error {
				storeMax(&most, running.Add(1))
				<-time.After(time.Second)
				running.Add(-1)
				ran.Add(1)
				return nil
			}, messaging.Limit(2))
			server := b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAck(mode), messaging.WithExecutorThreadPoolSize(8))
			b.cast(t, 10)
			<-time.After(1500 * time.Millisecond)
			stop(t, server)
			if most.Load() != 2 {
				t.Errorf("%s: %d ran at once, want 2", mode, most.Load())
			}
			if got, want := ran.Load(), map[bool]int32{true: 10, false: 4}[mode == messaging.AckOnReceive]; got != want {
				t.Errorf("%s: %d ran, want %d", mode, got, want)
			}
			b.wantQueue(t, string(mode), 10-int(ran.Load()), 0)
		})
	}
}

func TestPrefetchHoldsWhatRunsUnacknowledged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, limit, want int }{{4, 0, 20}, {64, 0, 192}, {4, 1, 260}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			release := make(chan struct{})
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "work", func(context.Context, struct{}) error { <-release; return nil }, messaging.Limit(c.limit))
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAck(messaging.AckOnFinish), messaging.WithExecutorThreadPoolSize(c.size))
			b.cast(t, 1000)
			synctest.Wait()
			if got := b.broker.Stats().Queues["t"].Unacknowledged; got != c.want {
				t.Errorf("size %d, limit %d: %d unacknowledged, want %d", c.size, c.limit, got, c.want)
			}
			close(release)
			synctest.Wait()
		})
	}
}

func TestAckOptionsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	on := messaging.Target{Topic: "t", Server: "s"}
	for want, opts := range map[string][]messaging.ServerOption{
		"ack mode":        {messaging.WithAck("never")},
		"most deliveries": {messaging.WithMaxDeliveries(0)},
		"prefetch of 8":   {messaging.WithAck(messaging.AckOnFinish), messaging.WithPrefetch(8)},
	} {
		if _, err := messaging.NewRPCServer(b.servers, on, []*messaging.Endpoint{echo()}, opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewRPCServer = %v, want an error about the %s", err, want)
		}
	}
	server, err := messaging.NewRPCServer(b.servers, on, []*messaging.Endpoint{echo()},
		messaging.WithAck(messaging.AckOnFinish), messaging.WithPrefetch(8), messaging.WithExecutorThreadPoolSize(8))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context(), messaging.WithPoolSize(9)); err == nil {
		t.Error("Start took more places than are prefetched")
	}
	if messaging.Requeue(nil) != nil {
		t.Error("Requeue(nil) is not nil")
	}
}

// TestRequeueIsAFailureWhereItIsTooLate asks for another run of what is acknowledged.
func TestRequeueIsAFailureWhereItIsTooLate(t *testing.T) {
	t.Parallel()
	for _, mode := range []messaging.AckMode{messaging.AckOnReceive, messaging.AckOnStart} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			server := b.serve(t, []*messaging.Endpoint{worker(func(context.Context) error {
				return messaging.Requeue(errors.New("not yet"))
			})}, messaging.WithAck(mode))
			var remote *messaging.RemoteError
			if err := b.newClient(t).Call(t.Context(), "work", nil, nil); !errors.As(err, &remote) || remote.Message != "not yet" {
				t.Errorf("%s: Call = %v, want its failure", mode, err)
			}
			if got := server.Stats(); got.Received != 1 || got.Failed != 1 || got.Requeued != 0 {
				t.Errorf("%s: stats = %+v", mode, got)
			}
		})
	}
}

// uncounted is a request from a broker that does not count deliveries.
type uncounted struct {
	transport.Incoming
	request *transport.Request
	moved   chan transport.Destination
	moveErr error
	acked   chan struct{}
}

func (in *uncounted) Request() *transport.Request       { return in.request }
func (in *uncounted) Deliveries() (n int, counted bool) { return 3, false }
func (in *uncounted) Ack(context.Context) error         { close(in.acked); return nil }
func (in *uncounted) Move(_ context.Context, to transport.Destination) error {
	in.moved <- to
	return in.moveErr
}

// TestDeliveriesThatNobodyCountsAreCounted hands a server a request that the broker delivers for who knows which time.
func TestDeliveriesThatNobodyCountsAreCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		runs bool
	}{
		"put back with a number":         {nil, false},
		"gone meanwhile":                 {transport.ErrStale, false},
		"run all the same if it must be": {transport.ErrRejected, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				in := &uncounted{
					request: &transport.Request{Method: "panic", UniqueID: "u"}, moved: make(chan transport.Destination, 1),
					moveErr: c.err, acked: make(chan struct{}),
				}
				l := newStubListener()
				idle := l.poll
				handed := false
				l.poll = func(ctx context.Context) (transport.Incoming, error) {
					if !handed {
						handed = true
						return in, nil
					}
					return idle(ctx)
				}
				server, _ := stubServer(t, func() (transport.Listener, error) { return l, nil }, messaging.WithAck(messaging.AckOnFinish))
				if err := server.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer stop(t, server)
				synctest.Wait()
				if to := <-in.moved; to.Queue != "" || to.Deliveries != 3 {
					t.Errorf("moved to %+v, want its own queue as delivery 3", to)
				}
				ran := server.Stats().Failed == 1
				select {
				case <-in.acked:
				default:
					if c.runs {
						t.Error("it was not acknowledged")
					}
				}
				if ran != c.runs {
					t.Errorf("it ran: %t, want %t", ran, c.runs)
				}
			})
		})
	}
}
