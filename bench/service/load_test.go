package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// play lets one client send its requests to a handler until the handler stops the load.
func play(t *testing.T, handler func(l *load, n int64, w http.ResponseWriter)) *load {
	t.Helper()
	l := &load{reconnect: true}
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		handler(l, requests.Add(1), w)
	}))
	t.Cleanup(server.Close)
	l.address = server.Listener.Addr().String()
	l.client()
	return l
}

func finish(l *load, n int64, w http.ResponseWriter) {
	l.over.Store(n >= 3)
	_, _ = w.Write([]byte("done\n"))
}

func TestLoadCountsAnswersAndWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		handler        func(l *load, n int64, w http.ResponseWriter)
		answered, lost int64
	}{
		{"all answered", finish, 3, 0},
		{"connections closed behind an answer", func(l *load, n int64, w http.ResponseWriter) {
			w.Header().Set("Connection", "close")
			finish(l, n, w)
		}, 3, 0},
		{"a connection closed without an answer", func(l *load, n int64, w http.ResponseWriter) {
			if n == 2 {
				panic(http.ErrAbortHandler)
			}
			finish(l, n, w)
		}, 2, 1},
		{"a failure answered", func(l *load, n int64, w http.ResponseWriter) {
			if n == 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			finish(l, n, w)
		}, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := play(t, c.handler)
			if answered, lost := l.answered.Load(), l.lost.Load(); answered != c.answered || lost != c.lost {
				t.Errorf("%d answered and %d lost, want %d and %d", answered, lost, c.answered, c.lost)
			}
		})
	}
}

func TestLoadLosesWhatFindsNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	one := &load{address: address}
	one.client()
	if lost := one.lost.Load(); lost != 1 {
		t.Errorf("%d requests lost, want 1", lost)
	}
}
