package faults

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/messaging"
)

// typed are the errors of which each failed operation must match one. Those of a context are not among them: alone,
// they do not say how far the operation came.
var typed = []error{
	messaging.ErrReplyPathLost, messaging.ErrBlocked,
	messaging.ErrTimeout, messaging.ErrUndeliverable, messaging.ErrRejected, messaging.ErrUnconfirmed,
	messaging.ErrConnectionLost, messaging.ErrNotConnected, messaging.ErrTooLarge, messaging.ErrClosed,
}

// lateness is how long after its deadline an operation may end.
const lateness = 500 * time.Millisecond

type kind string

const (
	call   kind = "call"
	cast   kind = "cast"
	fanout kind = "fanout"
)

// operation is one call, cast or fanout and what became of it.
type operation struct {
	kind   kind
	client int
	slow   bool // a call that takes a while to run
	sent   time.Time
	until  time.Time // its deadline
	ended  time.Time // answered or confirmed, or failed; zero while it is under way
	err    error
	runs   map[string]int // how often each server ran it
	begun  time.Time      // when it was run first
}

func (o *operation) good() bool   { return !o.ended.IsZero() && o.err == nil }
func (o *operation) failed() bool { return o.err != nil }

// history is every operation, by its unique id. It is safe for concurrent use.
type history struct {
	mu         sync.Mutex // protects what follows
	operations map[string]*operation
	unknown    int // runs of ids that nobody sent
	doubts     []doubt
}

// doubt is a time around a fault: an acknowledgement that was on its way then may not have arrived, which nobody but the broker
// can know. A server that has begun the request runs it to its end, and the broker hands it to another server.
type doubt struct{ from, until time.Time }

// aroundFault is how long before a fault, and after its end, an acknowledgement may be on its way: that of a broker which is killed
// reaches its disk later.
const aroundFault = time.Second

// fault notes a fault and its end.
func (h *history) fault(injected, healed time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doubts = append(h.doubts, doubt{injected.Add(-aroundFault), healed.Add(aroundFault)})
}

// doubtful tells whether an operation was begun around a fault. It is called with the lock held.
func (h *history) doubtful(o *operation) bool {
	return slices.ContainsFunc(h.doubts, func(d doubt) bool { return o.begun.After(d.from) && o.begun.Before(d.until) })
}

func newHistory() *history { return &history{operations: map[string]*operation{}} }

// begin notes that an operation is sent and returns its id.
func (h *history) begin(k kind, client int, sent, until time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := strconv.Itoa(len(h.operations))
	h.operations[id] = &operation{kind: k, client: client, sent: sent, until: until, runs: map[string]int{}}
	return id
}

// mark notes that an operation takes a while.
func (h *history) mark(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations[id].slow = true
}

// end notes how an operation came out for its sender.
func (h *history) end(id string, at time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.operations[id]
	o.ended, o.err = at, err
}

// ran notes that a server began to run an operation.
func (h *history) ran(id, server string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.operations[id]
	if o == nil {
		h.unknown++
		return
	}
	if len(o.runs) == 0 {
		o.begun = time.Now()
	}
	o.runs[server]++
}

// count is how many operations satisfy which.
func (h *history) count(which func(*operation) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, o := range h.operations {
		if which(o) {
			n++
		}
	}
	return n
}

// ranTwice counts operations that one server ran more than once. Runs of what nobody sent count too.
func (h *history) ranTwice() int {
	twice := h.count(func(o *operation) bool {
		for _, n := range o.runs {
			if n > 1 {
				return true
			}
		}
		return false
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return twice + h.unknown
}

// ranOnTwoServers counts calls and casts that several servers ran: those begun around a fault, or all others.
func (h *history) ranOnTwoServers(aroundFault bool) int {
	return h.count(func(o *operation) bool {
		return o.kind != fanout && len(o.runs) > 1 && h.doubtful(o) == aroundFault
	})
}

// lost counts casts sent after since which the broker had confirmed and nobody has run.
func (h *history) lost(since time.Time) int {
	return h.count(func(o *operation) bool {
		return o.kind == cast && o.good() && len(o.runs) == 0 && o.sent.After(since)
	})
}

// unfounded counts calls that were answered without being run.
func (h *history) unfounded() int {
	return h.count(func(o *operation) bool { return o.kind == call && o.good() && len(o.runs) == 0 })
}

// late counts operations that ended too long after their deadline, or have not ended.
func (h *history) late() int {
	return h.count(func(o *operation) bool { return o.ended.IsZero() || o.ended.Sub(o.until) > lateness })
}

// untyped counts operations whose error matches no sentinel.
func (h *history) untyped() int {
	return h.count(func(o *operation) bool { return o.failed() && !isTyped(o.err) })
}

func isTyped(err error) bool {
	return slices.ContainsFunc(typed, func(sentinel error) bool { return errors.Is(err, sentinel) })
}

// firstGood is how long after at the first call that client sent from then on was answered; false while none was.
func (h *history) firstGood(client int, at time.Time) (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, found := time.Duration(0), false
	for _, o := range h.operations {
		if o.kind != call || o.client != client || !o.good() || o.sent.Before(at) {
			continue
		}
		if took := o.ended.Sub(at); !found || took < first {
			first, found = took, true
		}
	}
	return first, found
}

// gap is the longest time from since on in which no good operation of a kind ended for client. It ends with the last
// operation that was sent.
func (h *history) gap(k kind, client int, since time.Time) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := since
	ends := []time.Time{}
	for _, o := range h.operations {
		if o.kind != k || o.client != client {
			continue
		}
		if o.sent.After(last) {
			last = o.sent
		}
		if o.good() && o.ended.After(since) {
			ends = append(ends, o.ended)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	at := since
	for _, end := range append(ends, last) {
		longest, at = max(longest, end.Sub(at)), end
	}
	return longest
}

// slowest is the p-th part of the times that good calls took which were sent from from until until, such as 0.99.
func (h *history) slowest(p float64, from, until time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var took []time.Duration
	for _, o := range h.operations {
		if o.kind == call && o.good() && !o.sent.Before(from) && o.sent.Before(until) {
			took = append(took, o.ended.Sub(o.sent))
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(p*float64(len(took)-1))]
}

// failures says how many operations failed with what.
func (h *history) failures() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	byError := map[string]int{}
	for _, o := range h.operations {
		if o.failed() {
			byError[string(o.kind)+" "+nameOf(o.err)]++
		}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(byError)) {
		fmt.Fprintf(&text, "%d %s; ", byError[name], name)
	}
	return text.String()
}

// nameOf is the last of the sentinels that err matches: the most telling one, as a timeout also says why.
func nameOf(err error) string {
	name := "untyped: " + err.Error()
	for _, sentinel := range typed {
		if errors.Is(err, sentinel) {
			name = sentinel.Error()
		}
	}
	return name
}
