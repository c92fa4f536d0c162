package backdoor_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/service/backdoor"
	"github.com/goslo/goslo/service/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

func open(t *testing.T, conf backdoor.Config) *backdoor.Server {
	t.Helper()
	s, err := tryOpen(t, conf)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryOpen(t *testing.T, conf backdoor.Config) (*backdoor.Server, error) {
	t.Helper()
	if conf.Log == nil {
		conf.Log, _ = test.NewNullLogger()
	}
	s, err := backdoor.Open(t.Context(), conf)
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(context.Background()); err != nil {
				t.Errorf("Close = %v", err)
			}
		})
	}
	return s, err
}

// operator is a connection of the line protocol.
type operator struct {
	t    *testing.T
	conn net.Conn
	in   *textproto.Reader
}

func connect(t *testing.T, s *backdoor.Server) *operator {
	t.Helper()
	network := "tcp"
	if s.Port() == 0 {
		network = "unix"
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), network, s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &operator{t, conn, textproto.NewReader(bufio.NewReader(conn))}
}

func (o *operator) say(line string) {
	o.t.Helper()
	if _, err := io.WriteString(o.conn, line); err != nil {
		o.t.Fatal(err)
	}
}

// ask returns the status line and the body.
func (o *operator) ask(command string) (status, body string) {
	o.t.Helper()
	o.say(command + "\n")
	status, err := o.in.ReadLine()
	if err != nil {
		o.t.Fatalf("%s: %v", command, err)
	}
	text, err := o.in.ReadDotBytes()
	if err != nil {
		o.t.Fatalf("%s: %v", command, err)
	}
	return status, string(text)
}

// wantClosed checks that the peer hangs up without a word.
func (o *operator) wantClosed() {
	o.t.Helper()
	rest, err := io.ReadAll(o.in.R)
	if len(rest) != 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		o.t.Errorf("got %q, %v, want the end of the connection", rest, err)
	}
}

func TestTheBackdoorIsOffByDefault(t *testing.T) {
	t.Parallel()
	log, hook := test.NewNullLogger()
	s := open(t, backdoor.Config{Log: log})
	if s.Address() != "" || s.Port() != 0 || len(hook.AllEntries()) != 0 {
		t.Errorf("it listens on %q", s.Address())
	}
}

func TestAPortIsBoundOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	log, hook := test.NewNullLogger()
	s := open(t, backdoor.Config{Port: "0", Log: log})
	if want := fmt.Sprintf("127.0.0.1:%d", s.Port()); s.Address() != want || s.Port() == 0 {
		t.Errorf("it listens on %q, want %q", s.Address(), want)
	}
	if e := hook.LastEntry(); e == nil || e.Data["address"] != s.Address() {
		t.Errorf("log line = %v, want the address", e)
	}
}

func TestABusyPortIsAnErrorAndARangeMovesOn(t *testing.T) {
	t.Parallel()
	busy := open(t, backdoor.Config{Port: "0"})
	port := busy.Port()
	if _, err := tryOpen(t, backdoor.Config{Port: strconv.Itoa(port)}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Open on a busy port = %v, want EADDRINUSE", err)
	}
	last := min(port+50, 65535)
	s := open(t, backdoor.Config{Port: fmt.Sprintf("%d:%d", port, last)})
	if s.Port() <= port || s.Port() > last {
		t.Errorf("port %d, want one of %d to %d", s.Port(), port+1, last)
	}
	var bad *backdoor.PortError
	if _, err := tryOpen(t, backdoor.Config{Port: "all"}); !errors.As(err, &bad) {
		t.Errorf("Open = %v, want a PortError", err)
	}
}

func TestASocketIsForItsOwnerAndWinsOverAPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, backdoor.Config{Port: "0", Socket: filepath.Join(dir, "b-{pid}")})
	want := filepath.Join(dir, fmt.Sprintf("b-%d", os.Getpid()))
	if s.Address() != want || s.Port() != 0 {
		t.Errorf("it listens on %q, port %d, want %q", s.Address(), s.Port(), want)
	}
	info, err := os.Stat(want)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if status, _ := connect(t, s).ask("help"); status != "ok" {
		t.Errorf("help = %q", status)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(want); !os.IsNotExist(err) {
		t.Errorf("the socket's file is still there: %v", err)
	}
}

func TestAStaleSocketIsReplacedAndAFileIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "b")
	old := open(t, backdoor.Config{Socket: path})
	s := open(t, backdoor.Config{Socket: path})
	if err := old.Close(t.Context()); err != nil { // it must not remove its successor's
		t.Error(err)
	}
	if status, _ := connect(t, s).ask("help"); status != "ok" {
		t.Errorf("help = %q", status)
	}

	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, backdoor.Config{Socket: file}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Open = %v, want EADDRINUSE", err)
	}
	if data, err := os.ReadFile(file); string(data) != "data" {
		t.Errorf("the file is %q, %v", data, err)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	var state report.State
	state.Register("rpc server compute", func(w io.Writer) { fmt.Fprint(w, "3 of 64\n.\n..dots\n") })
	s := open(t, backdoor.Config{
		Port: "0", State: &state,
		Options: func(w io.Writer) { report.WriteOptions(w, map[string]string{"db_password": "s3cret", "workers": "4"}) },
	})
	o := connect(t, s)
	for _, tt := range []struct{ command, status, body string }{
		{"goroutines", "ok", "TestCommands"},
		{"heap", "ok", "heap profile:"},
		{"config", "ok", "db_password = ****\nworkers = 4\n"},
		{"gc", "ok", "heap in use after = "},
		{"state", "ok", "-- rpc server compute --\n3 of 64\n.\n..dots\n"},
		{" state \r", "ok", "3 of 64"},
		{"help", "ok", "goroutines"},
		{"cpu", "error: say for how many seconds, 1 to 60", ""},
		{"cpu 0", "error: say for how many seconds, 1 to 60", ""},
		{"cpu 61", "error: say for how many seconds, 1 to 60", ""},
		{"cpu now", "error: say for how many seconds, 1 to 60", ""},
		{"reboot", `error: unknown command; "help" lists them`, ""},
	} {
		status, body := o.ask(tt.command)
		if status != tt.status || !strings.Contains(body, tt.body) || tt.body == "" && body != "" {
			t.Errorf("%q = %q, %.300q, want %q, %q", tt.command, status, body, tt.status, tt.body)
		}
	}
	o.say("\n") // says nothing, means nothing
	o.say("exit\n")
	o.wantClosed()
	if status, _ := connect(t, s).ask("help"); status != "ok" {
		t.Error("exit has closed more than its connection")
	}
}

func TestWhatTheServiceDoesNotShowAndWhatBreaks(t *testing.T) {
	t.Parallel()
	bare := connect(t, open(t, backdoor.Config{Port: "0"}))
	if status, _ := bare.ask("config"); status != "error: this service shows no configuration" {
		t.Errorf("config = %q", status)
	}
	if status, body := bare.ask("state"); status != "ok" || body != "" {
		t.Errorf("state = %q, %q, want nothing", status, body)
	}
	broken := connect(t, open(t, backdoor.Config{Port: "0", Options: func(io.Writer) { panic("no\noptions") }}))
	if status, _ := broken.ask("config"); status != "error: panic: no options" {
		t.Errorf("config = %q", status)
	}
	if status, _ := broken.ask("help"); status != "ok" {
		t.Errorf("help after a panic = %q", status)
	}
}

func TestCPUProfileIsOneThatToolsRead(t *testing.T) {
	// Not parallel with the other profile: there is one at a time.
	o := connect(t, open(t, backdoor.Config{Port: "0"}))
	status, body := o.ask("cpu 1")
	if status != "ok" {
		t.Fatalf("cpu 1 = %q", status)
	}
	for line := range strings.Lines(body) {
		if len(line) > 77 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	wantProfile(t, base64.NewDecoder(base64.StdEncoding, strings.NewReader(body)))
}

func wantProfile(t *testing.T, r io.Reader) {
	t.Helper()
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil || !bytes.Contains(data, []byte("nanoseconds")) {
		t.Errorf("%d bytes, %v, want a CPU profile", len(data), err)
	}
}

func TestForeignersAreShownTheDoor(t *testing.T) {
	t.Parallel()
	s := open(t, backdoor.Config{Port: "0"})
	web := connect(t, s)
	web.say("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\ngoroutines\r\n")
	web.wantClosed()

	secure := connect(t, s) // whose session ticket is a page's words
	secure.say("\x16\x03\x01\x02\x00\x01\nstate\n")
	secure.wantClosed()

	long := connect(t, s)
	status, _ := long.ask(strings.Repeat("x", 300))
	if status != "error: a line is longer than 256 bytes" {
		t.Errorf("a long line = %q", status)
	}
	long.wantClosed()
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, backdoor.Config{Port: "0", MaxConns: 2})
	first, second := connect(t, s), connect(t, s)
	first.ask("help")
	second.ask("help")
	connect(t, s).wantClosed()

	first.say("exit\n")
	first.wantClosed()
	again := connect(t, s) // its place may be free a moment later than the connection is closed
	for range 1000 {
		again.say("help\n")
		if line, err := again.in.ReadLine(); err == nil && line == "ok" {
			return
		}
		again = connect(t, s)
	}
	t.Error("the place of the first connection is not free again")
}

func TestASilentConnectionEnds(t *testing.T) {
	t.Parallel()
	connect(t, open(t, backdoor.Config{Port: "0", IdleTimeout: 10 * time.Millisecond})).wantClosed()
}

func TestAPeerThatDoesNotReadEnds(t *testing.T) {
	t.Parallel()
	var state report.State
	state.Register("big", func(w io.Writer) { _, _ = w.Write(make([]byte, 32<<20)) })
	s := open(t, backdoor.Config{Port: "0", State: &state, WriteTimeout: 50 * time.Millisecond, MaxConns: 1})
	connect(t, s).say("state\n")
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) { // its place becomes free when the answer was given up
		o := connect(t, s)
		o.say("help\n")
		if line, err := o.in.ReadLine(); err == nil && line == "ok" {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Error("the connection is still there")
}

func TestCloseEndsConnectionsAndProfiles(t *testing.T) {
	t.Parallel()
	s := open(t, backdoor.Config{Port: "0"})
	idle, busy := connect(t, s), connect(t, s)
	idle.ask("help")
	busy.say("cpu 60\n")
	begin := time.Now()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("Close took %s", took)
	}
	idle.wantClosed()
	var dialer net.Dialer
	if conn, err := dialer.DialContext(t.Context(), "tcp", s.Address()); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("the second Close = %v", err)
	}
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	var state report.State
	began, release := make(chan struct{}), make(chan struct{})
	state.Register("hangs", func(io.Writer) { close(began); <-release })
	s := open(t, backdoor.Config{Port: "0", State: &state})
	connect(t, s).say("state\n")
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v, want Canceled", err)
	}
	close(release)
}

func TestConfigNamesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		conf backdoor.Config
		want string
	}{
		{backdoor.Config{MaxConns: -1}, "MaxConns"},
		{backdoor.Config{IdleTimeout: -1}, "IdleTimeout"},
		{backdoor.Config{WriteTimeout: -1}, "WriteTimeout"},
	} {
		if _, err := tryOpen(t, tt.conf); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open = %v, want one that names %s", err, tt.want)
		}
	}
}

// get asks over HTTP.
func get(t *testing.T, s *backdoor.Server, method, path string, change func(*http.Request)) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Address()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func TestProfilesOverHTTP(t *testing.T) {
	var state report.State
	state.Register("rpc server compute", func(w io.Writer) { fmt.Fprintln(w, "3 of 64") })
	s := open(t, backdoor.Config{Port: "0", HTTP: true, State: &state})
	for _, tt := range []struct {
		method, path string
		change       func(*http.Request)
		code         int
		body         string
	}{
		{"GET", "/debug/pprof/", nil, 200, "goroutine "},
		{"GET", "/debug/pprof/goroutine?debug=2", nil, 200, "TestProfilesOverHTTP"},
		{"GET", "/debug/pprof/heap", nil, 200, "\x1f\x8b"},
		{"GET", "/debug/pprof/none", nil, 404, "unknown profile"},
		{"GET", "/debug/pprof/profile?seconds=600", nil, 400, "1 to 60"},
		{"GET", "/debug/pprof/trace?seconds=1", nil, 200, "trace"},
		{"GET", "/state", nil, 200, "3 of 64"},
		{"GET", "/config", nil, 404, "no configuration"},
		{"GET", "/goroutines", nil, 200, "TestProfilesOverHTTP"},
		{"GET", "/heap", nil, 200, "heap in use"},
		{"POST", "/gc", nil, 200, "heap in use after"},
		{"GET", "/gc", nil, 405, ""},
		{"GET", "/", nil, 404, ""},
		{"GET", "/state", func(r *http.Request) { r.Host = "localhost:1" }, 200, "3 of 64"},
		{"GET", "/state", func(r *http.Request) { r.Host = "evil.example" }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Host = "localhost.evil.example:4444" }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Host = "192.0.2.1:4444" }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Host = "0.0.0.0:4444" }, 403, "web pages"},
		{"GET", "/debug/pprof/heap", func(r *http.Request) { r.Host = "evil.example:4444" }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "web pages"},
		{"POST", "/gc", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403, "web pages"},
		{"GET", "/state", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "web pages"},
	} {
		code, body := get(t, s, tt.method, tt.path, tt.change)
		if code != tt.code || !bytes.Contains(body, []byte(tt.body)) {
			t.Errorf("%s %s = %d, %.200q, want %d, %q", tt.method, tt.path, code, body, tt.code, tt.body)
		}
	}
	code, body := get(t, s, "GET", "/debug/pprof/profile?seconds=1", nil)
	if code != http.StatusOK {
		t.Fatalf("profile = %d, %s", code, body)
	}
	wantProfile(t, bytes.NewReader(body))
}

func TestHTTPConnectionsAreClosedWithTheBackdoor(t *testing.T) {
	t.Parallel()
	s := open(t, backdoor.Config{Port: "0", HTTP: true})
	o := connect(t, s)
	o.say("GET /debug/pprof/trace?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	idle := connect(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	idle.wantClosed()
}

func TestTheDefaultMuxServesNoProfiles(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, pattern := http.DefaultServeMux.Handler(req); pattern != "" {
		t.Errorf("http.DefaultServeMux has %q", pattern)
	}
}
