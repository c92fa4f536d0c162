package rabbit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

func TestQueueTellsWhatBecameOfItsConsumer(t *testing.T) {
	t.Parallel()
	shared, private := queue{name: "t"}, queue{name: "t_fanout_1", private: true}
	stream := queue{name: "t_fanout", arguments: amqp091.Table{"x-queue-type": "stream"}}
	for name, c := range map[string]struct {
		queue     queue
		consumers int
		err       error
		want      sight
		act       bool
	}{
		"gone":                         {shared, 0, &BrokerError{Code: 404}, sight{queue: 1, gone: true}, true},
		"not to be looked at":          {shared, 0, &BrokerError{Code: 403}, sight{}, false},
		"connection lost":              {shared, 0, errors.New("lost"), sight{}, false},
		"without consumers":            {shared, 0, nil, sight{queue: 1, lost: true}, true},
		"shared, one or the other":     {shared, 1, nil, sight{queue: 1, doubt: true}, true},
		"private, its own":             {private, 1, nil, sight{}, false},
		"private, without its own":     {private, 0, nil, sight{queue: 1, lost: true}, true},
		"a stream that others read":    {stream, 1, nil, sight{}, false},
		"a stream that nobody reads":   {stream, 0, nil, sight{queue: 1, lost: true}, true},
		"shared by many, so in doubt":  {shared, 7, nil, sight{queue: 1, doubt: true}, true},
		"private, with an uninvited 2": {private, 2, nil, sight{}, false},
	} {
		got, act := judge(1, &c.queue, c.consumers, c.err)
		if got != c.want || act != c.act {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, act, c.want, c.act)
		}
	}
}

// TestConsumerInDoubtIsLeftAloneWhileSomethingIsUnsettled: a new one would come with a prefetch of its own, and the
// attachment here has no channel to consume on.
func TestConsumerInDoubtIsLeftAloneWhileSomethingIsUnsettled(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/?consumer_probe=10", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		l := attachedListener(d, nil)
		l.subscription.probe = d.options.ConsumerProbe
		a.sub, a.deliveries = l.subscription, make([]<-chan amqp091.Delivery, maxQueues)
		a.deliveries[0] = make(chan amqp091.Delivery)
		a.beginChecks()
		a.check.received(0, 1)
		<-time.After(5 * time.Second)
		synctest.Wait()
		a.check.busy = true
		if err := a.restore([]sight{{queue: 0, doubt: true}}); err != nil || a.check.renewed != 0 {
			t.Errorf("restore = %v, %d consumers renewed; want it left alone", err, a.check.renewed)
		}
		if a.check.busy {
			t.Error("nobody will look again")
		}
		a.check.received(0, 2) // and settled
		a.batch.settled(1, true)
		a.batch.settled(2, true)
		if err := a.restore([]sight{{queue: 0, doubt: true}, {queue: 0, gone: true}}); err != nil || a.check.renewed != 0 {
			t.Errorf("restore = %v, %d consumers renewed; want one that has just received left alone", err, a.check.renewed)
		}
		a.check.ticker.Stop()
	})
}

func TestConsumersAreNotLookedAtWhereTheOptionSaysSo(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/?consumer_probe=0", func(t *testing.T, d *Driver) {
		a := fakeChannel()
		a.sub = attachedListener(d, nil).subscription
		if ticks := a.beginChecks(); ticks != nil {
			t.Error("the attachment looks for its consumers")
		}
		a.check.received(0, 1)
		a.endChecks()
	})
}
