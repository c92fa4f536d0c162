//go:build integration

package faults

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// network stands between goslo and the broker: a proxy that can stop, delay, drop and cut.
type network struct {
	proxy   *toxiproxy.Proxy
	silence []*silence
}

// newNetwork makes a network to a broker's host:port. Close it.
func newNetwork(t *testing.T, upstream string) *network {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n := &network{proxy: toxiproxy.NewProxy(server, "broker", "127.0.0.1:0", upstream)}
	if err := n.proxy.Start(); err != nil {
		t.Fatalf("start the proxy: %v", err)
	}
	for _, way := range []string{"upstream", "downstream"} {
		wrapper := n.add(t, way, "silence", "{}")
		n.silence = append(n.silence, wrapper.Toxic.(*silence))
	}
	return n
}

// address is where goslo finds the broker.
func (n *network) address() string { return n.proxy.Listen }

// cut closes all connections and refuses new ones, until mend.
func (n *network) cut() { n.proxy.Stop() }

func (n *network) mend() error { return n.proxy.Start() }

func (n *network) close() { n.proxy.Stop() }

// hush drops, in both directions and for good, what is sent on the connections that there are. New ones are well.
func (n *network) hush() {
	for _, s := range n.silence {
		s.fallen.Add(1)
	}
}

// add makes what goes one way suffer from a toxic.
func (n *network) add(t *testing.T, way, toxic, attributes string) *toxics.ToxicWrapper {
	t.Helper()
	wrapper, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name": "%s %s", "type": %q, "stream": %q, "attributes": %s}`, toxic, way, toxic, way, attributes)))
	if err != nil {
		t.Fatalf("add toxic %s: %v", toxic, err)
	}
	return wrapper
}

// both is add in both directions.
func (n *network) both(t *testing.T, toxic, attributes string) {
	t.Helper()
	n.add(t, "upstream", toxic, attributes)
	n.add(t, "downstream", toxic, attributes)
}

// cure ends what both began.
func (n *network) cure(ctx context.Context, t *testing.T, toxic string) {
	t.Helper()
	for _, way := range []string{"upstream", "downstream"} {
		if err := n.proxy.Toxics.RemoveToxic(ctx, toxic+" "+way); err != nil {
			t.Errorf("remove toxic %s: %v", toxic, err)
		}
	}
}

// silence is a toxic. It is toxiproxy's timeout 0, but for the connections only that were made before it fell: with
// that one, nobody could connect again.
type silence struct {
	fallen atomic.Int64 // how often
}

func init() { toxics.Register("silence", new(silence)) }

// NewState notes how often it had fallen when a connection began.
func (s *silence) NewState() any {
	begun := s.fallen.Load()
	return &begun
}

// Pipe passes on or drops what comes, until the link ends or is rebuilt.
func (s *silence) Pipe(stub *toxics.ToxicStub) {
	begun := *stub.State.(*int64)
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			if s.fallen.Load() == begun {
				stub.Output <- chunk
			}
		}
	}
}
