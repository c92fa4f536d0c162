//go:build integration

package integration_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/transport/transporttest"
)

// TestRabbitDriverConforms runs the suite of all drivers against a real broker, on a virtual host of its own.
func TestRabbitDriverConforms(t *testing.T) {
	t.Parallel()
	conforms(t, broker.Shared(t), "", transporttest.Features{})
}

// conforms runs the suite of all drivers on a virtual host of b, with the options in query. What the driver can do is
// added to features.
func conforms(t *testing.T, b *broker.Broker, query string, features transporttest.Features) {
	t.Helper()
	plain := b.VHost(t)
	url := plain + query
	newDriver := func(tb testing.TB) transport.Driver { tb.Helper(); return openDriver(tb, url) }
	raw := dial(t, plain)
	features.Redelivered, features.LateAck, features.Counts = true, true, true
	features.RawPublish = func(tb testing.TB, exchange, key, contentType string, body []byte) {
		tb.Helper()
		rawPublish(tb, raw, exchange, key, amqp.Publishing{
			ContentType: contentType, ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Body: body,
		})
	}
	features.Unreachable = func(tb testing.TB) transport.Driver { tb.Helper(); return openDriver(tb, unreachableURL(tb)) }
	features.Blocking = func(tb testing.TB) (transport.Driver, func(blocked bool)) {
		tb.Helper()
		d, m := connectMuffled(tb, plain, query)
		return d, func(blocked bool) { m.block(blocked); awaitBlock(tb, raw, d, blocked) }
	}
	features.Deaf = func(tb testing.TB) (transport.Driver, func()) {
		tb.Helper()
		d, m := connectMuffled(tb, plain, query)
		return d, func() { m.deafen(tb) }
	}
	if !b.CanControl() { // the virtual host is one that others use
		features.Cleanup = func(tb testing.TB, exchanges, queues []string) { tb.Helper(); remove(tb, raw, exchanges, queues) }
	}
	transporttest.Run(t, newDriver, features)
}

// connectMuffled makes a driver that is connected through a muffler of its own.
func connectMuffled(tb testing.TB, plain, query string) (*rabbit.Driver, *muffler) {
	tb.Helper()
	m := newMuffler(tb, plain)
	d := openDriver(tb, m.url+query)
	if err := d.Ping(patient(tb)); err != nil {
		tb.Errorf("ping: %v", err)
	}
	return d, m
}

// awaitBlock waits until a driver knows that it is blocked, which only a cast can tell: one to nobody.
func awaitBlock(tb testing.TB, raw *amqp.Connection, d *rabbit.Driver, blocked bool) {
	tb.Helper()
	if !blocked {
		return
	}
	nobody := target.Target{Exchange: unique("exchange"), Topic: "nobody"}
	tb.Cleanup(func() { remove(tb, raw, []string{nobody.Exchange}, nil) })
	eventually(tb, "the driver is blocked", func() bool {
		ctx, cancel := context.WithTimeout(tb.Context(), 50*time.Millisecond)
		defer cancel()
		err := d.Cast(ctx, nobody, &transport.Request{Method: "nothing"}, transport.SendOptions{})
		return errors.Is(err, transport.ErrBlocked)
	})
}

func openDriver(tb testing.TB, url string) *rabbit.Driver {
	tb.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := rabbit.Open(u, rabbit.WithLogger(silent()))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// unreachableURL names a port where nobody listens.
func unreachableURL(tb testing.TB) string {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return "rabbit://guest:guest@" + l.Addr().String() + "/"
}

// rawPublish publishes as given and waits for the broker's confirm.
func rawPublish(tb testing.TB, conn *amqp.Connection, exchange, key string, message amqp.Publishing) {
	tb.Helper()
	ch, err := conn.Channel()
	if err != nil {
		tb.Fatalf("open a channel: %v", err)
	}
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		tb.Fatalf("ask for confirms: %v", err)
	}
	confirm, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, message)
	if err != nil {
		tb.Fatalf("publish: %v", err)
	}
	if ok, err := confirm.WaitContext(patient(tb)); err != nil || !ok {
		tb.Fatalf("publish: confirmed %t, %v", ok, err)
	}
}

// remove deletes exchanges and queues; those that are gone are no error.
func remove(tb testing.TB, conn *amqp.Connection, exchanges, queues []string) {
	tb.Helper()
	each := func(names []string, f func(ch *amqp.Channel, name string) error) {
		for _, name := range names {
			ch, err := conn.Channel()
			if err != nil {
				tb.Errorf("open a channel: %v", err)
				return
			}
			var refused *amqp.Error
			if err := f(ch, name); err != nil && (!errors.As(err, &refused) || refused.Code != amqp.NotFound) {
				tb.Errorf("remove %s: %v", strings.TrimSpace(name), err)
			}
			_ = ch.Close()
		}
	}
	each(queues, func(ch *amqp.Channel, name string) error {
		_, err := ch.QueueDelete(name, false, false, false)
		return err
	})
	each(exchanges, func(ch *amqp.Channel, name string) error { return ch.ExchangeDelete(name, false, false) })
}
