package rabbit

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// denialPause is how long a declaration is not repeated that cost the connection.
const denialPause = 30 * time.Second

// QueueDeniedError tells that the broker does not permit a kind of queue and that the driver may not choose another,
// since peers declare the same queue. It wraps the [*BrokerError], where there was one. The driver asks again 30 s
// later: the refusal costs the connection.
type QueueDeniedError struct {
	// Queue is the queue's name.
	Queue string
	// Option is what would make it a queue of another kind, for instance "amqp_durable_queues=true".
	Option string
	// Err is what the broker said.
	Err error
}

func (e *QueueDeniedError) Error() string {
	return fmt.Sprintf("queue %q: the broker does not permit queues of this kind, set %s: %v", e.Queue, e.Option, e.Err)
}

func (e *QueueDeniedError) Unwrap() error { return e.Err }

// denials are what a broker was found not to permit. RabbitMQ answers such a declaration with 541 and closes the
// connection, which every other consumer on it pays for.
//
// They outlive the connection that they cost. One that ended for another reason may have been that of a broker which is
// not the same any more: from then on shared queues are asked for again. Those of this process stay durable, which
// every broker takes.
type denials struct {
	mu        sync.Mutex // protects what follows
	transient error      // what the broker said to a queue that is neither durable nor exclusive; nil while it did not
	outdated  bool       // transient is of before the last connection was lost
	queues    map[string]denial
}

type denial struct {
	err   *QueueDeniedError
	until time.Time
}

// denied tells a refusal of a kind of queue from other internal errors, which pass
// (rabbit_deprecated_features.erl: Feature `NAME` is deprecated).
func denied(err error) bool {
	var e *BrokerError
	return errors.As(err, &e) && e.Code == amqp091.InternalError && strings.Contains(e.Text, "deprecated")
}

// transientDenied tells that it is the queues that are neither durable nor exclusive.
func transientDenied(err error) bool {
	var e *BrokerError
	return denied(err) && errors.As(err, &e) && strings.Contains(e.Text, "transient_nonexcl_queues")
}

// noteTransient notes that the broker refuses transient queues. It reports whether that is news.
func (d *denials) noteTransient(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	news := d.transient == nil
	d.transient, d.outdated = err, false
	return news
}

// refusesTransient returns what the broker said to a transient queue, nil where it was not heard to refuse one, and
// whether it may be another broker by now.
func (d *denials) refusesTransient() (outdated bool, said error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outdated, d.transient
}

// connectionLost is told why a connection ended.
func (d *denials) connectionLost(cause error) {
	if denied(cause) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outdated, d.queues = true, nil
}

// add notes that a queue was refused, and returns the error that says so.
func (d *denials) add(q *queue, err error) *QueueDeniedError {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(d.queues, func(_ string, old denial) bool { return !now.Before(old.until) })
	if d.queues == nil {
		d.queues = make(map[string]denial)
	}
	refused := &QueueDeniedError{Queue: q.name, Option: q.alternative(), Err: err}
	d.queues[q.name] = denial{err: refused, until: now.Add(denialPause)}
	return refused
}

// recent returns why a queue was refused a short time ago, nil where it was not.
func (d *denials) recent(name string) *QueueDeniedError {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, ok := d.queues[name]; ok && time.Now().Before(old.until) {
		return old.err
	}
	return nil
}

// alternative is the option that makes the queue one of another kind.
func (q *queue) alternative() string {
	switch {
	case q.stream:
		return "rabbit_stream_fanout=false"
	case q.arguments["x-queue-type"] == "quorum" && q.own:
		return "rabbit_transient_quorum_queue=false"
	case q.arguments["x-queue-type"] == "quorum":
		return "rabbit_quorum_queue=false"
	case !q.durable:
		return "amqp_durable_queues=true or rabbit_quorum_queue=true (or profile=durable)"
	}
	return "rabbit_quorum_queue=true"
}
