package messaging

import (
	"context"
	"sync"
)

// limits keeps requests back whose method runs as often as its [Limit] lets it. They wait unacknowledged and
// without a place of the executor, so that other methods have both; the prefetch bounds how many there are.
type limits struct {
	mu      sync.Mutex
	running map[any]int
	waiting map[any][]*job
	ready   []*job        // whose turn it is
	arrived chan struct{} // holds a token while ready may have something
}

func newLimits() *limits {
	return &limits{running: make(map[any]int), waiting: make(map[any][]*job), arrived: make(chan struct{}, 1)}
}

// admit reports whether j may run now. If not, next will return it in its turn.
func (l *limits) admit(j *job) bool {
	if j.limit() == 0 {
		return true
	}
	key := j.call.Key()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[key] < j.limit() {
		l.running[key]++
		return true
	}
	l.waiting[key] = append(l.waiting[key], j)
	return false
}

// release notes that j, which was admitted, has ended or will not run. What waited for that is ready.
func (l *limits) release(j *job) {
	if j.limit() == 0 {
		return
	}
	key := j.call.Key()
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.waiting[key]
	if len(waiting) == 0 {
		if l.running[key]--; l.running[key] == 0 {
			delete(l.running, key)
		}
		delete(l.waiting, key)
		return
	}
	l.waiting[key] = waiting[1:]
	l.push(waiting[0])
}

// enqueue lets next return j in its turn, at once if it may run now.
func (l *limits) enqueue(j *job) {
	if !l.admit(j) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.push(j)
}

// push notes that the turn of j has come; l.mu is held.
func (l *limits) push(j *job) {
	l.ready = append(l.ready, j)
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// next waits for a request whose turn has come; nil when ctx ends first.
func (l *limits) next(ctx context.Context) *job {
	for {
		if ctx.Err() != nil {
			return nil
		}
		l.mu.Lock()
		if len(l.ready) > 0 {
			j := l.ready[0]
			l.ready = l.ready[1:]
			l.mu.Unlock()
			return j
		}
		l.mu.Unlock()
		select {
		case <-l.arrived:
		case <-ctx.Done():
		}
	}
}

// drain takes out all that have not begun.
func (l *limits) drain() []*job {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.ready
	l.ready = nil
	for key, waiting := range l.waiting {
		jobs = append(jobs, waiting...)
		delete(l.waiting, key)
	}
	return jobs
}
