package rabbit

import (
	"math"
	"strings"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
)

// Names and flags of exchanges and queues as oslo.messaging declares them: both sides declare, so both must
// agree (oslo_messaging/_drivers/impl_rabbit.py; amqpdriver.py, listen).

// exchange is an exchange and its flags. The default exchange, without a name, is never declared.
type exchange struct {
	name                string
	kind                string
	durable, autoDelete bool
}

// queue is a queue, its flags and what it is bound by.
type queue struct {
	name                string
	durable, autoDelete bool
	arguments           amqp091.Table
	exchange            exchange // no binding where its name is empty
	bindingKey          string
	private             bool // belongs to this process: deleted on a clean stop
}

// controlExchange is where requests to topics and servers are published.
func (o *Options) controlExchange(name string) exchange {
	return exchange{name: name, kind: "topic", durable: o.DurableQueues || o.QuorumQueue, autoDelete: o.AutoDelete}
}

// fanoutExchange depends on the topic alone: services with the same topic and different control exchanges
// share it. It is auto-delete whatever the options say.
func (o *Options) fanoutExchange(topic string) exchange {
	return exchange{name: topic + "_fanout", kind: "fanout", durable: o.TransientQuorumQueue, autoDelete: true}
}

// serverQueues are the three queues of a server, in the order oslo.messaging declares them: the topic's, which
// all servers share, the server's own, and a private one for fanout.
func (o *Options) serverQueues(on target.Target) []queue {
	shared := func(name string) queue {
		q := queue{
			name: name, durable: o.DurableQueues || o.QuorumQueue, autoDelete: o.AutoDelete,
			exchange: o.controlExchange(on.Exchange), bindingKey: name,
		}
		if o.QuorumQueue {
			q.arguments = amqp091.Table{"x-queue-type": "quorum"}
		}
		return q
	}
	fanout := o.privateQueue(on.Topic + "_fanout_" + wire.NewID())
	fanout.exchange, fanout.bindingKey = o.fanoutExchange(on.Topic), on.Topic
	return []queue{shared(on.Topic), shared(on.Topic + "." + on.Server), fanout}
}

// replyQueue is the queue that the replies to this process's calls arrive on. It outlives the process for a
// while, so that it is not marked private: oslo.messaging leaves it to expire.
func (o *Options) replyQueue() queue {
	q := o.privateQueue("reply_" + wire.NewID())
	q.private = false
	return q
}

func (o *Options) privateQueue(name string) queue {
	q := queue{name: name, durable: o.TransientQuorumQueue, private: true, arguments: amqp091.Table{}}
	if o.TransientQuorumQueue {
		q.arguments["x-queue-type"] = "quorum"
	}
	if o.TransientQueuesTTL > 0 {
		q.arguments["x-expires"] = milliseconds(o.TransientQueuesTTL)
	}
	return q
}

// milliseconds is a duration in an argument, 32 bits wide where they hold it, as oslo.messaging sends it.
func milliseconds(d time.Duration) any {
	if n := d.Milliseconds(); n > math.MaxInt32 {
		return n
	}
	return int32(d.Milliseconds())
}

// address is where a request to a target is published.
func (o *Options) address(to target.Target) (ex exchange, key string) {
	switch {
	case to.Fanout:
		return o.fanoutExchange(to.Topic), ""
	case to.Server != "":
		return o.controlExchange(to.Exchange), to.Topic + "." + to.Server
	}
	return o.controlExchange(to.Exchange), to.Topic
}

// maxName is how long a name can be in AMQP, in bytes: longer ones would end the connection.
const maxName = 255

// checkNames refuses a target whose exchange, queue or routing key is too long.
func checkNames(t target.Target, names ...string) error {
	for _, name := range names {
		if len(name) > maxName {
			return &target.InvalidTargetError{Target: t, Reason: "exchange, topic and server make a name longer than 255 bytes"}
		}
	}
	return nil
}

// canReply refuses reply queues that no caller has: without a name, with one that AMQP cannot carry, or with one of
// those that are no queues (amq.rabbitmq.reply-to), to which a publish can cost the channel.
func canReply(queue string) bool {
	return queue != "" && len(queue) <= maxName && !strings.HasPrefix(queue, "amq.rabbitmq.")
}
