//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// rawAsk calls ping of a scheduler by bare AMQP on a connection of its own, which knows of no past.
func rawAsk(ctx context.Context, b *bus) error {
	conn, err := amqp.DialConfig(broker.AMQP(b.url), amqp.Config{Dial: amqp.DefaultDial(time.Second)})
	if err != nil {
		return err
	}
	defer conn.CloseDeadline(time.Now().Add(time.Second)) //nolint:errcheck // it is of no use any more
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	queue, err := ch.QueueDeclare("reply_"+unique("queue"), false, true, true, false, nil)
	if err != nil {
		return err
	}
	replies, err := ch.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		return err
	}
	returns := ch.NotifyReturn(make(chan amqp.Return, 1))
	request := osloMessage(envelope(`"2.0"`, fmt.Sprintf(`{"method": "ping", "namespace": "baseapi", "args": {"arg": 1}, `+
		`"_msg_id": "m", "_reply_q": %q, "_unique_id": %q}`, queue.Name, unique("id"))))
	if err := ch.PublishWithContext(ctx, b.exchange, b.topic, true, false, request); err != nil {
		return err
	}
	select {
	case _, ok := <-replies:
		if !ok {
			return errors.New("the connection was lost")
		}
		return nil
	case r := <-returns:
		return fmt.Errorf("returned: %s", r.ReplyText)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TestEverybodyIsBackAfterTheBroker has a broker of its own that comes late, is stopped, and is killed, under
// a scheduler process and a server and a client in this process. How soon, the fault suite measures.
func TestEverybodyIsBackAfterTheBroker(t *testing.T) {
	t.Parallel()
	own := broker.ForTest(t, broker.WithControl())
	if err := own.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	b := busOf(t, own)
	process := &bus{url: b.url, exchange: b.exchange, topic: unique("topic")}
	w := runWorker(t, b.url, "--control-exchange", process.exchange, "--topic", process.topic, "--host", "host1",
		"--hosts", filepath.Join("testdata", "nova", "hosts.json"))
	server, client := join(t, b.url), join(t, b.url)
	started := startInBackground(t, server, b)
	echoes, pings := client.client(t, b), client.client(t, process, messaging.ToNamespace("baseapi"))
	// This call begins before there is a broker, and waits for it.
	early := make(chan error, 1)
	ctx := patientFor(t, 2*time.Minute)
	go func() { early <- echoes.Prepare(messaging.WithMandatory()).Call(ctx, "who", nil, nil) }() // ends with ctx

	select {
	case <-w.ended:
		t.Fatal("the worker ended for want of a broker")
	case <-w.ready:
		t.Fatal("the worker is ready without a broker")
	case err := <-early:
		t.Fatalf("a call without a broker ended: %v", err)
	case <-time.After(3 * time.Second): // long enough for pauses between attempts to grow
	}

	everybody := func(t *testing.T, back time.Time) {
		t.Helper()
		again(t, back, "the worker serves a new connection", func(ctx context.Context) error { return rawAsk(ctx, process) })
		again(t, back, "the client calls the worker", func(ctx context.Context) error {
			return pings.Prepare(messaging.WithMandatory()).Call(ctx, "ping", args{"arg": 1}, nil)
		})
		again(t, back, "the client calls the server", func(ctx context.Context) error {
			return echoes.Prepare(messaging.WithMandatory()).Call(ctx, "who", nil, nil)
		})
		again(t, back, "the server hears a fanout", func(ctx context.Context) error {
			return fanoutArrives(ctx, echoes, server)
		})
	}
	startAgain := func(t *testing.T) time.Time {
		t.Helper()
		if err := own.StartAgain(t.Context()); err != nil {
			t.Fatal(err)
		}
		return time.Now() // AMQP has just answered a handshake
	}
	t.Run("started before the broker", func(t *testing.T) {
		back := startAgain(t)
		w.awaitReady(t, patience)
		// The client may be back before the server has a queue.
		if err := receive(t, early); err != nil && !errors.Is(err, messaging.ErrUndeliverable) {
			t.Errorf("the call that waited for the broker: %v", err)
		}
		if err := receive(t, started); err != nil {
			t.Fatalf("start the server: %v", err)
		}
		everybody(t, back)
	})
	for _, how := range []struct {
		name string
		end  func(context.Context) error
	}{{"broker stopped", own.Stop}, {"broker killed", own.Kill}} {
		t.Run(how.name, func(t *testing.T) {
			if err := how.end(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := echoes.Call(ctx, "who", nil, nil); err == nil {
				t.Error("a call without a broker succeeded")
			}
			everybody(t, startAgain(t))
		})
	}
	select {
	case <-w.ended:
		t.Errorf("the worker ended with status %d", w.cmd.ProcessState.ExitCode())
	default:
	}
}

// fanoutArrives sends one fanout and waits a moment for it: one that comes before its queue is lost.
func fanoutArrives(ctx context.Context, c *messaging.Client, server *party) error {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	mark := unique("mark")
	if err := c.Fanout(ctx, "note", args{"mark": mark}); err != nil {
		return err
	}
	for {
		select {
		case n := <-server.notes:
			if n.Args["mark"] == mark {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// startInBackground starts a server whose broker is not there yet.
func startInBackground(t *testing.T, p *party, b *bus) <-chan error {
	t.Helper()
	srv, err := messaging.NewRPCServer(p.Transport, b.target("host1"), newEndpoints("host1", p.notes))
	if err != nil {
		t.Fatal(err)
	}
	ctx := patientFor(t, 2*time.Minute)
	started := make(chan error, 1)
	go func() { started <- srv.Start(ctx) }() // ends with the test's context
	stopLater(t, srv)
	return started
}

func patientFor(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestConnectionsClosedByTheBrokerAreMadeAgain closes them all, as an operator does.
func TestConnectionsClosedByTheBrokerAreMadeAgain(t *testing.T) {
	t.Parallel()
	shared := broker.Shared(t)
	shared.RequireControl(t)
	b := busOf(t, shared)
	b.url = shared.VHost(t)
	process := &bus{url: b.url, exchange: b.exchange, topic: unique("topic")}
	w := startWorker(t, b.url, "--control-exchange", process.exchange, "--topic", process.topic, "--host", "host1")
	server, client := join(t, b.url), join(t, b.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	echoes := client.client(t, b, messaging.WithTimeout(patience))
	if err := echoes.Call(t.Context(), "who", nil, nil); err != nil {
		t.Fatal(err)
	}

	// This call is running when its connections are closed. Its request was acknowledged, its reply queue outlives
	// the connection: it has its answer in the end.
	running := make(chan error, 1)
	ctx := patient(t)
	go func() { running <- echoes.Call(ctx, "work", args{"seconds": 4}, nil) }() // ends with ctx
	receive(t, server.notes)

	u, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	before := server.driver.Stats().Sessions + client.driver.Stats().Sessions
	if _, err := shared.Ctl(t.Context(), "close_all_connections", "--vhost", strings.TrimPrefix(u.Path, "/"), "for a test"); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	again(t, back, "the worker serves a new connection", func(ctx context.Context) error { return rawAsk(ctx, process) })
	again(t, back, "the client calls the server", func(ctx context.Context) error { return echoes.Call(ctx, "who", nil, nil) })
	if err := receive(t, running); err != nil {
		t.Errorf("the call that was running: %v", err)
	}
	if after := server.driver.Stats().Sessions + client.driver.Stats().Sessions; after != before+4 {
		t.Errorf("%d sessions were made, want the 4 that were lost", after-before)
	}
	select {
	case <-w.ended:
		t.Errorf("the worker ended with status %d", w.cmd.ProcessState.ExitCode())
	default:
	}
}

// TestDeletedQueuesAreConsumedAgain deletes the queues of a server under its consumers: they are back within a
// second, on the same connection.
func TestDeletedQueuesAreConsumedAgain(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	tap := newTap(t, b.url)
	server := join(t, tap.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	client := join(t, b.url).client(t, b, messaging.WithMandatory())
	if err := client.Call(patient(t), "who", nil, nil); err != nil {
		t.Fatal(err)
	}
	fanout := declared(t, tap, "^"+b.topic+"_fanout_[0-9a-f]{32}$")
	sessions := server.driver.Stats().Sessions
	deletions := uint64(0)
	for _, tt := range []struct {
		name, queue string
		try         func(ctx context.Context) error
	}{
		{"topic", b.topic, func(ctx context.Context) error { return client.Call(ctx, "who", nil, nil) }},
		{"server", b.topic + ".host1", func(ctx context.Context) error {
			return client.Prepare(messaging.ToServer("host1")).Call(ctx, "who", nil, nil)
		}},
		{"fanout", fanout, func(ctx context.Context) error { return fanoutArrives(ctx, client, server) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			promise(t, "the queue is consumed", 2*time.Second, func() time.Duration {
				deleteQueue(t, b, tt.queue)
				deletions++
				return again(t, time.Now(), "the queue is consumed", tt.try)
			})
			if got := server.driver.Stats().Cancelled; got != deletions {
				t.Errorf("%d consumers were cancelled, want %d", got, deletions)
			}
		})
	}
	if got := server.driver.Stats().Sessions; got != sessions {
		t.Errorf("the server has made %d further sessions, want none", got-sessions)
	}
}

func deleteQueue(t *testing.T, b *bus, name string) {
	t.Helper()
	if _, err := channel(t, b.url).QueueDelete(name, false, false, false); err != nil {
		t.Fatalf("delete queue %s: %v", name, err)
	}
}

// TestDeletedReplyQueueDoesNotDeafenTheClient deletes the queue on which a client hears, idle and during a call.
func TestDeletedReplyQueueDoesNotDeafenTheClient(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	tap := newTap(t, b.url)
	server, client := join(t, b.url), join(t, tap.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	c := client.client(t, b, messaging.WithTimeout(patience))
	if err := c.Call(t.Context(), "who", nil, nil); err != nil {
		t.Fatal(err)
	}
	queue := declared(t, tap, "^reply_[0-9a-f]{32}$")
	t.Run("idle", func(t *testing.T) {
		deleteQueue(t, b, queue)
		again(t, time.Now(), "the client hears", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
	})
	t.Run("during calls", func(t *testing.T) { deletedDuringCalls(t, b, c, server, queue) })
	again(t, time.Now(), "the client hears", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
	if got := client.driver.Stats(); got.Sessions != 2 || got.ReplyPathsLost != 0 {
		t.Errorf("stats %+v, want the same connections and the same queue", got)
	}
}

// deletedDuringCalls deletes a reply queue while calls run: a long one and a monitored one go on, one that had just been
// sent may have been answered at that moment, and is told.
func deletedDuringCalls(t *testing.T, b *bus, c *messaging.Client, server *party, queue string) {
	t.Helper()
	ctx := patient(t)
	begin := func(c *messaging.Client, seconds float64) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- c.Call(ctx, "work", args{"seconds": seconds}, nil) }() // ends with ctx
		receive(t, server.notes)
		return ended
	}
	long := begin(c, 4)
	<-time.After(1500 * time.Millisecond) // to be no call that was just sent
	ch := channel(t, b.url)
	monitored := begin(c.Prepare(messaging.WithCallMonitor(4*time.Second)), 6)
	fresh := begin(c, 4)
	if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	err := receive(t, fresh)
	t.Logf("the call that had just been sent ended after %s: %v", time.Since(deleted), err)
	if !errors.Is(err, messaging.ErrReplyPathLost) {
		t.Errorf("the call that had just been sent = %v, want ErrReplyPathLost", err)
	}
	for name, ended := range map[string]<-chan error{"long": long, "monitored": monitored} {
		if err := receive(t, ended); err != nil {
			t.Errorf("the call that is %s: %v", name, err)
		}
	}
}

// TestHandshakesThatABootingBrokerCutsDelayNobody stands for a broker behind a port that is open before it is: it
// says its greeting, and hangs up when the client logs in. AMQP libraries take that for a wrong password.
func TestHandshakesThatABootingBrokerCutsDelayNobody(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	gate := newGate(t, b.url)
	gate.booting.Store(true)
	server, client := join(t, gate.url), join(t, gate.url)
	started := startInBackground(t, server, b)
	select {
	case err := <-started:
		t.Fatalf("the server started without a broker: %v", err)
	case <-time.After(8 * time.Second): // as long as a broker boots
	}
	gate.booting.Store(false)
	back := time.Now()
	if err := receive(t, started); err != nil {
		t.Fatalf("start the server: %v", err)
	}
	c := client.client(t, b, messaging.WithMandatory())
	again(t, back, "the client calls the server", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
}
