package rabbit

import (
	"cmp"
	"fmt"
	"slices"
)

// ackQueue is how many acknowledgements may wait for the goroutine that owns the channel, and how many of them go out together
// at most.
const ackQueue = 256

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
	sent    chan struct{} // where it is not nil, closed when the acknowledgement is on its way
}

// acknowledger is what an ackBatch needs of a channel.
type acknowledger interface {
	Ack(tag uint64, multiple bool) error
}

// ackBatch puts acknowledgements together. Tags count up from 1 on each channel, and one acknowledgement can
// stand for all up to its tag, provided that every message up to there is settled, and the one of the tag itself
// is outstanding with the broker.
//
// What it remembers is bounded by the prefetch, however long one message takes while others come and go.
type ackBatch struct {
	prefix uint64   // every tag up to here is settled
	ahead  []span   // settled tags above prefix, in order; between two of them is a message that takes its time
	due    []uint64 // accepted since the last flush
}

// span is a run of tags, both ends included.
type span struct{ first, last uint64 }

// settled notes that a delivery is done with here. accepted tells that the broker has yet to hear of it.
func (b *ackBatch) settled(tag uint64, accepted bool) {
	if accepted {
		b.due = append(b.due, tag)
	}
	if tag == b.prefix+1 {
		b.prefix = tag
	} else {
		b.insert(tag)
	}
	if len(b.ahead) > 0 && b.ahead[0].first == b.prefix+1 {
		b.prefix = b.ahead[0].last
		b.ahead = slices.Delete(b.ahead, 0, 1)
	}
}

// insert adds a tag to those ahead, and joins what is next to it.
func (b *ackBatch) insert(tag uint64) {
	i, _ := slices.BinarySearchFunc(b.ahead, tag, func(s span, tag uint64) int { return cmp.Compare(s.first, tag) })
	joinsNext := i < len(b.ahead) && b.ahead[i].first == tag+1
	joinsLast := i > 0 && b.ahead[i-1].last == tag-1
	switch {
	case joinsLast && joinsNext:
		b.ahead[i-1].last = b.ahead[i].last
		b.ahead = slices.Delete(b.ahead, i, i+1)
	case joinsLast:
		b.ahead[i-1].last = tag
	case joinsNext:
		b.ahead[i].first = tag
	default:
		b.ahead = slices.Insert(b.ahead, i, span{tag, tag})
	}
}

// flush acknowledges all up to the prefix at once, and one by one what is ahead of it.
func (b *ackBatch) flush(ch acknowledger) error {
	newest := uint64(0) // up to the prefix
	for _, tag := range b.due {
		if tag <= b.prefix {
			newest = max(newest, tag)
		}
	}
	if newest > 0 {
		if err := ch.Ack(newest, true); err != nil {
			return fmt.Errorf("acknowledge: %w", brokerError(err))
		}
	}
	for _, tag := range b.due {
		if tag <= b.prefix {
			continue
		}
		if err := ch.Ack(tag, false); err != nil {
			return fmt.Errorf("acknowledge: %w", brokerError(err))
		}
	}
	b.due = b.due[:0]
	return nil
}
