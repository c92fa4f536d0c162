//go:build integration

package integration_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
)

// gate is a proxy in front of a broker that cuts connections.
type gate struct {
	url string // of the transport, through the gate
	// shut makes it cut every new connection at once.
	shut atomic.Bool
	// booting makes it cut every new connection whose client has sent more than the protocol header.
	booting atomic.Bool

	mu      sync.Mutex // protects what follows
	clients map[net.Conn]bool
}

// newGate makes a gate in front of the broker of a transport URL, on its default virtual host.
func newGate(tb testing.TB, transportURL string) *gate {
	tb.Helper()
	uri, err := amqp.ParseURI(broker.AMQP(transportURL))
	if err != nil {
		tb.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := &gate{url: fmt.Sprintf("rabbit://%s:%s@%s/", uri.Username, uri.Password, l.Addr()), clients: map[net.Conn]bool{}}
	behind := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { g.pass(client, behind) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		g.cut()
		running.Wait()
	})
	return g
}

// pass connects a client with the broker until one of them closes.
func (g *gate) pass(client net.Conn, behind string) {
	g.mu.Lock()
	g.clients[client] = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.clients, client)
		g.mu.Unlock()
		_ = client.Close()
	}()
	if g.shut.Load() {
		return
	}
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	defer back.Wait()
	defer server.Close()
	if _, err := io.CopyN(server, client, int64(len("AMQP\x00\x00\x09\x01"))); err != nil {
		return
	}
	if g.booting.Load() {
		_, _ = client.Read(make([]byte, 1))
		return
	}
	_, _ = io.Copy(server, client)
}

// cut closes the connections that there are.
func (g *gate) cut() {
	g.mu.Lock()
	clients := slices.Collect(maps.Keys(g.clients))
	g.mu.Unlock()
	for _, client := range clients {
		_ = client.Close()
	}
}
