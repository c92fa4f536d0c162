package listen_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/listen"
)

func nonblocking(t *testing.T, file syscall.Conn) bool {
	t.Helper()
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	if err := raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}

func TestWorkersNeverMakeTheSocketBlocking(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *listen.Listener{
		"TCP":       func(t *testing.T) *listen.Listener { return tcp(t, "api", "127.0.0.1:0") },
		"TCP alone": func(t *testing.T) *listen.Listener { return tcp(t, "api", "127.0.0.1:0", listen.WithReusePort()) },
		"unix": func(t *testing.T) *listen.Listener {
			return unixListener(t, filepath.Join(t.TempDir(), "s"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			survivor := accepting(t, l) // as in another worker, it shares the socket
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = survivor.Accept() // nobody connects
			}()
			for _, role := range []string{"dies at once", "starts a program", "dies at once", "opens again after Close"} {
				p := start(t, child(t, role, listen.Inherited()))
				during := nonblocking(t, listen.Inherited()[0].File)
				p.end()
				if after := nonblocking(t, listen.Inherited()[0].File); !during || !after {
					t.Errorf("O_NONBLOCK with a worker that %s: %t while it runs, %t when it has ended", role, during, after)
				}
			}
			if err := survivor.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("Accept did not end with Close: the socket blocks")
			}
		})
	}
}

func unixListener(t *testing.T, path string) *listen.Listener {
	t.Helper()
	l, err := listen.Unix("api", path, 0o600)
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

func TestAWorkerServesOnItsParentsSocket(t *testing.T) {
	for name, test := range map[string]struct {
		role string
		opts []listen.TCPOption
	}{
		"shared":                    {"serves TCP", nil},
		"its own on the same port":  {"serves TCP on a port of its own", []listen.TCPOption{listen.WithReusePort()}},
		"options older than worker": {"serves TCP", []listen.TCPOption{listen.WithReusePort()}},
		"options newer than parent": {"serves TCP on a port of its own", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tcp(t, "other", "127.0.0.1:0") // another pool's, before it
			l := tcp(t, "api", "127.0.0.1:0", test.opts...)
			for range 2 { // one worker and the one that replaces it
				p := start(t, child(t, test.role, listen.Inherited(), "LISTEN_TEST_ADDR=192.0.2.1:1"))
				if got, want := dialPatiently(t, l.Addr()), "child on "+l.Addr().String(); got != want {
					t.Errorf("answer = %q, want %q", got, want)
				}
				if out, stderr := p.end(); out != "served" {
					t.Errorf("the worker wrote %q: %s", out, stderr)
				}
			}
		})
	}
}

// dialPatiently is dial for a socket that nobody listens on before the worker has started.
func dialPatiently(t *testing.T, addr net.Addr) string {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		conn, err := net.Dial(addr.Network(), addr.String())
		if err == nil {
			defer conn.Close()
			return readAll(t, conn)
		}
		select {
		case <-deadline.C:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestTwoWorkersWithSocketsOfTheirOwnServeOnePort(t *testing.T) {
	l := tcp(t, "api", "127.0.0.1:0", listen.WithReusePort())
	first, second := accepting(t, l), accepting(t, l)
	const connections = 200
	counts := make(chan int, 2)
	for _, a := range []net.Listener{first, second} {
		go func() {
			count := 0
			for {
				conn, err := a.Accept()
				if err != nil {
					counts <- count
					return
				}
				count++
				_ = conn.Close()
			}
		}()
	}
	for range connections {
		dial(t, l.Addr())
	}
	_, _ = first.Close(), second.Close()
	a, b := <-counts, <-counts
	if a+b != connections || min(a, b) < connections/5 {
		t.Errorf("%d and %d of %d connections, want an even spread", a, b, connections)
	}
}

func TestAWorkersProgramsInheritNeitherIdentityNorDescriptors(t *testing.T) {
	tcp(t, "api", "127.0.0.1:0")
	out, stderr := start(t, child(t, "starts a program", listen.Inherited())).end()
	if !strings.Contains(out, "PATH=") {
		t.Fatalf("the worker's program wrote %q; %s", out, stderr)
	}
	for _, unwanted := range []string{"GOSLO_WORKER", "socket:", " 4 -> ", " 5 -> "} {
		if strings.Contains(out, unwanted) {
			t.Errorf("the worker's program has %q:\n%s", unwanted, out)
		}
	}
}

func TestADescriptorIsTakenOnce(t *testing.T) {
	tcp(t, "api", "127.0.0.1:0")
	if out, stderr := start(t, child(t, "opens again after Close", listen.Inherited())).end(); out != "opened twice" || stderr != "" {
		t.Errorf("the worker wrote %q, %q", out, stderr)
	}
}

func TestExhaustedDescriptorsAreOneLine(t *testing.T) {
	tcp(t, "api", "127.0.0.1:0")
	_, stderr := start(t, child(t, "runs out of descriptors", listen.Inherited())).end()
	if want := `listener "api" on 127.0.0.1:0: fcntl: too many open files`; stderr != want {
		t.Errorf("the worker wrote %q, want %q", stderr, want)
	}
}

func TestAWrongIdentityIsOneLine(t *testing.T) {
	tcp(t, "api", "127.0.0.1:0")
	for name, test := range map[string]struct {
		role      string
		listeners []listen.Named
		env       string
		want      string
	}{
		"not JSON": {
			"serves TCP", nil, "GOSLO_WORKER=foreign",
			`listener "api" on : environment variable GOSLO_WORKER is not that of a worker: invalid character 'o' in literal false (expecting 'a')`,
		},
		"descriptors that are not there": {
			"serves TCP", nil, `GOSLO_WORKER={"version":1,"listeners":["api"]}`,
			`listener "api" on : environment variable GOSLO_WORKER promises descriptor 5, which is not there`,
		},
		"another family": {
			"wants unix where TCP is", listen.Inherited(), "",
			`listener "api" on /nowhere: descriptor 5 is no unix socket`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr := start(t, child(t, test.role, test.listeners, test.env)).end()
			if stderr != test.want {
				t.Errorf("the worker wrote %q, want %q", stderr, test.want)
			}
		})
	}
}

func TestASocketOfSystemdIsTakenByItsName(t *testing.T) {
	l := tcp(t, "api", "127.0.0.1:0")
	other := tcp(t, "other", "127.0.0.1:0")
	sockets := listen.Inherited() // other's is the second
	for name, test := range map[string]struct {
		pid, names string
		env        string
		served     *listen.Listener
		stderr     string
	}{
		"first":                      {pid: "$$", names: "api:x", served: l},
		"second":                     {pid: "$$", names: "x:api", served: other},
		"another process's":          {pid: "1", names: "api:x", stderr: `listener "api" on 192.0.2.1:1: bind: cannot assign requested address`},
		"no socket of this name":     {pid: "$$", names: "x:y", stderr: `listener "api" on 192.0.2.1:1: bind: cannot assign requested address`},
		"more names than sockets":    {pid: "$$", names: "x:y:api", stderr: `listener "api" on 192.0.2.1:1: bind: cannot assign requested address`},
		"no identity beside systemd": {pid: "$$", names: "api:x", env: "GOSLO_WORKER=foreign", stderr: `listener "api" on 192.0.2.1:1: environment variable GOSLO_WORKER is not`},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, activatedChild(t, "serves TCP", test.pid, test.names, sockets, "LISTEN_TEST_ADDR=192.0.2.1:1", test.env))
			if test.served != nil {
				if got, want := dial(t, test.served.Addr()), fmt.Sprint("child on ", test.served.Addr()); got != want {
					t.Errorf("answer = %q, want %q", got, want)
				}
			}
			if _, stderr := p.end(); !strings.HasPrefix(stderr, test.stderr) || (test.stderr == "") != (stderr == "") {
				t.Errorf("the process wrote %q, want %q", stderr, test.stderr)
			}
		})
	}
}

func TestASocketOfSystemdMayBlockAtFirst(t *testing.T) {
	bound, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	file, err := bound.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Fd() // takes O_NONBLOCK away, which is the state of systemd's sockets
	if nonblocking(t, file) {
		t.Fatal("the socket does not block")
	}
	p := start(t, activatedChild(t, "serves TCP", "$$", "api", []listen.Named{{Name: "api", File: file}}))
	if got, want := dial(t, bound.Addr()), "child on "+bound.Addr().String(); got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}
	p.end()
	if !nonblocking(t, file) {
		t.Error("the socket still blocks after it was taken")
	}
}

func TestADescriptorThatSystemdDoesNotGiveIsAnError(t *testing.T) {
	cmd := activatedChild(t, "serves TCP", "$$", "api", nil, "LISTEN_TEST_ADDR=127.0.0.1:0")
	cmd.Args[2] = strings.Replace(cmd.Args[2], "LISTEN_FDS=0", "LISTEN_FDS=many", 1)
	want := `listener "api" on 127.0.0.1:0: environment variable LISTEN_FDS is no number of descriptors: "many"`
	if _, stderr := start(t, cmd).end(); stderr != want {
		t.Errorf("the process wrote %q, want %q", stderr, want)
	}
}

func TestOnlyTheProcessThatBoundAUnixSocketRemovesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := unixListener(t, path)
	p := start(t, child(t, "serves unix", listen.Inherited(), "LISTEN_TEST_ADDR="+path))
	if got, want := dial(t, l.Addr()), "child on "+path; got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}
	if out, stderr := p.end(); out != "served" {
		t.Fatalf("the worker wrote %q: %s", out, stderr)
	}
	a := accepting(t, l)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the socket's file is gone after a worker and an accepting listener closed it: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket's file is there after its parent closed it: %v", err)
	}
}
