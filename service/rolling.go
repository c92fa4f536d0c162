package service

import (
	"time"
)

// rolling is a rolling reload under way. A nil one is none. It takes one slot at a time: start the replacement, wait until
// that is ready, ask the old worker to end, wait until it has.
type rolling struct {
	since       int // workers up to that generation must be replaced
	queue       []place
	replacement *worker   // that is waited for
	deadline    time.Time // of the replacement; zero is never
	ending      *worker   // that is asked to end: an old worker, or a replacement that was given up
}

type place struct {
	pool  *pool
	index int
}

// again is a reload of all pools; a step that is under way is finished first.
func (r *rolling) again(pools []*pool, generation int) *rolling {
	if r == nil {
		r = &rolling{}
	}
	r.since, r.queue = generation, nil
	for _, pool := range pools {
		for i := range pool.slots {
			r.queue = append(r.queue, place{pool, i})
		}
	}
	return r
}

// roll takes the next step of a rolling reload as soon as the one before is done, and returns how long it must wait for
// that without an event.
func (p *parent) roll(now time.Time) time.Duration {
	r := p.rolling
	switch {
	case r == nil || r.ending != nil:
		return never
	case r.replacement != nil:
		return p.abandonLate(now)
	}
	for len(r.queue) > 0 {
		at := r.queue[0]
		if !r.isOld(at.pool.slots[at.index].current) {
			r.queue = r.queue[1:]
			continue
		}
		if wait := p.throttled(at.pool, now); wait > 0 {
			return wait
		}
		if w := p.trySpawn(at.pool, at.index); w != nil {
			r.queue = r.queue[1:]
			return p.await(w, now)
		}
	}
	p.rolling = nil
	return never
}

// isOld tells whether a worker must be replaced. One that ends or has ended is, without this reload.
func (r *rolling) isOld(w *worker) bool {
	return w != nil && w.generation <= r.since && w.state != workerStopping
}

func (p *parent) await(w *worker, now time.Time) time.Duration {
	w.pool.slots[w.index].next = w
	p.rolling.replacement = w
	p.rolling.deadline = time.Time{}
	if p.conf.ReadyTimeout == 0 {
		return never
	}
	p.rolling.deadline = now.Add(p.conf.ReadyTimeout)
	return p.conf.ReadyTimeout
}

// abandonLate gives up a replacement that does not become ready: the old worker stays.
func (p *parent) abandonLate(now time.Time) time.Duration {
	r := p.rolling
	if r.deadline.IsZero() {
		return never
	}
	if wait := r.deadline.Sub(now); wait > 0 {
		return wait
	}
	w := r.replacement
	p.log.WithFields(w.fields()).WithField("timeout", p.conf.ReadyTimeout.String()).Error("the replacement is not ready in time")
	p.giveUp()
	w.pool.remove(w) // it must not move up when the old worker ends, and where it has it is replaced at once
	p.terminate(w)
	r.ending = w
	return 0 // its place may have to be filled, and its time to end runs
}

// giveUp ends the reload whose replacement has failed: the next one would. It goes on if it was asked for again since that was
// started, as it is when the configuration is put right.
func (p *parent) giveUp() {
	r := p.rolling
	if r.replacement.generation > r.since {
		r.queue = nil
		p.log.Error("the reload ends here, the other workers stay as they are")
	}
	r.replacement = nil
}

// rolled takes note that a replacement is ready: it takes the place of the old worker, which is asked to end.
func (p *parent) rolled(w *worker) {
	r := p.rolling
	if r == nil || r.replacement != w {
		return
	}
	r.replacement = nil
	s := &w.pool.slots[w.index]
	if s.next != w {
		return // the old one has ended by itself
	}
	r.ending, s.current, s.next = s.current, w, nil
	p.terminate(r.ending)
}

// rolledOut takes note that a worker has ended.
func (p *parent) rolledOut(w *worker) {
	r := p.rolling
	switch {
	case r == nil:
	case r.ending == w:
		r.ending = nil
	case r.replacement == w:
		p.log.WithFields(w.fields()).Error("the replacement ended before it was ready")
		p.giveUp()
	}
}
