package wsgi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

func TestTheServerIsRestartedOnItsListener(t *testing.T) {
	f := newFixture(t, ok, nil)
	port := f.Port()
	if port == 0 {
		t.Fatal("Port before Start = 0")
	}
	for range 3 {
		f.start()
		if status, body := f.get("/"); status != http.StatusOK || body != "ok" {
			t.Errorf("answer = %d %q", status, body)
		}
		f.stop()
	}
	if f.Port() != port {
		t.Errorf("port = %d, want %d as before", f.Port(), port)
	}
}

func TestAClientThatConnectsBetweenStopAndStartWaits(t *testing.T) {
	f := serving(t, ok, nil)
	f.stop()
	conn := f.dial()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	f.start()
	if got := f.read(conn); got.status != http.StatusOK {
		t.Errorf("status = %d", got.status)
	}
}

func TestStopAndWaitAreHarmlessInAnyOrder(t *testing.T) {
	f := newFixture(t, ok, nil)
	f.stop() // never started
	if err := f.Reset(t.Context()); err != nil {
		t.Errorf("Reset: %v", err)
	}
	f.start()
	if err := f.Start(t.Context()); !errors.Is(err, wsgi.ErrRunning) {
		t.Errorf("second Start = %v, want ErrRunning", err)
	}
	var stops sync.WaitGroup
	for range 4 {
		stops.Go(f.stop)
	}
	stops.Wait()
	f.stop()
}

func TestWaitReturnsWithItsContext(t *testing.T) {
	f := serving(t, ok, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %v, want the context's error", err)
	}
}

func TestARequestInFlightIsAnsweredAtStop(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			close(entered)
			<-release
		}
		ok(w, req)
	}, nil)

	idle := f.dial()
	if _, err := io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if f.read(idle).closes {
		t.Error("before Stop the answer ends the connection")
	}
	busy := f.dial()
	if _, err := io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	within(t, "the request", entered)

	stopped := make(chan error, 1)
	go func() { stopped <- f.Stop(t.Context()) }()
	if n, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection reads %d bytes, %v; want its end", n, err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("Stop returned with a request in flight: %v", err)
	default:
	}
	close(release)
	if got, want := f.read(busy), (answer{status: http.StatusOK, closes: true, body: "ok"}); got != want {
		t.Errorf("answer = %+v, want %+v", got, want)
	}
	if err := within(t, "Stop", stopped); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

func TestStopDoesNotWaitForConnectionsWithoutARequest(t *testing.T) {
	f := serving(t, ok, nil)
	silent, half := f.dial(), f.dial()
	write(t, half, "GET / HTTP/1.1\r\n")
	f.get("/") // the others are accepted by now, which came before
	began := time.Now()
	f.stop()
	// net/http alone gives new connections five seconds.
	if took := time.Since(began); took >= 5*time.Second {
		t.Errorf("Stop took %s", took)
	}
	for _, conn := range []net.Conn{silent, half} {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the connection is still open: %d bytes, %v", n, err)
		}
	}
}

func TestStopDoesNotLingerOnConnectionsThatHaveLongBeenQuiet(t *testing.T) {
	t.Parallel()
	const linger = 300 * time.Millisecond
	stop := func(t *testing.T, quiet time.Duration) (took time.Duration) {
		t.Helper()
		f := serving(t, ok, func(c *wsgi.Config) { c.StopLinger = linger })
		used, fresh := f.dial(), f.dial()
		write(t, used, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		f.read(used)
		<-time.After(quiet)
		began := time.Now()
		f.stop()
		took = time.Since(began)
		for _, conn := range []net.Conn{used, fresh} {
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the connection is still open: %d bytes, %v", n, err)
			}
		}
		return took
	}
	t.Run("just busy", func(t *testing.T) {
		if took := stop(t, 0); took < linger {
			t.Errorf("Stop took %s, want it to wait %s", took, linger)
		}
	})
	const tries = 5 // other work on the machine makes some slow, but none fast
	least := linger
	for try := 0; try < tries && least >= linger; try++ {
		t.Run("long quiet", func(t *testing.T) { least = stop(t, 5*linger) })
	}
	if least >= linger {
		t.Errorf("Stop took %s with connections that have long been quiet, want them closed at once", least)
	}
	t.Logf("Stop took %s with connections that have long been quiet", least)
}

func TestStopReturnsWithTheLastAnswer(t *testing.T) {
	const tries = 5 // the machine has other work too
	var took []time.Duration
	for range tries {
		took = append(took, stopAfterAnswer(t))
		// net/http alone asks after half a second and after a second whether there is something left.
		if slices.Min(took) <= 300*time.Millisecond {
			return
		}
	}
	t.Errorf("Stop returned %v after the last handler", took)
}

// stopAfterAnswer tells how long after the last handler Stop returns.
func stopAfterAnswer(t *testing.T) time.Duration {
	t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		close(entered)
		<-release
		ok(w, req)
	}, func(c *wsgi.Config) { c.StopLinger = 0 })
	go func() { _, _, _ = f.try("/") }()
	within(t, "the request", entered)
	began := time.Now()
	const pause = 600 * time.Millisecond
	time.AfterFunc(pause, func() { close(release) })
	f.stop()
	took := time.Since(began) - pause
	if took < 0 {
		t.Errorf("Stop returned %s before the last handler", -took)
	}
	return took
}

func TestARequestOnAnIdleConnectionAtStopIsAnswered(t *testing.T) {
	f := serving(t, ok, func(c *wsgi.Config) { c.StopLinger = patience / 2 })
	conn := f.dial()
	request := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(io.LimitReader(conn, int64(len("HTTP/1.1 200 OK")))); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- f.Stop(t.Context()) }()
	eventually(t, "nobody accepts any more", func() bool { // Stop has begun
		probe := f.dial()
		defer probe.Close()
		_ = probe.SetDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = io.WriteString(probe, "GET / HTTP/1.0\r\n\r\n")
		_, err := probe.Read(make([]byte, 1))
		return err != nil
	})
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "Connection: close") {
		t.Errorf("the second answer = %q, %v; want one with Connection: close", text, err)
	}
	if err := within(t, "Stop", stopped); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

func TestNoRequestIsLostWhileTheServerIsRestarted(t *testing.T) {
	for name, keepAlive := range map[string]bool{"new connections": false, "kept connections": true} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, ok, func(c *wsgi.Config) { c.StopLinger = wsgi.DefaultConfig().StopLinger })
			f.client.Transport.(*http.Transport).DisableKeepAlives = !keepAlive
			f.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
			var sent, failed atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					for ctx.Err() == nil {
						sent.Add(1)
						// A POST is not repeated by the client where its connection breaks.
						resp, err := f.client.Post(f.url, "text/plain", strings.NewReader("x"))
						if err != nil {
							failed.Add(1)
							t.Logf("request failed: %v", err)
							continue
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				})
			}
			for range 10 {
				f.stop()
				f.start()
				before := sent.Load()
				eventually(t, "fifty more requests", func() bool { return sent.Load() >= before+50 })
			}
			cancel()
			clients.Wait()
			if failed.Load() != 0 {
				t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
			}
			t.Logf("%d requests sent, %d failed, over 10 restarts", sent.Load(), failed.Load())
		})
	}
}

func TestStopBreaksOffWithItsContext(t *testing.T) {
	entered, ended, release := make(chan struct{}), make(chan error, 1), make(chan struct{})
	f := serving(t, func(_ http.ResponseWriter, req *http.Request) {
		close(entered)
		<-req.Context().Done()
		ended <- context.Cause(req.Context())
		<-release // else its answer may be quicker than the end of its connection
	}, nil)
	failed := make(chan error, 1)
	go func() {
		_, _, err := f.try("/")
		failed <- err
	}()
	within(t, "the request", entered)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop = %v, want the context's error", err)
	}
	if cause := within(t, "the handler", ended); cause == nil || !strings.Contains(cause.Error(), "stopped") {
		t.Errorf("cause of the request's end = %v", cause)
	}
	if err := within(t, "the client", failed); err == nil {
		t.Error("the client got an answer")
	}
	close(release)
	if err := f.Wait(t.Context()); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestHandlersThatOutlastStopAreWaitedForAndKeepNobodyFromServing(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/ok" {
			ok(w, req)
			return
		}
		close(entered)
		<-release // deaf to its context
	}, nil)
	go func() { _, _, _ = f.try("/") }()
	within(t, "the request", entered)
	runsOutOfTime := func(what string, end func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := end(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s = %v while a handler runs, want that its time was over", what, err)
		}
	}
	runsOutOfTime("Stop", f.Stop)
	runsOutOfTime("Wait", f.Wait)
	f.start()
	if status, body := f.get("/ok"); status != http.StatusOK || body != "ok" {
		t.Errorf("the server that was started again answers %d %q", status, body)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Errorf("Stop of the second run = %v", err)
	}
	runsOutOfTime("Wait for both runs", f.Wait)
	f.start()
	close(release)
	f.stop()
}

func TestTwoHundredRequestsAtOnceAreAnswered(t *testing.T) {
	const requests = 200
	var inside sync.WaitGroup
	inside.Add(requests)
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		inside.Done()
		inside.Wait() // until all are here
		ok(w, req)
	}, func(c *wsgi.Config) { c.PoolSize = requests })
	var clients sync.WaitGroup
	var answered atomic.Int64
	for range requests {
		clients.Go(func() {
			if status, body, err := f.try("/"); err == nil && status == http.StatusOK && body == "ok" {
				answered.Add(1)
			}
		})
	}
	clients.Wait()
	if answered.Load() != requests {
		t.Errorf("%d of %d answered", answered.Load(), requests)
	}
}

func TestThePoolLimitsConnections(t *testing.T) {
	const size, requests = 3, 12
	var most greatest
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		defer most.enter()()
		timer := time.NewTimer(20 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		ok(w, req)
	}, func(c *wsgi.Config) { c.PoolSize, c.KeepAlive = size, false })
	var clients sync.WaitGroup
	for range requests {
		clients.Go(func() {
			if status, _, err := f.try("/"); err != nil || status != http.StatusOK {
				t.Errorf("status = %d, %v", status, err)
			}
		})
	}
	clients.Wait()
	if most.most() != size {
		t.Errorf("%d requests at once, want %d", most.most(), size)
	}
}

func TestStopEndsWithAFullPool(t *testing.T) {
	f := serving(t, ok, func(c *wsgi.Config) { c.PoolSize = 1 })
	conn := f.dial()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	f.read(conn) // its connection stays, and takes the only place
	f.stop()
}

func TestKeepAliveCanBeSwitchedOff(t *testing.T) {
	for name, keepAlive := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, ok, func(c *wsgi.Config) { c.KeepAlive = keepAlive })
			if closes := f.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").closes; closes == keepAlive {
				t.Errorf("with wsgi_keep_alive = %t the answer has Connection: close: %t", keepAlive, closes)
			}
		})
	}
}

func TestAUnixSocketServes(t *testing.T) {
	l, err := listen.Unix("api", filepath.Join(t.TempDir(), "s"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f := newFixtureOn(t, l, ok, nil)
	f.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", l.Addr().String())
	}
	f.url = "http://api"
	f.start()
	if status, body := f.get("/v1"); status != http.StatusOK || body != "ok" || f.Port() != 0 {
		t.Errorf("answer = %d %q, port %d", status, body, f.Port())
	}
	f.stop()
	if len(f.logged(logrus.InfoLevel, `unix "GET /v1 HTTP/1.1" status: 200  len: 2 time: `)) != 1 {
		t.Errorf("the access log has %v", f.log.AllEntries())
	}
}

func TestValuesOfTheStartContextReachRequests(t *testing.T) {
	type key struct{}
	f := newFixture(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.Context().Value(key{}).(string))
	}, nil)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel() // and the server goes on
	if _, body := f.get("/"); body != "value" {
		t.Errorf("body = %q", body)
	}
}

func TestWrongConfigurationIsOneLineThatNamesTheOption(t *testing.T) {
	l, err := listen.TCP("api", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for want, change := range map[string]func(*wsgi.Config){
		`HTTP server "api": wsgi_default_pool_size must be at least 1, got 0`:         func(c *wsgi.Config) { c.PoolSize = 0 },
		`HTTP server "api": max_header_line must be at least 1, got -1`:               func(c *wsgi.Config) { c.MaxHeaderLine = -1 },
		`HTTP server "api": max_url_len must be at least 1, got 0`:                    func(c *wsgi.Config) { c.MaxURLLen = 0 },
		`HTTP server "api": client_socket_timeout must be at least 0, got -1`:         func(c *wsgi.Config) { c.ClientSocketTimeout = -1 },
		`HTTP server "api": StopLinger must be at least 0, got -1`:                    func(c *wsgi.Config) { c.StopLinger = -1 },
		`HTTP server "api": wsgi_log_format: unknown key "nothing"`:                   func(c *wsgi.Config) { c.LogFormat = "%(nothing)s" },
		`HTTP server "api": [ssl] cert_file: HTTPS needs both cert_file and key_file`: func(c *wsgi.Config) { c.UseSSL = true },
	} {
		conf := wsgi.DefaultConfig()
		change(&conf)
		if _, err := wsgi.NewServer("api", l, http.HandlerFunc(ok), conf); err == nil || err.Error() != want {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
	if _, err := wsgi.NewServer("api", nil, http.HandlerFunc(ok), wsgi.DefaultConfig()); err == nil {
		t.Error("a nil listener is no error")
	}
	if _, err := wsgi.NewServer("api", l, nil, wsgi.DefaultConfig()); err == nil {
		t.Error("a nil handler is no error")
	}
}

func TestAServerOnAClosedListenerDoesNotStart(t *testing.T) {
	f := newFixture(t, ok, nil)
	f.closeListener()
	if err := f.Start(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Start = %v, want net.ErrClosed", err)
	}
}
