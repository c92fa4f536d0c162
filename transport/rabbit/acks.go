package rabbit

import (
	"fmt"
	"time"
)

const (
	// ackQueue is how many acknowledgements may wait for the goroutine that owns the channel.
	ackQueue = 256
	// ackCount and ackDelay are how many acknowledgements are put together at most, and for how long.
	ackCount = 64
	ackDelay = time.Millisecond
)

// verdict is what becomes of a delivery.
type verdict uint8

const (
	accept  verdict = iota // take it off the queue
	requeue                // hand it back
	reject                 // drop it, or have it dead-lettered where a policy says so
)

// ackRequest asks the owner of a channel to settle a delivery, or to end when all before it is done.
type ackRequest struct {
	tag     uint64
	verdict verdict
	end     bool
}

// acknowledger is what an ackBatch needs of a channel.
type acknowledger interface {
	Ack(tag uint64, multiple bool) error
}

// ackBatch puts acknowledgements together. Tags count up from 1 on each channel, and one acknowledgement can
// stand for all up to its tag, provided that every message up to there is settled, and the one of the tag itself
// is outstanding with the broker.
type ackBatch struct {
	prefix uint64          // every tag up to here is settled
	ackTo  uint64          // the newest accepted tag up to prefix
	acked  uint64          // the tag acknowledged last, with all up to it
	ahead  map[uint64]bool // settled tags above prefix; true for those the broker waits to hear of
	waits  int             // how many of ahead are true
	old    []uint64        // those that a flush has seen before: a message below them takes its time
	count  int             // accepted since the last flush
}

// settled notes that a delivery is done with here. accepted tells that the broker has yet to hear of it.
func (b *ackBatch) settled(tag uint64, accepted bool) {
	if accepted {
		b.count++
	}
	if tag != b.prefix+1 {
		if b.ahead == nil {
			b.ahead = make(map[uint64]bool)
		}
		b.ahead[tag] = accepted
		if accepted {
			b.waits++
		}
		return
	}
	b.advance(tag, accepted)
	for {
		accepted, known := b.ahead[b.prefix+1]
		if !known {
			return
		}
		delete(b.ahead, b.prefix+1)
		if accepted {
			b.waits--
		}
		b.advance(b.prefix+1, accepted)
	}
}

func (b *ackBatch) advance(tag uint64, accepted bool) {
	b.prefix = tag
	if accepted {
		b.ackTo = tag
	}
}

func (b *ackBatch) pending() bool { return b.ackTo > b.acked || b.waits > 0 }

// flush acknowledges all up to the prefix at once, and one by one what is ahead of it for the second time; or,
// at the end, all of it.
func (b *ackBatch) flush(ch acknowledger, all bool) error {
	b.count = 0
	if b.ackTo > b.acked {
		if err := ch.Ack(b.ackTo, true); err != nil {
			return fmt.Errorf("acknowledge: %w", brokerError(err))
		}
		b.acked = b.ackTo
	}
	old := b.old
	b.old = nil
	for _, tag := range old {
		if err := b.acknowledgeAhead(ch, tag); err != nil {
			return err
		}
	}
	if b.waits == 0 {
		return nil
	}
	for tag, waits := range b.ahead {
		switch {
		case waits && all:
			if err := b.acknowledgeAhead(ch, tag); err != nil {
				return err
			}
		case waits:
			b.old = append(b.old, tag)
		}
	}
	return nil
}

// acknowledgeAhead acknowledges one message ahead of the prefix, unless it is below it by now.
func (b *ackBatch) acknowledgeAhead(ch acknowledger, tag uint64) error {
	if !b.ahead[tag] {
		return nil
	}
	b.ahead[tag] = false
	b.waits--
	if err := ch.Ack(tag, false); err != nil {
		return fmt.Errorf("acknowledge: %w", brokerError(err))
	}
	return nil
}
