package rabbit

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// gateWidth is how many dials of this process to one address may be under way at once.
	gateWidth = 16
	// gateHold is after how long a dial does not count any more: an address that swallows dials must not keep the drivers
	// that wait for their turn from looking at other hosts.
	gateHold = 250 * time.Millisecond
	// gateJitter bounds the pause of a dial that had to wait for its turn.
	gateJitter = 20 * time.Millisecond
)

// processGates are what all drivers of this process dial through.
var processGates gates

// gates keep the drivers of a process from dialling an address all at once, as they would when its broker comes back. The
// zero value is ready; it is safe for concurrent use.
type gates struct {
	mu   sync.Mutex // protects all that follows
	busy map[string]*gate
}

// gate is in front of one address as long as somebody dials it.
type gate struct {
	taken   int
	waiting []chan struct{} // closed to let the one who waits in, in whose favour a place stays taken
}

// enter waits for a place in front of an address. What it returns gives the place back, and may be called twice. It fails
// when ctx ends first.
func (g *gates) enter(ctx context.Context, address string) (leave func(), err error) {
	turn := g.take(address)
	if turn != nil {
		select {
		case <-turn:
		case <-ctx.Done():
			g.forgo(address, turn)
			return nil, context.Cause(ctx)
		}
	}
	give := sync.OnceFunc(func() { g.give(address) })
	timer := time.AfterFunc(gateHold, give)
	if turn != nil {
		pause(ctx, rand.N(gateJitter))
	}
	return func() { timer.Stop(); give() }, nil
}

// take takes a place, or returns what is closed when there is one.
func (g *gates) take(address string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy == nil {
		g.busy = make(map[string]*gate)
	}
	at := g.busy[address]
	if at == nil {
		at = &gate{}
		g.busy[address] = at
	}
	if at.taken < gateWidth {
		at.taken++
		return nil
	}
	turn := make(chan struct{})
	at.waiting = append(at.waiting, turn)
	return turn
}

// give hands a place on to who has waited longest.
func (g *gates) give(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.busy[address]
	if len(at.waiting) > 0 {
		close(at.waiting[0])
		at.waiting = at.waiting[1:]
		return
	}
	if at.taken--; at.taken == 0 {
		delete(g.busy, address)
	}
}

// forgo gives up waiting, or the place where it was given at the same time.
func (g *gates) forgo(address string, turn chan struct{}) {
	g.mu.Lock()
	at := g.busy[address]
	i := slices.Index(at.waiting, turn)
	if i >= 0 {
		at.waiting = slices.Delete(at.waiting, i, i+1)
	}
	g.mu.Unlock()
	if i < 0 {
		g.give(address)
	}
}
