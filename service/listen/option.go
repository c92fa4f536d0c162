package listen

import (
	"fmt"
	"time"
)

// Defaults of the options.
const (
	DefaultBacklog  = 128               // oslo.service: backlog of wsgi.Server
	DefaultKeepIdle = 600 * time.Second // oslo.service: tcp_keepidle
)

// TCPOption is a choice about a listener of [TCP].
type TCPOption interface{ applyTCP(*config) }

// UnixOption is a choice about a listener of [Unix].
type UnixOption interface{ applyUnix(*config) }

// Option is a choice about a listener of either kind.
type Option interface {
	TCPOption
	UnixOption
}

type config struct {
	backlog   int
	keepIdle  time.Duration
	reusePort bool
}

func defaultConfig() config { return config{backlog: DefaultBacklog, keepIdle: DefaultKeepIdle} }

func (c *config) check() error {
	if c.backlog < 1 {
		return fmt.Errorf("backlog must be at least 1, got %d", c.backlog)
	}
	if c.keepIdle < 0 {
		return fmt.Errorf("tcp_keepidle must not be negative, got %s", c.keepIdle)
	}
	return nil
}

// WithBacklog sets how many connections may wait to be accepted, [DefaultBacklog] by default; the kernel's limit is
// net.core.somaxconn. It has no effect on sockets of systemd, whose units have an option of their own (Backlog).
func WithBacklog(connections int) Option { return backlog(connections) }

type backlog int

func (b backlog) applyTCP(c *config)  { c.backlog = int(b) }
func (b backlog) applyUnix(c *config) { c.backlog = int(b) }

// WithKeepIdle sets after what time without traffic the kernel asks whether the peer is still there (oslo.service's
// tcp_keepidle), in whole seconds, [DefaultKeepIdle] by default; 0 leaves it to the kernel (net.ipv4.tcp_keepalive_time).
func WithKeepIdle(d time.Duration) TCPOption { return keepIdle(d) }

type keepIdle time.Duration

func (k keepIdle) applyTCP(c *config) { c.keepIdle = time.Duration(k) }

// WithReusePort makes each worker listen on a socket of its own (SO_REUSEPORT), among which the kernel spreads
// connections evenly; by default they share one, and the kernel prefers some of them. A second service of the same user can
// be started on the port while the first one serves.
//
// The price: connections that wait for a worker which ends, however orderly, are reset with its socket; one or two at each
// end of a worker where clients connect without a pause. The kernel gives them to the other sockets instead, and nothing is
// lost, where net.ipv4.tcp_migrate_req is 1 (Linux 5.14). Without that, a socket that outlives its service is better: the
// shared one of a parent, or systemd's.
//
// The parent's own socket only reserves the address; it takes no connection. So clients can connect when the first
// worker has started and not before.
func WithReusePort() TCPOption { return reusePort{} }

type reusePort struct{}

func (reusePort) applyTCP(c *config) { c.reusePort = true }
