package proof

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// load is a kind of operation.
type load string

const (
	calls    load = "calls of schedulers"
	requests load = "HTTP requests"
	claims   load = "calls of agents"
)

var loads = []load{calls, requests, claims}

// operation is one call or request and what became of it.
type operation struct {
	load  load
	sent  time.Time
	ended time.Time // zero while it is under way
	err   error
	conns []string // of a request: the client's ends of the connections on which it was sent, one after the other
	taken []int    // the processes that took it, to acknowledge it and then run its method
	runs  []int    // those that ran its method, in turn
	sure  []int    // those that have sent an answer

	cancel func() // ends what its sender waits for
}

func (o *operation) answered() bool { return !o.ended.IsZero() && o.err == nil }
func (o *operation) failed() bool   { return o.err != nil }

// underway tells whether it was sent and not answered at a time.
func (o *operation) underway(at time.Time) bool {
	return o.sent.Before(at) && (o.ended.IsZero() || o.ended.After(at))
}

// ledger is every operation by its id. It is safe for concurrent use.
type ledger struct {
	mu         sync.Mutex // protects what follows
	operations map[string]*operation
}

func newLedger() *ledger { return &ledger{operations: make(map[string]*operation)} }

// begin notes that an operation is sent, and gives it an id in OpenStack's form.
func (l *ledger) begin(kind load, at time.Time, cancel func()) (id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id = fmt.Sprintf("req-00000000-0000-4000-8000-%012x", len(l.operations)+1)
	l.operations[id] = &operation{load: kind, sent: at, cancel: cancel}
	return id
}

// connected notes the connection of a request: a further one where package net/http sends it again.
func (l *ledger) connected(id, conn string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.operations[id]
	o.conns = append(o.conns, conn)
}

// end notes how an operation came out for its sender.
func (l *ledger) end(id string, at time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.operations[id].ended, l.operations[id].err = at, err
}

// heard notes what the log of a process tells of an operation. Others than those of the loads are none of the ledger's.
func (l *ledger) heard(id string, pid int, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.operations[id]
	switch {
	case o == nil:
	case what == "received":
		o.taken = append(o.taken, pid)
	case what == "dispatch":
		o.runs = append(o.runs, pid)
	case what == "replied":
		o.sure = append(o.sure, pid)
	}
}

// settled tells whether what a process has sent by a time has arrived: all answers that its log tells of, and one to what was
// sent to another process since.
func (l *ledger) settled(kind load, pid int, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	later := false
	for _, o := range l.operations {
		if slices.Contains(o.sure, pid) && o.ended.IsZero() {
			return false
		}
		later = later || o.load == kind && o.sent.After(at) && o.answered()
	}
	return later
}

// abandon ends the operations that victims held, for which nobody will answer. It tells whether all others have ended.
func (l *ledger) abandon(spans []span) (done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var dead []*operation
	for _, o := range l.operations {
		switch {
		case !o.ended.IsZero():
		case slices.ContainsFunc(spans, func(s span) bool { return s.victim.held(o) }):
			dead = append(dead, o)
		default:
			return false
		}
	}
	for _, o := range dead {
		o.cancel()
	}
	return true
}

// runsOf are the processes that have run an operation, in turn.
func (l *ledger) runsOf(id string) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.operations[id].runs)
}

// victim is a process that was killed, at a time before which all that it had sent had arrived.
type victim struct {
	load  load // whose methods it ran; requests for a front
	pid   int
	at    time.Time
	conns []string // that it had accepted: the other ends
}

// held tells whether an operation was in the victim's hands.
func (v *victim) held(o *operation) bool {
	switch {
	case v == nil || !o.underway(v.at):
		return false
	case v.load == requests:
		return slices.ContainsFunc(o.conns, func(conn string) bool { return slices.Contains(v.conns, conn) })
	default:
		return slices.Contains(o.taken, v.pid)
	}
}

// span is a time in which something happened.
type span struct {
	from, event, until time.Time
	victim             *victim // nil where nobody was killed
}

// sum is what came of one kind of operation in a span.
type sum struct {
	sent, answered, failed, doubled int
	held                            int           // by the victim
	again                           int           // sent again by their sender
	gap                             time.Duration // the longest without an answer after the event
	faults                          []string      // what should not have been
}

// in finds the span to which an operation belongs: that in which a process was killed that held it, else that in which it was
// sent; -1 is none.
func (o *operation) in(spans []span) int {
	if i := slices.IndexFunc(spans, func(s span) bool { return s.victim.held(o) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(spans, func(s span) bool { return !o.sent.Before(s.from) && o.sent.Before(s.until) })
}

// sums counts the operations of each kind in each span.
func (l *ledger) sums(spans []span) []map[load]*sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]map[load]*sum, len(spans))
	for i := range all {
		all[i] = map[load]*sum{calls: {}, requests: {}, claims: {}}
	}
	answers := make(map[load][]time.Time)
	for id, o := range l.operations {
		if i := o.in(spans); i >= 0 {
			all[i][o.load].count(id, o, spans[i].victim)
		}
		if o.answered() {
			answers[o.load] = append(answers[o.load], o.ended)
		}
	}
	for kind, ends := range answers {
		slices.SortFunc(ends, time.Time.Compare)
		for i, s := range spans {
			all[i][kind].gap = s.gap(ends)
		}
	}
	return all
}

// gap is the longest time after the event without an answer.
func (s span) gap(answers []time.Time) (longest time.Duration) {
	last := s.event
	for _, at := range answers {
		if at.After(s.event) && at.Before(s.until) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return max(longest, s.until.Sub(last))
}

// count counts one operation. What a victim held fails, all of it and nothing else; but that whose acknowledgement had not
// left yet is given to another process (messaging.AckOnStart), and a request may be sent again by its sender. Both may be run
// twice.
func (t *sum) count(id string, o *operation, v *victim) {
	held, twice, repeated := v.held(o), len(o.runs) > 1, len(o.conns) > 1
	again := held && (repeated || v.load != requests && slices.ContainsFunc(o.runs, func(pid int) bool { return pid != v.pid }))
	doubt := again && len(o.runs) == 2 && (repeated || o.runs[0] == v.pid)
	t.sent++
	t.held += number(held)
	t.answered += number(o.answered())
	t.failed += number(o.failed())
	t.again += number(repeated)
	t.doubled += number(twice)
	for _, f := range []struct {
		wrong bool
		what  string
	}{
		{o.ended.IsZero(), "has not ended"},
		{o.failed() && !held, fmt.Sprintf("failed: %v", o.err)},
		{o.answered() && held && !again, "was answered, though the process that had it was killed"},
		{o.answered() && len(o.runs) == 0, "was answered, and nobody tells that he has run it"},
		{twice && !doubt, fmt.Sprintf("was run by the processes %v", o.runs)},
	} {
		if f.wrong {
			t.faults = append(t.faults, fmt.Sprintf("%s (%s, sent at %s) %s", id, o.load, o.sent.Format("05.000"), f.what))
		}
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// add adds what came of the same in another span.
func (t *sum) add(other sum) {
	t.sent += other.sent
	t.answered += other.answered
	t.failed += other.failed
	t.doubled += other.doubled
	t.held += other.held
	t.again += other.again
	t.gap = max(t.gap, other.gap)
	t.faults = append(t.faults, other.faults...)
}

// line is one line of the table.
type line struct {
	event string
	load  load
	sum
}
