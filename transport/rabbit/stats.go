package rabbit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// Stats counts what happened to a driver since it was made.
type Stats struct {
	// Sessions is how many connections were made, two for a driver that never lost one.
	Sessions uint64
	// Malformed is how many messages could not be read and were rejected.
	Malformed uint64
	// Duplicates is how many messages were dropped because one with their unique id had been received.
	Duplicates uint64
	// Stale is how many acknowledgements came after the end of their connection and were dropped.
	Stale uint64
	// Cancelled is how many consumers the broker cancelled; each was set up again.
	Cancelled uint64
	// RepliesUnwaited is how many replies came for which no call waited any more.
	RepliesUnwaited uint64
	// RepliesRetried is how many replies found no queue and were sent again.
	RepliesRetried uint64
	// RepliesDropped is how many replies were given up.
	RepliesDropped uint64
}

type counters struct {
	sessions, malformed, duplicates, stale, cancelled, unwaited, retried, dropped atomic.Uint64
}

func (c *counters) read() Stats {
	return Stats{
		Sessions: c.sessions.Load(), Malformed: c.malformed.Load(), Duplicates: c.duplicates.Load(),
		Stale: c.stale.Load(), Cancelled: c.cancelled.Load(), RepliesUnwaited: c.unwaited.Load(),
		RepliesRetried: c.retried.Load(), RepliesDropped: c.dropped.Load(),
	}
}

// logInterval is how often the same kind of line is logged at most.
const logInterval = time.Minute

// maxLoggedText bounds what a peer can make the log say.
const maxLoggedText = 256

// limiter lets one line of a kind pass a minute, with the number of those it held back.
type limiter struct {
	mu   sync.Mutex
	last map[string]time.Time
	held map[string]int
}

// entry returns what to log with, or nil where the line is held back.
func (l *limiter) entry(log logrus.FieldLogger, kind string) logrus.FieldLogger {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last, l.held = make(map[string]time.Time), make(map[string]int)
	}
	if at, ok := l.last[kind]; ok && now.Sub(at) < logInterval {
		l.held[kind]++
		return nil
	}
	held := l.held[kind]
	l.last[kind], l.held[kind] = now, 0
	if held > 0 {
		return log.WithField("held_back", held)
	}
	return log
}

func cut(text string) string {
	if len(text) > maxLoggedText {
		return text[:maxLoggedText] + "..."
	}
	return text
}
