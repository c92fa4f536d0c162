//go:build integration

package integration_test

import (
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
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

// newGate makes a gate in front of the broker of a transport URL.
func newGate(tb testing.TB, transportURL string) *gate {
	tb.Helper()
	g := &gate{clients: map[net.Conn]bool{}}
	g.url = relay(tb, transportURL, g.pass, g.cut)
	return g
}

// pass connects a client with the broker until one of them closes.
func (g *gate) pass(_ int, client net.Conn, behind string) {
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
