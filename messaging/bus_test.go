package messaging_test

import (
	"context"
	"io"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// bus is one broker in memory with a transport for servers and one for clients.
type bus struct {
	broker          *memory.Broker
	servers, client *messaging.Transport
	logs            *logtest.Hook
}

func newBus(t testing.TB) *bus {
	t.Helper()
	log, hook := quietLogger()
	broker := memory.NewBroker(memory.Config{})
	b := &bus{
		broker:  broker,
		servers: messaging.NewTransport(broker.NewDriver(), messaging.WithLogger(log)),
		client:  messaging.NewTransport(broker.NewDriver(), messaging.WithLogger(log)),
		logs:    hook,
	}
	t.Cleanup(func() {
		for _, transport := range []*messaging.Transport{b.client, b.servers} {
			if err := transport.Close(context.Background()); err != nil {
				t.Errorf("Close = %v", err)
			}
		}
	})
	return b
}

func quietLogger() (*logrus.Logger, *logtest.Hook) {
	log, hook := logtest.NewNullLogger()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.DebugLevel)
	return log, hook
}

// serve starts a server of topic "t" and stops it when the test ends.
func (b *bus) serve(t testing.TB, endpoints []*messaging.Endpoint, opts ...messaging.ServerOption) *messaging.MessageHandlingServer {
	t.Helper()
	server, err := messaging.NewRPCServer(b.servers, messaging.Target{Topic: "t", Server: "s"}, endpoints, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

func stop(t testing.TB, server *messaging.MessageHandlingServer) {
	t.Helper()
	if err := server.Stop(context.Background()); err != nil {
		t.Errorf("Stop = %v", err)
	}
	if err := server.Wait(context.Background()); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func (b *bus) newClient(t testing.TB, opts ...messaging.ClientOption) *messaging.Client {
	t.Helper()
	client, err := messaging.NewClient(b.client, messaging.Target{Topic: "t"}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// answers is how many messages the caller of the only request so far was sent.
func (b *bus) answers() int64 { return b.broker.Stats().Published - 1 }

// logged reports whether a line of that level and message was logged.
func (b *bus) logged(level logrus.Level, message string) bool {
	for _, entry := range b.logs.AllEntries() {
		if entry.Level == level && entry.Message == message {
			return true
		}
	}
	return false
}

func (b *bus) count(message string) int {
	n := 0
	for _, entry := range b.logs.AllEntries() {
		if entry.Message == message {
			n++
		}
	}
	return n
}

// echo is an endpoint with methods for most tests.
func echo() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "echo", "value", func(_ context.Context, value any) (any, error) { return value, nil })
	messaging.Handle(ep, "panic", func(context.Context, struct{}) (any, error) { panic("at the disco") })
	return ep
}

// stubDriver is a driver whose listeners a test controls.
type stubDriver struct {
	transport.Driver
	listen func() (transport.Listener, error)
}

func (d *stubDriver) Listen(context.Context, messaging.Target, transport.ListenOptions) (transport.Listener, error) {
	return d.listen()
}

// stubListener hands out what poll gives it and counts how it is ended.
type stubListener struct {
	poll           func(ctx context.Context) (transport.Incoming, error)
	stopErr        error
	stops, closes  int
	stopped, ended chan struct{}
}

func newStubListener() *stubListener {
	l := &stubListener{stopped: make(chan struct{}), ended: make(chan struct{})}
	l.poll = func(ctx context.Context) (transport.Incoming, error) {
		select {
		case <-l.stopped:
			return nil, transport.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l
}

func (l *stubListener) Poll(ctx context.Context) (transport.Incoming, error) { return l.poll(ctx) }

func (l *stubListener) Stop(context.Context) error {
	if l.stops++; l.stops == 1 {
		close(l.stopped)
	}
	return l.stopErr
}

func (l *stubListener) Close(context.Context) error {
	if l.closes++; l.closes == 1 {
		close(l.ended)
	}
	return nil
}

// stubServer is a server on listeners that a test makes.
func stubServer(t testing.TB, listen func() (transport.Listener, error), opts ...messaging.ServerOption) (*messaging.MessageHandlingServer, *logtest.Hook) {
	t.Helper()
	log, hook := quietLogger()
	tr := messaging.NewTransport(&stubDriver{listen: listen}, messaging.WithLogger(log))
	server, err := messaging.NewRPCServer(tr, messaging.Target{Topic: "t", Server: "s"}, []*messaging.Endpoint{echo()}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return server, hook
}
