package rabbit

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// attachment is a subscription on one channel of one session. Deliveries, and what is done with them, belong to
// it; the goroutine in run owns the channel.
type attachment struct {
	sub        *subscription
	session    *session
	channel    *amqp091.Channel
	deliveries []<-chan amqp091.Delivery // one a queue; nil where the consumer has ended
	closed     <-chan *amqp091.Error
	acks       chan ackRequest
	batch      ackBatch
	unsent     []chan struct{} // closed when batch is on its way
	tags       []string        // of the consumers
	check      consumerCheck

	idle  chan struct{} // closed when the consumers are cancelled and nothing more will be received
	ended chan struct{} // closed when the channel is gone: acknowledgements are void
}

// delivery is one message and the attachment it came on.
type delivery struct {
	amqp091.Delivery
	attachment *attachment
	queue      string // that it was taken from
}

// open sets the channel up: the queues in their order, then the consumers, as oslo.messaging does.
func (a *attachment) open() error {
	if err := a.channel.Qos(a.sub.prefetch, 0, false); err != nil {
		return fmt.Errorf("set the prefetch: %w", brokerError(err))
	}
	if err := a.declare(a.sub.queues); err != nil {
		return err
	}
	a.deliveries = make([]<-chan amqp091.Delivery, max(len(a.sub.queues), maxQueues))
	a.tags = make([]string, len(a.sub.queues))
	for i := range a.sub.queues {
		a.tags[i] = strconv.Itoa(i + 1)
		if err := a.consume(i); err != nil {
			return err
		}
	}
	return nil
}

// maxQueues is how many queues one subscription can have: those of a server.
const maxQueues = 3

// declare sets queues up, on a channel that is thrown away: this one may have deliveries.
func (a *attachment) declare(queues []queue) error {
	done, err := a.sub.driver.consumer.turn(a.session)
	if err != nil {
		return err
	}
	defer done()
	d := declarer{session: a.session, driver: a.sub.driver, known: make(map[string]bool)}
	defer d.close()
	for i := range queues {
		if err := d.setUp(&queues[i]); err != nil {
			return err
		}
	}
	return nil
}

// consume begins to consume a queue. Consumer tags are decimal numbers, at first in the order of the queues.
func (a *attachment) consume(i int) error {
	name := a.sub.queues[i].name
	arguments := a.sub.driver.options.consumeArguments(&a.sub.queues[i], &a.sub.position)
	deliveries, err := a.channel.Consume(name, a.tags[i], false, false, false, false, arguments)
	if err != nil {
		return fmt.Errorf("consume queue %q: %w", name, brokerError(err))
	}
	a.deliveries[i] = deliveries
	return nil
}

// run receives and acknowledges until the channel ends.
func (a *attachment) run(ctx context.Context) error {
	defer close(a.ended)
	defer a.session.closeChannel(a.channel)
	ticks := a.beginChecks()
	defer a.endChecks()
	stopping := a.sub.stopping
	for {
		var err error
		select {
		case d, ok := <-a.deliveries[0]:
			err = a.receive(0, d, ok)
		case d, ok := <-a.deliveries[1]:
			err = a.receive(1, d, ok)
		case d, ok := <-a.deliveries[2]:
			err = a.receive(2, d, ok)
		case request := <-a.acks:
			var end bool
			if end, err = a.settleAll(request); end {
				return err
			}
		case <-ticks:
			a.look()
		case seen := <-a.check.seen:
			err = a.restore(seen)
		case <-stopping:
			if a.sub.discarded.Load() {
				return transport.ErrClosed
			}
			stopping = nil
			err = a.cancel()
			close(a.idle)
			if err == nil && a.sub.abandoned.Load() { // Listen has failed: it was attached too late
				return transport.ErrClosed
			}
		case e := <-a.closed:
			return channelError(e)
		case <-a.session.ended:
			return a.session.cause()
		case <-ctx.Done():
			return transport.ErrClosed
		}
		if err != nil {
			return err
		}
	}
}

// receive passes on what came from a queue; without a delivery the consumer has ended.
func (a *attachment) receive(i int, d amqp091.Delivery, ok bool) error {
	if !ok {
		return a.cancelled(i)
	}
	if a.sub.queues[i].stream {
		a.sub.position.received(&d)
	}
	a.check.received(i, d.DeliveryTag)
	if v, settled := a.sub.receive(&delivery{Delivery: d, attachment: a, queue: a.sub.queues[i].name}); settled {
		if err := a.settle(ackRequest{tag: d.DeliveryTag, verdict: v}); err != nil {
			return err
		}
		return a.acknowledge()
	}
	return nil
}

// settleAll does with deliveries what was decided: with one, and with those about which it was decided meanwhile, so that
// acknowledgements go out together where there are many, and none waits for another. It reports whether that is the end.
func (a *attachment) settleAll(request ackRequest) (end bool, err error) {
	for n := 1; !request.end; n++ {
		if err := a.settle(request); err != nil {
			return false, err
		}
		if n == ackQueue {
			return false, a.acknowledge()
		}
		select {
		case request = <-a.acks:
		default:
			return false, a.acknowledge()
		}
	}
	return true, a.acknowledge()
}

// settle does with a delivery what was decided, but for acknowledging it.
func (a *attachment) settle(request ackRequest) error {
	var err error
	switch request.verdict {
	case requeue:
		err = a.channel.Nack(request.tag, false, true)
	case reject:
		err = a.channel.Reject(request.tag, false)
	case accept:
	}
	if err != nil {
		return fmt.Errorf("settle a message: %w", brokerError(err))
	}
	a.batch.settled(request.tag, request.verdict == accept)
	a.sub.position.settled(request.tag)
	if request.sent != nil {
		a.unsent = append(a.unsent, request.sent)
	}
	return nil
}

// acknowledge sends what is put together. Who waits for that is told when it is on its way to the broker: from then on it
// arrives even if this process is killed.
func (a *attachment) acknowledge() error {
	if err := a.batch.flush(a.channel); err != nil {
		return err
	}
	a.session.conn.afterWrites(a.unsent)
	a.unsent = nil
	return nil
}

// cancelled handles the end of a consumer that nobody here asked for: its queue was deleted, or its node is
// gone. The channel and the connection are well, so that nothing else tells. Where it is the channel that ended,
// the loop will see that next.
func (a *attachment) cancelled(i int) error {
	a.deliveries[i] = nil
	if a.channel.IsClosed() || a.sub.stopped() {
		return nil
	}
	q := &a.sub.queues[i]
	a.sub.driver.stats.cancelled.Add(1)
	if a.sub.consumerGone != nil {
		a.sub.consumerGone()
	}
	a.sub.driver.log.WithField("queue", q.name).Warn("consumer cancelled by the broker, consuming again")
	if q.stream {
		a.sub.position.forget()
	}
	if err := a.declare(a.sub.queues[i : i+1]); err != nil {
		return err
	}
	return a.consume(i)
}

// cancel ends the consumers and hands what they still deliver back to the broker.
func (a *attachment) cancel() error {
	for i, deliveries := range a.deliveries {
		if deliveries == nil {
			continue
		}
		if err := a.channel.Cancel(a.tags[i], false); err != nil {
			return fmt.Errorf("cancel consumer: %w", brokerError(err))
		}
		for d := range deliveries { // the library closes it behind the last one
			if err := a.channel.Nack(d.DeliveryTag, false, true); err != nil {
				return fmt.Errorf("hand a message back: %w", brokerError(err))
			}
			a.batch.settled(d.DeliveryTag, false)
		}
		a.deliveries[i] = nil
	}
	for i := range a.sub.queues {
		q := &a.sub.queues[i]
		if !q.private {
			continue
		}
		if _, err := a.channel.QueueDelete(q.name, false, false, false); err != nil {
			return fmt.Errorf("delete queue %q: %w", q.name, brokerError(err))
		}
	}
	return nil
}
