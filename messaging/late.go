package messaging

import (
	"slices"
	"sync"

	"github.com/goslo/goslo/transport"
)

// late knows, by their unique ids, the requests of a server that are acknowledged when they are finished: those that
// run, and those that were finished lately. A connection that is lost brings both again.
type late struct {
	finished transport.Duplicates

	mu      sync.Mutex
	running map[string][]transport.Incoming // with the copies that came since
}

// lateState is what is known of a request.
type lateState int

const (
	lateNew lateState = iota // it runs from now on
	lateRuns
	lateFinished
)

// begin notes that a request is about to run. A copy of one that runs is kept for [late.end].
func (l *late) begin(in transport.Incoming) lateState {
	id := in.Request().UniqueID
	if id == "" {
		return lateNew
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if copies, runs := l.running[id]; runs {
		l.running[id] = append(slices.DeleteFunc(copies, stale), in)
		return lateRuns
	}
	if l.finished.Has(id) {
		return lateFinished
	}
	if l.running == nil {
		l.running = make(map[string][]transport.Incoming)
	}
	l.running[id] = nil
	return lateNew
}

// end notes that a request does not run any more, and returns the copies, which are to be settled like it.
func (l *late) end(in transport.Incoming, finished bool) (copies []transport.Incoming) {
	id := in.Request().UniqueID
	if id == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	copies = l.running[id]
	delete(l.running, id)
	if finished {
		l.finished.Add(id)
	}
	return copies
}
