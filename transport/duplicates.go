package transport

import (
	"sync"
	"time"
)

// The window in which a repeated unique id is recognized. oslo.messaging keeps the last 16 ids only, which a
// busy server turns over in milliseconds.
const (
	duplicateIDs = 1024
	duplicateAge = time.Minute
)

// Duplicates remembers the unique ids of the requests that were taken lately: at least the last 1,024 of
// them, for a minute. The zero value is ready; it is safe for concurrent use.
type Duplicates struct {
	mu   sync.Mutex
	seen map[string]sighting
	ring []string // the ids in the order they came
	next int
}

type sighting struct {
	at   time.Time
	slot int // its place in the ring
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
	if known, ok := d.seen[id]; ok && now.Sub(known.at) < duplicateAge {
		return false
	}
	if d.seen == nil {
		d.seen = make(map[string]sighting, duplicateIDs)
		d.ring = make([]string, duplicateIDs)
	}
	if oldest := d.ring[d.next]; d.seen[oldest].slot == d.next {
		delete(d.seen, oldest)
	}
	d.seen[id] = sighting{at: now, slot: d.next}
	d.ring[d.next] = id
	d.next = (d.next + 1) % duplicateIDs
	return true
}

// Remove forgets id: its request goes back to the queue and may come again.
func (d *Duplicates) Remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, id)
}
