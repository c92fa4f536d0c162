package listen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/internal/identity"
	"github.com/goslo/goslo/service/listen"
)

// roleVariable makes the test binary a child process of a test.
const roleVariable = "LISTEN_TEST_ROLE"

// atOnce keeps the race detector from waiting a second at the end of each child process.
const atOnce = "GORACE=atexit_sleep_ms=0"

// roles are what child processes do; what they return is written to standard output, errors to standard error.
var roles = map[string]func() (string, error){
	"dies at once": func() (string, error) { return "", errors.New("on purpose") },
	"serves TCP": func() (string, error) {
		return answerOne(listen.TCP("api", os.Getenv("LISTEN_TEST_ADDR")))
	},
	"serves TCP on a port of its own": func() (string, error) {
		return answerOne(listen.TCP("api", "127.0.0.1:0", listen.WithReusePort()))
	},
	"serves unix": func() (string, error) {
		return answerOne(listen.Unix("api", os.Getenv("LISTEN_TEST_ADDR"), 0o600))
	},
	"wants unix where TCP is": func() (string, error) {
		_, err := listen.Unix("api", "/nowhere", 0)
		return "", err
	},
	"starts a program": startProgram,
	"runs out of descriptors": func() (string, error) {
		l, err := listen.TCP("api", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 30, Max: 30}); err != nil {
			return "", err
		}
		for {
			a, err := l.Accepting()
			if err != nil {
				return "", err
			}
			defer a.Close()
		}
	},
	"opens again after Close": func() (string, error) {
		if err := closeNew("127.0.0.1:0"); err != nil {
			return "", err
		}
		return "opened twice", closeNew("127.0.0.1:0")
	},
}

func TestMain(m *testing.M) {
	role, child := os.LookupEnv(roleVariable)
	if !child {
		goleak.VerifyTestMain(m)
		return
	}
	out, err := roles[role]()
	_, _ = io.WriteString(os.Stdout, out)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(3) //nolint:forbidigo // this is a program
	}
}

func closeNew(addr string) error {
	l, err := listen.TCP("api", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// answerOne tells its address to the first who connects, and closes the listener.
func answerOne(l *listen.Listener, err error) (string, error) {
	if err != nil {
		return "", err
	}
	accepting, err := l.Accepting()
	if err != nil {
		return "", err
	}
	defer accepting.Close()
	conn, err := accepting.Accept()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "child on %s", l.Addr()); err != nil {
		return "", err
	}
	return "served", l.Close()
}

// startProgram opens the listener and starts a program that lists its own descriptors and looks for an identity.
func startProgram() (string, error) {
	if _, err := listen.TCP("api", "127.0.0.1:0"); err != nil {
		return "", err
	}
	out, err := exec.Command("sh", "-c", "ls -l /proc/$$/fd; env").CombinedOutput()
	return string(out), err
}

// child makes a process that plays a role as a worker with the given listeners.
func child(t *testing.T, role string, listeners []listen.Named, env ...string) *exec.Cmd {
	t.Helper()
	id := identity.Identity{Pool: "api", Generation: 1}
	alive, parentsEnd := pipe(t)
	_, ready := pipe(t)
	files := []*os.File{alive, ready}
	_ = parentsEnd
	for _, named := range listeners {
		id.Listeners = append(id.Listeners, named.Name)
		files = append(files, named.File)
	}
	cmd := exec.CommandContext(patient(t), testBinary(t))
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role, id.Encode(), atOnce), env...)
	cmd.ExtraFiles = files
	return cmd
}

// activatedChild makes a process that plays a role as systemd's child; LISTEN_PID is right where pid is "$$".
func activatedChild(t *testing.T, role, pid, names string, files []listen.Named, env ...string) *exec.Cmd {
	t.Helper()
	script := fmt.Sprintf("LISTEN_PID=%s LISTEN_FDS=%d LISTEN_FDNAMES=%s exec %s", pid, len(files), names, testBinary(t))
	cmd := exec.CommandContext(patient(t), "sh", "-c", script)
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role, atOnce), env...)
	for _, named := range files {
		cmd.ExtraFiles = append(cmd.ExtraFiles, named.File)
	}
	return cmd
}

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// process is a started child.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr strings.Builder
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// end waits for the process and tells what it wrote.
func (p *process) end() (stdout, stderr string) {
	p.t.Helper()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.stdout.String(), strings.TrimSpace(p.stderr.String())
}

// dial connects and reads until the end.
func dial(t *testing.T, addr net.Addr) string {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return readAll(t, conn)
}

// readAll reads what somebody answers; that a connection was made does not tell that anybody accepts it.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func tcp(t *testing.T, name, addr string, opts ...listen.TCPOption) *listen.Listener {
	t.Helper()
	l, err := listen.TCP(name, addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func accepting(t *testing.T, l *listen.Listener) net.Listener {
	t.Helper()
	a, err := l.Accepting()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// option reads an option of a socket.
func option(t *testing.T, socket syscall.Conn, level, name int) int {
	t.Helper()
	raw, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	value := -1
	if err := raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}
