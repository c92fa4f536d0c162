//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

const anotherHost = "giving up the host for another"

// leaveRemains ends the processes of all queues of a virtual host, of which the broker keeps the records. A virtual host
// that is deleted while its clients declare queues leaves those so, to the next one of its name.
func (b *bus) leaveRemains(t *testing.T, on *broker.Broker) {
	t.Helper()
	ctl(t, on, "eval", fmt.Sprintf(
		`rabbit_amqqueue_sup_sup:stop_for_vhost(<<"%[1]s">>), rabbit_amqqueue_sup_sup:start_for_vhost(<<"%[1]s">>).`, b.vhost(t)))
}

// TestRemainsOfTransientQueuesKeepNobodyDeaf has the broker answer with 404 to whatever is asked of the queues of a
// server and a client.
func TestRemainsOfTransientQueuesKeepNobodyDeaf(t *testing.T) {
	t.Parallel()
	on := broker.Shared(t)
	on.RequireControl(t)
	for what, options := range map[string]string{
		"random names": "", "names of the queue manager": "?use_queue_manager=true&processname=" + unique("process"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := vhostBus(t, on)
			server, caller := join(t, b.url+options), join(t, b.url+options)
			server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
			c := caller.client(t, b, messaging.WithTimeout(patience))
			if err := c.Call(patient(t), "who", nil, nil); err != nil {
				t.Fatal(err)
			}
			waiting := make(chan error, 1)
			go func() {
				waiting <- c.Call(patient(t), "work", map[string]any{"seconds": 2}, nil)
			}()
			receive(t, server.notes)

			b.leaveRemains(t, on)
			begun := time.Now()
			again(t, begun, "calls", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
			again(t, begun, "calls to a server", func(ctx context.Context) error {
				return c.Prepare(messaging.ToServer("host1")).Call(ctx, "who", nil, nil)
			})
			if err := c.Fanout(patient(t), "note", nil); err != nil {
				t.Errorf("fanout = %v", err)
			}
			receive(t, server.notes)
			if err := receive(t, waiting); err != nil && !errors.Is(err, messaging.ErrReplyPathLost) {
				t.Errorf("a call that waited for its reply = %v, want it answered, or ErrReplyPathLost", err)
			}
			if got := server.logged("the broker has only remains of the queue, deleting them to declare it"); got != 3 {
				t.Errorf("the remains of %d queues were deleted, want those of the server's three", got)
			}
		})
	}
}

// TestRefusedDeclarationLeadsToAnotherHost has durable queues of which only remains are left: no host helps, so that one
// change must do.
func TestRefusedDeclarationLeadsToAnotherHost(t *testing.T) {
	t.Parallel()
	on := broker.Shared(t)
	on.RequireControl(t)
	b := vhostBus(t, on)
	gates := []*gate{newGate(t, on.URL()), newGate(t, on.URL())}
	p := join(t, "rabbit://"+hostOf(t, gates[0].url)+","+hostOf(t, gates[1].url)+"/"+b.vhost(t)+"?amqp_durable_queues=true")
	if err := p.Ping(patient(t)); err != nil { // else both connections look for a host at once, and may find two
		t.Fatal(err)
	}
	p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
	c := p.client(t, b, messaging.WithTimeout(patience))
	if err := c.Call(patient(t), "who", nil, nil); err != nil {
		t.Fatal(err)
	}
	b.leaveRemains(t, on)
	eventually(t, "another host is tried", func() bool { return p.logged(anotherHost) == 1 })
	eventually(t, "each host has a connection", func() bool { return gates[0].count() == 1 && gates[1].count() == 1 })
	eventually(t, "the consumers have a second connection", func() bool { return p.driver.Stats().Sessions == 3 })
	if err := c.Call(patient(t), "who", nil, nil); !errors.Is(err, messaging.ErrRejected) {
		t.Errorf("call to a queue of which remains are left = %v, want ErrRejected", err)
	}
	<-briefly(t, 2*time.Second).Done() // time for several attempts on the other host
	if got := p.driver.Stats().Sessions; got != 3 {
		t.Errorf("%d connections, want 3", got)
	}

	ch := channel(t, b.url)
	for _, queue := range []string{b.topic, b.topic + ".host1"} {
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
			t.Fatal(err)
		}
	}
	// Attempts to declare become rarer while they are refused; no time is promised.
	again(t, time.Now(), "calls", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
}

// briefly is a context for what is not to come.
func briefly(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestFullQueueDoesNotFlapTheConnection has a queue that refuses what is beyond its length, for ever.
func TestFullQueueDoesNotFlapTheConnection(t *testing.T) {
	t.Parallel()
	const casts = 30
	for name, c := range map[string]struct {
		hosts, others int // others are casts to another queue after each one
		want          int // how often another host is tried
	}{
		"one host":                        {1, 0, 0},
		"two hosts":                       {2, 0, 1},
		"two hosts and a queue with room": {2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			var hosts []string
			for range c.hosts {
				hosts = append(hosts, hostOf(t, newGate(t, broker.Shared(t).URL()).url))
			}
			ch := channel(t, b.url)
			if err := ch.ExchangeDeclare(b.exchange, "topic", false, false, false, false, nil); err != nil {
				t.Fatal(err)
			}
			for queue, arguments := range map[string]amqp.Table{
				b.topic: {"x-max-length": 1, "x-overflow": "reject-publish"}, b.topic + ".room": nil,
			} {
				if _, err := ch.QueueDeclare(queue, false, false, false, false, arguments); err != nil {
					t.Fatal(err)
				}
				if err := ch.QueueBind(queue, queue, b.exchange, false, nil); err != nil {
					t.Fatal(err)
				}
			}
			p := join(t, "rabbit://"+strings.Join(hosts, ",")+"/")
			client := p.client(t, b)
			if err := client.Cast(patient(t), "nothing", nil); err != nil {
				t.Fatal(err)
			}
			lost := 0
			for range casts {
				switch err := client.Cast(patient(t), "nothing", nil); {
				case errors.Is(err, messaging.ErrConnectionLost):
					lost++
				case !errors.Is(err, messaging.ErrRejected):
					t.Fatalf("cast to a full queue = %v, want ErrRejected", err)
				}
				for range c.others {
					if err := client.Prepare(messaging.ToServer("room")).Cast(patient(t), "nothing", nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := p.logged(anotherHost); got != c.want || lost > c.want {
				t.Errorf("another host was tried %d times and %d casts were lost, want %d", got, lost, c.want)
			}
			if got := p.driver.Stats().Sessions; got != uint64(1+c.want) {
				t.Errorf("%d connections, want %d", got, 1+c.want)
			}
		})
	}
}
