package rabbit

import "sync/atomic"

// Stats counts what happened to a driver since it was made.
type Stats struct {
	// Sessions is how many connections were made, two for a driver that never lost one.
	Sessions uint64
	// Malformed is how many messages could not be read. They were rejected; requests of servers with late
	// acknowledgement were parked.
	Malformed uint64
	// Duplicates is how many messages were dropped because one with their unique id had been received.
	Duplicates uint64
	// Stale is how many acknowledgements came after the end of their connection and were dropped.
	Stale uint64
	// Cancelled is how many consumers the broker cancelled; each was set up again.
	Cancelled uint64
	// ConsumersLost is how many consumers were found to be gone, or on a queue that was; each was set up again.
	ConsumersLost uint64
	// ReplyProbes is how many messages the client sent to itself, to see whether replies arrive.
	ReplyProbes uint64
	// ReplyPathsLost is how often they did not, so that the reply queue was given up for another.
	ReplyPathsLost uint64
	// RepliesUnwaited is how many replies came for which no call waited any more.
	RepliesUnwaited uint64
	// RepliesRetried is how many replies found no queue and were sent again.
	RepliesRetried uint64
	// RepliesDropped is how many replies were given up.
	RepliesDropped uint64
}

type counters struct {
	sessions, malformed, duplicates, stale, cancelled, unwaited, retried, dropped, probes, lostPaths, consumersLost atomic.Uint64
}

func (c *counters) read() Stats {
	return Stats{
		Sessions: c.sessions.Load(), Malformed: c.malformed.Load(), Duplicates: c.duplicates.Load(),
		Stale: c.stale.Load(), Cancelled: c.cancelled.Load(), RepliesUnwaited: c.unwaited.Load(),
		RepliesRetried: c.retried.Load(), RepliesDropped: c.dropped.Load(),
		ReplyProbes: c.probes.Load(), ReplyPathsLost: c.lostPaths.Load(),
		ConsumersLost: c.consumersLost.Load(),
	}
}
