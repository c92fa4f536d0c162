package backdoor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

const (
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 8 << 10
)

// newWeb makes the HTTP server. The profiles come from runtime/pprof: importing net/http/pprof would put them on
// http.DefaultServeMux, and with that on whatever port the program serves that one.
func (s *Server) newWeb() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/{$}", s.profiles)
	mux.HandleFunc("GET /debug/pprof/{name}", s.profile)
	mux.HandleFunc("GET /debug/pprof/profile", s.timed(s.cpuProfile))
	mux.HandleFunc("GET /debug/pprof/trace", s.timed(s.trace))
	for _, name := range []string{"goroutines", "heap", "config", "state"} {
		mux.HandleFunc("GET /"+name, s.text(name))
	}
	mux.HandleFunc("POST /gc", s.text("gc"))
	return &http.Server{
		Handler:           s.guard(mux),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       s.config.WriteTimeout,
		WriteTimeout:      maxProfile + s.config.WriteTimeout,
		IdleTimeout:       s.config.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
}

// guard keeps web pages out, which can make a browser on this machine send requests, also under a name of theirs
// that leads to the loopback address. It lets Close wait for the handlers.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.begin() {
			http.Error(w, "closed", http.StatusServiceUnavailable)
			return
		}
		defer s.wg.Done()
		if fromPage(r) || s.file == nil && !isLoopback(r.Host) {
			http.Error(w, "the backdoor is not for web pages", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// begin counts a handler, unless Close has begun to wait for them.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

func fromPage(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin"
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (s *Server) text(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var body bytes.Buffer
		err := s.execute(&body, name, "")
		switch {
		case errors.Is(err, errNoOptions):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			writeText(w, body.Bytes())
		}
	}
}

func writeText(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the peer went away
}

// profiles lists what can be asked for.
func (s *Server) profiles(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	for _, p := range pprof.Profiles() {
		body.WriteString(p.Name() + " " + strconv.Itoa(p.Count()) + "\n")
	}
	body.WriteString("profile?seconds=N\ntrace?seconds=N\n")
	writeText(w, body.Bytes())
}

// profile serves a named profile, as text with ?debug=1 or 2 and for go tool pprof otherwise.
func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		http.Error(w, "unknown profile", http.StatusNotFound)
		return
	}
	debug, err := strconv.Atoi(r.FormValue("debug"))
	if err != nil {
		debug = 0
	}
	var body bytes.Buffer
	if err := p.WriteTo(&body, debug); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if debug > 0 {
		writeText(w, body.Bytes())
		return
	}
	writeBinary(w, body.Bytes())
}

func writeBinary(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body) // the peer went away
}

// defaultSeconds is that of go tool pprof.
const defaultSeconds = "30"

// timed serves what takes ?seconds=N, 30 by default.
func (s *Server) timed(take func(io.Writer, time.Duration) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := r.FormValue("seconds")
		if text == "" {
			text = defaultSeconds
		}
		d, err := profileTime(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var body bytes.Buffer
		if err := take(&body, d); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		writeBinary(w, body.Bytes())
	}
}

func (s *Server) trace(w io.Writer, d time.Duration) error {
	if err := trace.Start(w); err != nil {
		return err
	}
	defer trace.Stop()
	if !s.pause(d) {
		return errClosed
	}
	return nil
}
