package listen_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/service/listen"
)

// Of two who accept on one port the first ends, with connections that nobody has accepted yet: what becomes of them is what
// WithReusePort promises, and what a shared socket does.
func TestWhoWaitsForAWorkerThatEndsIsServedByAnotherOnASharedSocket(t *testing.T) {
	migrate, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_migrate_req") // an old kernel has none
	for name, test := range map[string]struct {
		opts []listen.TCPOption
		lost bool
	}{
		"shared socket":        {nil, false},
		"sockets of their own": {[]listen.TCPOption{listen.WithReusePort()}, strings.TrimSpace(string(migrate)) != "1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := tcp(t, "api", "127.0.0.1:0", test.opts...)
			first, second := accepting(t, l), accepting(t, l)
			const clients = 40 // of which each has some, where they do not share
			conns := make([]net.Conn, clients)
			for i := range conns {
				conn, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conns[i] = conn
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() { // ends with second
				defer close(served)
				greetAll(second)
			}()
			lost := 0
			for _, conn := range conns {
				if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					lost++
				}
			}
			if (lost > 0) != test.lost || lost == clients {
				t.Errorf("%d of %d connections were lost, want some: %t", lost, clients, test.lost)
			}
			t.Logf("%d of %d connections were lost", lost, clients)
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			<-served
		})
	}
}

// greetAll writes to whoever connects, until the listener is closed.
func greetAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("!")) // the client tells
		_ = conn.Close()
	}
}

// A service can be started behind one that is to be stopped.
func TestTwoServicesWithSocketsOfTheirOwnShareAPort(t *testing.T) {
	first := tcp(t, "first", "127.0.0.1:0", listen.WithReusePort())
	accepting(t, first)
	second := tcp(t, "second", first.Addr().String(), listen.WithReusePort())
	a := accepting(t, second)
	served := make(chan struct{})
	go func() {
		defer close(served)
		greetAll(a)
	}()
	for { // the kernel gives a part of the connections to each
		conn, err := net.Dial("tcp", first.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			break
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	<-served
}
