package rabbit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// Headers that a moved message has in place of properties which must not be sent again as they are.
const (
	// movedUserHeader is the user who published: the broker lets nobody else set user-id.
	movedUserHeader = "goslo.user_id"
	// movedExpirationHeader is how long the message would have lived: on another queue it is to stay.
	movedExpirationHeader = "goslo.expiration"
	// movedRoutesHeader is the header CC, by which the broker would send copies to further queues (RabbitMQ,
	// sender-selected distribution).
	movedRoutesHeader = "goslo.cc"
)

// errNotKept tells that the listener was not asked for requests that can be moved.
var errNotKept = errors.New("its body was not kept")

// errForeignUser tells that a request cannot go back to its own queue as it came.
var errForeignUser = errors.New("its user-id is that of its publisher")

// Move implements [transport.Mover]. Whether any queue took the copy the broker tells by the unique id in its body:
// of a request without one, and of a compressed one, a queue that is deleted at that moment would not be noticed.
func (in *incoming) Move(ctx context.Context, to transport.Destination) error {
	if err := in.move(ctx, to); err != nil {
		return fmt.Errorf("rabbit: move a request: %w", err)
	}
	return nil
}

func (in *incoming) move(ctx context.Context, to transport.Destination) error {
	d := in.listener.driver
	if in.Stale() {
		d.stats.stale.Add(1)
		return transport.ErrStale
	}
	switch {
	case in.asSent == nil:
		return errNotKept
	case to.Queue == "" && in.delivery.UserId != "":
		return errForeignUser
	}
	p := &publication{key: in.delivery.queue, mandatory: true, uniqueID: in.request.UniqueID, message: in.copy(to)}
	if to.Queue != "" {
		parking := d.options.parkingQueue(to.Queue)
		p.key, p.declare = to.Queue, &parking
	}
	if err := checkNames(in.listener.on, p.key); err != nil {
		return err
	}
	if err := d.confirmed(ctx, p); err != nil {
		return err
	}
	err := in.delivery.attachment.ask(ctx, ackRequest{tag: in.delivery.DeliveryTag, verdict: accept})
	if errors.Is(err, transport.ErrStale) { // the copy is there, and the original comes again
		d.stats.stale.Add(1)
	}
	return err
}

// confirmed publishes and waits for the broker's confirm.
func (d *Driver) confirmed(ctx context.Context, p *publication) error {
	begun := time.Now()
	settled := make(chan error, 1)
	p.settle = func(err error) { settled <- err }
	if err := d.publish(ctx, d.laneOf(len(p.message.Body)), p, transport.RetryForever); err != nil {
		return err
	}
	select {
	case err := <-settled:
		return err
	case <-ctx.Done():
		return d.unconfirmed(ctx, p, time.Since(begun))
	}
}

// copy is the message as it is published to its destination.
func (in *incoming) copy(to transport.Destination) amqp091.Publishing {
	d := in.delivery
	p := amqp091.Publishing{
		Headers: movedHeaders(d.Headers), ContentType: d.ContentType, ContentEncoding: d.ContentEncoding,
		DeliveryMode: amqp091.Persistent, Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo,
		MessageId: d.MessageId, Timestamp: d.Timestamp, Type: d.Type, AppId: d.AppId, Body: in.asSent,
	}
	if to.Queue == "" {
		p.Expiration = d.Expiration
		p.Headers[wire.AttemptHeader] = int64(to.Deliveries)
		return p
	}
	if d.Expiration != "" {
		p.Headers[movedExpirationHeader] = d.Expiration
	}
	if d.UserId != "" {
		p.Headers[movedUserHeader] = d.UserId
	}
	maps.Copy(p.Headers, amqp091.Table(to.Headers))
	p.Headers[transport.QueueHeader] = d.queue
	return p
}

// movedHeaders are a message's headers but for those that are about the queue it was on.
func movedHeaders(of amqp091.Table) amqp091.Table {
	headers := maps.Clone(of)
	if headers == nil {
		headers = amqp091.Table{}
	}
	if routes, ok := headers["CC"]; ok {
		headers[movedRoutesHeader] = routes
	}
	for _, name := range []string{"CC", "BCC", deliveryCountHeader, wire.AttemptHeader} {
		delete(headers, name)
	}
	return headers
}
