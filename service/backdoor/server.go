package backdoor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// errClosed is the cause with which profiles end that a closed backdoor was taking.
var errClosed = errors.New("backdoor: closed")

// Server is an open backdoor, or one that is off. It owns its goroutines until Close. Its methods are safe for
// concurrent use.
type Server struct {
	config   Config
	listener *limited // nil: off
	file     *socketFile

	ctx    context.Context //nolint:containedctx // ends with Close
	cancel context.CancelCauseFunc
	web    *http.Server // nil: the line protocol
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{} // of the line protocol
}

// Open binds the address and answers from then on. If neither a port nor a socket is configured it opens nothing,
// which is no error: the server listens nowhere.
//
// It fails with a [*PortError], and with the error of the system when the port, or each one of the range, or the
// path is taken. ctx bounds binding only.
func Open(ctx context.Context, conf Config) (*Server, error) {
	if err := conf.check(); err != nil {
		return nil, err
	}
	s := &Server{config: conf.withDefaults(), conns: make(map[net.Conn]struct{})}
	if !conf.Enabled() {
		return s, nil
	}
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if conf.HTTP {
		s.web = s.newWeb()
		s.wg.Go(func() { _ = s.web.Serve(s.listener) }) // always an error: of Close
	} else {
		s.wg.Go(s.accept)
	}
	s.config.Log.WithField("address", s.Address()).WithField("pid", os.Getpid()).Info("the backdoor listens")
	return s, nil
}

func (s *Server) listen(ctx context.Context) error {
	if s.config.Socket == "" {
		l, err := listenPort(ctx, s.config.Port)
		if err != nil {
			return err
		}
		s.listener = limit(l, s.config.MaxConns)
		return nil
	}
	path := socketPath(s.config.Socket, s.config.Log)
	l, err := listenSocket(ctx, path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return errors.Join(fmt.Errorf("backdoor: backdoor_socket: %w", err), l.Close())
	}
	s.listener, s.file = limit(l, s.config.MaxConns), &socketFile{path, info}
	return nil
}

// Address is where the backdoor listens: "127.0.0.1:4444", or the path of its socket. It is empty if it is off.
func (s *Server) Address() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Port is the port the backdoor listens on, or 0 if it is off or listens on a socket. A service tells it in answer
// to get_backdoor_port.
func (s *Server) Port() int {
	if s.listener == nil {
		return 0
	}
	if addr, ok := s.listener.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// Close stops listening, removes the socket's file, ends all connections and waits for their goroutines, until ctx
// ends: a part that does not end printing its state keeps one. It then returns ctx's cause. It is harmless twice
// and when the backdoor is off.
func (s *Server) Close(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	err := s.shut()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }() // ends with the goroutines it waits for
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("backdoor: close: %w", context.Cause(ctx)))
	}
}

// shut closes everything, once.
func (s *Server) shut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel(errClosed)
	err := s.listener.Close()
	if s.web != nil {
		_ = s.web.Close() // its listener is closed already
	}
	for conn := range s.conns {
		_ = conn.Close()
	}
	if s.file != nil {
		err = errors.Join(err, s.file.remove())
	}
	return err
}

// acceptPause is how long accept waits after an error such as too many open files.
const acceptPause = 100 * time.Millisecond

// accept serves the line protocol.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if !s.pause(acceptPause) {
				return
			}
			continue
		}
		if !s.keep(conn) {
			_ = conn.Close()
			return
		}
		s.wg.Go(func() {
			defer s.drop(conn)
			s.talk(conn)
		})
	}
}

// pause waits, and reports whether the backdoor is still open.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// keep notes a connection for Close.
func (s *Server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) drop(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	_ = conn.Close()
}
