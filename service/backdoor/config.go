package backdoor

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/report"
)

// Config says whether and where a backdoor listens, and what it shows. With neither Port nor Socket it is off.
type Config struct {
	// Port is a port on 127.0.0.1: "0" for any, "4444" for that one, "4444:4500" for the first free one of those
	// (backdoor_port). Empty means none.
	Port string
	// Socket is the path of a unix socket with mode 0600, in which {pid} becomes the process id; it wins over Port
	// (backdoor_socket). Empty means none.
	Socket string
	// HTTP serves HTTP with Go's profiles under /debug/pprof/ instead of the line protocol (backdoor_http).
	HTTP bool
	// MaxConns is how many connections are served at once; others are closed. 0 means 4.
	MaxConns int
	// IdleTimeout ends a connection that says nothing. 0 means 5 minutes.
	IdleTimeout time.Duration
	// WriteTimeout ends a connection that does not read an answer. 0 means 30 s.
	WriteTimeout time.Duration
	// Options prints the configuration, masked (see [report.WriteOptions]). nil means that there is none to show.
	Options func(w io.Writer)
	// State are the parts that print their state.
	State *report.State
	// Log says where the backdoor listens. nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// Enabled reports whether the configuration opens a backdoor at all.
func (c Config) Enabled() bool { return c.Port != "" || c.Socket != "" }

func (c Config) withDefaults() Config {
	if c.MaxConns == 0 {
		c.MaxConns = 4
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 5 * time.Minute
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	return c
}

func (c Config) check() error {
	switch {
	case c.MaxConns < 0:
		return fmt.Errorf("backdoor: MaxConns %d is negative", c.MaxConns)
	case c.IdleTimeout < 0:
		return fmt.Errorf("backdoor: IdleTimeout %s is negative", c.IdleTimeout)
	case c.WriteTimeout < 0:
		return fmt.Errorf("backdoor: WriteTimeout %s is negative", c.WriteTimeout)
	default:
		return nil
	}
}

// CheckProcesses tells whether as many processes at once can each have a backdoor of their own. It fails with a [*PortError],
// and where there are too few ports, or one path for them all.
func (c Config) CheckProcesses(count int) error {
	if c.Socket != "" {
		if count > 1 && socketPath(c.Socket, c.withDefaults().Log) == c.Socket {
			return fmt.Errorf("backdoor: backdoor_socket %s: one path for %d processes at once, want {pid} in it", c.Socket, count)
		}
		return nil
	}
	if c.Port == "" {
		return nil
	}
	first, last, err := parsePorts(c.Port)
	if err != nil {
		return err
	}
	if ports := last - first + 1; first > 0 && ports < count {
		return fmt.Errorf("backdoor: backdoor_port %s: too few for %d processes at once, want 0 or <start>:<end> with as many ports", c.Port, count)
	}
	return nil
}

// PortError tells that backdoor_port has none of its forms.
type PortError struct{ Value string }

func (e *PortError) Error() string {
	return fmt.Sprintf("backdoor: backdoor_port %q: acceptable values are 0, <port>, and <start>:<end>, where 0 "+
		"listens on a random port, <port> on that one, and <start>:<end> on the smallest one that is free of "+
		"those, up to 65535", e.Value)
}

// parsePorts returns the first and the last port to try.
func parsePorts(text string) (first, last int, err error) {
	start, end, isRange := strings.Cut(text, ":")
	if !isRange {
		end = start
	}
	a, errA := strconv.ParseUint(start, 10, 16)
	b, errB := strconv.ParseUint(end, 10, 16)
	if errA != nil || errB != nil || b < a {
		return 0, 0, &PortError{text}
	}
	return int(a), int(b), nil
}

// placeholder is what str.format, which oslo.service uses, replaces.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// socketPath replaces {pid}. A path with another placeholder is taken as it is.
func socketPath(path string, log logrus.FieldLogger) string {
	const pid = "{pid}"
	for _, found := range placeholder.FindAllString(path, -1) {
		if found != pid {
			log.WithFields(logrus.Fields{"path": path, "placeholder": found}).
				Warn("backdoor_socket knows only {pid} and is taken literally")
			return path
		}
	}
	return strings.ReplaceAll(path, pid, strconv.Itoa(os.Getpid()))
}
