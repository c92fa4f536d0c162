package rabbit

import (
	"slices"

	"github.com/rabbitmq/amqp091-go"
)

// streamPosition is how far a subscription has come in its stream. A stream keeps its messages: a consumer says where
// it begins. It belongs to the goroutine that owns the subscription's channel.
type streamPosition struct {
	next    int64 // the offset to go on with
	known   bool
	pending []streamDelivery // received on this channel, the oldest first, and not settled in that order
}

type streamDelivery struct {
	tag     uint64
	offset  int64
	settled bool
}

// offset is the argument x-stream-offset of a consumer: behind the last message that was settled, else "last", which
// is the newest chunk of the stream. What was received on an earlier channel and not settled comes again.
func (p *streamPosition) offset() any {
	if len(p.pending) > 0 {
		p.next, p.known = p.pending[0].offset, true
		p.pending = nil
	}
	if p.known {
		return p.next
	}
	return "last"
}

func (p *streamPosition) received(d *amqp091.Delivery) {
	if offset, ok := d.Headers["x-stream-offset"].(int64); ok {
		p.pending = append(p.pending, streamDelivery{tag: d.DeliveryTag, offset: offset})
	}
}

// settled notes that a delivery, perhaps one of another queue, was settled.
func (p *streamPosition) settled(tag uint64) {
	i, found := slices.BinarySearchFunc(p.pending, tag, func(d streamDelivery, tag uint64) int {
		switch {
		case d.tag < tag:
			return -1
		case d.tag > tag:
			return 1
		}
		return 0
	})
	if !found {
		return
	}
	p.pending[i].settled = true
	for len(p.pending) > 0 && p.pending[0].settled {
		p.next, p.known = p.pending[0].offset+1, true
		p.pending = p.pending[1:]
	}
}

// forget goes back to "last": the stream that the offset was in may be another one now.
func (p *streamPosition) forget() { *p = streamPosition{} }
