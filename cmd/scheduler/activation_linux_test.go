package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager does for one service what systemd does: it holds its socket, and hears what it says.
type manager struct {
	socket *net.TCPListener
	notify *net.UnixConn
	path   string // of notify
}

func newManager(t *testing.T) *manager {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = socket.Close(), notify.Close() })
	return &manager{socket.(*net.TCPListener), notify, path}
}

// start starts the front with two workers and the socket. Its own address, and the broker's, are of no use.
func (m *manager) start(t *testing.T) *child {
	t.Helper()
	file, err := m.socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const script = `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=api exec "$0" "$@"` // LISTEN_PID is that of what exec starts
	cmd := exec.Command("sh", "-c", script, os.Args[0], "api", "--workers", "2", "--listen", "192.0.2.1:1",
		"--transport-url", "rabbit://guest:guest@127.0.0.1:1/")
	cmd.ExtraFiles = []*os.File{file}
	return newChild(t, cmd, "main", "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=30000000",
		"GORACE=atexit_sleep_ms=0") // the race detector delays the end of each process otherwise
}

// heard is what the service says next, other than that it is alive.
func (m *manager) heard(t *testing.T) string {
	t.Helper()
	if err := m.notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		text := make([]byte, 1000)
		n, err := m.notify.Read(text)
		if err != nil {
			t.Fatalf("the service says nothing: %v", err)
		}
		if said := string(text[:n]); said != "WATCHDOG=1" {
			return said
		}
	}
}

// request begins a request, over a connection of its own, and gives its status later.
func (m *manager) request() <-chan error {
	answered := make(chan error, 1)
	conn, err := net.Dial("tcp", m.socket.Addr().String()) // also where nobody accepts
	if err != nil {
		answered <- err
		return answered
	}
	go func() {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, "GET /v1/openapi.json HTTP/1.0\r\n\r\n")
		text, err := io.ReadAll(conn)
		if want := fmt.Sprint(" ", http.StatusOK, " "); err == nil && !strings.Contains(string(text), want) {
			err = fmt.Errorf("answer %q, want%s", text, want)
		}
		answered <- err
	}()
	return answered
}

var workerPid = regexp.MustCompile(`worker started .*pid=(\d+)`)

func TestFrontServesOnTheSocketOfItsServiceManager(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	want := func(answered <-chan error, when string) {
		t.Helper()
		if err := <-answered; err != nil {
			t.Errorf("a request %s: %v", when, err)
		}
	}
	early := m.request()
	front := m.start(t)
	want(early, "from before the start")
	if said := m.heard(t); said != "READY=1" {
		t.Errorf("the service says %q, want READY=1", said)
	}

	workers := workerPid.FindAllStringSubmatch(front.stderr.String(), -1)
	if len(workers) != 2 {
		t.Fatalf("%d workers were started, want 2", len(workers))
	}
	for _, worker := range workers {
		environment, err := os.ReadFile("/proc/" + worker[1] + "/environ")
		if err != nil {
			t.Fatal(err)
		}
		for entry := range strings.SplitSeq(string(environment), "\x00") {
			if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") || name == "NOTIFY_SOCKET" {
				t.Errorf("worker %s has %s, which is the parent's", worker[1], entry)
			}
		}
	}

	front.signal(t, syscall.SIGHUP)
	if said := m.heard(t); !strings.HasPrefix(said, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("the service says %q, want RELOADING=1", said)
	}
	during := m.request()
	if said := m.heard(t); said != "READY=1" {
		t.Errorf("the service says %q, want READY=1", said)
	}
	want(during, "during the reload")

	front.signal(t, syscall.SIGTERM)
	if said := m.heard(t); said != "STOPPING=1" {
		t.Errorf("the service says %q, want STOPPING=1", said)
	}
	front.end(t, 0)
	var between []<-chan error
	for range 20 {
		between = append(between, m.request())
	}
	again := m.start(t)
	for _, answered := range between {
		want(answered, "between stop and start")
	}
	if said := m.heard(t); said != "READY=1" {
		t.Errorf("the service says %q, want READY=1", said)
	}
	again.signal(t, syscall.SIGTERM)
	again.end(t, 0)
}
