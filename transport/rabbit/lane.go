package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const (
	// laneQueue is how many publications may wait for a lane before their senders wait.
	laneQueue = 128
	// confirmQueue is how many confirms the library may hand over before its reader waits.
	confirmQueue = 256
	// maxAttempts is on how many channels a publication may fail to have its exchange declared: one that breaks
	// each must not keep the lane to itself.
	maxAttempts = 10
	// channelPause keeps a channel that fails again and again from being a busy loop.
	channelPause = 200 * time.Millisecond
)

// lane is one publishing channel, renewed as often as needed. The goroutine that runs serve owns the channel:
// it declares and writes; a second one reads confirms and returns, so that a full socket does not keep them
// waiting.
type lane struct {
	driver *Driver
	jobs   chan *publication
	// redeclare declares the exchange before every publication: a fanout exchange is auto-delete, so that
	// it goes with its last queue, and publishing to an exchange that is gone costs the channel.
	redeclare bool

	carried *publication // taken from jobs, but not written on the channel that ended
	stall   stall        // of the goroutine that reads confirms
}

func newLane(d *Driver, redeclare bool) *lane {
	return &lane{driver: d, jobs: make(chan *publication, laneQueue), redeclare: redeclare}
}

// submit queues a publication.
func (l *lane) submit(ctx context.Context, p *publication) error {
	select {
	case l.jobs <- p:
		if l.driver.isClosing() { // perhaps abandon came first, and nobody else looks again
			l.drain()
		}
		return nil
	case <-l.driver.closing:
		return transport.ErrClosed
	case <-ctx.Done():
		if obstacle := l.driver.obstacle(); obstacle != nil {
			return fmt.Errorf("%w: %w", obstacle, ended(ctx))
		}
		return fmt.Errorf("%w: the publisher is busy: %w", transport.ErrNotConnected, ended(ctx))
	}
}

// serve publishes on the session until it ends.
func (l *lane) serve(ctx context.Context, s *session) {
	for {
		err := l.publish(ctx, s)
		if ctx.Err() != nil || s.hasEnded() {
			return
		}
		if log := l.driver.rarely("publishing channel"); log != nil {
			log.WithError(err).Warn("publishing channel lost, opening another")
		}
		select {
		case <-time.After(channelPause):
		case <-ctx.Done():
		case <-s.ended:
		}
	}
}

// publish opens a channel and writes publications to it until it ends.
func (l *lane) publish(ctx context.Context, s *session) error {
	ch, err := s.connection.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", brokerError(err))
	}
	closed := ch.NotifyClose(make(chan *amqp091.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return fmt.Errorf("ask for confirms: %w", brokerError(err))
	}
	var sent inFlight
	var reader sync.WaitGroup
	confirms := ch.NotifyPublish(make(chan amqp091.Confirmation, confirmQueue))
	// Unbuffered: the library hands a return over before it looks at the confirm that follows it.
	returns := ch.NotifyReturn(make(chan amqp091.Return))
	reader.Go(func() { l.readOutcomes(s, &sent, confirms, returns) })

	declare := declarer{session: s, driver: l.driver, known: make(map[string]bool)}
	err = l.write(ctx, s, ch, closed, &sent, &declare)
	declare.close()
	s.closeChannel(ch)
	reader.Wait() // the library closes confirms and returns with the channel
	for p := sent.pop(); p != nil; p = sent.pop() {
		if !p.early {
			s.load.Add(-p.size())
			p.settle(lostError(p, err))
		}
	}
	return err
}

// lostError is how a publication ended whose channel ended before its confirm. Where the broker closed the channel
// because a message is longer than it takes, it tells how long: the one of that length was not taken.
func lostError(p *publication, err error) error {
	var refused *BrokerError
	if errors.As(err, &refused) && refused.Code == amqp091.PreconditionFailed &&
		strings.Contains(refused.Text, fmt.Sprintf("message size %d is larger", len(p.message.Body))) {
		return fmt.Errorf("%w: %w", transport.ErrTooLarge, err)
	}
	return fmt.Errorf("%w: %w", transport.ErrConnectionLost, err)
}

var errSessionEnded = errors.New("the connection ended")

// write takes publications until the channel, the session or ctx ends.
func (l *lane) write(ctx context.Context, s *session, ch *amqp091.Channel, closed <-chan *amqp091.Error, sent *inFlight, declare *declarer) error {
	for {
		if err := l.take(ctx, s, closed); err != nil {
			return err
		}
		p := l.carried
		if !p.state.CompareAndSwap(queued, written) && p.state.Load() == withdrawn {
			l.carried = nil
			continue
		}
		if err := declare.prepare(p, l.redeclare); err != nil {
			if p.attempts++; errors.Is(err, transport.ErrRejected) || p.attempts >= maxAttempts {
				l.carried = nil
				p.settle(err)
			}
			if errors.Is(err, transport.ErrRejected) {
				continue
			}
			return err
		}
		if p.writing != nil {
			p.writing()
		}
		sent.push(p, s.load.Add(p.size()))
		confirm, err := ch.PublishWithDeferredConfirm(p.exchange.name, p.key, p.mandatory, false, p.message)
		if errors.Is(err, amqp091.ErrClosed) { // refused before a byte was written: another channel may have it
			sent.unpush()
			s.load.Add(-p.size())
			return errSessionEnded
		}
		l.carried = nil
		if err != nil {
			return brokerError(err)
		}
		sent.taken(p, confirm)
	}
}

// take sees to it that there is a publication to write, and that the broker takes it. What waits at the barrier can still
// be withdrawn, in the lane's hands too.
func (l *lane) take(ctx context.Context, s *session, closed <-chan *amqp091.Error) error {
	for {
		jobs, opened := l.jobs, s.barrier.shut()
		switch {
		case opened == nil && l.carried != nil:
			return nil
		case opened != nil:
			jobs = nil
			if log := l.driver.rarely("blocked"); log != nil {
				log.WithError(s.barrier.obstacle()).Warn("the broker takes no messages for now, waiting")
			}
		}
		select {
		case l.carried = <-jobs:
		case <-opened:
		case err := <-closed:
			return channelError(err)
		case <-s.ended:
			return s.cause()
		case <-ctx.Done():
			return transport.ErrClosed
		}
	}
}

// channelError is why a channel ended; without a reason it ended with its connection.
func channelError(err *amqp091.Error) error {
	if err == nil {
		return errSessionEnded
	}
	return brokerError(err)
}

// abandon ends what still waits with ErrClosed. It is called when nothing serves the lane any more.
func (l *lane) abandon() {
	if p := l.carried; p != nil {
		l.carried = nil
		if p.state.Swap(written) != withdrawn {
			p.settle(transport.ErrClosed)
		}
	}
	l.drain()
}

func (l *lane) drain() {
	for {
		select {
		case p := <-l.jobs:
			if p.state.CompareAndSwap(queued, written) {
				p.settle(transport.ErrClosed)
			}
		default:
			return
		}
	}
}

// readOutcomes settles publications by what the broker says, until the channel has ended. Now and then it looks for what
// the broker does not say.
func (l *lane) readOutcomes(s *session, sent *inFlight, confirms <-chan amqp091.Confirmation, returns <-chan amqp091.Return) {
	l.stall = stall{}
	ticker := time.NewTicker(stallLook)
	defer ticker.Stop()
	for confirms != nil || returns != nil {
		select {
		case <-ticker.C:
			l.look(s, sent)
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			sent.markReturned(&r)
		case c, ok := <-confirms:
			if !ok {
				confirms = nil
				continue
			}
			if p := sent.pop(); p != nil && !p.early { // without one there are more confirms than publications: nobody to tell
				l.settle(s, p, c.Ack)
			}
		}
	}
}

// settle ends a publication by its confirm. A message that came back first says nothing of the host: no queue had to
// take it.
func (l *lane) settle(s *session, p *publication, taken bool) {
	s.load.Add(-p.size())
	l.stall.answers(s, p, taken)
	switch {
	case !taken:
		p.settle(transport.ErrRejected)
		if l.driver.nacks.nacked(p.destination()) && l.driver.publisher.distrust(s, errNacks) {
			l.driver.nacks.gaveUp()
		}
	case p.returned:
		p.settle(transport.ErrUndeliverable)
	default:
		l.driver.nacks.confirmed(p.destination())
		p.settle(nil)
	}
}
