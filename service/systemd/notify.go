package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// What a service can say (sd_notify(3)).
const (
	// Ready says that the service has started, or that a reload is over.
	Ready = "READY=1"
	// Stopping says that the service has begun to stop.
	Stopping = "STOPPING=1"
	// Alive says that the service makes progress; see [Watchdog].
	Alive = "WATCHDOG=1"
)

// socketVariable names the environment variable that holds the address of the service manager's socket.
const socketVariable = "NOTIFY_SOCKET"

// sendTimeout bounds a notification to a service manager that does not read.
const sendTimeout = 2 * time.Second

// ErrBadSocket tells that NOTIFY_SOCKET is neither a path nor an abstract name with a leading @.
var ErrBadSocket = errors.New("systemd: NOTIFY_SOCKET is neither an absolute path nor begins with @")

// Reloading says that the service reads its configuration anew. Say [Ready] when that is over; systemd ignores
// one that is older than the time in this text, which is now on the monotonic clock, in microseconds.
func Reloading() (string, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "", fmt.Errorf("systemd: read the monotonic clock: %w", err)
	}
	return "RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(time.Duration(now.Nano()).Microseconds(), 10), nil
}

// Status is a text for people, which systemctl status shows. Line ends in it become spaces.
func Status(text string) string {
	return "STATUS=" + strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
}

// Send sends the lines as one datagram to the service manager, and reports whether there was one to send it to:
// without NOTIFY_SOCKET it does nothing. It waits at most 2 s.
func Send(lines ...string) (sent bool, err error) {
	name := os.Getenv(socketVariable)
	if name == "" {
		return false, nil
	}
	if name[0] != '/' && name[0] != '@' {
		return false, fmt.Errorf("%w: %q", ErrBadSocket, name)
	}
	// The net package takes a leading @ as the abstract name space.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return false, fmt.Errorf("systemd: notify: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return false, fmt.Errorf("systemd: notify: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return false, fmt.Errorf("systemd: notify: %w", err)
	}
	return true, nil
}

// Notifier sends what a service has to say and logs at debug level what goes wrong: a service does not fail because
// its manager does not listen. It is the Notifier of package service, for its Config. The zero value is ready; it is safe
// for concurrent use.
type Notifier struct {
	// Log gets the errors. nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// Notify sends the lines as one message, and reports whether it was sent.
func (n Notifier) Notify(lines ...string) bool {
	sent, err := Send(lines...)
	if err != nil {
		n.log().WithError(err).Debug("systemd was not notified")
	}
	return sent
}

// NotifyOnce is Notify, and then no more: once a message was sent it removes NOTIFY_SOCKET from the environment, so
// that neither this process nor one it starts notifies again. After a failure the variable stays
// (oslo.service, systemd.py, notify_once).
func (n Notifier) NotifyOnce(lines ...string) bool {
	if !n.Notify(lines...) {
		return false
	}
	if err := os.Unsetenv(socketVariable); err != nil {
		n.log().WithError(err).Debug("NOTIFY_SOCKET was not removed")
	}
	return true
}

// Ready says that every worker is ready, at the start and after a reload.
func (n Notifier) Ready() { n.Notify(Ready) }

// Reloading says that a reload has begun, which Ready ends.
func (n Notifier) Reloading() {
	text, err := Reloading()
	if err != nil {
		n.log().WithError(err).Debug("systemd was not notified")
		return
	}
	n.Notify(text)
}

// Stopping says that the service has begun to stop.
func (n Notifier) Stopping() { n.Notify(Stopping) }

// Watchdog says that the service makes progress.
func (n Notifier) Watchdog() { n.Notify(Alive) }

func (n Notifier) log() logrus.FieldLogger {
	if n.Log == nil {
		return logrus.StandardLogger()
	}
	return n.Log
}
