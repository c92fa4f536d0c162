package rabbit

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readBuffer is how much one read from the socket may bring; the library reads 4 KiB at once.
	readBuffer = 64 << 10
	// maxUnsent is how much may wait for the socket before writers wait too.
	maxUnsent = 1 << 20
	// writeTimeout is how long one write to the socket may take. Without a limit a publish that TCP blocks
	// holds the library's locks, stops its heartbeats and makes its Close hang.
	writeTimeout = 20 * time.Second
	// flushTimeout is how long Close tries to send what is left.
	flushTimeout = time.Second
	// quiet is how long nothing must have been sent for a write to go straight to the socket: collecting pays
	// when there is more to come, and costs a lone caller the time to wake the sender.
	quiet = 100 * time.Microsecond
)

var errConnClosed = errors.New("connection closed")

// conn stands between the AMQP library and the socket.
//
// Writes are collected: while one is in the kernel, what comes meanwhile piles up and goes out with the next
// system call. Only after a pause is a write made at once, on the goroutine of who writes. Reads are guarded: silence for longer than the guard allows ends the connection, from the first
// byte of the handshake on. kill closes the socket at once, whatever the library is doing with it.
//
// Its goroutine, which sends, ends with Close, kill or the first error.
type conn struct {
	socket net.Conn
	reader *bufio.Reader
	guard  atomic.Int64 // nanoseconds of silence allowed; 0 is no limit

	mu             sync.Mutex // protects what follows
	unsent         []byte
	spare          []byte // the buffer that was sent last, to be filled again
	err            error
	room           sync.Cond // signalled when unsent shrinks or err is set
	busy           bool      // somebody writes to the socket
	last           time.Time // when that last ended
	taken, written uint64    // bytes taken over from writers, and of these, written
	waiting        []afterWrite
	until          time.Time // when Close gives up sending; zero before Close

	wake   chan struct{} // there is something to send, or the end
	sender sync.WaitGroup
}

func newConn(socket net.Conn, guard time.Duration) *conn {
	c := &conn{socket: socket, wake: make(chan struct{}, 1)}
	c.room.L = &c.mu
	c.guard.Store(int64(guard))
	c.reader = bufio.NewReaderSize(guardedReader{c}, readBuffer)
	c.sender.Go(c.send)
	return c
}

// setGuard changes how long the peer may be silent, for a read that is under way too.
func (c *conn) setGuard(silence time.Duration) {
	c.guard.Store(int64(silence))
	_ = c.arm(silence) // fails on a closed socket only, which the reader notices
}

func (c *conn) arm(silence time.Duration) error {
	var deadline time.Time
	if silence > 0 {
		deadline = time.Now().Add(silence)
	}
	return c.socket.SetReadDeadline(deadline)
}

// guardedReader reads from the socket with a fresh deadline each time.
type guardedReader struct{ c *conn }

func (g guardedReader) Read(p []byte) (int, error) {
	for {
		guard := g.c.guard.Load()
		if err := g.c.arm(time.Duration(guard)); err != nil {
			return 0, err
		}
		if g.c.guard.Load() == guard { // else setGuard came in between, and its deadline was overwritten
			return g.c.socket.Read(p)
		}
	}
}

func (c *conn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// afterWrite is what is closed when so many bytes are written.
type afterWrite struct {
	bytes uint64
	done  []chan struct{}
}

// afterWrites closes done when what was taken over up to now is with the kernel, which sends it even when this process
// ends. When that fails, it does not.
func (c *conn) afterWrites(done []chan struct{}) {
	if len(done) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, afterWrite{c.taken, done})
	c.tellWritten()
}

// tellWritten is called with the lock held.
func (c *conn) tellWritten() {
	n := 0
	for ; n < len(c.waiting) && c.waiting[n].bytes <= c.written; n++ {
		for _, done := range c.waiting[n].done {
			close(done)
		}
	}
	c.waiting = slices.Delete(c.waiting, 0, n)
}

// Write takes p over for sending. It waits only while too much is unsent.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	for len(c.unsent) > maxUnsent && c.err == nil {
		c.room.Wait()
	}
	if c.err != nil {
		c.mu.Unlock()
		return 0, c.err
	}
	c.taken += uint64(len(p))
	if !c.busy && len(c.unsent) == 0 && time.Since(c.last) > quiet {
		c.busy = true
		c.mu.Unlock()
		return c.writeDirect(p)
	}
	c.unsent = append(c.unsent, p...)
	c.mu.Unlock()
	c.nudge()
	return len(p), nil
}

// writeDirect writes without the sender, which keeps away meanwhile.
func (c *conn) writeDirect(p []byte) (int, error) {
	if err := c.write(p); err != nil {
		c.fail(err)
		return 0, err
	}
	c.mu.Lock()
	more := len(c.unsent) > 0 || c.err != nil
	c.mu.Unlock()
	if more {
		c.nudge()
	}
	return len(p), nil
}

func (c *conn) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// send writes what is unsent until the connection ends.
func (c *conn) send() {
	for range c.wake {
		for {
			batch, ended := c.take()
			if len(batch) > 0 {
				if err := c.write(batch); err != nil {
					c.fail(err)
					return
				}
			}
			if ended {
				return
			}
			if len(batch) == 0 {
				break
			}
		}
	}
}

// take swaps the buffers, unless somebody else is at the socket, who wakes the sender again.
func (c *conn) take() (batch []byte, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil && !errors.Is(c.err, errConnClosed) {
		return nil, true
	}
	if c.busy {
		return nil, false
	}
	batch = c.unsent
	if cap(c.spare) > maxUnsent { // a huge message went through: do not keep its memory
		c.spare = nil
	}
	c.unsent, c.spare = c.spare[:0], batch
	c.busy = len(batch) > 0
	c.room.Broadcast()
	return batch, c.err != nil
}

// write writes to the socket for who has set busy.
func (c *conn) write(batch []byte) error {
	c.mu.Lock()
	deadline := c.until
	if deadline.IsZero() {
		deadline = time.Now().Add(writeTimeout)
	}
	err := c.socket.SetWriteDeadline(deadline) // under the lock: not after Close has set a nearer one
	c.mu.Unlock()
	if err == nil {
		_, err = c.socket.Write(batch)
	}
	c.mu.Lock()
	c.busy, c.last = false, time.Now()
	if err == nil {
		c.written += uint64(len(batch))
		c.tellWritten()
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write to the broker: %w", err)
	}
	return nil
}

// fail notes the first error and closes the socket, which wakes the library's reader.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.room.Broadcast()
	c.mu.Unlock()
	c.nudge()
	_ = c.socket.Close() // closed twice is no harm
}

// Close sends what is unsent, for a second at most, and closes the socket.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.err == nil {
		c.err = errConnClosed
	}
	if c.until.IsZero() {
		c.until = time.Now().Add(flushTimeout)
	}
	_ = c.socket.SetWriteDeadline(c.until) // fails on a closed socket only
	c.room.Broadcast()
	c.mu.Unlock()
	c.nudge()
	c.sender.Wait()
	return c.socket.Close()
}

// kill closes the socket at once.
func (c *conn) kill() { c.fail(errConnClosed) }

// LocalAddr lets the library tell its address.
func (c *conn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// RemoteAddr lets the library tell the broker's address.
func (c *conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }
