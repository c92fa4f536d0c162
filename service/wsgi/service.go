package wsgi

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"runtime"
	"strconv"

	"github.com/goslo/goslo/service/listen"
)

// Manager prepares a host for a service.
type Manager interface {
	// InitHost runs before the service serves its first request, and at each further start.
	InitHost(ctx context.Context) error
}

// ServiceConfig is how a [Service] listens and serves.
type ServiceConfig struct {
	// Listen is the host to listen on (<name>_listen), by default all of IPv4, 0.0.0.0. Empty means both families.
	Listen string
	// ListenPort is the port (<name>_listen_port); 0, the default, lets the kernel choose one.
	ListenPort int
	// SocketFile is the path of a unix socket, in place of host and port, and SocketMode its permissions; mode 0 leaves them
	// to the umask.
	SocketFile string
	SocketMode fs.FileMode
	// ListenOptions are further choices about a TCP listener.
	ListenOptions []listen.TCPOption
	// Workers is how many processes shall serve (<name>_workers); 0, the default, means one for each CPU.
	Workers int
	// Manager may be nil.
	Manager Manager
	// Server is how requests are served. [DefaultServiceConfig] has its defaults.
	Server Config
}

// DefaultServiceConfig gives the defaults of OpenStack's services.
func DefaultServiceConfig() ServiceConfig {
	return ServiceConfig{Listen: "0.0.0.0", Server: DefaultConfig()}
}

// Service is an HTTP server with its name, listener and manager (WSGIService of nova and its siblings), for a launcher.
// All methods are safe for concurrent use.
type Service struct {
	*Server
	listener *listen.Listener
	manager  Manager
	workers  int
}

// NewService opens the listener, under the service's name: so the port is known, and clients can connect, before anything
// is started. It fails with one line that names the option which is wrong, and then leaves nothing open.
func NewService(name string, handler http.Handler, conf ServiceConfig) (*Service, error) {
	workers, err := conf.countWorkers(name)
	if err != nil {
		return nil, err
	}
	if err := conf.Server.Check(); err != nil {
		return nil, fmt.Errorf("HTTP server %q: %w", name, err)
	}
	l, err := conf.open(name)
	if err != nil {
		return nil, err
	}
	server, err := NewServer(name, l, handler, conf.Server)
	if err != nil {
		_ = l.Close() // nothing is lost with a socket that nobody has used
		return nil, err
	}
	return &Service{Server: server, listener: l, manager: conf.Manager, workers: workers}, nil
}

func (c *ServiceConfig) countWorkers(name string) (int, error) {
	switch {
	case c.Workers < 0:
		return 0, fmt.Errorf("%s_workers must be at least 1, or 0 for one for each CPU, got %d", name, c.Workers)
	case c.Workers == 0:
		return runtime.NumCPU(), nil // not GOMAXPROCS, which a parent sets otherwise for its workers
	default:
		return c.Workers, nil
	}
}

func (c *ServiceConfig) open(name string) (*listen.Listener, error) {
	if c.SocketFile != "" {
		return listen.Unix(name, c.SocketFile, c.SocketMode)
	}
	if c.ListenPort < 0 || c.ListenPort > 65535 {
		return nil, fmt.Errorf("%s_listen_port must be between 0 and 65535, got %d", name, c.ListenPort)
	}
	return listen.TCP(name, net.JoinHostPort(c.Listen, strconv.Itoa(c.ListenPort)), c.ListenOptions...)
}

// Workers is how many processes shall serve, at least 1.
func (s *Service) Workers() int { return s.workers }

// Start prepares the host, where there is a manager, and begins to serve (see [Server.Start]). Where the host cannot be
// prepared nothing has been started.
func (s *Service) Start(ctx context.Context) error {
	if s.manager != nil {
		if err := s.manager.InitHost(ctx); err != nil {
			return s.wrap(fmt.Errorf("prepare the host: %w", err))
		}
	}
	return s.Server.Start(ctx)
}

// Close closes the listener. A stopped service cannot be started afterwards; one that runs is to be stopped first.
func (s *Service) Close() error { return s.listener.Close() }
