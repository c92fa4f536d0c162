package rabbit

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// consumerCheck finds out that the broker has dropped a consumer whose cancellation was lost: everything looks
// healthy, and the server is deaf. It looks at queues from which nothing came for half the probe's interval, so that
// the whole is never exceeded, on a throw-away channel: to look at a queue that is gone costs the channel.
//
// A queue without consumers has lost this one. Where others consume it too, a number tells nothing, and this consumer
// is replaced by a new one, provided that nothing is unsettled: a new consumer has a prefetch of its own, and must
// not add to the messages in this process.
//
// The goroutine that owns the attachment's channel owns all of it; a second one, one at a time, does the looking.
type consumerCheck struct {
	interval time.Duration
	ticker   *time.Ticker
	last     []time.Time // when something came, by queue
	tag      uint64      // of the newest delivery
	renewed  int         // consumers set up anew, for their tags
	looking  sync.WaitGroup
	busy     bool
	seen     chan []sight
}

// sight is what is to be done about a consumer.
type sight struct {
	queue int
	gone  bool // the queue
	lost  bool // the consumer
	doubt bool // others consume the queue: this consumer may be among them
}

func (a *attachment) beginChecks() (ticks <-chan time.Time) {
	c := &a.check
	c.interval = a.sub.probe / 2
	if c.interval <= 0 {
		return nil
	}
	c.last = make([]time.Time, len(a.sub.queues))
	for i := range c.last {
		c.last[i] = time.Now()
	}
	c.seen = make(chan []sight, 1)
	c.ticker = time.NewTicker(c.interval)
	return c.ticker.C
}

func (a *attachment) endChecks() {
	if a.check.ticker != nil {
		a.check.ticker.Stop()
		a.session.bounded(a.check.looking.Wait)
	}
}

// received notes a delivery.
func (c *consumerCheck) received(i int, tag uint64) {
	c.tag = tag
	if c.last != nil {
		c.last[i] = time.Now()
	}
}

// look begins to look at the queues that are quiet.
func (a *attachment) look() {
	c := &a.check
	if c.busy || a.sub.stopped() {
		return
	}
	var quiet []int
	for i, last := range c.last {
		if a.deliveries[i] != nil && time.Since(last) >= c.interval {
			quiet = append(quiet, i)
		}
	}
	if len(quiet) == 0 {
		return
	}
	c.busy = true
	c.looking.Go(func() { c.seen <- a.survey(quiet) })
}

// survey looks at queues. What it cannot find out is left to the next time.
func (a *attachment) survey(quiet []int) []sight {
	var seen []sight
	var ch *amqp091.Channel
	for _, i := range quiet {
		if ch == nil || ch.IsClosed() {
			var err error
			if ch, err = a.session.connection.Channel(); err != nil {
				return seen
			}
			defer a.session.closeChannel(ch)
		}
		q := &a.sub.queues[i]
		found, err := ch.QueueDeclarePassive(q.name, q.durable, q.autoDelete, false, false, nil)
		if s, ok := judge(i, q, found.Consumers, brokerError(err)); ok {
			seen = append(seen, s)
		}
	}
	return seen
}

// judge tells what to do about a consumer, from what the broker said about its queue.
func judge(i int, q *queue, consumers int, err error) (s sight, act bool) {
	switch {
	case vanished(err):
		return sight{queue: i, gone: true}, true
	case err != nil:
		return s, false
	case consumers == 0:
		return sight{queue: i, lost: true}, true
	case !q.private && q.arguments["x-queue-type"] != "stream": // a stream would begin elsewhere
		return sight{queue: i, doubt: true}, true
	}
	return s, false
}

// restore sets up again what was found to be gone.
func (a *attachment) restore(seen []sight) error {
	c := &a.check
	c.busy = false
	if a.sub.stopped() {
		return nil
	}
	for _, s := range seen {
		quiet := a.deliveries[s.queue] != nil && time.Since(c.last[s.queue]) >= c.interval
		var err error
		switch {
		case !quiet: // it has said something meanwhile, or was cancelled
		case !s.doubt:
			err = a.replaceLost(s)
		case c.tag == a.batch.prefix:
			err = a.renewConsumer(s.queue)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replaceLost ends what is left of a consumer, here and with the broker, and consumes again.
func (a *attachment) replaceLost(s sight) error {
	q := a.sub.queues[s.queue]
	a.sub.driver.stats.consumersLost.Add(1)
	a.sub.driver.log.WithField("queue", q.name).WithField("queue_gone", s.gone).
		Warn("consumer is gone without a word of the broker, consuming again")
	if err := a.endConsumer(s.queue, a.tags[s.queue]); err != nil {
		return err
	}
	if err := a.declare([]queue{q}); err != nil {
		return err
	}
	return a.consume(s.queue)
}

// renewConsumer puts a new consumer in the place of one that may be gone. The new one comes first: an auto-delete
// queue goes with its last consumer.
func (a *attachment) renewConsumer(i int) error {
	old, deliveries := a.tags[i], a.deliveries[i]
	a.check.renewed++
	a.tags[i] = strconv.Itoa(maxQueues + a.check.renewed)
	if err := a.consume(i); err != nil {
		return err
	}
	fresh := a.deliveries[i]
	a.deliveries[i] = deliveries
	err := a.endConsumer(i, old)
	a.deliveries[i] = fresh
	return err
}

// endConsumer cancels a consumer and receives what it still delivers.
func (a *attachment) endConsumer(i int, tag string) error {
	deliveries := a.deliveries[i]
	if err := a.channel.Cancel(tag, false); err != nil {
		return fmt.Errorf("cancel consumer: %w", brokerError(err))
	}
	for d := range deliveries { // the library closes it behind the last one
		if err := a.receive(i, d, true); err != nil {
			return err
		}
	}
	return nil
}
