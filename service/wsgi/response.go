package wsgi

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// piece is how much of an answer is written with one deadline: a client is as slow as it may be when it takes that much
// in the time for one operation, however long the whole answer.
const piece = 64 << 10

// response is a handler's ResponseWriter: it keeps what the access log tells, and sets the deadlines of reads and writes
// one by one. It is, as any ResponseWriter, for one goroutine.
type response struct {
	http.ResponseWriter
	control  *http.ResponseController
	timeout  time.Duration
	stopping *atomic.Bool
	body     *body // nil where there is none, or no timeout
	bodiless bool  // the answer to HEAD, of which net/http sends the header alone

	status   int // 0 before the header is written
	length   int64
	hijacked bool
	aborted  bool // without an answer
}

func newResponse(w http.ResponseWriter, req *http.Request, timeout time.Duration, stopping *atomic.Bool) *response {
	return &response{
		ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout, stopping: stopping,
		bodiless: req.Method == http.MethodHead,
	}
}

// Unwrap is for [http.ResponseController].
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *response) WriteHeader(status int) {
	final := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if final && r.status == 0 {
		r.sayClose(status)
	}
	r.ResponseWriter.WriteHeader(status) // panics where there is no such status, and then nothing was written
	if final && r.status == 0 {
		r.status = status
	}
}

// sayClose tells the client that the connection ends with this answer, where the server stops.
func (r *response) sayClose(status int) {
	if r.stopping.Load() && status != http.StatusSwitchingProtocols {
		r.Header().Set("Connection", "close")
	}
}

func (r *response) Write(p []byte) (n int, err error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	for first := true; err == nil && (first || len(p) > 0); first = false {
		var written int
		r.timed(func() { written, err = r.ResponseWriter.Write(p[:min(len(p), piece)]) })
		n, p = n+written, p[written:]
		if !r.bodiless {
			r.length += int64(written)
		}
	}
	return n, err
}

// Flush is [http.Flusher]'s.
func (r *response) Flush() {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	r.timed(func() { _ = r.control.Flush() }) // what is wrong with the connection the next Write tells
}

// Hijack is [http.Hijacker]'s. The connection then has no deadlines.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := r.control.Hijack()
	r.hijacked = err == nil
	return conn, rw, err
}

// timed runs a write with its deadline. Before the first bytes of an answer net/http may also read what is left of the
// request's body; that read must have an end as well.
func (r *response) timed(write func()) {
	if r.timeout == 0 {
		write()
		return
	}
	r.extend()
	write()
	// Not longer: once net/http has read the body's rest, it reads in the background to see whether the client goes away.
	if r.body != nil {
		_ = r.control.SetReadDeadline(time.Time{})
	}
}

// extend sets the deadlines of the next operation. The connections of a Server have deadlines, so that setting one only
// fails where the connection is closed, and then the operation says so.
func (r *response) extend() {
	deadline := time.Now().Add(r.timeout)
	_ = r.control.SetWriteDeadline(deadline)
	if r.body != nil && !r.body.ended.Load() {
		_ = r.control.SetReadDeadline(deadline)
	}
}

// finish is for what net/http still has to do after the handler: write what is buffered and read the rest of the body.
func (r *response) finish() {
	if r.hijacked {
		return
	}
	if r.status == 0 {
		r.sayClose(http.StatusOK)
	}
	if r.timeout > 0 {
		r.extend()
	}
}

// guard gives the reads of a request's body their deadlines. It leaves the request alone and changes a copy: net/http
// looks at its own to see what kind of body is left, and whether a client waits for "100 Continue" before it sends one.
func (r *response) guard(req *http.Request) *http.Request {
	if r.timeout == 0 || req.Body == http.NoBody {
		return req
	}
	r.body = &body{ReadCloser: req.Body, control: r.control, timeout: r.timeout}
	req = req.WithContext(req.Context())
	req.Body = r.body
	return req
}

// body is a request's body whose every read has the timeout.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
	ended   atomic.Bool // a handler may read and write at the same time
}

func (b *body) Read(p []byte) (int, error) {
	if !b.ended.Load() {
		_ = b.control.SetReadDeadline(time.Now().Add(b.timeout))
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // after any other error net/http tries to read the rest
		b.ended.Store(true)
	}
	return n, err
}
