package identity

import (
	"os"
	"sync"
)

// exitParentDied is the status of a worker whose parent has died.
const exitParentDied = 1

// OnParentsEnd has f called, once and on a goroutine of its own, when the parent of this worker has ended. Until it was called
// the end of the parent is that of the process at once, with status 1: main may hang before it launches anything, and has no
// work to finish then. It does nothing in a process that is no worker.
func OnParentsEnd(f func()) { parent.onEnd(f) }

// parent is that of this process, if it is a worker.
var parent watched

// watched is a process whose end somebody waits for.
type watched struct {
	mu    sync.Mutex
	after func() // nil is the end of this process
}

func (p *watched) onEnd(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = f
}

// watch waits for the end of the parent, which never writes.
func (p *watched) watch(liveness *os.File) {
	_, _ = liveness.Read(make([]byte, 1))
	p.mu.Lock()
	after := p.after
	p.mu.Unlock()
	if after == nil {
		os.Exit(exitParentDied) //nolint:forbidigo // nobody is there yet who could
	}
	after()
}
