package rabbit

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

func TestDialOfAClosedPortFailsWithoutPassword(t *testing.T) {
	t.Parallel()
	o := DefaultOptions()
	host := transport.Host{Name: "127.0.0.1", Port: 1, User: "user", Password: "s3cr3t"}
	_, err := dial(t.Context(), host, "vh", "publish", &o)
	wantError(t, "dial", err, syscall.ECONNREFUSED)
	if text := err.Error(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "\n") || !strings.HasPrefix(text, "dial: ") {
		t.Errorf("dial = %q, want one line without password that says what failed", text)
	}
}

// silentBroker accepts connections, takes what comes and never answers.
func silentBroker(tb testing.TB) transport.Host {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for {
			socket, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Go(func() {
				_, _ = io.Copy(io.Discard, socket)
				socket.Close()
			})
		}
	})
	tb.Cleanup(func() { l.Close(); accepted.Wait() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatal(err)
	}
	return transport.Host{Name: "127.0.0.1", Port: number, User: "user", Password: "s3cr3t"}
}

// TestDialOfASilentBrokerEndsWithItsContext: without one, the guard ends it; see
// TestSilentBrokerEndsTheLibrarysHandshake.
func TestDialOfASilentBrokerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	host := silentBroker(t)
	o := DefaultOptions()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := dial(ctx, host, "vh", "publish", &o)
	wantError(t, "dial", err, context.DeadlineExceeded)
	if waited := time.Since(begun); waited >= handshakeTimeout {
		t.Errorf("dial took %s", waited)
	}
	if text := err.Error(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "\n") || !strings.HasPrefix(text, "handshake: ") {
		t.Errorf("dial = %q, want one line without password that says what failed", text)
	}
	reason := errors.New("the driver is closed")
	cancelled, stop := context.WithCancelCause(t.Context())
	stop(reason)
	if _, err := dial(cancelled, host, "vh", "publish", &o); err == nil {
		t.Error("dial succeeds though its context had ended")
	}
}

func TestCloseEndsAHandshakeThatIsUnderWay(t *testing.T) {
	t.Parallel()
	const tries = 5 // the machine has other work too
	var took []time.Duration
	for range tries {
		took = append(took, closeInHandshake(t))
		if slices.Min(took) < closeTimeout {
			return
		}
	}
	t.Errorf("Close took %s, want it not to wait for the broker", took)
}

// closeInHandshake tells how long a driver takes to close that dials a broker which says nothing.
func closeInHandshake(t *testing.T) time.Duration {
	t.Helper()
	host := silentBroker(t)
	d, _ := open(t, "rabbit://127.0.0.1:"+strconv.Itoa(host.Port)+"/")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // the time in which it dials
	defer cancel()
	wantError(t, "await", d.publisher.await(ctx, transport.RetryForever), transport.ErrNotConnected)
	begun := time.Now()
	if err := d.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	return time.Since(begun)
}

func TestHandshakeErrorTellsWhoEndedIt(t *testing.T) {
	t.Parallel()
	failed := &amqp091.Error{Code: 403, Reason: "ACCESS_REFUSED", Server: true}
	o := DefaultOptions()
	var refused *BrokerError
	if err := handshakeError(t.Context(), &o, failed); !errors.As(err, &refused) || refused.Code != 403 {
		t.Errorf("error = %v, want the broker's", err)
	}
	if err := handshakeError(t.Context(), &o, amqp091.ErrSASL); !strings.Contains(err.Error(), "does not offer the login method AMQPLAIN") {
		t.Errorf("error = %v, want one that names the login method", err)
	}
	reason := errors.New("the driver is closed")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	wantError(t, "error", handshakeError(ctx, &o, failed), reason)
}

func TestPortIsAMQPsWhereTheURLHasNone(t *testing.T) {
	t.Parallel()
	for port, want := range map[int]int{0: 5672, 5671: 5671} {
		if got := portOf(transport.Host{Port: port}); got != want {
			t.Errorf("portOf(%d) = %d, want %d", port, got, want)
		}
	}
}

func TestConnectionNameIsMadeAsOsloMakesIt(t *testing.T) {
	t.Parallel()
	name, _ := clientProperties("consume")["connection_name"].(string)
	parts := strings.Split(name, ":")
	if len(parts) != 3 || !strings.HasSuffix(name, " consume") || len(parts[2]) != 32+len(" consume") {
		t.Errorf("connection name %q, want <program>:<pid>:<id> <purpose>", name)
	}
}

// emptySession is a session without the library's connection, on a pipe.
func emptySession(tb testing.TB) (*session, net.Conn) {
	tb.Helper()
	socket, peer := net.Pipe()
	return &session{conn: newConn(socket, 0), ended: make(chan struct{})}, peer
}

// sessionWith is an empty session with a host.
func sessionWith(tb testing.TB, host transport.Host) *session {
	tb.Helper()
	s, peer := emptySession(tb)
	tb.Cleanup(func() { s.conn.Close(); peer.Close() })
	s.host = host
	return s
}

func TestSessionEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason *amqp091.Error
		want   error
	}{
		"for a reason of the broker's":  {&amqp091.Error{Code: 320, Reason: "CONNECTION_FORCED", Server: true}, &BrokerError{Code: 320, Text: "CONNECTION_FORCED"}},
		"for a reason of the network's": {&amqp091.Error{Code: 501, Reason: "EOF"}, nil},
		"without a reason":              {nil, transport.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, peer := emptySession(t)
			defer peer.Close()
			closed := make(chan *amqp091.Error, 1)
			s.watcher.Go(func() { s.watch(closed) })
			if s.hasEnded() {
				t.Error("the session has ended before its connection")
			}
			if c.reason != nil {
				closed <- c.reason
			}
			close(closed)
			<-s.ended
			s.watcher.Wait()
			if !s.hasEnded() {
				t.Error("the session has not ended")
			}
			if got := s.cause(); c.want != nil && got.Error() != c.want.Error() || got == nil {
				t.Errorf("cause = %v, want %v", got, c.want)
			}
			if _, err := s.conn.Write([]byte("x")); !errors.Is(err, errConnClosed) {
				t.Errorf("Write = %v, want the socket closed", err)
			}
			s.conn.sender.Wait()
		})
	}
}

func TestBrokerThatDoesNotAnswerCostsTheSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := emptySession(t)
		defer peer.Close()
		s.bounded(func() {}) // done in time
		begun := time.Now()
		s.bounded(func() {
			if _, err := s.conn.Read(make([]byte, 1)); err == nil { // as a method that waits for its answer
				t.Error("Read succeeds")
			}
		})
		if waited := time.Since(begun); waited != closeTimeout {
			t.Errorf("it took %s, want %s", waited, closeTimeout)
		}
		s.conn.sender.Wait()
	})
}
