package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/goslo/goslo/cmd/scheduler/internal/api"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

// front is the HTTP front as a service. Its socket outlives reloads; each life has a server and a transport of its own, by the
// configuration of then.
type front struct {
	settings *settings
	listener *listen.Listener

	mu        sync.Mutex
	server    *wsgi.Server // nil while it does not run
	transport *messaging.Transport
}

var _ service.Service = (*front)(nil)

// newFront opens the socket, in a worker that of its parent. What is wrong with the configuration is found before that.
func (s *settings) newFront() (*front, error) {
	if err := s.wsgi().Check(); err != nil {
		return nil, &usageError{err: err}
	}
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	listener, err := s.openListener(listenOption.Get(s.Config))
	if err != nil {
		return nil, s.wrongOption("listen", listenOption, err)
	}
	return &front{settings: s, listener: listener}, nil
}

// checkOpen makes a transport and throws it away.
func (s *settings) checkOpen() error {
	t, err := s.openBus()
	if err != nil {
		return err
	}
	return t.Close(context.Background())
}

// wsgi is how the front serves.
func (s *settings) wsgi() wsgi.Config {
	conf := wsgi.DefaultConfig()
	conf.PoolSize = poolSizeOption.Get(s.Config)
	conf.MaxHeaderLine = headerLineOption.Get(s.Config)
	conf.KeepAlive = keepAliveOption.Get(s.Config)
	conf.ClientSocketTimeout = clientTimeoutOption.Get(s.Config)
	conf.LogFormat = logFormatOption.Get(s.Config)
	conf.Debug = serverDebugOption.Get(s.Config)
	conf.SSL = wsgi.SSL{
		CertFile: certFileOption.Get(s.Config), KeyFile: keyFileOption.Get(s.Config), CAFile: caFileOption.Get(s.Config),
		Version: sslVersionOption.Get(s.Config), Ciphers: ciphersOption.Get(s.Config),
	}
	conf.UseSSL = useSSLOption.Get(s.Config) && (conf.SSL.CertFile != "" || conf.SSL.KeyFile != "")
	conf.Context, conf.Answer = api.RequestContext, api.Refuse
	conf.Log = s.log
	return conf
}

func (s *settings) openListener(address string) (*listen.Listener, error) {
	if strings.HasPrefix(address, "/") {
		return listen.Unix("api", address, socketMode)
	}
	opts := []listen.TCPOption{listen.WithKeepIdle(keepIdleOption.Get(s.Config))}
	if reusePortOption.Get(s.Config) {
		opts = append(opts, listen.WithReusePort())
	}
	return listen.TCP("api", address, opts...)
}

// socketMode lets the group of the service connect, as that of a proxy before it.
const socketMode = 0o660

// pool has no progress to watch: each connection has a goroutine of its own.
func (f *front) pool() pool {
	return pool{name: "api", workers: apiWorkersOption.Get(f.settings.Config), service: f, state: f.writeState}
}

// Start implements service.Service.
func (f *front) Start(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server != nil {
		return nil
	}
	t, err := f.settings.openBus()
	if err != nil {
		return err
	}
	server, err := f.newServer(t)
	if err == nil {
		err = server.Start(ctx)
	}
	if err != nil {
		return errors.Join(err, t.Close(context.WithoutCancel(ctx)))
	}
	f.server, f.transport = server, t
	return nil
}

func (f *front) newServer(t *messaging.Transport) (*wsgi.Server, error) {
	schedulers, err := rpcapi.NewScheduler(t, topicOption.Get(f.settings.Config))
	if err != nil {
		return nil, err
	}
	return wsgi.NewServer("api", f.listener, api.NewHandler(schedulers, f.settings.log), f.settings.wsgi())
}

// Stop implements service.Service: requests in flight are answered, and then the bus is left.
func (f *front) Stop(ctx context.Context) error {
	f.mu.Lock()
	server, t := f.server, f.transport
	f.server, f.transport = nil, nil
	f.mu.Unlock()
	if server == nil {
		return nil
	}
	return errors.Join(server.Stop(ctx), server.Wait(ctx), t.Close(ctx))
}

// Wait implements service.Service: Stop waits.
func (f *front) Wait(context.Context) error { return nil }

// Reset implements service.Service: certificates are read anew.
func (f *front) Reset(ctx context.Context) error {
	if server := f.current(); server != nil {
		return server.Reset(ctx)
	}
	return nil
}

// Close closes the socket.
func (f *front) Close() error { return f.listener.Close() }

func (f *front) current() *wsgi.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.server
}

func (f *front) writeState(w io.Writer) {
	serving := "no"
	if f.current() != nil {
		serving = "yes"
	}
	fmt.Fprintf(w, "address = %s\nserving = %s\n", f.listener.Addr(), serving)
}
