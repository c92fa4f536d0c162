package backdoor

import (
	"net"
	"sync"
)

// limited is a listener that closes what comes while it serves as many connections as it may. It does not let them
// wait, so that an operator learns at once why nothing answers.
type limited struct {
	net.Listener
	places chan struct{}
}

func limit(l net.Listener, n int) *limited {
	return &limited{Listener: l, places: make(chan struct{}, n)}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &limitedConn{Conn: conn, release: func() { <-l.places }}, nil
		default:
			_ = conn.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}
