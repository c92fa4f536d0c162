package rabbit

import (
	"errors"
	"sync"
	"sync/atomic"
)

// nacksInRow is how many publications in a row a host may refuse, with none confirmed in between.
const nacksInRow = 3

var errNacks = errors.New("the broker refused three messages in a row")

// nacks tell a host that refuses messages which another would take (one that has lost the leader of a quorum queue) from a
// queue that refuses them wherever they come from (one that is full, with overflow=reject-publish). A confirm in between
// speaks for the host. Where every message of a session is for the same queue that tells nothing, so that another host
// is tried once: a destination that is refused there as well is not counted any more until one of its messages is
// confirmed. For a queue that is now full and now not, [link.distrust] bounds how often that may happen.
//
// It is safe for concurrent use. The zero value is ready.
type nacks struct {
	some atomic.Bool // there is something below: most confirms need not look

	mu      sync.Mutex // protects what follows
	inRow   []destination
	refused map[destination]bool // for which a host was given up; as many as that happened, which is rare
}

// destination is where a message is published to.
type destination struct{ exchange, key string }

func (p *publication) destination() destination { return destination{p.exchange.name, p.key} }

// begin begins to count anew, on another session.
func (n *nacks) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inRow = nil
}

// confirmed notes that the broker took a message.
func (n *nacks) confirmed(to destination) {
	if !n.some.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inRow = nil
	delete(n.refused, to)
	n.some.Store(len(n.refused) > 0)
}

// nacked notes that the broker refused a message, and reports whether another host is to be tried.
func (n *nacks) nacked(to destination) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refused[to] {
		return false
	}
	n.some.Store(true)
	if len(n.inRow) == nacksInRow { // was said, and it was too soon for another host
		n.inRow = append(n.inRow[:0], n.inRow[1:]...)
	}
	n.inRow = append(n.inRow, to)
	return len(n.inRow) == nacksInRow
}

// gaveUp notes that the session is being given up for the messages in the row.
func (n *nacks) gaveUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refused == nil {
		n.refused = make(map[destination]bool)
	}
	for _, to := range n.inRow {
		n.refused[to] = true
	}
	n.inRow = nil
}
