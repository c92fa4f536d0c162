package wsgi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/listen"
)

// ErrRunning tells that a server was started that runs already or is being stopped.
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
	log      *logrus.Entry

	mu      sync.Mutex
	run     *run   // nil before the first Start
	earlier []*run // those that Stop has broken off, and whose handlers go on
}

// NewServer makes a server; the name is for logs and errors. It reads the certificates, and fails with one line that
// names the option which is wrong.
func NewServer(name string, l *listen.Listener, handler http.Handler, conf Config) (*Server, error) {
	s := &Server{name: name, listener: l, handler: handler, config: conf}
	if conf.Log == nil {
		conf.Log = logrus.StandardLogger()
	}
	s.log = conf.Log.WithField("server", name)
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
// nothing. It does not wait for handlers of an earlier run that Stop has broken off; Wait does. It fails with [ErrRunning]
// where the server runs, and where no descriptor is left.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil && !s.run.over() {
		return s.wrap(ErrRunning)
	}
	accepting, err := s.listener.Accepting()
	if err != nil {
		return s.wrap(err)
	}
	s.earlier = slices.DeleteFunc(append(s.earlier, s.run), func(r *run) bool { return r == nil || r.ended() })
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
		// "OPTIONS *" is the handler's, as in the reference: net/http would answer past limits and access log.
		DisableGeneralOptionsHandler: true,
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
//
// A connection that a handler has taken over ([http.Hijacker]) is the handler's from then on. Neither Stop nor Wait waits
// for it; the context of its request ends with the last other request.
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

// Wait returns when nothing of the server runs any more, handlers included, those of earlier runs too: at once before Start,
// after Stop, or with an error where serving has failed. It also returns when its context ends, with the cause.
func (s *Server) Wait(ctx context.Context) error {
	s.mu.Lock()
	last, earlier := s.run, slices.Clone(s.earlier)
	s.mu.Unlock()
	if last == nil {
		return nil
	}
	for _, r := range append(earlier, last) {
		if err := r.wait(ctx); err != nil {
			return s.wrap(err)
		}
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
