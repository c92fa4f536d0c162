//go:build integration

package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/integration/broker"
)

func TestBrokerComesBackOnItsPort(t *testing.T) {
	already := goleak.IgnoreCurrent()
	b := broker.ForTest(t, broker.WithSettings("max_message_size = 4242"))
	t.Logf("a broker from rung %q", b.Kind())
	if !b.CanControl() {
		t.Fatal("CanControl = false for a broker of our own")
	}
	if !strings.HasPrefix(b.URL(), "rabbit://guest:guest@") {
		t.Errorf("URL = %s, want a transport URL", b.URL())
	}
	if err := goleak.Find(already); err != nil {
		t.Errorf("a broker keeps goroutines in this process: %v", err)
	}
	before := b.AMQPURL()
	publishDurable(t, before, "kept")

	out, err := b.Ctl(t.Context(), "eval", "application:get_env(rabbit, max_message_size).")
	if err != nil || out != "{ok,4242}" {
		t.Errorf("Ctl eval = %q, %v, want the setting given at the start", out, err)
	}
	if _, err := b.Ctl(t.Context(), "no_such_command"); err == nil {
		t.Error("Ctl with an unknown command: no error")
	}

	if err := b.Reconfigure(t.Context(), "max_message_size = 2424"); err != nil {
		t.Fatal(err)
	}
	for what, end := range map[string]func(context.Context) error{"Stop": b.Stop, "Kill": b.Kill} {
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := amqp.Dial(before); err == nil {
			t.Fatalf("the broker answers after %s", what)
		}
		if err := b.StartAgain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.AMQPURL() != before {
			t.Errorf("AMQPURL after %s = %s, want %s", what, b.AMQPURL(), before)
		}
		if got := messages(t, before, "kept"); got != 1 {
			t.Errorf("messages after %s and start = %d, want 1", what, got)
		}
	}
	if out, err := b.Ctl(t.Context(), "eval", "application:get_env(rabbit, max_message_size)."); err != nil || out != "{ok,2424}" {
		t.Errorf("Ctl eval = %q, %v, want the setting given later", out, err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if _, err := amqp.Dial(before); err == nil {
		t.Error("the broker answers after Close")
	}
}

func TestPausedBrokerIsSilent(t *testing.T) {
	b := broker.ForTest(t, broker.WithControl())
	conn := dial(t, b.AMQPURL())
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := ch.QueueDeclare("q", false, true, true, false, nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("a paused broker answered: %v", err)
	case <-time.After(time.Second):
	}
	if err := b.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-answered:
		if err != nil {
			t.Errorf("after Resume: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("no answer 30 s after Resume")
	}
}

func TestSharedBrokerHasVHosts(t *testing.T) {
	b := broker.Shared(t)
	if again := broker.Shared(t); again != b {
		t.Error("Shared started a second broker")
	}
	b.RequireControl(t)
	first, second := b.VHost(t), b.VHost(t)
	if first == second {
		t.Errorf("VHost gave %s twice", first)
	}
	publishDurable(t, broker.AMQP(first), "q")
	ch, err := dial(t, broker.AMQP(second)).Channel()
	if err != nil {
		t.Fatal(err)
	}
	var notFound *amqp.Error
	_, err = ch.QueueDeclarePassive("q", true, false, false, false, nil)
	if !errors.As(err, &notFound) || notFound.Code != amqp.NotFound {
		t.Errorf("a queue of one vhost in another: %v, want 404", err)
	}
}

func dial(t *testing.T, url string) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) })
	return conn
}

func publishDurable(t *testing.T, url, queue string) {
	t.Helper()
	ch, err := dial(t, url).Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirm, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := confirm.WaitContext(t.Context()); err != nil || !ok {
		t.Fatalf("publish: confirmed %t, %v", ok, err)
	}
}

func messages(t *testing.T, url, queue string) int {
	t.Helper()
	ch, err := dial(t, url).Channel()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}
