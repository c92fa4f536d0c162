package wsgi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/listen"
)

// ErrRunning tells that a server was started that runs already or has not ended yet.
var ErrRunning = errors.New("the server is running")

// errStopped is the cause with which the contexts of requests end that outlast Stop.
var errStopped = errors.New("the server has stopped")

// Server serves HTTP on a listener, which is not its own: it can be started again after Stop, and clients that connect
// in between wait. All methods are safe for concurrent use, may be called in any order and more than once.
type Server struct {
	name     string
	listener *listen.Listener
	handler  http.Handler
	config   Config
	access   *accessFormat // nil for no access log
	tls      *certificates // nil for plain HTTP
	log      logrus.FieldLogger

	mu  sync.Mutex
	run *run // nil before the first Start
}

// NewServer makes a server; the name is for logs and errors. It reads the certificates, and fails with one line that
// names the option which is wrong.
func NewServer(name string, l *listen.Listener, handler http.Handler, conf Config) (*Server, error) {
	s := &Server{name: name, listener: l, handler: handler, config: conf, log: conf.Log}
	if s.log == nil {
		s.log = logrus.StandardLogger()
	}
	s.log = s.log.WithField("server", name)
	if err := s.prepare(); err != nil {
		return nil, s.wrap(err)
	}
	return s, nil
}

func (s *Server) prepare() error {
	switch {
	case s.listener == nil:
		return errors.New("the listener is nil")
	case s.handler == nil:
		return errors.New("the handler is nil")
	}
	if err := s.config.check(); err != nil {
		return err
	}
	var err error
	if s.access, err = parseAccessFormat(s.config.LogFormat); err != nil {
		return fmt.Errorf("wsgi_log_format: %w", err)
	}
	if s.config.UseSSL {
		s.tls, err = newCertificates(s.config.SSL)
	}
	return err
}

func (s *Server) wrap(err error) error { return fmt.Errorf("HTTP server %q: %w", s.name, err) }

// Port is that of the listener; 0 for a unix socket.
func (s *Server) Port() int { return s.listener.Port() }

// Addr is that of the listener.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Start begins to serve, and returns at once. The context's values are those of the requests' contexts; its end means
// nothing. It fails with [ErrRunning] before the last run has ended (see Wait), and where no descriptor is left.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil && !s.run.ended() {
		return s.wrap(ErrRunning)
	}
	accepting, err := s.listener.Accepting()
	if err != nil {
		return s.wrap(err)
	}
	s.run = s.start(context.WithoutCancel(ctx), accepting)
	s.log.WithField("address", s.Addr().String()).Info("serving")
	return nil
}

// start makes one life of the server.
func (s *Server) start(ctx context.Context, accepting net.Listener) *run {
	r := newRun(ctx, accepting, s.config.PoolSize)
	front := &front{Config: &s.config, handler: s.handler, access: s.access, log: s.log, stopping: &r.stopping}
	r.linger = s.config.StopLinger
	r.http = &http.Server{
		Handler:           front,
		ReadHeaderTimeout: s.config.ClientSocketTimeout,
		IdleTimeout:       s.config.ClientSocketTimeout,
		MaxHeaderBytes:    s.config.maxHeader(),
		BaseContext:       func(net.Listener) context.Context { return r.ctx },
		ConnState:         r.pool.changed,
		ErrorLog:          errorLog(s.log),
		Protocols:         new(http.Protocols),
	}
	r.http.Protocols.SetHTTP1(true)
	r.http.SetKeepAlivesEnabled(s.config.KeepAlive)
	serve := r.accepting
	if s.tls != nil {
		serve = tls.NewListener(serve, s.tls.config())
	}
	go r.serve(serve, s.log)
	return r
}

func (s *Server) current() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// Stop takes no more connections, answers the requests that are in flight, and closes all connections. When its
// context ends it breaks off: the remaining connections are closed, the contexts of their requests end, and Stop returns
// the cause. It does nothing where the server does not run. The listener stays open.
func (s *Server) Stop(ctx context.Context) error {
	r := s.current()
	if r == nil {
		return nil
	}
	if err := r.stop(ctx); err != nil {
		return s.wrap(fmt.Errorf("stop: %w", err))
	}
	return nil
}

// Wait returns when nothing of the server runs any more, handlers included: at once before Start, after Stop, or with
// an error where serving has failed. It also returns when its context ends, with the cause.
func (s *Server) Wait(ctx context.Context) error {
	r := s.current()
	if r == nil {
		return nil
	}
	if err := r.wait(ctx); err != nil {
		return s.wrap(err)
	}
	return nil
}

// Reset reads certificates and keys anew, for the connections to come. Where it fails, the old ones stay.
func (s *Server) Reset(context.Context) error {
	if s.tls == nil {
		return nil
	}
	if err := s.tls.load(); err != nil {
		return s.wrap(err)
	}
	return nil
}
