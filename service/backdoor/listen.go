package backdoor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketMode lets nobody but the service's user and root connect.
const socketMode = 0o600

// loopback is the only address a port is ever bound on.
const loopback = "127.0.0.1"

// listenPort takes the first free port.
func listenPort(ctx context.Context, ports string) (net.Listener, error) {
	first, last, err := parsePorts(ports)
	if err != nil {
		return nil, err
	}
	var conf net.ListenConfig // without SO_REUSEPORT: each process has a port of its own
	l, err := firstFree(first, last, func(port int) (net.Listener, error) {
		return conf.Listen(ctx, "tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	})
	if err != nil {
		return nil, fmt.Errorf("backdoor: backdoor_port %s: %w", ports, err)
	}
	return l, nil
}

// firstFree tries the ports in turn. Only "in use" moves on to the next one.
func firstFree(first, last int, bind func(port int) (net.Listener, error)) (net.Listener, error) {
	for port := first; ; port++ {
		l, err := bind(port)
		if err == nil || port >= last || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
}

// listenSocket takes the path, from another socket if one is there: that of a process that was killed, as a rule.
// What is not a socket stays.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	l, err := bindSocket(ctx, path)
	if errors.Is(err, syscall.EADDRINUSE) && isSocket(path) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("backdoor: backdoor_socket: %w", err)
		}
		l, err = bindSocket(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("backdoor: backdoor_socket %s: %w", path, err)
	}
	return l, nil
}

func bindSocket(ctx context.Context, path string) (net.Listener, error) {
	// Linux gives the file of a socket the mode that the socket has before it is bound: nobody can connect between
	// bind and chmod.
	conf := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, chmod)
	}}
	l, err := conf.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the path may be another process's by then; see socketFile.remove
	}
	return l, nil
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSocket != 0
}

// socketFile is the file of a bound unix socket.
type socketFile struct {
	path string
	info os.FileInfo
}

// remove unlinks the file unless another process has put its own in the place.
func (f *socketFile) remove() error {
	now, err := os.Lstat(f.path)
	if err != nil || !os.SameFile(f.info, now) {
		return nil //nolint:nilerr // it is gone
	}
	return os.Remove(f.path)
}
