package wsgi

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
)

// pool has a place for each connection that may be handled at once: a place is taken before one is accepted and given
// back when net/http has done with it, its handler included. It learns that from the server and does not wrap the
// connections, whose further methods net/http uses (CloseWrite, so that an early answer is not lost).
type pool struct {
	places chan struct{}

	mu sync.Mutex
	// fresh holds the connections that have not carried a whole request yet.
	fresh map[net.Conn]struct{}
}

func newPool(size int) *pool {
	return &pool{places: make(chan struct{}, size), fresh: make(map[net.Conn]struct{})}
}

// changed is the server's ConnState.
func (p *pool) changed(conn net.Conn, state http.ConnState) {
	p.mu.Lock()
	if state == http.StateNew {
		p.fresh[conn] = struct{}{}
	} else {
		delete(p.fresh, conn)
	}
	p.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		<-p.places
	}
}

// closeFresh closes the connections without a request, as net/http does with idle ones only. Such are usual: clients
// connect and then find another connection free.
func (p *pool) closeFresh() {
	p.mu.Lock()
	fresh := slices.Collect(maps.Keys(p.fresh))
	p.mu.Unlock()
	for _, conn := range fresh {
		_ = conn.Close() // what is wrong with it does not matter any more
	}
}

// wait takes all places for itself: it returns when no connection has one, and none is given out any more.
func (p *pool) wait() {
	for range cap(p.places) {
		p.places <- struct{}{}
	}
}

func (p *pool) limit(l net.Listener) net.Listener {
	return &limited{Listener: l, pool: p, closed: make(chan struct{})}
}

// limited accepts connections while there are places.
type limited struct {
	net.Listener
	pool   *pool
	closed chan struct{}
	once   sync.Once
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.pool.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.pool.places
	}
	return conn, err
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
