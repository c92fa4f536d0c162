package rabbit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rabbitmq/amqp091-go"
)

// gatedSocket is a socket whose writes wait until the test lets them through, one by one.
type gatedSocket struct {
	net.Conn
	gate chan error // what a write returns

	mu     sync.Mutex
	writes []string
	closed chan struct{}
	once   sync.Once
}

func newGatedSocket() *gatedSocket {
	return &gatedSocket{gate: make(chan error), closed: make(chan struct{})}
}

func (s *gatedSocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.writes = append(s.writes, string(p))
	s.mu.Unlock()
	select {
	case err := <-s.gate:
		return len(p), err
	case <-s.closed:
		return 0, net.ErrClosed
	}
}

func (s *gatedSocket) Read([]byte) (int, error) {
	<-s.closed
	return 0, net.ErrClosed
}

func (s *gatedSocket) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

func (s *gatedSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *gatedSocket) SetWriteDeadline(time.Time) error { return nil }

func (s *gatedSocket) written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// write writes on a goroutine of its own and hands over the error.
func write(c *conn, text string) <-chan error {
	done := make(chan error, 1)
	go func() {
		n, err := c.Write([]byte(text))
		if err == nil && n != len(text) {
			err = fmt.Errorf("%d of %d bytes: %w", n, len(text), io.ErrShortWrite)
		}
		done <- err
	}()
	return done
}

// pending checks that a write still waits.
func pending(tb testing.TB, done <-chan error) {
	tb.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		tb.Fatalf("the write ended with %v, want it to wait", err)
	default:
	}
}

// pipe is a conn and its peer, in a bubble.
func pipe(guard time.Duration) (c *conn, peer net.Conn) {
	socket, peer := net.Pipe()
	return newConn(socket, guard), peer
}

func TestWritesWhileOneIsBlockedGoOutTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		socket := newGatedSocket()
		c := newConn(socket, 0)
		first := write(c, "first ")
		pending(t, first) // nothing was sent before, so that it goes straight to the socket
		var want strings.Builder
		for i := range 100 {
			text := fmt.Sprint(i, " ")
			if err := <-write(c, text); err != nil {
				t.Fatal(err)
			}
			want.WriteString(text)
		}
		socket.gate <- nil
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		socket.gate <- nil
		synctest.Wait()
		if got := socket.written(); len(got) != 2 || got[0] != "first " || got[1] != want.String() {
			t.Errorf("written %q, want the first alone and all others at once", got)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
}

func TestWriteAfterAPauseWaitsForTheSocketAndOneSoonAfterDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		socket := newGatedSocket()
		c := newConn(socket, 0)
		for range 3 {
			direct := write(c, "direct")
			pending(t, direct)
			socket.gate <- nil
			if err := <-direct; err != nil {
				t.Fatal(err)
			}
			if err := <-write(c, "collected"); err != nil {
				t.Fatal(err)
			}
			socket.gate <- nil
			<-time.After(quiet + 1)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
}

// TestWhoWaitsForWritesIsToldWhenTheyAreMade waits for what was taken over, at several times.
func TestWhoWaitsForWritesIsToldWhenTheyAreMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		socket := newGatedSocket()
		c := newConn(socket, 0)
		after := func() chan struct{} {
			done := make(chan struct{})
			c.afterWrites([]chan struct{}{done})
			return done
		}
		want := func(written bool, done chan struct{}) {
			t.Helper()
			synctest.Wait()
			select {
			case <-done:
				if !written {
					t.Error("told of a write that is not made")
				}
			default:
				if written {
					t.Error("not told of a write that is made")
				}
			}
		}
		want(true, after()) // nothing was to be written
		direct := write(c, "one")
		pending(t, direct)
		first := after()
		if err := <-write(c, "two"); err != nil {
			t.Fatal(err)
		}
		second := after()
		want(false, first)
		socket.gate <- nil
		want(true, first)
		want(false, second)
		socket.gate <- nil
		want(true, second)
		if err := <-write(c, "three"); err != nil {
			t.Fatal(err)
		}
		third := after()
		socket.gate <- io.ErrClosedPipe
		want(false, third)
		if err := <-direct; err != nil {
			t.Error(err)
		}
		_ = c.Close() // tells of the error
	})
}

func TestWriterWaitsWhileTooMuchIsUnsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		socket := newGatedSocket()
		c := newConn(socket, 0)
		first := write(c, "first")
		synctest.Wait()
		if err := <-write(c, string(make([]byte, maxUnsent+1))); err != nil { // one write is taken whatever its size
			t.Fatal(err)
		}
		waiting := write(c, "waiting")
		pending(t, waiting)
		socket.gate <- nil
		for _, done := range []<-chan error{first, waiting} {
			if err := <-done; err != nil {
				t.Errorf("Write = %v", err)
			}
		}
		socket.gate <- nil
		socket.gate <- nil
		synctest.Wait()
		if got := socket.written(); len(got) != 3 || got[2] != "waiting" {
			t.Errorf("%d writes, want the first, the long one and the one that waited", len(got))
		}
		for i := range 4 { // the memory of the long one is given up
			if err := <-write(c, "more"); err != nil {
				t.Fatal(i, err)
			}
			socket.gate <- nil
			synctest.Wait()
		}
		c.mu.Lock()
		if kept := cap(c.unsent) + cap(c.spare); kept > maxUnsent {
			t.Errorf("buffers of %d bytes are kept", kept)
		}
		c.mu.Unlock()
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
}

func TestWriteErrorReachesWhoWritesAndWhoReads(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for name, fails := range map[string]func(t *testing.T, c *conn, socket *gatedSocket){
		"on the writer's goroutine": func(t *testing.T, c *conn, socket *gatedSocket) {
			t.Helper()
			first := write(c, "first")
			socket.gate <- broken
			wantError(t, "first Write", <-first, broken)
		},
		"on the sender's goroutine": func(t *testing.T, c *conn, socket *gatedSocket) {
			t.Helper()
			first := write(c, "first")
			synctest.Wait()
			if err := <-write(c, "second"); err != nil {
				t.Fatal(err)
			}
			socket.gate <- nil
			if err := <-first; err != nil {
				t.Fatal(err)
			}
			socket.gate <- broken
		},
		"while another waits for room": func(t *testing.T, c *conn, socket *gatedSocket) {
			t.Helper()
			first := write(c, "first")
			synctest.Wait()
			if err := <-write(c, string(make([]byte, maxUnsent+1))); err != nil {
				t.Fatal(err)
			}
			waiting := write(c, "waiting")
			synctest.Wait()
			socket.gate <- broken
			wantError(t, "first Write", <-first, broken)
			wantError(t, "waiting Write", <-waiting, broken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				socket := newGatedSocket()
				c := newConn(socket, 0)
				read := make(chan error, 1)
				go func() {
					_, err := c.Read(make([]byte, 1))
					read <- err
				}()
				fails(t, c, socket)
				wantError(t, "Read", <-read, net.ErrClosed)
				wantError(t, "next Write", <-write(c, "next"), broken)
				if err := c.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
				wantError(t, "Write after Close", <-write(c, "last"), broken)
			})
		})
	}
}

func TestPeerThatDoesNotReadEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, collected := range map[string]bool{"on the writer's goroutine": false, "on the sender's goroutine": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, peer := pipe(0)
				defer peer.Close()
				begun := time.Now()
				first := write(c, "first")
				if collected {
					synctest.Wait()
					if err := <-write(c, "second"); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(peer, make([]byte, len("first"))); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("Read succeeds, want it to end with the connection")
				}
				if waited := time.Since(begun); waited != writeTimeout {
					t.Errorf("the connection ended after %s, want %s", waited, writeTimeout)
				}
				if err := <-first; collected != (err == nil) {
					t.Errorf("first Write = %v", err)
				}
				wantError(t, "next Write", <-write(c, "next"), os.ErrDeadlineExceeded)
				_ = c.Close() // its socket is closed already
			})
		})
	}
}

func TestSilentPeerEndsTheConnection(t *testing.T) {
	t.Parallel()
	const guard = 10 * time.Second
	for name, c := range map[string]struct {
		play func(c *conn, peer net.Conn)
		want time.Duration
	}{
		"from the first byte on": {func(*conn, net.Conn) {}, guard},
		"counting from the last byte": {func(_ *conn, peer net.Conn) {
			for range 3 {
				<-time.After(9 * time.Second)
				_, _ = peer.Write([]byte("x"))
			}
		}, 3*9*time.Second + guard},
		"with a longer guard, for a read that is under way": {func(c *conn, _ net.Conn) {
			<-time.After(4 * time.Second)
			c.setGuard(time.Minute)
		}, 64 * time.Second},
		"with a shorter guard, for a read that is under way": {func(c *conn, _ net.Conn) {
			<-time.After(4 * time.Second)
			c.setGuard(time.Second)
		}, 5 * time.Second},
		"with another guard, for the reads to come": {func(c *conn, peer net.Conn) {
			<-time.After(4 * time.Second)
			c.setGuard(20 * time.Second)
			<-time.After(10 * time.Second)
			_, _ = peer.Write([]byte("x"))
		}, 34 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				guarded, peer := pipe(guard)
				begun := time.Now()
				var player sync.WaitGroup
				player.Go(func() { c.play(guarded, peer) })
				n, err := io.Copy(io.Discard, readerOf(guarded))
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Read = %d, %v; want a deadline", n, err)
				}
				if waited := time.Since(begun); waited != c.want {
					t.Errorf("Read ended after %s, want %s", waited, c.want)
				}
				if err := guarded.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
				peer.Close()
				player.Wait()
			})
		})
	}
}

// slowDeadline is a socket whose first read deadline takes its time.
type slowDeadline struct {
	net.Conn
	calls    atomic.Int32
	release  chan struct{}
	deadline atomic.Pointer[time.Time]
}

func (s *slowDeadline) SetReadDeadline(t time.Time) error {
	if s.calls.Add(1) == 1 {
		<-s.release
	}
	s.deadline.Store(&t)
	return nil
}

func (s *slowDeadline) Read([]byte) (int, error) { return 0, io.EOF }

func TestNewGuardIsNotOverwrittenByAReadThatBegins(t *testing.T) {
	t.Parallel()
	for _, guard := range []time.Duration{time.Minute, 0} {
		synctest.Test(t, func(t *testing.T) {
			pipe, peer := net.Pipe()
			defer peer.Close()
			socket := &slowDeadline{Conn: pipe, release: make(chan struct{})}
			c := newConn(socket, time.Second)
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1))
				read <- err
			}()
			synctest.Wait() // the read is about to set the deadline of the old guard
			c.setGuard(guard)
			close(socket.release)
			wantError(t, "Read", <-read, io.EOF)
			var want time.Time
			if guard > 0 {
				want = time.Now().Add(guard)
			}
			if got := *socket.deadline.Load(); !got.Equal(want) {
				t.Errorf("guard %s: the read has deadline %s, want %s", guard, got, want)
			}
			if err := c.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		})
	}
}

// readerOf hides that a conn is more than a reader.
func readerOf(c *conn) io.Reader { return struct{ io.Reader }{c} }

func TestWithoutGuardThePeerMayBeSilent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after time.Duration }{
		"from the beginning":           {0, 0},
		"after the handshake":          {time.Second, 0},
		"with a heartbeat that is off": {time.Second, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				guarded, peer := pipe(c.before)
				guarded.setGuard(c.after)
				go func() {
					<-time.After(time.Hour)
					_, _ = peer.Write([]byte("late"))
					peer.Close()
				}()
				if got, err := io.ReadAll(readerOf(guarded)); err != nil || string(got) != "late" {
					t.Errorf("read %q, %v; want what comes after an hour", got, err)
				}
				if err := guarded.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
			})
		})
	}
}

func TestKillEndsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(0)
		defer peer.Close()
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		first := write(c, "first")
		synctest.Wait()
		if err := <-write(c, string(make([]byte, maxUnsent+1))); err != nil {
			t.Fatal(err)
		}
		waiting := write(c, "waiting")
		pending(t, waiting)
		begun := time.Now()
		c.kill()
		c.kill()
		for name, done := range map[string]<-chan error{"Read": read, "Write at the socket": first} {
			if err := <-done; err == nil {
				t.Errorf("%s succeeds after kill", name)
			}
		}
		wantError(t, "Write that waits for room", <-waiting, errConnClosed)
		wantError(t, "Write after kill", <-write(c, "more"), errConnClosed)
		_ = c.Close() // its socket is closed already
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("it took %s to end", waited)
		}
	})
}

func TestKillOfAnIdleConnectionEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(*testing.T) {
		c, peer := pipe(0)
		defer peer.Close()
		c.kill()
		c.sender.Wait()
	})
}

func TestCloseSendsWhatIsUnsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(0)
		got := make(chan []byte)
		first := write(c, "first ")
		synctest.Wait()
		for _, text := range []string{"second ", "third"} {
			if err := <-write(c, text); err != nil {
				t.Fatal(err)
			}
		}
		go func() {
			<-time.After(flushTimeout / 2)
			all, _ := io.ReadAll(peer)
			got <- all
		}()
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := <-first; err != nil {
			t.Errorf("first Write = %v", err)
		}
		if got := <-got; string(got) != "first second third" {
			t.Errorf("the peer got %q, want everything", got)
		}
		wantError(t, "Write after Close", <-write(c, "more"), errConnClosed)
		if err := c.Close(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("second Close = %v", err)
		}
	})
}

func TestCloseGivesUpAPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(0)
		defer peer.Close()
		first := write(c, "first")
		synctest.Wait()
		if err := <-write(c, "second"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_ = c.Close() // its socket is closed by the failed write
		if waited := time.Since(begun); waited != flushTimeout {
			t.Errorf("Close took %s, want %s", waited, flushTimeout)
		}
		wantError(t, "first Write", <-first, os.ErrDeadlineExceeded)
	})
}

func TestCloseGivesUpAPeerThatStopsReadingMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(0)
		defer peer.Close()
		first := write(c, "first")
		synctest.Wait()
		if err := <-write(c, "second"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		closed := make(chan struct{})
		go func() {
			_ = c.Close() // its socket is closed by the failed write
			close(closed)
		}()
		<-time.After(flushTimeout / 2)
		if _, err := io.ReadFull(peer, make([]byte, len("first"))); err != nil {
			t.Fatal(err)
		}
		if err := <-first; err != nil {
			t.Errorf("first Write = %v", err)
		}
		<-closed
		if waited := time.Since(begun); waited != flushTimeout {
			t.Errorf("Close took %s, want %s", waited, flushTimeout)
		}
	})
}

func TestConnTellsItsAddresses(t *testing.T) {
	t.Parallel()
	socket, peer := loopback(t)
	defer peer.Close()
	c := newConn(socket, 0)
	if c.LocalAddr() != socket.LocalAddr() || c.RemoteAddr() != socket.RemoteAddr() {
		t.Errorf("addresses %s and %s, want the socket's", c.LocalAddr(), c.RemoteAddr())
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}

// loopback is a pair of connected sockets.
func loopback(tb testing.TB) (here, there net.Conn) {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		socket, _ := l.Accept()
		accepted <- socket
	}()
	if here, err = new(net.Dialer).DialContext(tb.Context(), "tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if there = <-accepted; there == nil {
		tb.Fatal("nothing was accepted")
	}
	return here, there
}

// TestManyWritersOverARealSocketLoseNothing is for the race detector as well: each writer's lines must arrive in
// their order, whole.
func TestManyWritersOverARealSocketLoseNothing(t *testing.T) {
	t.Parallel()
	socket, peer := loopback(t)
	setUserTimeout(socket, writeTimeout)
	c := newConn(socket, 0)
	const writers, each = 8, 500
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(c, "%d %d %s\n", w, i, bytes.Repeat([]byte("."), i)); err != nil {
					t.Errorf("Write = %v", err)
					return
				}
			}
		})
	}
	go func() {
		writing.Wait()
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}()
	echo := newConn(peer, time.Minute)
	all, err := io.ReadAll(readerOf(echo))
	if err != nil {
		t.Fatal(err)
	}
	if err := echo.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	next := make([]int, writers)
	for line := range bytes.Lines(all) {
		var w, i int
		if _, err := fmt.Sscanf(string(line), "%d %d", &w, &i); err != nil || next[w] != i || bytes.Count(line, []byte(".")) != i {
			t.Fatalf("writer %d: line %q, %v; want number %d", w, line, err, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines arrived, want %d", w, n, each)
		}
	}
}

// TestSilentBrokerEndsTheLibrarysHandshake runs the AMQP library on a conn whose peer takes everything and never
// answers, or stops in the middle of a frame.
func TestSilentBrokerEndsTheLibrarysHandshake(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"from the first byte": "", "within a frame": "\x01\x00\x00\x00\x00\x01\xff\x00\x0a"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, peer := pipe(handshakeTimeout)
				var broker sync.WaitGroup
				broker.Go(func() { _, _ = io.Copy(io.Discard, peer) })
				if says != "" {
					broker.Go(func() { _, _ = io.WriteString(peer, says) })
				}
				begun := time.Now()
				_, err := amqp091.Open(c, amqp091.Config{SASL: []amqp091.Authentication{&amqp091.PlainAuth{}}, Vhost: "/"})
				if err == nil {
					t.Fatal("the handshake succeeds")
				}
				if waited := time.Since(begun); waited != handshakeTimeout {
					t.Errorf("the handshake ended after %s, want %s", waited, handshakeTimeout)
				}
				_ = c.Close() // the library has closed it
				peer.Close()
				broker.Wait()
			})
		})
	}
}
