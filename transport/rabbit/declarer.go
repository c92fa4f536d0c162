package rabbit

import (
	"errors"
	"fmt"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// declarer declares exchanges and queues on a channel of its own: a declaration that the broker refuses closes its
// channel, and with it would go what is in flight. It declares first and looks only where that is refused, which costs
// nothing as long as all sides agree.
type declarer struct {
	session *session
	driver  *Driver
	channel *amqp091.Channel
	known   map[string]bool
}

// setUp declares a queue and its exchange, and binds them.
func (d *declarer) setUp(q *queue) error {
	if err := d.ensure(q.exchange, true); err != nil {
		return err
	}
	if err := d.queue(*q); err != nil {
		return err
	}
	if q.exchange.name == "" {
		return nil
	}
	if err := d.open(); err != nil {
		return err
	}
	if err := d.channel.QueueBind(q.name, q.bindingKey, q.exchange.name, false, nil); err != nil {
		return fmt.Errorf("bind queue %q to exchange %q: %w", q.name, q.exchange.name, d.reason(err))
	}
	return nil
}

// prepare sees to it that what a publication is sent to is there.
func (d *declarer) prepare(p *publication, again bool) error {
	if p.declare != nil {
		return d.ensureQueue(p.declare)
	}
	return d.ensure(p.exchange, again)
}

// ensureQueue declares a queue unless there is one of that name, whatever its flags. It looks each time: somebody who
// has seen to what was in it may have deleted it.
func (d *declarer) ensureQueue(q *queue) error {
	if err := d.open(); err != nil {
		return err
	}
	_, err := d.channel.QueueDeclarePassive(q.name, q.durable, q.autoDelete, false, false, q.arguments)
	if err = brokerError(err); !vanished(err) {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	if _, err = d.channel.QueueDeclare(q.name, q.durable, q.autoDelete, false, false, q.arguments); err == nil {
		return nil
	}
	if err = brokerError(err); permanent(err) {
		return fmt.Errorf("%w: declare queue %q: %w", transport.ErrRejected, q.name, err)
	}
	return fmt.Errorf("declare queue %q: %w", q.name, err)
}

// ensure declares the exchange unless that was done on this session. Publishers declare with their own flags;
// where the exchange exists with others, it is used as it is. It fails with ErrRejected where the exchange does not
// exist and the broker does not let it be made: publishing to it would cost the channel.
func (d *declarer) ensure(ex exchange, again bool) error {
	if ex.name == "" || d.known[ex.name] && !again {
		return nil
	}
	if err := d.open(); err != nil {
		return err
	}
	err := brokerError(d.channel.ExchangeDeclare(ex.name, ex.kind, ex.durable, ex.autoDelete, false, false, nil))
	if err != nil && !permanent(err) {
		return fmt.Errorf("declare exchange %q: %w", ex.name, d.reason(err))
	}
	if err != nil {
		if missing := d.look(ex.name); missing != nil {
			return fmt.Errorf("%w: declare exchange %q: %w", missing, ex.name, err)
		}
		d.driver.adopted("exchange", ex.name, err)
	}
	d.known[ex.name] = true
	return nil
}

// queue declares a queue. One that exists with other flags is used as it is; one of this process is made durable where
// the broker does not take it otherwise. It fails with a [*QueueDeniedError] where the broker does not permit queues of
// that kind.
func (d *declarer) queue(q queue) error {
	if refused := d.driver.denials.recent(q.name); refused != nil {
		return refused
	}
	if outdated, said := d.driver.denials.refusesTransient(); said != nil && !q.durable {
		switch {
		case q.own:
			q = q.lasting()
		case !outdated:
			return d.adoptTransient(&q, said)
		}
	}
	if err := d.open(); err != nil {
		return err
	}
	err := d.declare(&q)
	if isRemains(err) && (q.own || !q.durable && !d.driver.hasAdopted("queue", q.name)) {
		err = d.replaceRemains(&q)
	}
	switch {
	case err == nil:
		return nil
	case permanent(err):
		return d.adopt(&q, err)
	case denied(err):
		return d.refused(&q, err)
	case vanished(err):
		return &refusedNameError{queue: q.name, err: err}
	}
	return fmt.Errorf("declare queue %q: %w", q.name, err)
}

func (d *declarer) declare(q *queue) error {
	_, err := d.channel.QueueDeclare(q.name, q.durable, q.autoDelete, false, false, q.arguments)
	return d.reason(err)
}

// replaceRemains declares a queue of which the broker has only remains, which it neither uses nor removes by itself (see
// [isRemains]). Nobody can have it as it is, and while it is bound to an exchange every message to that is refused. It was
// a transient queue, so that with its process all that was in it is gone, or one of this process; of other durable ones
// there may be messages on a disk, and their remains are left to who administers the broker.
func (d *declarer) replaceRemains(q *queue) error {
	d.driver.log.WithField("queue", q.name).Warn("the broker has only remains of the queue, deleting them to declare it")
	if err := d.open(); err != nil {
		return err
	}
	if _, err := d.channel.QueueDelete(q.name, true, true, false); err != nil {
		return fmt.Errorf("delete the remains: %w", d.reason(err))
	}
	return d.declare(q)
}

// adopt uses a queue whose declaration was refused with err, if it exists.
func (d *declarer) adopt(q *queue, err error) error {
	exists, lookErr := d.exists(q.name)
	switch {
	case lookErr != nil:
		return fmt.Errorf("declare queue %q: %w; look for it: %w", q.name, err, lookErr)
	case !exists:
		return fmt.Errorf("declare queue %q: %w", q.name, err)
	}
	d.driver.adopted("queue", q.name, err)
	return nil
}

// adoptTransient uses a queue that the broker would not make in the way that the options want it, if it exists in
// another. said is how the broker refused the first one of that kind.
func (d *declarer) adoptTransient(q *queue, said error) error {
	exists, err := d.exists(q.name)
	switch {
	case err != nil:
		return fmt.Errorf("look for queue %q: %w", q.name, err)
	case !exists:
		return d.driver.denials.add(q, said)
	}
	d.driver.adopted("queue", q.name, said)
	return nil
}

// refused notes that the broker does not permit the queue, by which the session has ended. One of this process can be
// declared in another way on the next.
func (d *declarer) refused(q *queue, err error) error {
	if transientDenied(err) && !q.durable {
		if d.driver.denials.noteTransient(err) {
			d.driver.log.WithError(err).Warn("the broker refuses transient queues, making those of this process durable")
		}
		if q.own {
			return fmt.Errorf("declare queue %q: %w", q.name, err)
		}
	}
	return d.driver.denials.add(q, err)
}

// reason is why a request to the broker failed. Where the whole connection ended, the session knows.
func (d *declarer) reason(err error) error {
	err = brokerError(err)
	if errors.Is(err, errConnClosed) && d.session.connection.IsClosed() {
		<-d.session.ended // follows at once
		return d.session.cause()
	}
	return err
}

// open sees to it that there is a channel; a refused declaration has closed the last one.
func (d *declarer) open() error {
	if d.channel != nil && !d.channel.IsClosed() {
		return nil
	}
	ch, err := d.session.connection.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", brokerError(err))
	}
	d.channel = ch
	return nil
}

// look fails with ErrRejected where the exchange does not exist.
func (d *declarer) look(name string) error {
	if err := d.open(); err != nil {
		return err
	}
	err := brokerError(d.channel.ExchangeDeclarePassive(name, "topic", false, false, false, false, nil))
	if vanished(err) {
		return transport.ErrRejected
	}
	return err
}

func (d *declarer) exists(queue string) (bool, error) {
	if err := d.open(); err != nil {
		return false, err
	}
	_, err := d.channel.QueueDeclarePassive(queue, false, false, false, false, nil)
	if err = brokerError(err); vanished(err) {
		return false, nil
	}
	return err == nil, err
}

func (d *declarer) close() {
	if d.channel != nil {
		d.session.closeChannel(d.channel)
	}
}

func (d *Driver) hasAdopted(kind, name string) bool {
	_, has := d.differences.Load(kind + " " + name)
	return has
}

// adopted says once that something is used as it was found, and what differs.
func (d *Driver) adopted(kind, name string, err error) {
	if _, said := d.differences.LoadOrStore(kind+" "+name, true); said {
		return
	}
	d.log.WithError(err).WithField(kind, name).Warn(kind + " is not as declared here, using it as it is")
}
