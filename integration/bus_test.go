//go:build integration

package integration_test

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if schedulerDir != "" {
			_ = os.RemoveAll(schedulerDir)
		}
		os.Exit(status) //nolint:forbidigo // goleak leaves that to its Cleanup
	}))
}

const (
	// patience is how long a test waits for what has to happen.
	patience = 20 * time.Second
	// moment is how long a test watches that something does not happen.
	moment = 300 * time.Millisecond
)

// bus is a corner of a broker: nobody else uses its exchange and topic.
type bus struct {
	url             string // of the transport
	exchange, topic string
}

// newBus is a corner of the shared broker.
func newBus(tb testing.TB) *bus {
	tb.Helper()
	return busOf(tb, broker.Shared(tb))
}

func busOf(tb testing.TB, b *broker.Broker) *bus {
	tb.Helper()
	bus := &bus{url: b.URL(), exchange: unique("exchange"), topic: unique("topic")}
	if !b.CanControl() { // somebody else's broker is left as it was found
		tb.Cleanup(func() { bus.sweep(tb) })
	}
	return bus
}

// unique is a name that no other test uses, in this run or another.
func unique(kind string) string { return "goslo-it-" + kind + "-" + strings.ToLower(rand.Text()[:10]) }

// target is the topic, or one server of it.
func (b *bus) target(server string) messaging.Target {
	return messaging.Target{Exchange: b.exchange, Topic: b.topic, Server: server}
}

// sweep removes what outlives its servers: their queues, and exchanges.
func (b *bus) sweep(tb testing.TB) {
	tb.Helper()
	queues := []string{b.topic}
	for _, server := range []string{"host1", "host2", "first", "second"} {
		queues = append(queues, b.topic+"."+server)
	}
	remove(tb, dial(tb, b.url), []string{b.exchange, b.topic + "_fanout"}, queues)
}

// dial opens an AMQP connection of the test's own, closed at its end.
func dial(tb testing.TB, transportURL string) *amqp.Connection {
	tb.Helper()
	conn, err := amqp.Dial(broker.AMQP(transportURL))
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	tb.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) })
	return conn
}

// channel opens a channel on a connection of its own.
func channel(tb testing.TB, transportURL string) *amqp.Channel {
	tb.Helper()
	ch, err := dial(tb, transportURL).Channel()
	if err != nil {
		tb.Fatalf("open a channel: %v", err)
	}
	return ch
}

// party is a transport, its driver, and what both log.
type party struct {
	*messaging.Transport
	driver *rabbit.Driver
	log    *logtest.Hook
	notes  chan note // what the servers on it have run
}

// join opens a transport, which is closed when the test ends. What it logs is shown if the test fails.
func join(tb testing.TB, transportURL string) *party {
	tb.Helper()
	u, err := transport.ParseURL(transportURL)
	if err != nil {
		tb.Fatal(err)
	}
	logger, hook := logtest.NewNullLogger()
	logger.Level = logrus.InfoLevel
	driver, err := rabbit.Open(u, rabbit.WithLogger(logger))
	if err != nil {
		tb.Fatal(err)
	}
	p := &party{
		Transport: messaging.NewTransport(driver, messaging.WithLogger(logger)), driver: driver, log: hook,
		notes: make(chan note, 1000),
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			tb.Errorf("close the transport: %v", err)
		}
		if tb.Failed() {
			tb.Logf("the transport's log:\n%s", hookText(hook))
		}
	})
	return p
}

func hookText(hook *logtest.Hook) string {
	var b strings.Builder
	for _, entry := range hook.AllEntries() {
		if line, err := entry.Bytes(); err == nil {
			b.Write(line)
		}
	}
	return b.String()
}

// logged counts the lines with that message.
func (p *party) logged(message string) int {
	n := 0
	for _, entry := range p.log.AllEntries() {
		if entry.Message == message {
			n++
		}
	}
	return n
}

// client makes a client of the topic of the bus.
func (p *party) client(tb testing.TB, b *bus, opts ...messaging.ClientOption) *messaging.Client {
	tb.Helper()
	c, err := messaging.NewClient(p.Transport, b.target(""), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// serve starts a server, which is stopped when the test ends.
func (p *party) serve(tb testing.TB, on messaging.Target, endpoints ...*messaging.Endpoint) {
	tb.Helper()
	p.serveWith(tb, on, endpoints)
}

// serveWith is serve with options.
func (p *party) serveWith(tb testing.TB, on messaging.Target, endpoints []*messaging.Endpoint, opts ...messaging.ServerOption) {
	tb.Helper()
	srv, err := messaging.NewRPCServer(p.Transport, on, endpoints, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	if err := srv.Start(patient(tb)); err != nil {
		tb.Fatalf("start: %v", err)
	}
	stopLater(tb, srv)
}

// stopLater stops a server when the test ends.
func stopLater(tb testing.TB, srv *messaging.MessageHandlingServer) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Stop(ctx); err != nil {
			tb.Errorf("stop: %v", err)
		}
		if err := srv.Wait(ctx); err != nil {
			tb.Errorf("wait: %v", err)
		}
	})
}

// patient is a context that ends when the test's patience does.
func patient(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// receive takes from c what must come.
func receive[T any](tb testing.TB, c <-chan T) (value T) {
	tb.Helper()
	select {
	case v, ok := <-c:
		if !ok {
			tb.Fatal("the channel was closed")
		}
		return v
	case <-time.After(patience):
		tb.Fatal("still waiting")
	}
	return value
}

// receiveNothing watches that nothing comes from c.
func receiveNothing[T any](tb testing.TB, c <-chan T) {
	tb.Helper()
	select {
	case v := <-c:
		tb.Errorf("received %+v, want nothing", v)
	case <-time.After(moment):
	}
}

// eventually waits until ok holds, looking again and again.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	end := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var _ io.Writer = (*lockedBuffer)(nil)

// silent is a logger that nobody reads.
func silent() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logger
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
