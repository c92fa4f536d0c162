package service

import "time"

// Figures of oslo.service's throttle (service.py, _start_child).
const (
	// throttleWindow is multiplied by the number of workers.
	throttleWindow = time.Second
	// throttlePause is what each start costs while the window is full.
	throttlePause = time.Second
)

// throttle says when a pool may start its next worker. While no more than workers and one were started within the window it
// is at once; after that each start costs a pause. It never gives up and its pauses do not grow.
//
// It only reckons: the parent's loop waits, and can be interrupted.
type throttle struct {
	workers int
	starts  []time.Time // the latest ones, oldest first
	until   time.Time   // end of a pause, zero outside of one
}

// take is how long to wait before a worker may be started: 0 is now, and then the start is counted. First tells that a
// pause has begun.
func (t *throttle) take(now time.Time) (wait time.Duration, first bool) {
	switch {
	case !t.until.IsZero():
		if wait := t.until.Sub(now); wait > 0 {
			return wait, false
		}
		t.until = time.Time{}
		t.starts = t.starts[1:]
	case len(t.starts) > t.workers:
		if now.Sub(t.starts[0]) < time.Duration(t.workers)*throttleWindow {
			t.until = now.Add(throttlePause)
			return throttlePause, true
		}
		t.starts = t.starts[1:] // also without a pause
	}
	t.starts = append(t.starts, now)
	return 0, false
}
