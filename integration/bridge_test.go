//go:build integration

package integration_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// bridge is a proxy in front of a broker that reads what crosses it frame by frame, and can cut it, hold it back, and
// say to clients what a broker in alarm says: so a test knows how far a message has come when a fault strikes.
type bridge struct {
	url string // of the transport, over the bridge

	mu        sync.Mutex // protects what follows
	moved     *sync.Cond // signalled at every change
	down      bool       // new connections are closed at once
	hold      func(f *crossingFrame) bool
	crossings []*crossing
	passed    []string // bodies that went on to the broker
	queues    []string // that clients declared
}

// crossing is one connection over the bridge.
type crossing struct {
	client, server net.Conn
	write          sync.Mutex // guards writes to the client
	publishes      bool
	ended          bool
}

// crossingFrame is a frame on its way; one without a kind is the protocol header.
type crossingFrame struct {
	*crossing
	fromBroker    bool
	kind, channel int
	method        uint32 // 0 where it is none
	payload       []byte
}

// Methods that brokers send (AMQP 0-9-1, and RabbitMQ's extensions for alarms and confirms).
const (
	blockedMethod   = 10<<16 | 60
	unblockedMethod = 10<<16 | 61
	basicPublish    = 60<<16 | 40
	basicReturn     = 60<<16 | 50
	basicAck        = 60<<16 | 80
	basicNack       = 60<<16 | 120
)

func newBridge(tb testing.TB, transportURL string) *bridge {
	tb.Helper()
	b := &bridge{}
	b.moved = sync.NewCond(&b.mu)
	b.url = relay(tb, transportURL, b.cross, b.cut)
	return b
}

// cross connects a client with the broker until one of them closes.
func (b *bridge) cross(_ int, client net.Conn, behind string) {
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	if down {
		return
	}
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	c := &crossing{client: client, server: server}
	b.change(func() { b.crossings = append(b.crossings, c) })
	var both sync.WaitGroup
	both.Go(func() { b.pass(c, false); b.end(c) })
	both.Go(func() { b.pass(c, true); b.end(c) })
	both.Wait()
}

// end closes both sides, and wakes what is held back between them.
func (b *bridge) end(c *crossing) {
	b.change(func() { c.ended = true })
	_ = c.client.Close()
	_ = c.server.Close()
}

// pass hands on what comes from one side.
func (b *bridge) pass(c *crossing, fromBroker bool) {
	from := c.client
	if fromBroker {
		from = c.server
	} else {
		header := make([]byte, len("AMQP\x00\x00\x09\x01"))
		if _, err := io.ReadFull(from, header); err != nil || !b.admit(&crossingFrame{crossing: c}) {
			return
		}
		if _, err := c.server.Write(header); err != nil {
			return
		}
	}
	for {
		f := &crossingFrame{crossing: c, fromBroker: fromBroker}
		var err error
		if f.kind, f.channel, f.payload, err = readFrame(from); err != nil {
			return
		}
		if f.kind == frameMethod {
			f.method = binary.BigEndian.Uint32(f.payload)
		}
		if !b.admit(f) || f.forward() != nil {
			return
		}
		b.notePassed(f)
	}
}

func (f *crossingFrame) forward() error {
	if !f.fromBroker {
		return writeFrame(f.server, f.kind, f.channel, f.payload)
	}
	f.write.Lock()
	defer f.write.Unlock()
	return writeFrame(f.client, f.kind, f.channel, f.payload)
}

// admit notes a frame and waits until it may go on. It reports false where its connection ended meanwhile.
func (b *bridge) admit(f *crossingFrame) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !f.fromBroker {
		b.note(f)
	}
	for b.hold != nil && b.hold(f) && !f.ended {
		b.moved.Wait()
	}
	return !f.ended
}

// note is called with the lock held.
func (b *bridge) note(f *crossingFrame) {
	switch {
	case f.method == basicPublish:
		f.publishes = true
	case f.kind == frameMethod:
		if m, err := parseMethod(f.payload); err == nil && m != nil && m.Name == "queue.declare" {
			b.queues = append(b.queues, m.Fields["queue"].(string))
		}
	}
	b.moved.Broadcast()
}

func (b *bridge) notePassed(f *crossingFrame) {
	if f.kind == frameBody && !f.fromBroker {
		b.change(func() { b.passed = append(b.passed, string(f.payload)) })
	}
}

func (b *bridge) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.moved.Broadcast()
}

// cut ends the connections that there are.
func (b *bridge) cut() {
	b.mu.Lock()
	crossings := b.crossings
	b.crossings = nil
	b.mu.Unlock()
	for _, c := range crossings {
		b.end(c)
	}
}

// close cuts, and lets nobody across until open.
func (b *bridge) close() {
	b.change(func() { b.down = true })
	b.cut()
}

// open lets everybody and everything across again.
func (b *bridge) open() { b.change(func() { b.down, b.hold = false, nil }) }

// freeze holds back everything, as a broker that is stopped does: connections can be made, and nobody answers.
func (b *bridge) freeze() { b.holdBack(func(*crossingFrame) bool { return true }) }

// hush is freeze for the connections that there are: a link that is half open.
func (b *bridge) hush() {
	b.mu.Lock()
	there := make(map[*crossing]bool)
	for _, c := range b.crossings {
		there[c] = true
	}
	b.mu.Unlock()
	b.holdBack(func(f *crossingFrame) bool { return there[f.crossing] })
}

// holdConfirms holds back what the broker says of messages that it is sent.
func (b *bridge) holdConfirms() {
	b.holdBack(func(f *crossingFrame) bool {
		return f.fromBroker && (f.method == basicAck || f.method == basicNack || f.method == basicReturn)
	})
}

// deafen holds back what the broker delivers.
func (b *bridge) deafen() {
	b.holdBack(func(f *crossingFrame) bool { return f.fromBroker && f.method == basicDeliver })
}

func (b *bridge) holdBack(hold func(f *crossingFrame) bool) { b.change(func() { b.hold = hold }) }

// block does what a broker in alarm does: it says so to the connections that have published, and reads nothing more
// from them. unblock ends that.
func (b *bridge) block(tb testing.TB) {
	tb.Helper()
	b.mu.Lock()
	confirms := b.hold
	b.mu.Unlock()
	b.holdBack(func(f *crossingFrame) bool { return !f.fromBroker && f.publishes || confirms != nil && confirms(f) })
	reason := "low on memory"
	b.tell(tb, append(binary.BigEndian.AppendUint32(nil, blockedMethod), append([]byte{byte(len(reason))}, reason...)...))
}

func (b *bridge) unblock(tb testing.TB) {
	tb.Helper()
	b.tell(tb, binary.BigEndian.AppendUint32(nil, unblockedMethod))
	b.open()
}

// tell says something to the clients that have published.
func (b *bridge) tell(tb testing.TB, method []byte) {
	tb.Helper()
	b.mu.Lock()
	var publishers []*crossing
	for _, c := range b.crossings {
		if c.publishes && !c.ended {
			publishers = append(publishers, c)
		}
	}
	b.mu.Unlock()
	for _, c := range publishers {
		f := &crossingFrame{crossing: c, fromBroker: true, kind: frameMethod, payload: method}
		if err := f.forward(); err != nil {
			tb.Errorf("bridge: %v", err)
		}
	}
}

// awaitPassed waits until a message with that text has gone on to the broker.
func (b *bridge) awaitPassed(tb testing.TB, text string) {
	tb.Helper()
	eventually(tb, "a message with "+text, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.ContainsFunc(b.passed, func(body string) bool { return strings.Contains(body, text) })
	})
}

// queue is the last queue that was declared with a name that begins so.
func (b *bridge) queue(tb testing.TB, prefix string) string {
	tb.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Backward(b.queues) {
		if strings.HasPrefix(name, prefix) {
			return name
		}
	}
	tb.Fatalf("no queue %s... was declared", prefix)
	return ""
}
