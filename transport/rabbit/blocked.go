package rabbit

import (
	"fmt"
	"sync"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/transport"
)

// barrier is shut while the broker takes no messages on a connection: it is short of memory or disk space, and has
// stopped to read from connections that publish. Whatever is written meanwhile lies in the socket, unless the session
// ends; so nothing is, and senders wait at the barrier as long as their contexts last. The zero value is open. It is safe
// for concurrent use.
type barrier struct {
	mu     sync.Mutex // protects what follows
	reason string     // of the broker
	opened chan struct{}
}

// watch follows what the broker says, until the library ends that with the connection.
func (g *barrier) watch(blocked <-chan amqp091.Blocking) {
	for b := range blocked {
		g.set(b.Active, b.Reason)
	}
	g.set(false, "")
}

func (g *barrier) set(shut bool, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case shut:
		g.reason = reason
		if g.opened == nil {
			g.opened = make(chan struct{})
		}
	case g.opened != nil:
		close(g.opened)
		g.opened = nil
	}
}

// shut returns what is closed when the barrier opens, nil where it is open.
func (g *barrier) shut() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// obstacle is the error of who gives up at the barrier, nil where it is open.
func (g *barrier) obstacle() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		return nil
	}
	return fmt.Errorf("%w (%s)", transport.ErrBlocked, loglimit.Quote(g.reason))
}
