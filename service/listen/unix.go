package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxPath is how long the path of a unix socket may be (unix(7)), without the byte that ends it.
const maxPath = 107

// Unix opens a listener on a path, whose file gets the permissions of mode before anybody can connect; mode 0 leaves them
// to the umask. A socket on which nobody listens any more is replaced; any other file is an error, as is a socket on which
// somebody listens (EADDRINUSE). The file is removed by Close in the process that bound it, and only while it is the same.
//
// Errors are one line with the listener's name and path.
func Unix(name, path string, mode fs.FileMode, opts ...UnixOption) (*Listener, error) {
	c := defaultConfig()
	for _, opt := range opts {
		opt.applyUnix(&c)
	}
	return open(name, path, c, familyUnix, func() (socket, error) {
		if err := checkUnix(path, mode); err != nil {
			return socket{}, err
		}
		if err := removeStale(path); err != nil {
			return socket{}, err
		}
		return c.bindUnix(path, mode)
	})
}

func checkUnix(path string, mode fs.FileMode) error {
	switch {
	case path == "":
		return errors.New("a unix socket needs a path")
	case strings.HasPrefix(path, "@"):
		return errors.New("a path must not begin with @: anybody may connect to abstract sockets")
	case strings.ContainsRune(path, 0):
		return errors.New("a path must not contain a NUL character")
	case len(path) > maxPath:
		return fmt.Errorf("the path of a unix socket has at most %d bytes, got %d", maxPath, len(path))
	case mode&^fs.ModePerm != 0:
		return fmt.Errorf("socket mode must be between 0 and 0777, got %#o", uint32(mode))
	}
	return nil
}

// removeStale removes a socket that a process left which did not end orderly.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cause(err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file of this name, which is no socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		return errors.Join(os.NewSyscallError("bind", unix.EADDRINUSE), conn.Close())
	case errors.Is(err, unix.ECONNREFUSED):
		return cause(os.Remove(path))
	default: // one whose backlog is full, or that we may not ask
		return fmt.Errorf("see whether somebody listens: %w", err)
	}
}

// cause takes from an error the path that the listener's own error says already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return err
}

func (c *config) bindUnix(path string, mode fs.FileMode) (socket, error) {
	fd, err := streamSocket(unix.AF_UNIX)
	if err != nil {
		return socket{}, err
	}
	s := socket{file: os.NewFile(uintptr(fd), path)}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return socket{}, errors.Join(os.NewSyscallError("bind", err), s.close())
	}
	if s.remove, err = remover(path); err == nil && mode != 0 {
		err = cause(os.Chmod(path, mode))
	}
	if err == nil { // only now: before that nobody can connect, whatever the umask
		err = os.NewSyscallError("listen", unix.Listen(fd, c.backlog))
	}
	if err != nil {
		return socket{}, errors.Join(err, s.close())
	}
	return s, nil
}

// remover makes what removes the file of path as it is now, and not another one that has taken its place.
func remover(path string) (func() error, error) {
	path, err := filepath.Abs(path) // the program may change its directory
	if err != nil {
		return nil, err
	}
	bound, err := os.Lstat(path)
	if err != nil {
		return nil, cause(err)
	}
	return func() error {
		now, err := os.Lstat(path)
		if err != nil || !os.SameFile(bound, now) {
			return nil //nolint:nilerr // it is gone, and that is what was wanted
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cause(err)
		}
		return nil
	}, nil
}
