package memory

import (
	"bytes"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// Publishing is a message as it is published to a [Broker]: its body and what AMQP says about it.
type Publishing struct {
	// ContentType must be "application/json" or "application/msgpack" for a listener to accept the message.
	ContentType string
	// Compression is the header of that name: the algorithm the body is compressed with, empty for none.
	Compression string
	// Expiration is how long the message may wait; 0 is for ever, a negative one is over already.
	Expiration time.Duration
	// Deadline is what goslo's header of that name says: when the caller stops waiting; zero where it is absent.
	Deadline time.Time
	// Headers are AMQP headers beside those that have fields here. They travel with the message.
	Headers map[string]any
	Body    []byte
}

// message is one message in one queue; its fields from holder on are guarded by the queue's mutex.
type message struct {
	body       []byte // shared by the queues of a fanout: not to be written to
	properties wire.Properties
	headers    map[string]any // not to be written to
	expires    time.Time      // zero for never

	holder     *consumer // who has it; nil while it waits
	deliveries uint32    // how often it was handed out, which numbers its deliveries too
	place      uint64    // its place in the queue, for when it comes back
	prev, next *message  // its neighbours in the list that it is in
}

func newMessage(p *Publishing) *message {
	m := &message{body: p.Body, headers: p.Headers, properties: wire.Properties{
		ContentType: p.ContentType, Compression: p.Compression, Deadline: p.Deadline,
	}}
	if p.Expiration != 0 {
		m.expires = time.Now().Add(p.Expiration)
	}
	return m
}

func (m *message) expired() bool {
	return !m.expires.IsZero() && !time.Now().Before(m.expires)
}

// delivery is a message in the hands of a consumer. The number tells it from later deliveries of the message.
type delivery struct {
	*message
	queue  *queue
	number uint32
}

// publishing is the message as it was published, with the body and headers that it shares and without an expiration.
func (d delivery) publishing() Publishing {
	return Publishing{
		ContentType: d.properties.ContentType, Compression: d.properties.Compression, Deadline: d.properties.Deadline,
		Headers: d.headers, Body: d.body,
	}
}

// request reads the body, in memory of its own: the decoder writes into it, and the message may be delivered again.
func (d delivery) request() (*transport.Request, error) {
	return wire.ReadRequest(d.properties, bytes.Clone(d.body))
}

func (d delivery) reply() (*transport.Reply, error) {
	return wire.ReadReply(d.properties, bytes.Clone(d.body))
}

// messages is a list of messages, linked through themselves: a message is in one list at most.
type messages struct {
	first, last *message
	count       int
	bytes       int64
}

// push adds m at the end.
func (l *messages) push(m *message) { l.insertBehind(l.last, m) }

// restore puts m back where its place is, which is near the front: messages leave in the order of places.
func (l *messages) restore(m *message) {
	var before *message
	for at := l.first; at != nil && at.place < m.place; at = at.next {
		before = at
	}
	l.insertBehind(before, m)
}

// insertBehind puts m behind before, or first where that is nil.
func (l *messages) insertBehind(before, m *message) {
	m.prev = before
	if before == nil {
		m.next, l.first = l.first, m
	} else {
		m.next, before.next = before.next, m
	}
	if m.next == nil {
		l.last = m
	} else {
		m.next.prev = m
	}
	l.count++
	l.bytes += int64(len(m.body))
}

func (l *messages) remove(m *message) {
	if m.prev == nil {
		l.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		l.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next = nil, nil
	l.count--
	l.bytes -= int64(len(m.body))
}
