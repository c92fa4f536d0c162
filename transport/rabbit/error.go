package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/loglimit"
)

// BrokerError is an exception of the broker: what closed a channel or a connection, or refused a handshake.
type BrokerError struct {
	// Code is AMQP's reply code, such as 406 for PRECONDITION_FAILED.
	Code int
	// Text is what the broker says about it, word for word.
	Text string
}

func (e *BrokerError) Error() string {
	return fmt.Sprintf("broker: %d %s", e.Code, loglimit.Quote(e.Text))
}

// brokerError maps the library's errors, which do not leave this package.
func brokerError(err error) error {
	var e *amqp091.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case errors.Is(e, amqp091.ErrClosed):
		return errConnClosed
	case !e.Server: // the library's own words for what the network did
		return errors.New(e.Reason)
	}
	return &BrokerError{Code: e.Code, Text: e.Reason}
}

// permanent tells errors that another attempt at the same declaration would only repeat: something exists
// with other flags (406), is not permitted (403, or 541 where it is a kind of queue), or the broker does not have what is asked for (540).
func permanent(err error) bool {
	var refused *QueueDeniedError
	if errors.As(err, &refused) {
		return true
	}
	var e *BrokerError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case amqp091.PreconditionFailed, amqp091.AccessRefused, amqp091.NotImplemented:
		return true
	}
	return false
}

// isRemains tells a queue of which the broker has a record and no process, and will not have one again. RabbitMQ 4.0 keeps
// that of a transient queue which was declared while its virtual host was being deleted, and answers to all that concerns
// the queue, in the next virtual host of that name too, with 404 (rabbit_amqqueue.erl, with: absent, stopped).
func isRemains(err error) bool {
	var e *BrokerError
	return vanished(err) && errors.As(err, &e) && strings.Contains(e.Text, "process is stopped by supervisor")
}

// refusedNameError tells that the broker neither has a queue nor makes it (404): it has one of that name, on a node that is
// gone for instance, and cannot use it.
type refusedNameError struct {
	queue string
	err   error
}

func (e *refusedNameError) Error() string { return fmt.Sprintf("declare queue %q: %v", e.queue, e.err) }
func (e *refusedNameError) Unwrap() error { return e.err }

// vanished tells that an exchange went between its declaration and its use: an auto-delete exchange does when
// its last queue goes just then. oslo.messaging tries again once, too.
func vanished(err error) bool {
	var e *BrokerError
	return errors.As(err, &e) && e.Code == amqp091.NotFound
}

// ended is the error of a context that has ended, with its cause where that tells more.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
