package rabbit

import (
	"testing"

	"github.com/rabbitmq/amqp091-go"
)

func streamed(tag uint64, offset any) *amqp091.Delivery {
	return &amqp091.Delivery{DeliveryTag: tag, Headers: amqp091.Table{"x-stream-offset": offset}}
}

// TestStreamIsReadOnBehindWhatWasSettled: each case ends with a new channel.
func TestStreamIsReadOnBehindWhatWasSettled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play func(p *streamPosition)
		want any
	}{
		"nothing was read": {func(*streamPosition) {}, "last"},
		"all was settled": {func(p *streamPosition) {
			p.received(streamed(1, int64(40)))
			p.received(streamed(4, int64(41)))
			p.settled(1)
			p.settled(4)
		}, int64(42)},
		"settled in another order": {func(p *streamPosition) {
			for i := range uint64(3) {
				p.received(streamed(i+1, int64(40+i)))
			}
			p.settled(3)
			p.settled(1)
		}, int64(41)},
		"nothing was settled": {func(p *streamPosition) {
			p.received(streamed(7, int64(40)))
			p.received(streamed(8, int64(41)))
		}, int64(40)},
		"a delivery of another queue was settled": {func(p *streamPosition) {
			p.received(streamed(2, int64(40)))
			p.settled(1)
			p.settled(3)
			p.settled(2)
		}, int64(41)},
		"the broker cancelled the consumer": {func(p *streamPosition) {
			p.received(streamed(1, int64(40)))
			p.received(streamed(2, int64(41)))
			p.settled(1)
			p.forget()
			p.settled(2) // late
		}, "last"},
		"without an offset": {func(p *streamPosition) {
			p.received(streamed(1, "40"))
			p.settled(1)
		}, "last"},
	} {
		var p streamPosition
		c.play(&p)
		if got := p.offset(); got != c.want {
			t.Errorf("%s: read from %v, want %v", name, got, c.want)
		}
		if got := p.offset(); got != c.want {
			t.Errorf("%s: on one more channel read from %v, want %v", name, got, c.want)
		}
	}
}
