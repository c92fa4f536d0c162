package wsgi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/wsgi"
)

func TestWhatExceedsALimitIsRefused(t *testing.T) {
	const line, url = 100, 50
	path := func(n int) string { return "/" + strings.Repeat("p", n-1) }
	header := func(n int) string { return "X-Long: " + strings.Repeat("h", n-len("X-Long: ")) + "\r\n" }
	f := serving(t, ok, func(c *wsgi.Config) { c.MaxHeaderLine, c.MaxURLLen = line, url })
	for name, test := range map[string]struct {
		request string
		want    int
	}{
		"longest URL":      {"GET " + path(url) + " HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		"longer URL":       {"GET " + path(url+1) + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
		"longest line":     {"GET / HTTP/1.1\r\nHost: x\r\n" + header(line) + "\r\n", 200},
		"longer line":      {"GET / HTTP/1.1\r\nHost: x\r\n" + header(line+1) + "\r\n", 431},
		"longer host":      {"GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", line) + "\r\n\r\n", 431},
		"many lines":       {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat(header(line), 100) + "\r\n", 200},
		"too many lines":   {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat(header(line), 1000) + "\r\n", 431},
		"an endless URL":   {"GET " + path(200_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431},
		"no host":          {"GET / HTTP/1.1\r\n\r\n", 400},
		"not HTTP":         {"HELO x\r\n\r\n", 400},
		"an older version": {"GET / HTTP/1.0\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			conn := f.dial()
			go func() { _, _ = io.WriteString(conn, test.request) }() // an answer may come before the end
			got := f.read(conn)
			if got.status != test.want {
				t.Errorf("status = %d, want %d", got.status, test.want)
			}
			if got.status >= 400 && !got.closes {
				t.Error("the connection stays after a refusal")
			}
		})
	}
}

func TestDefaultsAreThoseOfTheReference(t *testing.T) {
	f := serving(t, ok, nil)
	for status, request := range map[int]string{
		414: "GET /" + strings.Repeat("p", 8192) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		431: "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("h", 16384) + "\r\n\r\n",
		200: "GET /" + strings.Repeat("p", 8191) + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("h", 16384-3) + "\r\n\r\n",
	} {
		if got := f.send(request); got.status != status {
			t.Errorf("status = %d, want %d", got.status, status)
		}
	}
}

// slow is a client's timeout that tests can wait for, and which a machine with other things to do still keeps.
const slow = 500 * time.Millisecond

func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(t *testing.T, conn net.Conn){
		"that sends nothing":         func(*testing.T, net.Conn) {},
		"that sends no whole header": func(t *testing.T, conn net.Conn) { write(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n") },
		"that drips its header":      drip,
		"that sends no body": func(t *testing.T, conn net.Conn) {
			write(t, conn, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
		},
		"that sends part of its body": func(t *testing.T, conn net.Conn) {
			write(t, conn, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
		},
		"whose body nobody reads": func(t *testing.T, conn net.Conn) {
			write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
		},
		"that idles": func(t *testing.T, conn net.Conn) { write(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serving(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/read" {
					if _, err := io.ReadAll(req.Body); err == nil {
						t.Error("the body has ended well")
					}
				}
				ok(w, req)
			}, func(c *wsgi.Config) { c.ClientSocketTimeout = slow })
			conn := f.dial()
			began := time.Now()
			send(t, conn)
			_, err := io.Copy(io.Discard, conn)
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("the connection is still there after %s", patience)
			}
			if took := time.Since(began); took < slow/2 {
				t.Errorf("cut off after %s, want %s", took, slow)
			}
		})
	}
}

// drip sends a byte now and then until the server closes the connection.
func drip(t *testing.T, conn net.Conn) {
	t.Helper()
	write(t, conn, "GET / HTTP/1.1\r\nHost: x\r\nX: ")
	tick := time.NewTicker(slow / 10)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(conn, "h"); err != nil {
			return
		}
	}
}

func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	f := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		failed <- err
	}, func(c *wsgi.Config) { c.ClientSocketTimeout = slow })
	write(t, f.dial(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	timeout := net.Error(nil)
	if err := within(t, "the write", failed); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("Write = %v, want a timeout", err)
	}
}

func TestASlowTransferGoesOnWhileItMakesProgress(t *testing.T) {
	t.Parallel()
	const timeout, pause = 2 * time.Second, 250 * time.Millisecond
	const steps = 9 // which take longer than the timeout
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		n, err := io.Copy(io.Discard, req.Body)
		if n != steps || err != nil {
			t.Errorf("the body has %d bytes, %v; want %d", n, err, steps)
		}
		_, _ = w.Write(big) // in one piece
	}, func(c *wsgi.Config) { c.ClientSocketTimeout = timeout })
	conn := f.dial()
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for range steps {
		<-tick.C
		write(t, conn, "x")
	}
	resp := f.response(conn)
	defer resp.Body.Close()
	got, piece := 0, make([]byte, len(big)/steps)
	for range steps {
		<-tick.C
		n, _ := io.ReadFull(resp.Body, piece)
		got += n
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if got += int(n); got != len(big) || err != nil {
		t.Errorf("the answer has %d bytes, %v; want %d", got, err, len(big))
	}
}

func TestALongHandlerIsNoSlowClient(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"without body":     "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"with body":        "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"with unread body": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serving(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/read" {
					_, _ = io.Copy(io.Discard, req.Body)
				}
				for range 3 { // begins the answer, and net/http reads what the handler has not
					_, _ = io.WriteString(w, strings.Repeat("x", 5000))
				}
				select {
				case <-req.Context().Done():
					t.Errorf("the request was given up: %v", context.Cause(req.Context()))
				case <-time.After(3 * slow):
				}
				_, _ = io.WriteString(w, "end")
			}, func(c *wsgi.Config) { c.ClientSocketTimeout = slow })
			if body := f.send(request).body; !strings.HasSuffix(body, "xend") {
				t.Errorf("the answer has %d bytes and not its end", len(body))
			}
		})
	}
}

func TestTimeoutZeroMeansNone(t *testing.T) {
	t.Parallel()
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(w, req.Body)
	}, func(c *wsgi.Config) { c.ClientSocketTimeout = 0 })
	conn := f.dial()
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	timer := time.NewTimer(2 * slow)
	defer timer.Stop()
	<-timer.C
	write(t, conn, "abc")
	if body := f.read(conn).body; body != "abc" {
		t.Errorf("body = %q", body)
	}
}

func TestAHijackedConnectionIsItsHandlers(t *testing.T) {
	t.Parallel()
	f := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		go func() {
			defer conn.Close()
			line, _ := rw.ReadString('\n')
			_, _ = io.WriteString(conn, line)
		}()
	}, func(c *wsgi.Config) { c.ClientSocketTimeout = slow })
	conn := f.dial()
	write(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	timer := time.NewTimer(2 * slow)
	defer timer.Stop()
	<-timer.C
	write(t, conn, "echo\n")
	if text, err := io.ReadAll(conn); err != nil || string(text) != "echo\n" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestAnAnswerIsFlushedWhenTheHandlerWants(t *testing.T) {
	release := make(chan struct{})
	f := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-release
		_, _ = io.WriteString(w, " second")
		_ = http.NewResponseController(w).Flush()
	}, nil)
	conn := f.dial()
	write(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp := f.response(conn)
	defer resp.Body.Close()
	first := make([]byte, 5)
	_, err := io.ReadFull(resp.Body, first)
	close(release)
	if rest, err2 := io.ReadAll(resp.Body); errors.Join(err, err2) != nil || string(first)+string(rest) != "first second" {
		t.Errorf("body = %q %q, %v %v", first, rest, err, err2)
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	for name, test := range map[string]struct {
		debug bool
		want  string
	}{
		"plain": {false, "Internal Server Error\n"},
		"debug": {true, "out of cheese\n\ngoroutine "},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip") // of an answer that is not to be
				panic("out of cheese")
			}, func(c *wsgi.Config) { c.Debug = test.debug })
			status, body := f.get("/v1")
			if status != http.StatusInternalServerError || !strings.HasPrefix(body, test.want) {
				t.Errorf("answer = %d %q, want 500 and %q", status, body, test.want)
			}
			if !test.debug && body != test.want {
				t.Errorf("the answer tells more than it should: %q", body)
			}
			f.stop()
			entries := f.logged(logrus.ErrorLevel, "a handler panicked")
			if len(entries) != 1 || entries[0].Data["error"] != "out of cheese" || !strings.Contains(entries[0].Data["stack"].(string), "limit_test.go") {
				t.Errorf("logged %v", entries)
			}
			if len(f.logged(logrus.InfoLevel, "status: 500")) != 1 {
				t.Errorf("the access log has no line: %v", f.log.AllEntries())
			}
		})
	}
}

func TestAPanicInTheMiddleOfAnAnswerBreaksTheConnection(t *testing.T) {
	for name, test := range map[string]struct {
		value  any
		logged int
	}{
		"any value":       {"out of cheese", 1},
		"ErrAbortHandler": {http.ErrAbortHandler, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half")
				w.(http.Flusher).Flush()
				panic(test.value)
			}, nil)
			if _, body, err := f.try("/"); err == nil {
				t.Errorf("the client takes %q for the whole answer", body)
			}
			f.stop()
			if n := len(f.logged(logrus.ErrorLevel, "a handler panicked")); n != test.logged {
				t.Errorf("%d panics are logged, want %d", n, test.logged)
			}
		})
	}
}

func TestAnswersInTheHandlersPlaceAreThoseOfTheProgram(t *testing.T) {
	f := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Meant", "for another answer")
		panic("out of cheese")
	}, func(c *wsgi.Config) {
		c.Answer = func(w http.ResponseWriter, req *http.Request, status int) {
			w.WriteHeader(status)
			fmt.Fprintf(w, "%d for %s %q", status, req.Method, w.Header().Get("X-Meant"))
		}
	})
	for status, request := range map[int]string{
		414: "GET /" + strings.Repeat("p", 8192) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		431: "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("h", 16384) + "\r\n\r\n",
		500: "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		want := fmt.Sprintf(`%d for GET ""`, status)
		if got := f.send(request); got.status != status || got.body != want || got.closes != (status < 500) {
			t.Errorf("answer = %+v, want %s", got, want)
		}
	}
	if len(f.logged(logrus.ErrorLevel, "a handler panicked")) != 1 {
		t.Errorf("the panic was not logged: %v", f.log.AllEntries())
	}
}
