package wsgi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

// echo tells what it was asked; reading a body that breaks it answers with 400.
func echo(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	switch {
	case err != nil:
		http.Error(w, "bad body", http.StatusBadRequest)
	case req.URL.Path == "/204":
		w.WriteHeader(http.StatusNoContent)
	default:
		_, _ = fmt.Fprintf(w, "%s %s %q", req.Method, req.URL.Path, body)
	}
}

// answers reads what the server says to a connection until it closes that, as "status body", to requests with these
// methods, in their order; all others are GET. Of a refusal it is the status alone.
func (f *fixture) answers(conn net.Conn, methods ...string) []string {
	f.t.Helper()
	in := bufio.NewReader(conn)
	var all []string
	for {
		if _, err := in.Peek(1); err != nil {
			if !errors.Is(err, io.EOF) {
				f.t.Errorf("after %q: %v", all, err)
			}
			return all
		}
		method := http.MethodGet
		if len(all) < len(methods) {
			method = methods[len(all)]
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			f.t.Errorf("after %q: %v", all, err)
			return all
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			f.t.Errorf("after %q: %v", all, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= http.StatusBadRequest {
			body = nil // whose words differ between versions of net/http
		}
		all = append(all, strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", string(body))))
	}
}

const lastly = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

func TestRequestsBeginAndEndWhereTheirHeadersSay(t *testing.T) {
	const post = "POST /p HTTP/1.1\r\nHost: x\r\n"
	const last, first = `200 GET /last ""`, `200 POST /p "hello"`
	const chunks = "5\r\nhello\r\n0\r\n\r\n"
	f := serving(t, echo, nil)
	for name, test := range map[string]struct {
		send    string
		methods string
		want    []string
	}{
		"three at once":      {"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n" + lastly, "", []string{`200 GET /1 ""`, `200 GET /2 ""`, last}},
		"HTTP/1.0":           {"GET / HTTP/1.0\r\n\r\n" + lastly, "", []string{`200 GET / ""`}},
		"HTTP/1.0, kept":     {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + lastly, "", []string{`200 GET / ""`, last}},
		"HEAD":               {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + lastly, "HEAD", []string{"200", last}},
		"no content":         {"GET /204 HTTP/1.1\r\nHost: x\r\n\r\n" + lastly, "", []string{"204", last}},
		"a body":             {post + "Content-Length: 5\r\n\r\nhello" + lastly, "", []string{first, last}},
		"chunks":             {post + "Transfer-Encoding: chunked\r\n\r\n" + chunks + lastly, "", []string{first, last}},
		"length and chunks":  {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + lastly, "", []string{first, last}},
		"the same length":    {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + lastly, "", []string{first, last}},
		"two lengths":        {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + lastly, "", []string{"400"}},
		"a signed length":    {post + "Content-Length: +5\r\n\r\nhello" + lastly, "", []string{"400"}},
		"a negative length":  {post + "Content-Length: -5\r\n\r\nhello" + lastly, "", []string{"400"}},
		"a huge length":      {post + "Content-Length: 99999999999999999999\r\n\r\nhello" + lastly, "", []string{"400"}},
		"a list of lengths":  {post + "Content-Length: 5, 5\r\n\r\nhello" + lastly, "", []string{"400"}},
		"two encodings":      {post + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks + lastly, "", []string{"501"}},
		"encoding twice":     {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + lastly, "", []string{"501"}},
		"unknown encoding":   {post + "Transfer-Encoding: xchunked\r\n\r\n" + chunks + lastly, "", []string{"501"}},
		"space before colon": {post + "Transfer-Encoding : chunked\r\n\r\n" + chunks + lastly, "", []string{"400"}},
		"chunk of no number": {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n" + lastly, "", []string{"400"}},
		"negative chunk":     {post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" + lastly, "", []string{"400"}},
		"huge chunk":         {post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n" + lastly, "", []string{"400"}},
		"chunk too short":    {post + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n" + lastly, "", []string{"400"}},
		"chunk of bare LF":   {post + "Transfer-Encoding: chunked\r\n\r\n5;x\nhello\r\n0\r\n\r\n" + lastly, "", []string{"400"}},
		"two hosts":          {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + lastly, "", []string{"400"}},
		"NUL in a header":    {"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n" + lastly, "", []string{"400"}},
		"CR in a header":     {"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n" + lastly, "", []string{"400"}},
		"escape in the URL":  {"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n" + lastly, "", []string{"400"}},
		"space in the URL":   {"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n" + lastly, "", []string{"400"}},
		"HTTP/0.9":           {"GET /\r\n\r\n" + lastly, "", []string{"400"}},
		"HTTP/3.7":           {"GET / HTTP/3.7\r\nHost: x\r\n\r\n" + lastly, "", []string{"505"}},
		"no request for one": {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" + lastly, "", []string{`200 OPTIONS * ""`, last}},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			conn := f.dial()
			write(t, conn, test.send)
			if diff := cmp.Diff(test.want, f.answers(conn, test.methods)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
	f.t = t
}

func TestAClientThatExpectsContinueGetsIt(t *testing.T) {
	for name, test := range map[string]struct {
		path, expect string
		want         string // the first line
		then         string // of the answer to the body
	}{
		"where the body is read": {"/read", "100-continue", "HTTP/1.1 100 Continue\r\n", "HTTP/1.1 200 OK\r\n"},
		"and not where it isn't": {"/", "100-continue", "HTTP/1.1 200 OK\r\n", ""},
		"and nothing else":       {"/read", "more", "HTTP/1.1 417 Expectation Failed\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/read" {
					_, _ = io.Copy(io.Discard, req.Body)
				}
				ok(w, req)
			}, nil)
			conn := f.dial()
			write(t, conn, "POST "+test.path+" HTTP/1.1\r\nHost: x\r\nExpect: "+test.expect+"\r\nContent-Length: 5\r\n\r\n")
			in := bufio.NewReader(conn)
			if line, err := in.ReadString('\n'); line != test.want || err != nil {
				t.Fatalf("the server says %q, %v, want %q", line, err, test.want)
			}
			if test.then == "" {
				return
			}
			write(t, conn, "hello")
			_, err1 := in.ReadString('\n')
			if line, err2 := in.ReadString('\n'); line != test.then || errors.Join(err1, err2) != nil {
				t.Errorf("then it says %q, %v, want %q", line, errors.Join(err1, err2), test.then)
			}
		})
	}
}

func TestAClientThatGoesAwayEndsItsRequestAlone(t *testing.T) {
	for name, request := range map[string]string{
		"in its header":  "GET / HT",
		"in its body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
		"in a chunk":     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
		"while it waits": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{}, 1)
			entered := make(chan struct{}, 1)
			f := serving(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/ok" {
					ok(w, req)
					return
				}
				entered <- struct{}{}
				if _, err := io.ReadAll(req.Body); err == nil {
					<-req.Context().Done()
				}
				ended <- struct{}{}
			}, nil)
			conn := f.dial()
			write(t, conn, request)
			if name != "in its header" {
				within(t, "the handler", entered)
			}
			_ = conn.Close()
			if name != "in its header" {
				within(t, "the end of the handler", ended)
			}
			if status, body := f.get("/ok"); status != http.StatusOK || body != "ok" {
				t.Errorf("another client gets %d %q", status, body)
			}
			f.stop()
		})
	}
}

// greatest counts who is inside at once.
type greatest struct {
	mu        sync.Mutex
	now, seen int
}

func (g *greatest) enter() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	g.seen = max(g.seen, g.now)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.now--
	}
}

func (g *greatest) most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

func TestConnectionsBeyondThePoolWaitForTheirTurn(t *testing.T) {
	const size, clients = 20, 1000
	var most greatest
	l, err := listen.TCP("api", "127.0.0.1:0", listen.WithBacklog(clients))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f := newFixtureOn(t, l, func(w http.ResponseWriter, req *http.Request) {
		defer most.enter()()
		ok(w, req)
	}, func(c *wsgi.Config) { c.PoolSize = size })
	f.start()
	var waiting sync.WaitGroup
	var answered atomic.Int64
	for range clients {
		conn := f.dial() // all of them before the first asks
		waiting.Go(func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			for range 2 { // on one connection
				if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Error(err)
					return
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				answered.Add(1)
			}
		})
	}
	waiting.Wait()
	if answered.Load() != 2*clients || most.most() > size {
		t.Errorf("%d of %d requests are answered, %d at once, want no more than %d", answered.Load(), 2*clients, most.most(), size)
	}
}

func TestAConnectionThatWasTakenOverIsNotWaitedFor(t *testing.T) {
	taken, ended := make(chan net.Conn, 1), make(chan error, 1)
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		taken <- conn
		<-req.Context().Done()
		ended <- context.Cause(req.Context())
	}, nil)
	client := f.dial()
	write(t, client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	conn := within(t, "the handler", taken)
	defer conn.Close()
	f.stop()
	if cause := within(t, "the end of the request's context", ended); cause == nil {
		t.Error("the request's context ends without a cause")
	}
	write(t, conn, "still here\n")
	if line, err := bufio.NewReader(client).ReadString('\n'); line != "still here\n" || err != nil {
		t.Errorf("the client reads %q, %v", line, err)
	}
	eventually(t, "the access log", func() bool { return len(f.logged(logrus.InfoLevel, "status: 101  len: 0")) == 1 })
}

func TestClientsCannotForgeTheAccessLog(t *testing.T) {
	for name, test := range map[string]struct{ request, want string }{
		"terminal's commands": {"GET /\u009b31m HTTP/1.1\r\nHost: x\r\n", `127.0.0.1 "GET /\u009b31m HTTP/1.1" `},
		"no UTF-8":            {"GET /\xff\x9b HTTP/1.1\r\nHost: x\r\n", `127.0.0.1 "GET /\xff\x9b HTTP/1.1" `},
		"right to left":       {"GET /\u202egnp HTTP/1.1\r\nHost: x\r\n", `127.0.0.1 "GET /\u202egnp HTTP/1.1" `},
		"another language":    {"GET /é HTTP/1.1\r\nHost: x\r\n", `127.0.0.1 "GET /é HTTP/1.1" `},
		"another line":        {"GET /\u2028x HTTP/1.1\r\nHost: x\r\n", `127.0.0.1 "GET /\u2028x HTTP/1.1" `},
		"forwarded":           {"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: a\tb\u0085\xff c\r\n", `a\tb\u0085\xffc,127.0.0.1 "GET / HTTP/1.1" `},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, ok, nil)
			f.send(test.request + "Connection: close\r\n\r\n")
			f.stop()
			entries := f.logged(logrus.InfoLevel, "status: 200")
			if len(entries) != 1 || !strings.HasPrefix(entries[0].Message, test.want) {
				t.Errorf("the access log has %v, want %s", entries, test.want)
			}
		})
	}
}

func TestTheAccessLogTellsWhatWasSent(t *testing.T) {
	for name, test := range map[string]struct {
		request string
		handler http.HandlerFunc
		want    string
	}{
		"a header alone": {"HEAD", ok, "status: 200  len: 0 "},
		"no answer":      {"GET", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "status: 0  len: 0 "},
		"no such status": {"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(1000) }, "status: 500  len: 22 "},
		"a hint first": {"GET", func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			ok(w, req)
		}, "status: 200  len: 2 "},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, test.handler, nil)
			conn := f.dial()
			write(t, conn, test.request+" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
			f.stop()
			if entries := f.logged(logrus.InfoLevel, test.want); len(entries) != 1 {
				t.Errorf("the access log has %v, want %s", f.log.AllEntries(), test.want)
			}
		})
	}
}

func TestTheFilesOfAFormAreRemoved(t *testing.T) {
	files := make(chan string, 1)
	f := serving(t, func(_ http.ResponseWriter, req *http.Request) {
		if err := req.ParseMultipartForm(1); err != nil { // byte in memory
			t.Error(err)
			return
		}
		part, err := req.MultipartForm.File["f"][0].Open()
		if err != nil {
			t.Error(err)
			return
		}
		defer part.Close()
		files <- part.(*os.File).Name()
	}, nil)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("f", "f")
	if err != nil {
		t.Fatal(err)
	}
	_, err = part.Write(make([]byte, 11<<20)) // net/http keeps 10 MiB whatever it is told
	if err := errors.Join(err, form.Close()); err != nil {
		t.Fatal(err)
	}
	resp, err := f.client.Post(f.url, form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	file := within(t, "the form", files)
	eventually(t, "the file is removed", func() bool { _, err := os.Stat(file); return os.IsNotExist(err) })
}
