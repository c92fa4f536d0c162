package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// awaitAMQP returns the first of the URLs to answer a whole AMQP handshake. It tries until ctx ends: a log
// line that says "startup complete" may be the one of an earlier start.
func awaitAMQP(ctx context.Context, urls ...string) (string, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var last error
		for _, u := range urls {
			if last = handshake(ctx, u); last == nil {
				return u, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("no AMQP handshake: %w (last try: %w)", context.Cause(ctx), last)
		}
	}
}

// handshake opens and closes one connection, within 5 s whatever the broker does: closing the socket is what
// ends the library's waits on one that froze.
func handshake(ctx context.Context, amqpURL string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := amqp.DialConfig(amqpURL, amqp.Config{
		Dial: func(network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = c.Close() })
			}
			return c, err
		},
	})
	if err != nil {
		return err
	}
	return conn.Close()
}

// freePort finds a port on 127.0.0.1 that will still be free when the broker starts again: one below the range
// from which the kernel serves outgoing connections.
func freePort(ctx context.Context) (int, error) {
	for {
		port := 20000 + rand.IntN(12000)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}
