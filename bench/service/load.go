package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	clients      = 16                    // with a connection each that they keep
	shortRequest = 20 * time.Millisecond // how long a handler works
	slowRequest  = time.Second
	think        = 20 * time.Millisecond // between two requests of a client
	slowPath     = "/slow"
	// warmUp lets every client have some answers before something happens.
	warmUp = 500 * time.Millisecond
)

// load is clients that send one request after the other to a service. A request that was sent, or that found nobody to
// connect to, and has no answer is lost; a connection that ends between requests loses nothing.
type load struct {
	address   string
	reconnect bool // else a client ends with its first connection

	answered, lost atomic.Int64
	clients        sync.WaitGroup
	over           atomic.Bool
}

// start starts the clients one after the other, so that at each moment some have a request in flight.
func (l *load) start(ctx context.Context) error {
	for range clients {
		if err := pause(ctx, (shortRequest+think)/clients); err != nil {
			return err
		}
		l.clients.Go(l.client)
	}
	return pause(ctx, warmUp)
}

// stop lets clients finish their requests and waits for them.
func (l *load) stop() {
	l.over.Store(true)
	l.clients.Wait()
}

func (l *load) client() {
	for first := true; !l.over.Load() && (first || l.reconnect); first = false {
		c, err := dial(l.address)
		if err != nil {
			l.lost.Add(1)
			_ = pause(context.Background(), think) // which does not end
			continue
		}
		l.use(c)
		_ = c.Close() // it may be broken
	}
}

// use sends requests on a connection until it ends.
func (l *load) use(c *connection) {
	for !l.over.Load() {
		more, err := c.request("/")
		if err != nil {
			l.lost.Add(1)
			return
		}
		l.answered.Add(1)
		if !more || c.endsWithin(think) {
			return
		}
	}
}

// connection speaks HTTP without any repetition of requests, which net/http's client would do unseen.
type connection struct {
	net.Conn
	in *bufio.Reader
}

func dial(address string) (*connection, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReader(c)}, nil
}

// request gets an answer and tells whether the connection may be used for another.
func (c *connection) request(path string) (more bool, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return false, err
	}
	body := make([]byte, len("done\n")+1)
	n, _ := resp.Body.Read(body) // what is wrong is seen by what it has read
	if resp.StatusCode != http.StatusOK || string(body[:n]) != "done\n" {
		return false, fmt.Errorf("the answer is %s, %q", resp.Status, body[:n])
	}
	return !resp.Close, resp.Body.Close()
}

// endsWithin waits for a while and tells whether the connection has ended meanwhile.
func (c *connection) endsWithin(d time.Duration) bool {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return true
	}
	_, err := c.in.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// slow is a request that is in flight when something happens.
type slow struct {
	worker int // that has it
	result chan error
}

func startSlow(ctx context.Context, p *program, address string) (slow, error) {
	s := slow{result: make(chan error, 1)}
	c, err := dial(address)
	if err != nil {
		return s, err
	}
	go func() { // ends with the answer, or after patience; wait waits for it
		_, err := c.request(slowPath)
		s.result <- errors.Join(err, c.Close())
	}()
	told, err := p.await(ctx, eventSlow, 1)
	if err != nil {
		return s, errors.Join(err, s.wait())
	}
	s.worker = told[0].pid()
	return s, nil
}

func (s slow) wait() error { return <-s.result }

// lost is 1 for a request without an answer.
func (s slow) lost() float64 {
	if s.wait() != nil {
		return 1
	}
	return 0
}

// address is where the program listens.
func (p *program) address(ctx context.Context) (string, error) {
	told, err := p.await(ctx, eventListening, 1)
	if err != nil {
		return "", err
	}
	if _, err := strconv.ParseUint(told[0].what, 10, 16); err != nil {
		return "", fmt.Errorf("the program listens on a strange port: %w", err)
	}
	return net.JoinHostPort("127.0.0.1", told[0].what), nil
}

// loseAtStop stops the whole service. Clients do not connect again, which nobody could serve.
func loseAtStop(ctx context.Context, p *program) ([]float64, error) {
	address, err := p.address(ctx)
	if err != nil {
		return nil, err
	}
	l := &load{address: address}
	defer l.stop()
	if err := l.start(ctx); err != nil {
		return nil, err
	}
	s, err := startSlow(ctx, p, address)
	if err != nil {
		return nil, err
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return nil, errors.Join(err, s.wait())
	}
	lost := s.lost()
	if _, err := p.awaitEnd(ctx); err != nil {
		return nil, err
	}
	l.stop()
	return []float64{lost, float64(l.lost.Load())}, nil
}

// loseAtWorkerStop stops one worker, which is replaced. Clients connect again when they are asked to, or must.
func loseAtWorkerStop(ctx context.Context, p *program) ([]float64, error) {
	address, err := p.address(ctx)
	if err != nil {
		return nil, err
	}
	l := &load{address: address, reconnect: true}
	defer l.stop()
	if err := l.start(ctx); err != nil {
		return nil, err
	}
	s, err := startSlow(ctx, p, address)
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(s.worker, syscall.SIGTERM); err != nil {
		return nil, errors.Join(err, s.wait())
	}
	lost := s.lost()
	if _, err := p.await(ctx, eventStarted, workers+1); err != nil {
		return nil, err
	}
	if err := pause(ctx, warmUp); err != nil {
		return nil, err
	}
	l.stop()
	return []float64{lost, float64(l.lost.Load()), float64(l.answered.Load())}, nil
}
