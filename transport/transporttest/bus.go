package transporttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// moment is how long the suite watches that something does not happen. Too short a moment hides a mistake, it
// never invents one.
const moment = 250 * time.Millisecond

// bus is what one test works with: a client's and a server's driver, and a topic of its own.
type bus struct {
	client, server transport.Driver
	topic          target.Target // without a server: where clients send
	features       Features
	newDriver      func(tb testing.TB) transport.Driver

	mu                sync.Mutex // guards what Cleanup is told
	exchanges, queues map[string]bool
}

func newBus(t *testing.T, newDriver func(tb testing.TB) transport.Driver, features Features) *bus {
	t.Helper()
	b := &bus{features: features, newDriver: newDriver, exchanges: map[string]bool{}, queues: map[string]bool{}}
	if features.Cleanup != nil {
		t.Cleanup(func() { features.Cleanup(t, keys(b.exchanges), keys(b.queues)) }) // last: the drivers are closed
	}
	b.topic = target.Target{Exchange: unique("exchange"), Topic: unique("topic")}
	b.client, b.server = b.driver(t), b.driver(t)
	return b
}

func keys(set map[string]bool) []string {
	var all []string
	for key := range set {
		all = append(all, key)
	}
	return all
}

// unique is a name that nobody else on the broker uses.
func unique(kind string) string { return "goslo-test-" + kind + "-" + wire.NewID()[:12] }

// driver makes one more driver, closed at the end of the test.
func (b *bus) driver(tb testing.TB) transport.Driver {
	tb.Helper()
	d := b.newDriver(tb)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience) // tb.Context has ended by now
		defer cancel()
		if err := d.Close(ctx); err != nil {
			tb.Errorf("close driver: %v", err)
		}
	})
	return d
}

// onServer is the topic with the name of a server.
func (b *bus) onServer(name string) target.Target {
	on := b.topic
	on.Server = name
	return on
}

// listen listens on the topic as the named server, by the server's driver.
func (b *bus) listen(tb testing.TB, name string, prefetch int) transport.Listener {
	tb.Helper()
	return b.listenOn(tb, b.server, b.onServer(name), prefetch)
}

func (b *bus) listenOn(tb testing.TB, d transport.Driver, on target.Target, prefetch int) transport.Listener {
	tb.Helper()
	return b.listenFor(tb, d, on, transport.ListenOptions{Prefetch: prefetch})
}

func (b *bus) listenFor(tb testing.TB, d transport.Driver, on target.Target, opts transport.ListenOptions) transport.Listener {
	tb.Helper()
	b.touch(on)
	l, err := d.Listen(patient(tb), on, opts)
	if err != nil {
		tb.Fatalf("listen on %s: %v", on, err)
	}
	return l
}

// touch notes which names a target brings to the broker.
func (b *bus) touch(on target.Target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exchanges[on.Exchange], b.exchanges[on.Topic+"_fanout"] = true, true
	b.queues[on.Topic], b.queues[on.Topic+"."+on.Server] = true, true
}

// cast sends a cast from the client to the topic.
func (b *bus) cast(tb testing.TB, method string) { tb.Helper(); b.castTo(tb, b.topic, method) }

func (b *bus) castTo(tb testing.TB, to target.Target, method string) {
	tb.Helper()
	b.touch(to)
	if err := b.client.Cast(patient(tb), to, request(method), transport.SendOptions{}); err != nil {
		tb.Fatalf("cast %s to %s: %v", method, to, err)
	}
}

// rawPublish publishes to the topic of the bus.
func (b *bus) rawPublish(tb testing.TB, contentType, body string) {
	tb.Helper()
	b.features.RawPublish(tb, b.topic.Exchange, b.topic.Topic, contentType, []byte(body))
}

func request(method string) *transport.Request { return &transport.Request{Method: method} }

// outcome is how a call ended.
type outcome struct {
	reply *transport.Reply
	err   error
}

// call starts a call of the method from the client to the topic; await waits for its outcome.
func (b *bus) call(tb testing.TB, method string) <-chan outcome {
	tb.Helper()
	return b.callTo(patient(tb), b.client, b.topic, request(method), transport.SendOptions{})
}

func (b *bus) callTo(
	ctx context.Context, d transport.Driver, to target.Target, req *transport.Request, opts transport.SendOptions,
) <-chan outcome {
	b.touch(to)
	ended := make(chan outcome, 1)
	go func() { // ends with ctx, at the latest when its driver is closed
		reply, err := d.Call(ctx, to, req, opts)
		ended <- outcome{reply, err}
	}()
	return ended
}

// warmUp calls once, so that what the drivers do at their first call takes no time of the next one.
func (b *bus) warmUp(tb testing.TB, l transport.Listener) {
	tb.Helper()
	ended := b.call(tb, "warm up")
	answer(tb, take(tb, l, "warm up"), `null`)
	await(tb, ended)
}

// await waits for a call that must have a reply.
func await(tb testing.TB, ended <-chan outcome) *transport.Reply {
	tb.Helper()
	got := receive(tb, ended)
	if got.err != nil {
		tb.Fatalf("call: %v", got.err)
	}
	return got.reply
}

// awaitResult waits for a call and checks its result.
func awaitResult(tb testing.TB, ended <-chan outcome, want string) {
	tb.Helper()
	reply := await(tb, ended)
	if reply.Failure != nil {
		tb.Fatalf("failure %+v, want result %s", reply.Failure, want)
	}
	if got := string(reply.Result); got != want {
		tb.Errorf("result %s, want %s", got, want)
	}
}

// receive takes from c what must come.
func receive[T any](tb testing.TB, c <-chan T) (value T) {
	tb.Helper()
	timer := time.NewTimer(2 * Patience) // calls end by themselves after Patience, which tells more
	defer timer.Stop()
	select {
	case value = <-c:
	case <-timer.C:
		tb.Fatal("still waiting")
	}
	return value
}

// poll returns the next request, which must come.
func poll(tb testing.TB, l transport.Listener) transport.Incoming {
	tb.Helper()
	in, err := l.Poll(patient(tb))
	if err != nil {
		tb.Fatalf("poll: %v", err)
	}
	return in
}

// pollMethod returns the next request, which must be of that method.
func pollMethod(tb testing.TB, l transport.Listener, method string) transport.Incoming {
	tb.Helper()
	in := poll(tb, l)
	if got := in.Request().Method; got != method {
		tb.Fatalf("polled method %q, want %q", got, method)
	}
	return in
}

// pollNothing checks that no request comes for a moment.
func pollNothing(tb testing.TB, l transport.Listener) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), moment)
	defer cancel()
	in, err := l.Poll(ctx)
	if err == nil {
		tb.Fatalf("polled method %q, want nothing", in.Request().Method)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		tb.Fatalf("poll: %v, want the end of its context", err)
	}
}

// take polls a request of that method and acknowledges it.
func take(tb testing.TB, l transport.Listener, method string) transport.Incoming {
	tb.Helper()
	in := pollMethod(tb, l, method)
	ack(tb, in)
	return in
}

// takeReturned polls and acknowledges what was handed back, in its order unless the features say otherwise.
func (b *bus) takeReturned(tb testing.TB, l transport.Listener, methods ...string) {
	tb.Helper()
	if !b.features.Reordered {
		for _, method := range methods {
			take(tb, l, method)
		}
		return
	}
	var got []string
	for range methods {
		in := poll(tb, l)
		ack(tb, in)
		got = append(got, in.Request().Method)
	}
	slices.Sort(got)
	slices.Sort(methods)
	if !slices.Equal(got, methods) {
		tb.Fatalf("polled methods %q, want %q", got, methods)
	}
}

func ack(tb testing.TB, in transport.Incoming) {
	tb.Helper()
	if err := in.Ack(patient(tb)); err != nil {
		tb.Fatalf("acknowledge %q: %v", in.Request().Method, err)
	}
}

// answer ends a call with a result.
func answer(tb testing.TB, in transport.Incoming, result string) {
	tb.Helper()
	reply(tb, in, &transport.Reply{Result: transport.Value(result), Ending: true})
}

func reply(tb testing.TB, in transport.Incoming, reply *transport.Reply) {
	tb.Helper()
	if err := in.Reply(patient(tb), reply); err != nil {
		tb.Fatalf("reply to %q: %v", in.Request().Method, err)
	}
}

func stop(tb testing.TB, l transport.Listener) {
	tb.Helper()
	if err := l.Stop(patient(tb)); err != nil {
		tb.Fatalf("stop: %v", err)
	}
}

func closeListener(tb testing.TB, l transport.Listener) {
	tb.Helper()
	if err := l.Close(patient(tb)); err != nil {
		tb.Fatalf("close listener: %v", err)
	}
}

func closeDriver(tb testing.TB, d transport.Driver) {
	tb.Helper()
	if err := d.Close(patient(tb)); err != nil {
		tb.Fatalf("close driver: %v", err)
	}
}

// serve answers every request of l by handle, on a goroutine that ends with the test. handle must not call
// FailNow.
func serve(tb testing.TB, l transport.Listener, handle func(ctx context.Context, in transport.Incoming) error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	tb.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	ended.Go(func() {
		for {
			in, err := l.Poll(ctx)
			if err != nil {
				if ctx.Err() == nil {
					tb.Errorf("poll: %v", err)
				}
				return
			}
			if err := handle(ctx, in); err != nil && ctx.Err() == nil {
				tb.Errorf("serve %q: %v", in.Request().Method, err)
			}
		}
	})
}

// echo is a handler that returns the arguments of a call.
func echo(ctx context.Context, in transport.Incoming) error {
	if err := in.Ack(ctx); err != nil {
		return err
	}
	return in.Reply(ctx, &transport.Reply{Result: in.Request().Args, Ending: true})
}

// patient is a context for what must be done within Patience.
func patient(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}

// pass lets time go by.
func pass(tb testing.TB, d time.Duration) {
	tb.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-tb.Context().Done():
	}
}

// mustMatch checks that err matches each of the wanted errors.
func mustMatch(tb testing.TB, what string, err error, want ...error) {
	tb.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			tb.Errorf("%s: error %v, want one that matches %q", what, err, strings.TrimSpace(w.Error()))
		}
	}
}
