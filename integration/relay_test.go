//go:build integration

package integration_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
)

// relay stands in front of the broker of a transport URL, as proxies of all kinds do, and tells the URL of the transport
// that leads over it, without options. It has serve connect each client with the broker, on a goroutine that closes the
// client behind it; clients are counted from 1. When the test ends it takes no more of them, calls cut, which may be nil
// where all have gone by then, and waits.
func relay(tb testing.TB, transportURL string, serve func(number int, client net.Conn, behind string), cut func()) string {
	tb.Helper()
	uri, err := amqp.ParseURI(broker.AMQP(transportURL))
	if err != nil {
		tb.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	behind := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
	var running sync.WaitGroup
	running.Go(func() {
		for number := 1; ; number++ {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer client.Close()
				serve(number, client, behind)
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		if cut != nil {
			cut()
		}
		running.Wait()
	})
	return fmt.Sprintf("rabbit://%s:%s@%s/%s", uri.Username, uri.Password, l.Addr(), strings.TrimPrefix(uri.Vhost, "/"))
}
