package listen_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/listen"
)

func TestAUnixSocketHasTheModeThatWasAskedFor(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666, 0o777} {
		t.Run(mode.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := listen.Unix("api", path, mode)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode(); got != fs.ModeSocket|mode {
				t.Errorf("mode = %v, want %v", got, fs.ModeSocket|mode)
			}
			if l.Port() != 0 || l.Addr().String() != path {
				t.Errorf("Port = %d, Addr = %s", l.Port(), l.Addr())
			}
		})
	}
}

func TestASocketOnWhichNobodyListensIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false) // as a process that was killed
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	l := unixListener(t, path)
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestAFileThatHasTakenTheSocketsPlaceStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := unixListener(t, path)
	if err := errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("Close removed another file: %v", err)
	}
}

func TestARelativePathIsRemovedFromAnotherDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	l := unixListener(t, "s")
	t.Chdir(t.TempDir())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "s")); !os.IsNotExist(err) {
		t.Errorf("the socket's file is still there: %v", err)
	}
}

func TestErrorsOfUnixSocketsAreOneLineWithNameAndPath(t *testing.T) {
	dir := t.TempDir()
	file, busy, full := filepath.Join(dir, "file"), filepath.Join(dir, "busy"), filepath.Join(dir, "full")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	living, err := net.Listen("unix", busy)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	fill(t, full)
	long := filepath.Join(dir, strings.Repeat("x", 108))
	for name, test := range map[string]struct {
		path string
		mode fs.FileMode
		opts []listen.UnixOption
		want string
		is   error
	}{
		"no path":             {"", 0, nil, `listener "api" on : a unix socket needs a path`, nil},
		"abstract":            {"@api", 0, nil, `a path must not begin with @`, nil},
		"long path":           {long, 0, nil, `the path of a unix socket has at most 107 bytes`, nil},
		"NUL":                 {"a\x00b", 0, nil, `must not contain a NUL character`, nil},
		"no directory":        {dir + "/no/s", 0, nil, `listener "api" on ` + dir + `/no/s: bind: no such file or directory`, fs.ErrNotExist},
		"file in the path":    {file + "/s", 0, nil, `listener "api" on ` + file + `/s: lstat: not a directory`, unix.ENOTDIR},
		"a file":              {file, 0, nil, `listener "api" on ` + file + `: there is a file of this name, which is no socket`, nil},
		"somebody listens":    {busy, 0, nil, `listener "api" on ` + busy + `: bind: address already in use`, unix.EADDRINUSE},
		"somebody is at work": {full, 0, nil, `listener "api" on ` + full + `: see whether somebody listens`, unix.EAGAIN},
		"bad mode":            {filepath.Join(dir, "s"), 0o1777, nil, `socket mode must be between 0 and 0777, got 01777`, nil},
		"mode of a directory": {filepath.Join(dir, "s"), fs.ModeDir | 0o600, nil, `socket mode must be between 0 and 0777`, nil},
		"no backlog":          {filepath.Join(dir, "s"), 0, []listen.UnixOption{listen.WithBacklog(-1)}, `backlog must be at least 1, got -1`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := listen.Unix("api", test.path, test.mode, test.opts...)
			if err == nil {
				t.Fatal(errors.Join(errors.New("opened"), l.Close()))
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %q, want one line with %q", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %q does not match %q", err, test.is)
			}
		})
	}
	if _, err := os.Lstat(filepath.Join(dir, "s")); !os.IsNotExist(err) {
		t.Errorf("a socket's file was left: %v", err)
	}
}

// fill makes a listener whose backlog is full.
func fill(t *testing.T, path string) {
	t.Helper()
	l, err := listen.Unix("full", path, 0, listen.WithBacklog(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}
