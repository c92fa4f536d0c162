//go:build integration

package integration_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// muffler is a proxy in front of a broker that can keep from its clients what would tell them, or would have told
// them, that they hear nothing, and from the broker what they publish: the connection looks healthy.
type muffler struct {
	url       string      // of the transport, through the muffler
	cancels   atomic.Bool // swallow that the broker cancelled a consumer
	messages  atomic.Bool // swallow deliveries
	publishes atomic.Bool // swallow what is published

	mu        sync.Mutex              // protects what follows, and writes to the broker
	consumers map[string]func() error // cancel the consumer of a queue behind its client's back

	told    sync.Mutex // protects what follows, and writes to clients
	clients map[net.Conn]bool
}

// Methods of class basic (AMQP 0-9-1, section 1.8).
const (
	basicCancel  = 60<<16 | 30 // by who consumes, or by the broker
	basicDeliver = 60<<16 | 60
)

// Methods of class connection that RabbitMQ has added (its page on blocked connections).
const (
	connectionBlocked   = 10<<16 | 60
	connectionUnblocked = 10<<16 | 61
)

// block tells the clients, in the broker's name, that it takes no messages for now, or that it takes them again.
func (m *muffler) block(blocked bool) {
	payload := binary.BigEndian.AppendUint32(nil, connectionUnblocked)
	if blocked {
		const reason = "low on memory"
		payload = append(append(binary.BigEndian.AppendUint32(nil, connectionBlocked), byte(len(reason))), reason...)
	}
	m.told.Lock()
	defer m.told.Unlock()
	for client := range m.clients {
		_ = writeFrame(client, frameMethod, 0, payload) // to who has gone it makes no difference
	}
}

func newMuffler(tb testing.TB, transportURL string) *muffler {
	tb.Helper()
	m := &muffler{consumers: make(map[string]func() error), clients: make(map[net.Conn]bool)}
	m.url = relay(tb, transportURL, m.muffle, nil)
	return m
}

// muffle connects a client with the broker until one of them closes.
func (m *muffler) muffle(_ int, client net.Conn, behind string) {
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	var forwarding sync.WaitGroup
	forwarding.Go(func() { // until the client closes
		_ = m.forward(server, client)
		_ = server.Close()
	})
	_ = m.pass(client, server) // until the broker does
	m.told.Lock()
	delete(m.clients, client)
	m.told.Unlock()
	_ = client.Close()
	forwarding.Wait()
}

// forward hands on what a client says, frame by frame, and remembers its consumers.
func (m *muffler) forward(server io.Writer, client io.Reader) error {
	if _, err := io.CopyN(server, client, int64(len("AMQP\x00\x00\x09\x01"))); err != nil {
		return err
	}
	content := make(map[int]bool) // the channels on which the content of a swallowed message is to come
	for {
		kind, channel, payload, err := readFrame(client)
		if err != nil {
			return err
		}
		method, err := parseMethod(payload)
		if kind != frameMethod || err != nil {
			method = nil
		}
		if kind == frameMethod {
			content[channel] = method != nil && method.Name == "basic.publish" && m.publishes.Load()
		}
		if content[channel] {
			continue
		}
		m.mu.Lock()
		if method != nil && method.Name == "basic.consume" {
			m.consumers[method.Fields["queue"].(string)] = func() error {
				return writeFrame(server, kind, channel, cancelOf(method.Fields["consumer_tag"].(string)))
			}
		}
		err = writeFrame(server, kind, channel, payload)
		m.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func writeFrame(w io.Writer, kind, channel int, payload []byte) error {
	frame := binary.BigEndian.AppendUint16([]byte{byte(kind)}, uint16(channel))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(payload)))
	_, err := w.Write(append(append(frame, payload...), frameEnd))
	return err
}

// cancelOf is a basic.cancel that asks for no answer.
func cancelOf(tag string) []byte {
	method := append(binary.BigEndian.AppendUint32(nil, basicCancel), byte(len(tag)))
	return append(append(method, tag...), 1)
}

// drop takes the consumer of a queue away. Neither side says a word to the client.
func (m *muffler) drop(t *testing.T, queue string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if cancel := m.consumers[queue]; cancel == nil || cancel() != nil {
		t.Fatalf("nobody consumes queue %s through the muffler", queue)
	}
}

// deafen is drop for the queues on which replies come.
func (m *muffler) deafen(tb testing.TB) {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for queue, cancel := range m.consumers {
		if strings.HasPrefix(queue, "reply_") {
			if err := cancel(); err != nil {
				tb.Errorf("cancel the consumer of %s: %v", queue, err)
			}
		}
	}
}

// pass hands on what the broker says, frame by frame, but for what is to be swallowed.
func (m *muffler) pass(client net.Conn, server io.Reader) error {
	m.told.Lock()
	m.clients[client] = true
	m.told.Unlock()
	content := make(map[uint16]bool) // the channels on which the content of a swallowed delivery is to come
	var head [7]byte
	for {
		if _, err := io.ReadFull(server, head[:]); err != nil {
			return err
		}
		var frame bytes.Buffer
		frame.Write(head[:])
		if _, err := io.CopyN(&frame, server, int64(binary.BigEndian.Uint32(head[3:]))+1); err != nil {
			return err
		}
		channel := binary.BigEndian.Uint16(head[1:])
		switch payload := frame.Bytes()[7:]; head[0] {
		case frameMethod:
			method := binary.BigEndian.Uint32(payload)
			content[channel] = method == basicDeliver && m.messages.Load()
			if content[channel] || method == basicCancel && m.cancels.Load() {
				continue
			}
		case frameHeader, frameBody:
			if content[channel] {
				continue
			}
		}
		m.told.Lock()
		_, err := client.Write(frame.Bytes())
		m.told.Unlock()
		if err != nil {
			return err
		}
	}
}

// TestReplyPathThatIsLostIsReplaced takes the replies of one client away, in ways that its connection does not show.
// Its calls in flight learn of that by the first that times out; the next ones work, and another client sees nothing.
func TestReplyPathThatIsLostIsReplaced(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		query string
		lose  func(t *testing.T, b *bus, m *muffler, queue string)
	}{
		"deleted, the cancel is lost": {"", func(t *testing.T, b *bus, m *muffler, queue string) {
			t.Helper()
			m.cancels.Store(true)
			deleteQueue(t, b, queue)
		}},
		"its consumer is gone, and it has expired": {"?rabbit_transient_queues_ttl=1", func(t *testing.T, b *bus, m *muffler, queue string) {
			t.Helper()
			m.drop(t, queue)
			<-time.After(3 * time.Second) // to look at it would keep it
			if _, err := channel(t, b.url).QueueDeclarePassive(queue, false, false, false, false, nil); err == nil {
				t.Error("the reply queue has not expired")
			}
		}},
		"its consumer is gone": {"", func(t *testing.T, _ *bus, m *muffler, queue string) { t.Helper(); m.drop(t, queue) }},
		"there, and its consumer hears nothing": {"", func(t *testing.T, _ *bus, m *muffler, _ string) {
			t.Helper()
			m.messages.Store(true)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			m := newMuffler(t, b.url)
			tap := newTap(t, m.url+tt.query)
			server, deaf, other := join(t, b.url), join(t, tap.url), join(t, b.url)
			server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
			c, others := deaf.client(t, b, messaging.WithTimeout(patience)), other.client(t, b, messaging.WithTimeout(patience))
			if err := c.Call(t.Context(), "who", nil, nil); err != nil {
				t.Fatal(err)
			}
			inFlight, untouched := make(chan error, 1), make(chan error, 1)
			ctx := patient(t)
			go func() { inFlight <- c.Call(ctx, "sleep", args{"seconds": 15}, nil) }()      // ends with ctx
			go func() { untouched <- others.Call(ctx, "sleep", args{"seconds": 6}, nil) }() // ends with ctx
			tt.lose(t, b, m, declared(t, tap, "^reply_[0-9a-f]{32}$"))

			err := c.Prepare(messaging.WithTimeout(time.Second)).Call(t.Context(), "who", nil, nil)
			if !errors.Is(err, messaging.ErrTimeout) {
				t.Errorf("the first call after it = %v, want a timeout", err)
			}
			timedOut := time.Now()
			err = receive(t, inFlight)
			t.Logf("after %s the call in flight ended: %v", time.Since(timedOut), err)
			if !errors.Is(err, messaging.ErrReplyPathLost) || errors.Is(err, messaging.ErrTimeout) {
				t.Errorf("the call in flight = %v, want ErrReplyPathLost", err)
			}
			m.messages.Store(false)
			again(t, time.Now(), "the next call", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
			if err := receive(t, untouched); err != nil {
				t.Errorf("a call of another client: %v", err)
			}
			if got := deaf.driver.Stats(); got.ReplyPathsLost != 1 || got.ReplyProbes == 0 || got.Sessions != 2 {
				t.Errorf("stats %+v, want one path lost, probes, and no new session", got)
			}
			if got := other.driver.Stats(); got.ReplyPathsLost != 0 || got.Cancelled != 0 {
				t.Errorf("stats of the other client %+v, want it untouched", got)
			}
		})
	}
}

// TestReplyQueueThatExpiredWhileTheLinkWasCutIsReplaced has a client away for longer than its reply queue lasts.
func TestReplyQueueThatExpiredWhileTheLinkWasCutIsReplaced(t *testing.T) {
	t.Parallel()
	b := busOf(t, broker.Shared(t))
	g := newGate(t, b.url)
	server, away, other := join(t, b.url), join(t, g.url+"?rabbit_transient_queues_ttl=1"), join(t, b.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	c, others := away.client(t, b, messaging.WithTimeout(patience)), other.client(t, b, messaging.WithTimeout(patience))
	ctx := patient(t)
	begin := func(c *messaging.Client, seconds float64) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- c.Call(ctx, "work", args{"seconds": seconds}, nil) }() // ends with ctx
		receive(t, server.notes)
		return ended
	}
	long, untouched := begin(c, 8), begin(others, 3)
	sessions := away.driver.Stats().Sessions
	short := begin(c, 1)
	g.shut.Store(true)
	g.cut()
	<-time.After(2 * time.Second) // its queue lasts for one
	g.shut.Store(false)
	eventually(t, "both connections are made again", func() bool { return away.driver.Stats().Sessions == sessions+2 })
	back := time.Now()
	for name, ended := range map[string]<-chan error{"answered meanwhile": short, "still running": long} {
		err := receive(t, ended)
		t.Logf("the call that is %s ended %s after the client was back: %v", name, time.Since(back), err)
		if !errors.Is(err, messaging.ErrReplyPathLost) {
			t.Errorf("the call that is %s = %v, want ErrReplyPathLost", name, err)
		}
	}
	again(t, time.Now(), "the next call", func(ctx context.Context) error { return c.Call(ctx, "who", nil, nil) })
	if err := receive(t, untouched); err != nil {
		t.Errorf("a call of another client: %v", err)
	}
	if got := away.driver.Stats(); got.ReplyPathsLost != 1 {
		t.Errorf("stats %+v, want one path lost", got)
	}
	if got := other.driver.Stats(); got.ReplyPathsLost != 0 || got.Sessions != 2 {
		t.Errorf("stats of the other client %+v, want it untouched", got)
	}
}

// TestServerThatLostItsConsumerNoticesWithinAProbeInterval takes the consumers of a server away in ways that its
// connection does not show. A second server consumes the topic too, so that a number of consumers tells nothing there.
func TestServerThatLostItsConsumerNoticesWithinAProbeInterval(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	for name, lose := range map[string]func(t *testing.T, b *bus, m *muffler, queue string){
		"the queue is deleted, the cancel is lost": func(t *testing.T, b *bus, m *muffler, queue string) {
			t.Helper()
			m.cancels.Store(true)
			deleteQueue(t, b, queue)
		},
		"the queue is there": func(t *testing.T, _ *bus, m *muffler, queue string) { t.Helper(); m.drop(t, queue) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			m := newMuffler(t, b.url)
			tap := newTap(t, m.url+fmt.Sprintf("?consumer_probe=%d", int(interval.Seconds())))
			deaf, second := join(t, tap.url), join(t, b.url)
			deaf.serve(t, b.target("first"), newEndpoints("first", deaf.notes)...)
			second.serve(t, b.target("second"), newEndpoints("second", second.notes)...)
			client := join(t, b.url).client(t, b, messaging.WithMandatory())
			first := client.Prepare(messaging.ToServer("first"))
			if err := first.Call(patient(t), "who", nil, nil); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name, queue string
				served      func(ctx context.Context) error
			}{
				{"server", b.topic + ".first", func(ctx context.Context) error { return first.Call(ctx, "who", nil, nil) }},
				{"fanout", declared(t, tap, "^"+b.topic+"_fanout_[0-9a-f]{32}$"), func(ctx context.Context) error {
					return fanoutArrives(ctx, client, deaf)
				}},
				{"topic", b.topic, func(ctx context.Context) error {
					for {
						var who string
						if err := client.Call(ctx, "who", nil, &who); err != nil || who == "first" {
							return err
						}
					}
				}},
			} {
				promise(t, c.name+" served again", interval+time.Second, func() time.Duration {
					lose(t, b, m, c.queue)
					return again(t, time.Now(), c.name, c.served)
				})
			}
			eventually(t, "the lost consumers are counted", func() bool { return deaf.driver.Stats().ConsumersLost >= 2 })
			if got := deaf.driver.Stats(); got.Sessions != 2 || got.Cancelled != 0 {
				t.Errorf("stats %+v, want the connections that were there", got)
			}
		})
	}
}

// TestProbesAreAnsweredWhileReplyPathIsWell lets calls time out because their method is slow.
func TestProbesAreAnsweredWhileReplyPathIsWell(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	server, client := join(t, b.url), join(t, b.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	c := client.client(t, b, messaging.WithTimeout(patience))
	inFlight := make(chan error, 1)
	ctx := patient(t)
	go func() { inFlight <- c.Call(ctx, "sleep", args{"seconds": 6}, nil) }() // ends with ctx
	calls := uint64(0)
	eventually(t, "there is doubt", func() bool { // of calls that are confirmed
		err := c.Prepare(messaging.WithTimeout(500*time.Millisecond)).Call(t.Context(), "sleep", args{"seconds": 1}, nil)
		if calls++; !errors.Is(err, messaging.ErrTimeout) {
			t.Errorf("Call = %v, want a timeout", err)
		}
		return client.driver.Stats().ReplyProbes > 0 && calls >= 3
	})
	if err := receive(t, inFlight); err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	// The replies that came too late were for nobody (of a request that came too late there is none); the probes were not.
	if got := client.driver.Stats(); got.ReplyProbes == 0 || got.ReplyPathsLost != 0 || got.RepliesUnwaited > calls {
		t.Errorf("stats %+v, want probes that were answered", got)
	}
}

// backlog is a queue of more than its one server may hold at once, which does not finish anything before it is let.
type backlog struct {
	release  context.CancelFunc
	ran      atomic.Int64
	answered chan error // of a call behind everything else
	server   *party
}

// backlogLength is how many casts are in it.
const backlogLength = 200

func newBacklog(t *testing.T, b *bus) *backlog {
	t.Helper()
	on := &bus{url: b.url, exchange: b.exchange, topic: unique("topic")}
	held, release := context.WithCancel(context.Background())
	q := &backlog{release: release, answered: make(chan error, 1), server: join(t, b.url)}
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "work", func(context.Context, struct{}) (string, error) {
		<-held.Done()
		q.ran.Add(1)
		return "", nil
	})
	const places, prefetch = 2, 4
	q.server.serveWith(t, on.target("host1"), []*messaging.Endpoint{ep},
		messaging.WithExecutorThreadPoolSize(places), messaging.WithPrefetch(prefetch))
	t.Cleanup(release)
	client := join(t, b.url).client(t, on, messaging.WithTimeout(3*patience))
	for range backlogLength {
		if err := client.Cast(patient(t), "work", nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	go func() { q.answered <- client.Call(ctx, "work", nil, nil) }() // ends with ctx
	queued := channel(t, b.url)
	eventually(t, "the call is in the queue", func() bool {
		q, err := queued.QueueDeclarePassive(on.topic, false, false, false, false, nil)
		return err == nil && q.Messages == backlogLength+1-places-prefetch
	})
	return q
}

// run lets the server work, and waits until it is done.
func (q *backlog) run(t *testing.T) {
	t.Helper()
	sessions := q.server.driver.Stats().Sessions
	begun := time.Now()
	q.release()
	eventually(t, "everything is run", func() bool { return q.ran.Load() == backlogLength+1 })
	t.Logf("%d requests, 4 at a time, took %s", backlogLength+1, time.Since(begun).Round(time.Millisecond))
	if got := q.server.driver.Stats(); got.Sessions != sessions || got.Stale != 0 || got.Duplicates != 0 {
		t.Errorf("stats %+v, want the same connections, and everything once", got)
	}
}

// TestBrokerInAlarmBlocksPublishersAndNobodyElse has a broker of its own run short of memory, as it thinks, and then
// freezes it: publishing waits with the caller's deadline, and closing never takes longer than three seconds.
func TestBrokerInAlarmBlocksPublishersAndNobodyElse(t *testing.T) {
	t.Parallel()
	own := broker.ForTest(t, broker.WithControl())
	b := busOf(t, own)
	server, client := join(t, b.url), join(t, b.url)
	server.serve(t, b.target("host1"), newEndpoints("host1", server.notes)...)
	c := client.client(t, b, messaging.WithTimeout(patience))
	if err := c.Call(t.Context(), "who", nil, nil); err != nil {
		t.Fatal(err)
	}
	backlog := newBacklog(t, b)
	alarm := func(t *testing.T, watermark ...string) time.Time {
		t.Helper()
		if _, err := own.Ctl(t.Context(), append([]string{"set_vm_memory_high_watermark"}, watermark...)...); err != nil {
			t.Fatal(err)
		}
		return time.Now()
	}

	t.Run("publishing waits with its deadline", func(t *testing.T) {
		alarm(t, "absolute", "1")
		// The broker blocks a connection with the first message that it reads from it: that one may be taken.
		_ = c.Prepare(messaging.WithTimeout(time.Second)).Cast(t.Context(), "echo", nil)
		for what, err := range map[string]error{
			"Call": c.Prepare(messaging.WithTimeout(2*time.Second)).Call(t.Context(), "who", nil, nil),
			"Cast": func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				return c.Cast(ctx, "echo", nil)
			}(),
		} {
			t.Logf("%s = %v", what, err)
			for _, want := range []error{messaging.ErrBlocked, context.DeadlineExceeded} {
				if !errors.Is(err, want) {
					t.Errorf("%s = %v, want an error that matches %q", what, err, want)
				}
			}
			if errors.Is(err, messaging.ErrUnconfirmed) {
				t.Errorf("%s = %v, want that nothing was sent", what, err)
			}
		}
	})
	t.Run("consumers go on", func(t *testing.T) {
		backlog.run(t)
		if err := c.Prepare(messaging.WithTimeout(time.Second)).Cast(t.Context(), "echo", nil); !errors.Is(err, messaging.ErrBlocked) {
			t.Errorf("Cast = %v, want ErrBlocked: the alarm lasts", err)
		}
		if len(backlog.answered) != 0 {
			t.Error("a call was answered, want its reply to wait for the end of the alarm")
		}
	})
	t.Run("publishing resumes", func(t *testing.T) {
		waiting := make(chan error, 1)
		ctx := patient(t)
		go func() { waiting <- c.Call(ctx, "who", nil, nil) }() // ends with ctx
		lifted := alarm(t, "0.6")
		if err := receive(t, waiting); err != nil {
			t.Errorf("the call that waited: %v", err)
		}
		if err := receive(t, backlog.answered); err != nil {
			t.Errorf("the call that was run during the alarm: %v", err)
		}
		t.Logf("publishing resumed after %s", time.Since(lifted))
		if got := client.driver.Stats(); got.Sessions != 2 || got.ReplyPathsLost != 0 {
			t.Errorf("stats %+v, want the same connections", got)
		}
	})

	promise(t, "Close", 3*time.Second, func() time.Duration { return closeFrozen(t, own, b) })
}

// closeFrozen freezes a broker under some transports, and tells how long the slowest of them takes to close.
func closeFrozen(t *testing.T, own *broker.Broker, b *bus) time.Duration {
	t.Helper()
	inUse, idle, dialled, fresh := join(t, b.url), join(t, b.url), join(t, b.url), join(t, b.url)
	busy := inUse.client(t, b, messaging.WithTimeout(4*time.Second))
	inUse.serve(t, b.target("host2"), newEndpoints("host2", inUse.notes)...)
	for _, p := range []*party{inUse, idle} {
		if err := p.client(t, b).Call(patient(t), "who", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := dialled.Ping(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := own.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := own.Resume(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("resume the broker: %v", err)
		}
	}()
	during := make(chan error, 1)
	soon := briefly(t, time.Second)
	go func() { during <- fresh.Ping(soon) }()
	if err := busy.Call(t.Context(), "who", nil, nil); !errors.Is(err, messaging.ErrTimeout) {
		t.Errorf("a call to a frozen broker = %v, want a timeout", err)
	}
	if err := receive(t, during); err == nil {
		t.Error("a frozen broker answered")
	}
	closed := make(chan time.Duration)
	parties := map[string]*party{"in use": inUse, "idle": idle, "frozen right after dial": dialled, "dialled while frozen": fresh}
	for name, p := range parties {
		go func() {
			begun := time.Now()
			if err := p.driver.Close(t.Context()); err != nil {
				t.Errorf("%s: Close = %v", name, err)
			}
			took := time.Since(begun)
			t.Logf("%s: Close took %s", name, took)
			closed <- took
		}()
	}
	var slowest time.Duration
	for range parties {
		slowest = max(slowest, <-closed)
	}
	return slowest
}
