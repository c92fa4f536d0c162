package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// Outcome is what [OnReady] has heard; its numbers are exit statuses of oslo.service's helper.
type Outcome int

const (
	// HeardReady means that the service is ready.
	HeardReady Outcome = 0
	// HeardOther means that the first message was another one.
	HeardOther Outcome = 1
	// HeardNothing means that no message came in time.
	HeardNothing Outcome = 2
)

// String says the outcome in words.
func (o Outcome) String() string {
	switch o {
	case HeardReady:
		return "ready"
	case HeardOther:
		return "another message"
	case HeardNothing:
		return "no message in time"
	default:
		return fmt.Sprintf("outcome %d", int(o))
	}
}

// OnReady binds the socket, a path or an abstract name with a leading @, and waits for the first message to it, for
// as long as timeout. A message is [HeardReady] if READY=1 is one of its lines. An error means that the socket
// could not be bound or read, or that ctx ended first.
func OnReady(ctx context.Context, socket string, timeout time.Duration) (Outcome, error) {
	r, err := ListenReady(socket)
	if err != nil {
		return HeardOther, err
	}
	defer r.Close()
	return r.Wait(ctx, timeout)
}

// Receiver is a bound notification socket, for a program that must bind it before it starts the service that will
// write to it. It is for one goroutine, except Close.
type Receiver struct {
	conn *net.UnixConn
	path string // to remove; empty for an abstract name
}

// ListenReady binds the socket.
func ListenReady(socket string) (*Receiver, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("systemd: wait for readiness: %w", err)
	}
	r := &Receiver{conn: conn}
	if !strings.HasPrefix(socket, "@") {
		r.path = socket
	}
	return r, nil
}

// Wait returns what the next message says, or [HeardNothing] after timeout.
func (r *Receiver) Wait(ctx context.Context, timeout time.Duration) (Outcome, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return HeardOther, fmt.Errorf("systemd: wait for readiness: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = r.conn.SetReadDeadline(time.Unix(1, 0)) })()
	var buf [4096]byte
	n, err := r.conn.Read(buf[:])
	switch {
	case err == nil && slices.Contains(strings.Split(string(buf[:n]), "\n"), Ready):
		return HeardReady, nil
	case err == nil:
		return HeardOther, nil
	case ctx.Err() != nil:
		return HeardNothing, fmt.Errorf("systemd: wait for readiness: %w", context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return HeardNothing, nil
	default:
		return HeardOther, fmt.Errorf("systemd: wait for readiness: %w", err)
	}
}

// Close closes the socket and removes its file.
func (r *Receiver) Close() error {
	err := r.conn.Close()
	if r.path != "" {
		err = errors.Join(err, os.Remove(r.path))
	}
	return err
}
