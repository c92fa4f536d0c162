package wsgi_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

// TestMain lets more tests run at once than there are processors: those that may run at once wait for slow clients.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "16"); err != nil { // before the command line is read, which wins
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// fixture is a server on loopback with a client of its own.
type fixture struct {
	*wsgi.Server
	t        *testing.T
	listener *listen.Listener
	client   *http.Client
	log      *logtest.Hook
	url      string
}

// newFixture makes a server, which is not started; change, which may be nil, changes its configuration.
func newFixture(t *testing.T, handler http.HandlerFunc, change func(*wsgi.Config)) *fixture {
	t.Helper()
	l, err := listen.TCP(t.Name(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return newFixtureOn(t, l, handler, change)
}

func newFixtureOn(t *testing.T, l *listen.Listener, handler http.HandlerFunc, change func(*wsgi.Config)) *fixture {
	t.Helper()
	log, hook := logtest.NewNullLogger()
	conf := wsgi.DefaultConfig()
	conf.Log, conf.StopLinger = log, 0 // few tests are about requests that come at a stop
	if change != nil {
		change(&conf)
	}
	server, err := wsgi.NewServer("api", l, handler, conf)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Server: server, t: t, listener: l, log: hook, url: "http://" + l.Addr().String()}
	f.client = &http.Client{Transport: &http.Transport{}, Timeout: patience}
	t.Cleanup(f.client.CloseIdleConnections)
	t.Cleanup(func() { f.stop() })
	return f
}

// serving is a fixture whose server runs.
func serving(t *testing.T, handler http.HandlerFunc, change func(*wsgi.Config)) *fixture {
	t.Helper()
	f := newFixture(t, handler, change)
	f.start()
	return f
}

func (f *fixture) start() {
	f.t.Helper()
	if err := f.Start(f.t.Context()); err != nil {
		f.t.Fatalf("Start: %v", err)
	}
}

// stop stops in time and waits.
func (f *fixture) stop() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(f.Stop(ctx), f.Wait(ctx)); err != nil {
		f.t.Errorf("Stop and Wait: %v", err)
	}
}

func (f *fixture) closeListener() {
	f.t.Helper()
	if err := f.listener.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// get answers status and body.
func (f *fixture) get(path string) (int, string) {
	f.t.Helper()
	status, body, err := f.try(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return status, body
}

func (f *fixture) try(path string) (int, string, error) {
	resp, err := f.client.Get(f.url + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// dial connects without an HTTP client.
func (f *fixture) dial() net.Conn {
	f.t.Helper()
	conn, err := net.Dial(f.Addr().Network(), f.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		f.t.Fatal(err)
	}
	return conn
}

// answer is a whole response.
type answer struct {
	status int
	closes bool // the connection
	body   string
}

// send writes a text to a new connection and reads one answer.
func (f *fixture) send(text string) answer {
	f.t.Helper()
	conn := f.dial()
	write(f.t, conn, text)
	return f.read(conn)
}

func (f *fixture) read(conn net.Conn) answer {
	f.t.Helper()
	resp := f.response(conn)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, closes: resp.Close, body: string(body)}
}

// response reads the header of an answer.
func (f *fixture) response(conn net.Conn) *http.Response {
	f.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
}

// logged gives what was logged at a level with a message that has a text.
func (f *fixture) logged(level logrus.Level, part string) []*logrus.Entry {
	var found []*logrus.Entry
	for _, entry := range f.log.AllEntries() {
		if entry.Level == level && strings.Contains(entry.Message, part) {
			found = append(found, entry)
		}
	}
	return found
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// within fails a test where something takes too long.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("%s takes longer than %s", what, patience)
		panic("unreachable")
	}
}

// eventually asks again and again, for what happens in other goroutines or the kernel.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}
