package wsgi

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pool has a place for each connection that may be handled at once: a place is taken before one is accepted and given
// back when net/http has done with it, its handler included. It learns that from the server and does not wrap the
// connections, whose further methods net/http uses (CloseWrite, so that an early answer is not lost).
type pool struct {
	places chan struct{}

	mu sync.Mutex
	// quiet holds the connections without a request, or with a part of one, and since when that is so.
	quiet map[net.Conn]time.Time
}

func newPool(size int) *pool {
	return &pool{places: make(chan struct{}, size), quiet: make(map[net.Conn]time.Time)}
}

// changed is the server's ConnState.
func (p *pool) changed(conn net.Conn, state http.ConnState) {
	p.mu.Lock()
	if state == http.StateNew || state == http.StateIdle {
		p.quiet[conn] = time.Now()
	} else {
		delete(p.quiet, conn)
	}
	p.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		<-p.places
	}
}

// closeQuiet closes the connections that have been without a request for at least d, and returns how many it has not closed
// since the request is there, unread: on a busy machine their goroutines may have to wait for their turn. Some connections may
// never have had a request: clients connect and then find another one free. Those net/http's Shutdown would leave open.
func (p *pool) closeQuiet(d time.Duration) (unread int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn, since := range p.quiet {
		switch {
		case time.Since(since) < d:
		case hasUnread(conn):
			unread++
		default:
			_ = raw(conn).Close() // what is wrong with it does not matter any more
		}
	}
	return unread
}

// hasUnread tells whether bytes have come that nobody has read.
func hasUnread(conn net.Conn) bool {
	socket, ok := raw(conn).(syscall.Conn)
	if !ok {
		return false
	}
	control, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = control.Control(func(fd uintptr) { n, _, _ = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT) })
	return err == nil && n > 0
}

// raw is the connection beneath TLS.
func raw(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
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
