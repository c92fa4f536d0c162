package wsgi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"
)

// DefaultLogFormat is that of oslo.service's access log.
const DefaultLogFormat = `%(client_ip)s "%(request_line)s" status: %(status_code)s  len: %(body_length)s time: %(wall_seconds).7f`

// Config is how a [Server] serves. [DefaultConfig] has the defaults of oslo.service, which are not the zero values.
type Config struct {
	// PoolSize is how many connections are handled at once (wsgi_default_pool_size), at least 1, by default 100. A connection
	// that is kept alive counts while it idles, too. The others wait in the listener's backlog.
	PoolSize int
	// KeepAlive keeps connections for further requests (wsgi_keep_alive), by default true.
	KeepAlive bool
	// ClientSocketTimeout is how long a client may take (client_socket_timeout), by default 900 s: for a TLS handshake, for
	// the header of a request, for each read of its body and each write of the answer, and between requests. The
	// connection is closed then. It limits neither handlers nor long transfers that make progress. 0 means no limit.
	ClientSocketTimeout time.Duration
	// MaxHeaderLine is how many bytes a line of a request's header may have (max_header_line), by default 16384. A longer
	// one is answered with 431, as is a header of more than 64 KiB (or MaxHeaderLine and MaxURLLen, where that is more).
	MaxHeaderLine int
	// MaxURLLen is how many bytes a request's URL may have (max_url_len), by default 8192. A longer one is answered with 414,
	// and with 431 where it is longer than a whole header may be.
	MaxURLLen int
	// LogFormat is the template of the access log (wsgi_log_format), by default [DefaultLogFormat]: text with %(key)s as
	// Python formats it, where key is client_ip (behind the addresses of X-Forwarded-For, if any), date_time, request_line,
	// status_code (0 where a handler broke the connection off), body_length or wall_seconds. Empty means no access log.
	//
	// Two things differ from the reference. Its body_length counts the answer's header as well. And what is no printable
	// character in the client's words is escaped, so that nobody can forge lines or send commands to a terminal.
	LogFormat string
	// Context gives each request its context, with which the access log and what goes wrong are logged: one with the
	// request's id, as a rule. It must be made of that of the request. Nil leaves the request as it is.
	Context func(*http.Request) context.Context
	// Answer answers in the handler's place, with the status: a request that exceeds a limit (414, 431), and one whose handler
	// has panicked (500), so that such answers look like those of the handler. Nil is for a line of text. What is no HTTP at
	// all is answered by net/http, with a line of text.
	Answer func(w http.ResponseWriter, req *http.Request, status int)
	// Debug answers a panic of a handler with its stack (wsgi_server_debug), by default false.
	Debug bool
	// UseSSL serves HTTPS alone, by default false; SSL then needs a certificate and a key.
	UseSSL bool
	SSL    SSL
	// StopLinger is how long connections without a request stay open at Stop, by default 200 ms: a request may be on its way.
	// Those that have been without one for five times as long are closed at once, and with 0 all are. oslo.service has no
	// such option and breaks such requests.
	StopLinger time.Duration
	// Log gets the access log at level Info, and what goes wrong; by default logrus's standard logger.
	Log logrus.FieldLogger
}

// DefaultConfig gives the defaults of oslo.service.
func DefaultConfig() Config {
	return Config{
		PoolSize: 100, KeepAlive: true, ClientSocketTimeout: 900 * time.Second, MaxHeaderLine: 16384, MaxURLLen: 8192,
		LogFormat: DefaultLogFormat, StopLinger: 200 * time.Millisecond, Log: logrus.StandardLogger(),
	}
}

// Check tells what is wrong with the configuration, certificates and keys included, as [NewServer] does: a program can ask
// before it opens a socket. The error is one line that names the option.
func (c Config) Check() error {
	if err := c.check(); err != nil {
		return err
	}
	if _, err := parseAccessFormat(c.LogFormat); err != nil {
		return fmt.Errorf("wsgi_log_format: %w", err)
	}
	if !c.UseSSL {
		return nil
	}
	_, err := newCertificates(c.SSL)
	return err
}

func (c *Config) check() error {
	for _, limit := range []struct {
		option       string
		value, least int64
	}{
		{"wsgi_default_pool_size", int64(c.PoolSize), 1},
		{"max_header_line", int64(c.MaxHeaderLine), 1},
		{"max_url_len", int64(c.MaxURLLen), 1},
		{"client_socket_timeout", int64(c.ClientSocketTimeout), 0},
		{"StopLinger", int64(c.StopLinger), 0},
	} {
		if limit.value < limit.least {
			return fmt.Errorf("%s must be at least %d, got %d", limit.option, limit.least, limit.value)
		}
	}
	return nil
}

// maxHeader is how large a request's header may be: eventlet's figure, and whatever the other limits allow.
func (c *Config) maxHeader() int { return max(64<<10, c.MaxHeaderLine+c.MaxURLLen) }
