//go:build integration

package broker_test

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/integration/broker"
)

func TestNodeThatIsCutFromItsClusterComesBack(t *testing.T) {
	already := goleak.IgnoreCurrent()
	c := broker.ClusterForTest(t)
	if err := goleak.Find(already); err != nil {
		t.Errorf("a cluster keeps goroutines in this process: %v", err)
	}
	first, second := c.Node("rabbit@n1"), c.Node("rabbit@n2")
	if first == nil || second == nil || c.Node("rabbit@n4") != nil {
		t.Fatal("the nodes are not n1 to n3")
	}
	publishDurable(t, first.AMQPURL(), "kept")
	conn := dial(t, first.AMQPURL())
	if err := c.Cut(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := handshakeWith(t, first); err != nil {
		t.Errorf("the node is cut off from its clients at once: %v", err)
	}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	select {
	case err := <-closed:
		t.Logf("the node that is alone closes its connections: %v", err)
	case <-time.After(time.Minute):
		t.Error("a node that is alone keeps its clients")
	}
	if err := c.Mend(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := messages(t, second.AMQPURL(), "kept"); got != 1 {
		t.Errorf("messages, seen from another node = %d, want 1", got)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
}

// handshakeWith connects to a node and leaves.
func handshakeWith(t *testing.T, b *broker.Broker) error {
	t.Helper()
	conn, err := amqp.Dial(b.AMQPURL())
	if err != nil {
		return err
	}
	return conn.Close()
}
