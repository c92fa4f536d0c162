package memory

import "sync/atomic"

// Stats is what happened on a broker since it was made, and what its queues hold now.
type Stats struct {
	// Published counts messages that a queue took: a fanout counts once for each queue.
	Published int64
	// Delivered counts messages handed to a listener or to a caller, repeated ones included.
	Delivered int64
	// Acknowledged counts messages taken off their queue by whom they were for.
	Acknowledged int64
	// Returned counts messages handed back to their queue.
	Returned int64
	// Expired counts messages that nobody took in time.
	Expired int64
	// Malformed counts messages whose body or content type could not be read; they were rejected, or handed over to be
	// moved.
	Malformed int64
	// Rejected counts refusals by full queues.
	Rejected int64
	// Unroutable counts messages that no queue took.
	Unroutable int64
	// LostReplies counts, among the unroutable messages, replies to callers that are gone.
	LostReplies int64
	// LateReplies counts replies that reached their caller's process after the call had ended.
	LateReplies int64
	// Queues are the queues by name.
	Queues map[string]QueueStats
}

// QueueStats is what one queue holds.
type QueueStats struct {
	// Waiting is how many messages wait for a listener, Bytes how long their bodies are together.
	Waiting int
	Bytes   int64
	// Unacknowledged is how many messages listeners hold, polled or not. Those that were polled by a listener
	// that is stopped by now are not among them.
	Unacknowledged int
	// Listeners is how many listeners consume from the queue.
	Listeners int
}

type counters struct {
	published, delivered, acknowledged, returned, expired, malformed, rejected, unroutable atomic.Int64
	lostReplies, lateReplies                                                               atomic.Int64
}

// Stats tells what the broker has done and holds. The numbers are read one after the other: they fit each
// other exactly only while nothing is sent. Its cost grows with the number of queues.
func (b *Broker) Stats() Stats {
	c := &b.counters
	s := Stats{Queues: make(map[string]QueueStats)}
	b.mu.RLock()
	queues := make([]*queue, 0, len(b.queues))
	for _, q := range b.queues {
		queues = append(queues, q)
	}
	b.mu.RUnlock()
	for _, q := range queues {
		s.Queues[q.name] = q.stats()
	}
	s.Published, s.Delivered, s.Acknowledged = c.published.Load(), c.delivered.Load(), c.acknowledged.Load()
	s.Returned, s.Expired, s.Malformed = c.returned.Load(), c.expired.Load(), c.malformed.Load()
	s.Rejected, s.Unroutable = c.rejected.Load(), c.unroutable.Load()
	s.LostReplies, s.LateReplies = c.lostReplies.Load(), c.lateReplies.Load()
	return s
}

func (q *queue) stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropExpired()
	s := QueueStats{Waiting: q.waiting.count, Bytes: q.waiting.bytes, Listeners: len(q.consumers)}
	for _, c := range q.consumers {
		s.Unacknowledged += c.held.count
	}
	return s
}
