package rabbit

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/rabbitmq/amqp091-go"

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
	own                 bool // belongs to this process: no peer declares it, so that its flags are free
	private             bool // is deleted on a clean stop
	stream              bool // is read by offset
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
// all servers share, the server's own, and one for fanout, which is the server's own unless it is a stream. suffix
// gives the end of a name that no other queue has.
func (o *Options) serverQueues(on target.Target, suffix func() string) []queue {
	var fanout queue
	if o.StreamFanout {
		fanout = o.streamQueue(on.Topic)
	} else {
		fanout = o.ownQueue(fanoutName(on.Topic, suffix()))
		fanout.private = !o.QueueManager
	}
	fanout.exchange, fanout.bindingKey = o.fanoutExchange(on.Topic), on.Topic
	return []queue{o.sharedQueue(on.Exchange, on.Topic), o.sharedQueue(on.Exchange, on.Topic+"."+on.Server), fanout}
}

func fanoutName(topic, suffix string) string { return topic + "_fanout_" + suffix }

// sharedQueue is a queue that peers declare as well, bound by its own name.
func (o *Options) sharedQueue(exchange, name string) queue {
	q := queue{
		name: name, durable: o.DurableQueues || o.QuorumQueue, autoDelete: o.AutoDelete,
		exchange: o.controlExchange(exchange), bindingKey: name,
	}
	q.arguments = o.typeArguments(o.QuorumQueue)
	return q
}

// streamQueue is the one stream of a topic. Its arguments are none of those of other queues.
func (o *Options) streamQueue(topic string) queue {
	q := queue{name: topic + "_fanout", durable: true, stream: true, arguments: amqp091.Table{"x-queue-type": "stream"}}
	if o.TransientQueuesTTL > 0 {
		q.arguments["x-max-age"] = fmt.Sprintf("%ds", int64(o.TransientQueuesTTL.Seconds()))
	}
	return q
}

// replyQueue is the queue that the replies to this process's calls arrive on. It outlives the process for a
// while, so that it is not marked private: oslo.messaging leaves it to expire.
func (o *Options) replyQueue(suffix string) queue { return o.ownQueue(replyPrefix + suffix) }

// replyPrefix is how the names of reply queues begin (oslo_messaging/_drivers/amqpdriver.py, _get_reply_q).
const replyPrefix = "reply_"

// parkingQueue is where requests stay that nobody could finish: it is durable and nothing in it expires, whatever the
// options say of other queues.
func (o *Options) parkingQueue(name string) queue {
	return queue{name: name, durable: true, arguments: o.typeArguments(o.QuorumQueue)}
}

func (o *Options) ownQueue(name string) queue {
	q := queue{name: name, durable: o.TransientQuorumQueue, own: true, arguments: o.typeArguments(o.TransientQuorumQueue)}
	if o.TransientQueuesTTL > 0 {
		q.arguments["x-expires"] = milliseconds(o.TransientQueuesTTL)
	}
	return q
}

// typeArguments are those that every queue has, and those of quorum queues.
func (o *Options) typeArguments(quorum bool) amqp091.Table {
	arguments := amqp091.Table{}
	if o.HAQueues {
		arguments["x-ha-policy"] = "all"
	}
	if !quorum {
		return arguments
	}
	arguments["x-queue-type"] = "quorum"
	for name, limit := range map[string]int64{
		"x-delivery-limit": o.QuorumDeliveryLimit, "x-max-in-memory-length": o.QuorumMaxMemoryLength,
		"x-max-in-memory-bytes": o.QuorumMaxMemoryBytes,
	} {
		if limit > 0 {
			arguments[name] = integer(limit)
		}
	}
	return arguments
}

// consumeArguments are those of basic.consume. position is where a stream is read from.
func (o *Options) consumeArguments(q *queue, position *streamPosition) amqp091.Table {
	arguments := amqp091.Table{}
	if q.stream {
		arguments["x-stream-offset"] = position.offset()
	}
	if o.CancelOnFailover {
		arguments["x-cancel-on-ha-failover"] = true
	}
	return arguments
}

// expiry is after how long a durable queue of this process is deleted where the options set no time: a transient one
// would go with its node, this one never.
const expiry = 30 * time.Minute

// lasting is the queue for a broker that refuses queues that are neither durable nor exclusive.
func (q queue) lasting() queue {
	q.durable = true
	q.arguments = maps.Clone(q.arguments)
	if q.arguments["x-expires"] == nil {
		q.arguments["x-expires"] = milliseconds(expiry)
	}
	return q
}

// milliseconds is a duration in an argument.
func milliseconds(d time.Duration) any { return integer(d.Milliseconds()) }

// integer is a number in an argument, 32 bits wide where they hold it, as oslo.messaging sends it.
func integer(n int64) any {
	if n > math.MaxInt32 {
		return n
	}
	return int32(n)
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
// those that are no queues (amq.rabbitmq.reply-to), to which a publish can cost the channel; and those that are not
// named as reply queues are: a request must not be able to have its answer put into just any queue.
func (o *Options) canReply(queue string) bool {
	switch {
	case len(queue) > maxName || strings.HasPrefix(queue, "amq.rabbitmq."):
		return false
	case strings.HasPrefix(queue, replyPrefix):
		return true
	}
	return o.ReplyQueuePrefix != "" && strings.HasPrefix(queue, o.ReplyQueuePrefix)
}
