package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

var doorAt = regexp.MustCompile(`the backdoor listens address=(\S+) pid=(\d+)`)

// doors are the addresses of the backdoors that a log tells of.
func doors(log string) (addresses []string) {
	for _, found := range doorAt.FindAllStringSubmatch(log, -1) {
		addresses = append(addresses, found[1])
	}
	return addresses
}

// awaitDoors waits until a log tells of so many.
func awaitDoors(t *testing.T, log *transcript, count int) []string {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		text, changed := log.state()
		if found := doors(text); len(found) >= count {
			return found
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("the log does not tell of %d backdoors:\n%s", count, text)
		}
	}
}

func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}

// inspect asks a backdoor.
func inspect(t *testing.T, address, command string) string {
	t.Helper()
	conn, err := net.DialTimeout(network(address), address, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text := textproto.NewConn(conn)
	defer text.Close()
	if err := text.PrintfLine("%s", command); err != nil {
		t.Fatal(err)
	}
	if status, err := text.ReadLine(); err != nil || status != "ok" {
		t.Fatalf("%s = %q, %v, want ok", command, status, err)
	}
	body, err := text.ReadDotBytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func wantShown(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("it lacks %q:\n%s", part, text)
		}
	}
}

func TestTheBackdoorShowsTheServiceAndPeersLearnItsPort(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.conf")
	if err := os.WriteFile(file, []byte("[oslo_messaging_rabbit]\nrabbit_password_file = /no/such\n[DEFAULT]\nbackdoor_port = 0\n"+
		"transport_url = memory://guest:s3cret@door/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := ""
	t.Run("while it runs", func(t *testing.T) {
		d := startRun(t, "serve", "--config-file", file, "--host", "ctl-1", "--transport-url", "memory://door")
		found := doors(d.stderr.String())
		if len(found) != 1 || !strings.HasPrefix(found[0], "127.0.0.1:") {
			t.Fatalf("backdoors at %q, want one at the loopback address", found)
		}
		address = found[0]
		pingServer(t, "memory://door", messaging.Target{Exchange: "nova", Topic: "scheduler", Server: "ctl-1"})
		wantShown(t, inspect(t, address, "state"),
			"-- scheduler --", "topic = scheduler", "host = ctl-1", "phase = working since", "received = 1\n", "running = 0\n",
			"backdoor port = "+strings.TrimPrefix(address, "127.0.0.1:"))
		shown := inspect(t, address, "config")
		wantShown(t, shown, "[DEFAULT] backdoor_port = 0", "[DEFAULT] transport_url = ")
		if strings.Contains(shown, "s3cret") {
			t.Errorf("the configuration shows a password:\n%s", shown)
		}
		if got := backdoorPort(t, "memory://door", "scheduler", "ctl-1"); fmt.Sprintf("127.0.0.1:%d", got) != address {
			t.Errorf("get_backdoor_port = %d, want that of %s", got, address)
		}
	})
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("the backdoor is open after the end")
	}
}

// backdoorPort asks a service for it; 0 is none.
func backdoorPort(t *testing.T, url, topic, host string) int {
	t.Helper()
	bus, err := messaging.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bus.Close(context.Background()) }()
	client, err := messaging.NewClient(bus, messaging.Target{Exchange: "nova", Topic: topic, Server: host, Namespace: "baseapi", Version: "1.1"},
		messaging.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	port, err := messaging.Call[*int](t.Context(), client, "get_backdoor_port", nil)
	if err != nil {
		t.Fatal(err)
	}
	if port == nil {
		return 0
	}
	return *port
}

func TestThereIsNoBackdoorByDefault(t *testing.T) {
	t.Parallel()
	d := startRun(t, "agent", "--transport-url", "memory://no-door", "--host", "cmp-1")
	if found := doors(d.stderr.String()); len(found) != 0 {
		t.Errorf("backdoors at %q, want none", found)
	}
	if got := backdoorPort(t, "memory://no-door", "compute", "cmp-1"); got != 0 {
		t.Errorf("get_backdoor_port = %d, want null", got)
	}
}

func TestTheBackdoorServesProfilesWhereItSpeaksHTTP(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "door-{pid}")
	startRun(t, "agent", "--transport-url", "memory://http-door", "--host", "cmp-1", "--backdoor-socket", path, "--backdoor-http")
	path = strings.ReplaceAll(path, "{pid}", strconv.Itoa(os.Getpid()))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
	for page, want := range map[string]string{"/debug/pprof/goroutine?debug=1": "goroutine profile: total", "/state": "-- agent --"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+page, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s = %s %.200q, %v, want %q", page, resp.Status, text, err, want)
		}
	}
}

// Nobody listens on port 1, which the front need not know at its start.
func TestEachWorkerHasABackdoorOfItsOwnAsLongAsItLives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, "main", "api", "--transport-url", "rabbit://guest:s3cret@127.0.0.1:1/", "--workers", "2", "--listen", "127.0.0.1:0",
		"--backdoor-socket", filepath.Join(dir, "{pid}.sock"))
	c.stdout.await(t, "READY\n")
	found := awaitDoors(t, &c.stderr, 2)
	if found[0] == found[1] {
		t.Fatalf("backdoors at %q, want two", found)
	}
	for _, address := range found {
		info, err := os.Stat(address)
		if err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("%s is %v, %v, want a socket for its owner", address, info, err)
		}
		wantShown(t, inspect(t, address, "state"), "-- api --", "serving = yes")
		if shown := inspect(t, address, "config"); strings.Contains(shown, "s3cret") {
			t.Errorf("the configuration shows a password:\n%s", shown)
		}
	}
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v are left of the backdoors", left, err)
	}
}

func TestBackdoorsThatCannotBeAreRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, busy, _ := net.SplitHostPort(taken.Addr().String())
	bus := "--transport-url=rabbit://guest:guest@127.0.0.1:1/"
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{
			exitUsage, `--backdoor-port: backdoor: backdoor_port "192.0.2.1:4444": acceptable values are 0, <port>, and <start>:<end>, where 0 listens on a ` +
				`random port, <port> on that one, and <start>:<end> on the smallest one that is free of those, up to 65535`,
			[]string{"serve", "--backdoor-port", "192.0.2.1:4444"},
		},
		{
			exitFailed, "backdoor: backdoor_port " + busy + ": listen tcp4 127.0.0.1:" + busy + ": bind: address already in use",
			[]string{"serve", "--backdoor-port", busy},
		},
		{
			exitUsage, "backdoor: backdoor_port 4444: too few for 3 processes at once, want 0 or <start>:<end> with as many ports",
			[]string{"serve", "--workers", "2", "--backdoor-port", "4444"},
		},
		{
			exitUsage, "backdoor: backdoor_socket /tmp/a: one path for 2 processes at once, want {pid} in it",
			[]string{"serve", "--workers", "2", "--reload-strategy", "at-once", "--backdoor-socket", "/tmp/a"},
		},
		{
			exitFailed, "backdoor: backdoor_socket /no/such/path: listen unix /no/such/path: bind: no such file or directory",
			[]string{"agent", "--backdoor-socket", "/no/such/path"},
		},
	} {
		status, stdout, stderr := command(t, nil, append(c.args, bus)...)
		if want := "scheduler: " + c.want + "\n"; status != c.status || stdout != "" || stderr != want {
			t.Errorf("%v = %d, %q, %q\nwant %d, %q", c.args, status, stdout, stderr, c.status, want)
		}
	}
	if _, err := os.Stat("/tmp/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/tmp/a: %v, want no such file", err)
	}
}
