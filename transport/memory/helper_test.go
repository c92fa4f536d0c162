package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

var (
	topic    = target.Target{Exchange: "openstack", Topic: "topic"}
	onServer = target.Target{Exchange: "openstack", Topic: "topic", Server: "host"}
)

// newDriver makes a driver that is closed at the end of the test.
func newDriver(tb testing.TB, b *memory.Broker) *memory.Driver {
	tb.Helper()
	d := b.NewDriver()
	tb.Cleanup(func() { closeDriver(tb, d) })
	return d
}

func closeDriver(tb testing.TB, d *memory.Driver) {
	tb.Helper()
	if err := d.Close(tb.Context()); err != nil {
		tb.Errorf("close: %v", err)
	}
}

func listen(tb testing.TB, d *memory.Driver, on target.Target, prefetch int) transport.Listener {
	tb.Helper()
	l, err := d.Listen(tb.Context(), on, transport.ListenOptions{Prefetch: prefetch})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// declareQueue makes the queue of the topic, with nobody listening.
func declareQueue(tb testing.TB, d *memory.Driver) {
	tb.Helper()
	if err := listen(tb, d, onServer, 1).Close(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func cast(tb testing.TB, d *memory.Driver, method string, opts transport.SendOptions) {
	tb.Helper()
	if err := d.Cast(tb.Context(), topic, &transport.Request{Method: method}, opts); err != nil {
		tb.Fatal(err)
	}
}

// take polls the request of a method and acknowledges it.
func take(tb testing.TB, l transport.Listener, method string) transport.Incoming {
	tb.Helper()
	in := poll(tb, l, method)
	if err := in.Ack(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return in
}

func poll(tb testing.TB, l transport.Listener, method string) transport.Incoming {
	tb.Helper()
	in, err := l.Poll(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if got := in.Request().Method; got != method {
		tb.Fatalf("polled %q, want %q", got, method)
	}
	return in
}

// call starts a call; the channel tells its error.
func call(ctx context.Context, d *memory.Driver, opts transport.SendOptions) <-chan error {
	ended := make(chan error, 1)
	go func() { // ends with ctx or the driver
		_, err := d.Call(ctx, topic, &transport.Request{Method: "call"}, opts)
		ended <- err
	}()
	return ended
}

// raw is a cast as it goes over the wire.
func raw(method string) memory.Publishing {
	body := wire.AppendRequest(nil, &transport.Request{Method: method, UniqueID: wire.NewID()})
	return memory.Publishing{ContentType: wire.ContentTypeJSON, Body: body}
}

func mustMatch(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s: error %v, want one that matches %q", what, err, want)
	}
}
