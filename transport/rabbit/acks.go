package rabbit

import (
	"cmp"
	"fmt"
	"slices"
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
//
// What it remembers is bounded by the prefetch, however long one message takes while others come and go.
type ackBatch struct {
	prefix uint64   // every tag up to here is settled
	ahead  []span   // settled tags above prefix, in order; between two of them is a message that takes its time
	fresh  []uint64 // accepted since the last flush
	old    []uint64 // accepted before, ahead of the prefix then: the broker has yet to hear of them
}

// span is a run of tags, both ends included.
type span struct{ first, last uint64 }

// settled notes that a delivery is done with here. accepted tells that the broker has yet to hear of it.
func (b *ackBatch) settled(tag uint64, accepted bool) {
	if accepted {
		b.fresh = append(b.fresh, tag)
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

// full tells that so many are put together that they should go out now.
func (b *ackBatch) full() bool { return len(b.fresh) >= ackCount }

func (b *ackBatch) pending() bool { return len(b.fresh) > 0 || len(b.old) > 0 }

// flush acknowledges all up to the prefix at once, and one by one what is ahead of it for the second time; or,
// at the end, all of it.
func (b *ackBatch) flush(ch acknowledger, all bool) error {
	newest := uint64(0) // up to the prefix
	behind := func(tag uint64) bool {
		if tag <= b.prefix {
			newest = max(newest, tag)
		}
		return tag <= b.prefix
	}
	b.old = slices.DeleteFunc(b.old, behind)
	b.fresh = slices.DeleteFunc(b.fresh, behind)
	due := b.old
	b.old, b.fresh = b.fresh, due[:0]
	if newest > 0 {
		if err := ch.Ack(newest, true); err != nil {
			return fmt.Errorf("acknowledge: %w", brokerError(err))
		}
	}
	if all {
		due = append(due, b.old...)
		b.old = nil
	}
	for _, tag := range due {
		if err := ch.Ack(tag, false); err != nil {
			return fmt.Errorf("acknowledge: %w", brokerError(err))
		}
	}
	return nil
}
