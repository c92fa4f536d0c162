package wsgi

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// front stands before the service's handler: it refuses what exceeds the limits, gives each read and write its time,
// answers for handlers that panic, and writes the access log.
type front struct {
	*Config
	handler  http.Handler
	access   *accessFormat
	log      *logrus.Entry
	stopping *atomic.Bool
}

func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	began := time.Now()
	if f.Context != nil {
		req = req.WithContext(f.Context(req))
	}
	resp := newResponse(w, req, f.ClientSocketTimeout, f.stopping)
	req = resp.guard(req)
	defer removeForm(req)
	defer func() {
		resp.finish()
		f.logAccess(req, resp, time.Since(began))
	}()
	if status := f.refusal(req); status != 0 {
		resp.Header().Set("Connection", "close") // what else it sends would be no better
		f.answer(resp, req, status)
		return
	}
	f.handle(resp, req)
}

// answer answers in the handler's place.
func (f *front) answer(resp *response, req *http.Request, status int) {
	if f.Answer != nil {
		f.Answer(resp, req, status)
		return
	}
	http.Error(resp, http.StatusText(status), status)
}

// removeForm removes the files of a form, as net/http does for the request that it knows.
func removeForm(req *http.Request) {
	if req.MultipartForm != nil {
		_ = req.MultipartForm.RemoveAll() // they are in the folder for temporary files
	}
}

// refusal is the status for a request that exceeds a limit, or 0.
func (f *front) refusal(req *http.Request) int {
	if len(req.RequestURI) > f.MaxURLLen {
		return http.StatusRequestURITooLong
	}
	if len("Host: ")+len(req.Host) > f.MaxHeaderLine {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	for name, values := range req.Header {
		for _, value := range values {
			if len(name)+len(": ")+len(value) > f.MaxHeaderLine {
				return http.StatusRequestHeaderFieldsTooLarge
			}
		}
	}
	return 0
}

func (f *front) handle(resp *response, req *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			f.answerPanic(resp, req, p)
		}
	}()
	f.handler.ServeHTTP(resp, req)
}

// answerPanic answers for a handler with 500. Where the handler has begun an answer the connection is broken off: the
// client must not take what it has for the whole.
func (f *front) answerPanic(resp *response, req *http.Request, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		resp.aborted = true
		panic(http.ErrAbortHandler)
	}
	stack := debug.Stack()
	f.log.WithContext(req.Context()).WithFields(logrus.Fields{"method": req.Method, "url": req.RequestURI, "error": fmt.Sprint(p), "stack": string(stack)}).
		Error("a handler panicked")
	if resp.status != 0 || resp.hijacked {
		panic(http.ErrAbortHandler)
	}
	clear(resp.Header()) // what the handler meant for another answer
	if f.Debug {
		http.Error(resp, fmt.Sprintf("%v\n\n%s", p, stack), http.StatusInternalServerError)
		return
	}
	f.answer(resp, req, http.StatusInternalServerError)
}

// logAccess logs the line as it is, without a field of the server: programs read it.
func (f *front) logAccess(req *http.Request, resp *response, took time.Duration) {
	if f.access != nil {
		f.Log.WithFields(nil).WithContext(req.Context()).Info(f.access.line(newAccess(req, resp, took)))
	}
}
