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
	log      logrus.FieldLogger
	stopping *atomic.Bool
}

func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	began := time.Now()
	resp := newResponse(w, f.ClientSocketTimeout, f.stopping)
	req.Body = resp.guard(req.Body)
	defer func() {
		resp.finish()
		f.logAccess(req, resp, time.Since(began))
	}()
	if status := f.refusal(req); status != 0 {
		resp.Header().Set("Connection", "close") // what else it sends would be no better
		http.Error(resp, http.StatusText(status), status)
		return
	}
	f.handle(resp, req)
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
		panic(http.ErrAbortHandler)
	}
	stack := debug.Stack()
	f.log.WithFields(logrus.Fields{"method": req.Method, "url": req.RequestURI, "error": fmt.Sprint(p), "stack": string(stack)}).
		Error("a handler panicked")
	if resp.status != 0 || resp.hijacked {
		panic(http.ErrAbortHandler)
	}
	text := http.StatusText(http.StatusInternalServerError)
	if f.Debug {
		text = fmt.Sprintf("%v\n\n%s", p, stack)
	}
	clear(resp.Header()) // what the handler meant for another answer
	http.Error(resp, text, http.StatusInternalServerError)
}

func (f *front) logAccess(req *http.Request, resp *response, took time.Duration) {
	if f.access != nil {
		f.log.Info(f.access.line(newAccess(req, resp, took)))
	}
}
