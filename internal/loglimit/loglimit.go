// Package loglimit keeps a peer, or a fault that lasts, from filling the log: of each kind of line, one a
// minute passes, and what a peer has sent is short and stays on its line.
package loglimit

import (
	"sync"
	"time"
)

// Interval is how often a line of one kind passes.
const Interval = time.Minute

// maxKinds bounds the memory of a Limiter; kinds beyond it share one.
const maxKinds = 256

// Limiter lets lines pass. The zero value is ready; it is safe for concurrent use.
type Limiter struct {
	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	last time.Time
	held int
}

// Pass reports whether to log a line of that kind now, and how many of them were held back since the last one.
func (l *Limiter) Pass(name string) (held int, ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = make(map[string]*kind)
	}
	k := l.kinds[name]
	if k == nil {
		if len(l.kinds) >= maxKinds {
			name = ""
		}
		if k = l.kinds[name]; k == nil {
			k = &kind{}
			l.kinds[name] = k
		}
	}
	if !k.last.IsZero() && now.Sub(k.last) < Interval {
		k.held++
		return 0, false
	}
	held = k.held
	k.last, k.held = now, 0
	return held, true
}
