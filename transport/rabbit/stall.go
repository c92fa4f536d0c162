package rabbit

import (
	"errors"
	"sync"
	"time"
)

const (
	// stallBound is how long requests may wait for their confirms while the broker answers none, at first. It grows by
	// half with each host that is given up, up to distrustPause.
	stallBound = 2500 * time.Millisecond
	// stallMemory is how long after the last one the bound is what it was at first.
	stallMemory = 2 * distrustPause
	// stallLook is how often a channel is looked at.
	stallLook = 250 * time.Millisecond
	// stallRate is the slowest network that is none of the broker's faults, in bytes a second: what is ahead of a message
	// has to go out before it.
	stallRate = 64 << 10
)

var errStalled = errors.New("the broker confirms no requests")

// stall tells a host that confirms nothing from a queue that does not: a node that was cut off from its cluster keeps its
// connections for a minute by default and sends neither confirms nor nacks for what is led elsewhere, and a node that has
// lost the leader of a quorum queue may do so for ten seconds.
//
// What speaks against a host is a request that waits while no request is answered, whichever it is. Fanouts and replies do not
// count: they go to queues of single processes, each of which may be with a node that is gone, and no host does better. Nor
// do the probes that a client sends to itself, which a node takes that can do nothing else.
//
// It belongs to the goroutine that reads a channel's confirms.
type stall struct {
	answered time.Time // when a request was last confirmed or refused, or there was a reason for none to be
}

// isRequest tells what counts: messages for queues that all hosts have.
func (p *publication) isRequest() bool { return p.exchange.kind == "topic" }

// answers notes that the broker said what became of a publication.
func (w *stall) answers(s *session, p *publication, taken bool) {
	if !p.isRequest() {
		return
	}
	w.answered = time.Now()
	if taken {
		s.takes.Store(w.answered.UnixNano())
	}
}

// stalled tells whether the oldest request, nil for none, has waited for longer than a bound. A broker that takes no messages
// for now has said so.
func (w *stall) stalled(s *session, oldest *publication, bound time.Duration) bool {
	if s.barrier.shut() != nil {
		w.answered = time.Now()
	}
	if oldest == nil {
		return false
	}
	since := oldest.since
	if w.answered.After(since) {
		since = w.answered
	}
	return time.Since(since) >= bound+time.Duration(oldest.ahead/stallRate)*time.Second
}

// look settles what the broker has confirmed ahead of something older, which the library holds back, and gives the host up
// where it confirms nothing.
func (l *lane) look(s *session, sent *inFlight) {
	for _, p := range sent.overtaking() {
		l.settle(s, p, true)
	}
	if d := l.driver; d.hosts.several() && l.stall.stalled(s, sent.oldestRequest(), d.stalls.bound()) && d.stalls.begin(s) {
		d.publisher.leave(s, errStalled)
	}
}

// stalls bound how often a driver gives up hosts because they confirm nothing. Each time it waits half as long again, so
// that a cluster that has to elect leaders first, a disk that is slow now and then, or a queue that no host can reach costs a
// connection a few times at most.
//
// It is safe for concurrent use. The zero value is ready.
type stalls struct {
	mu    sync.Mutex // protects what follows
	row   int        // hosts given up, with less than stallMemory between them
	last  time.Time
	left  *session // the one given up last: its channels may all say so
	doubt bool     // no session has begun since
}

// bound is how long requests may wait now.
func (t *stalls) bound() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.last) >= stallMemory {
		t.row = 0
	}
	bound := stallBound
	for range t.row {
		bound += bound / 2
	}
	return min(bound, distrustPause)
}

// begin notes that a session is given up, and reports whether that is news.
func (t *stalls) begin(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == s {
		return false
	}
	t.left, t.last, t.doubt = s, time.Now(), true
	t.row = min(t.row+1, 20)
	return true
}

// over reports, once, that a session begins in place of one that was given up.
func (t *stalls) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	doubt := t.doubt
	t.doubt = false
	return doubt
}
