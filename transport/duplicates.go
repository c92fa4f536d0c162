package transport

import (
	"sync"
	"time"
)

// The window in which a repeated unique id is recognized. oslo.messaging keeps the last 16 ids only, which a
// busy server turns over in milliseconds: a sender that lost its connection comes back after a second or more.
const (
	duplicateAge = time.Minute
	leastIDs     = 1024
	mostIDs      = 1 << 17 // some 15 MiB
)

// Duplicates remembers the unique ids of the requests that were taken lately: those of the last minute, but at
// least the last 1,024 and at most the last 131,072. The zero value is ready; it is safe for concurrent use.
type Duplicates struct {
	mu     sync.Mutex
	seen   map[string]uint64 // the number of the sighting that counts
	window []sighting        // in the order they came, from oldest on
	oldest int
	number uint64
}

type sighting struct {
	id     string
	number uint64
	at     time.Time
}

// Add notes id and reports whether it is new. An empty id is always new: oslo.messaging takes a message
// without one for no duplicate of any other.
func (d *Duplicates) Add(id string) bool {
	if id == "" {
		return true
	}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.seen[id]; known {
		return false
	}
	if d.seen == nil {
		d.seen = make(map[string]uint64, leastIDs)
	}
	d.forget(now)
	d.number++
	d.seen[id] = d.number
	d.window = append(d.window, sighting{id, d.number, now})
	return true
}

// Has reports whether id was noted, and not removed since.
func (d *Duplicates) Has(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.seen[id]
	return known
}

// forget makes room for one more by giving up those that are out of the window.
func (d *Duplicates) forget(now time.Time) {
	for {
		count := len(d.window) - d.oldest
		if count < leastIDs || count < mostIDs && now.Sub(d.window[d.oldest].at) < duplicateAge {
			break
		}
		s := &d.window[d.oldest]
		if d.seen[s.id] == s.number { // else it was removed, and perhaps came again
			delete(d.seen, s.id)
		}
		*s = sighting{}
		d.oldest++
	}
	if d.oldest > leastIDs && d.oldest > len(d.window)/2 {
		d.window = append(d.window[:0], d.window[d.oldest:]...)
		d.oldest = 0
	}
}

// Remove forgets id: its request goes back to the queue and may come again.
func (d *Duplicates) Remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, id)
}
