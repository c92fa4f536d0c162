//go:build integration

package integration_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/rabbit"
)

// stage is what all scenes share: a server that no fault strikes.
type stage struct {
	bus   *bus
	marks *marks
}

func newStage(t *testing.T) *stage {
	t.Helper()
	st := &stage{bus: newBus(t), marks: newMarks()}
	join(t, st.bus.url).serveWith(t, st.bus.target("host1"), st.marks.endpoints(), messaging.WithExecutorThreadPoolSize(200))
	return st
}

// mark is a request that is told from all others.
type mark struct {
	ID   string `json:"id"`
	Hold bool   `json:"hold"` // run until it is released, or its context ends
	Fail bool   `json:"fail"`
	Fill string `json:"fill"`
	Grow int    `json:"grow"` // how long the result is to be
}

// marks count what was run.
type marks struct {
	mu    sync.Mutex // protects what follows
	runs  map[string]int
	ends  map[string]error         // why contexts ended while they ran
	gates map[string]chan struct{} // closed when the mark is released
}

func newMarks() *marks {
	return &marks{runs: make(map[string]int), ends: make(map[string]error), gates: make(map[string]chan struct{})}
}

func (m *marks) endpoints() []*messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "mark", m.run)
	return []*messaging.Endpoint{ep}
}

func (m *marks) run(ctx context.Context, request mark) (string, error) {
	m.mu.Lock()
	m.runs[request.ID]++
	m.mu.Unlock()
	if request.Fail {
		return "", errPlain
	}
	if request.Hold {
		select {
		case <-m.gate(request.ID):
		case <-ctx.Done():
			m.mu.Lock()
			m.ends[request.ID] = context.Cause(ctx)
			m.mu.Unlock()
			select { // a reply at that moment could be in time for a caller whose clock is a little late
			case <-m.gate(request.ID):
			case <-time.After(moment):
			}
		}
	}
	if request.Grow > 0 {
		return strings.Repeat("x", request.Grow), nil
	}
	return request.ID, nil
}

// interrupted is why the context of a mark ended while it ran, nil where it did not.
func (m *marks) interrupted(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ends[id]
}

func (m *marks) gate(id string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gates[id] == nil {
		m.gates[id] = make(chan struct{})
	}
	return m.gates[id]
}

// release lets a mark end that is held. It may be called twice, by one goroutine.
func (m *marks) release(id string) {
	gate := m.gate(id)
	select {
	case <-gate:
	default:
		close(gate)
	}
}

func (m *marks) count(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs[id]
}

// beginUnconfirmed begins the operation, whose confirm is held back, and so is the method.
func (s *scene) beginUnconfirmed() {
	s.Helper()
	s.connect()
	s.bridge.holdConfirms()
	s.request.Hold = true
	s.runs = 1
	s.begin()
	s.bridge.awaitPassed(s, s.id)
	s.strike()
}

// beginRunning begins the operation and waits until its method runs and the broker has confirmed it.
func (s *scene) beginRunning() {
	s.Helper()
	if s.party == nil {
		s.connect()
	}
	s.request.Hold = true
	s.runs = 1
	s.begin()
	eventually(s, "the method runs", func() bool { return s.stage.marks.count(s.id) > 0 })
	s.confirmed()
}

// confirmed waits until all that was sent is confirmed: a cast's own confirm comes behind the others.
func (s *scene) confirmed() {
	s.Helper()
	client, err := messaging.NewClient(s.party.Transport, s.stage.bus.target(""), messaging.WithTimeout(patience))
	if err != nil {
		s.Fatal(err)
	}
	if err := client.Cast(s.Context(), "mark", mark{ID: unique("id")}); err != nil {
		s.Fatalf("a cast before the fault: %v", err)
	}
	s.strike()
}

func (s *scene) toNobody() {
	s.bridge.close()
	s.open()
}

func (s *scene) toNobodyOnce() {
	s.toNobody()
	s.opts = append(s.opts, messaging.WithRetry(0))
}

func (s *scene) wrongPassword() { s.login("guest:wrong@", "/") }

func (s *scene) wrongHost() {
	s.login("guest:guest@", "/nosuch")
	s.toldWhy()
}

// toldWhy has the operation last until the broker has said no, and its error tell so.
func (s *scene) toldWhy() {
	s.timeout = 8 * time.Second
	s.check = s.tellsWhy
}

// tellsWhy checks that the error holds what the broker said.
func (s *scene) tellsWhy(err error) {
	s.Helper()
	var refused *rabbit.BrokerError
	if !errors.As(err, &refused) {
		s.Errorf("%v does not tell what the broker said", err)
	}
}

// login opens the transport with other credentials, or elsewhere.
func (s *scene) login(credentials, host string) {
	s.Helper()
	s.url = strings.Replace(at(s.T, s.bridge.url, credentials, ""), "/?", host, 1)
	s.open()
	s.over = true
}

func (s *scene) cutBefore() {
	s.connect()
	s.bridge.close()
	s.awaitLoss()
	s.begin()
	select {
	case err := <-s.ended:
		s.Fatalf("it ended without a connection: %v", err)
	case <-time.After(moment):
	}
	s.strike()
	s.bridge.open()
}

// awaitLoss waits until the transport knows that its two connections are lost.
func (s *scene) awaitLoss() {
	s.Helper()
	eventually(s, "the connections are lost", func() bool {
		return s.party.logged("connection to the broker lost, reconnecting") == 2
	})
}

func (s *scene) cutWhileUnconfirmed() {
	s.beginUnconfirmed()
	s.bridge.cut()
}

func (s *scene) cutWhileRunning() {
	s.beginRunning()
	s.bridge.cut()
	s.stage.marks.release(s.id)
}

func (s *scene) cutForGood() {
	s.beginRunning()
	s.bridge.close()
	s.stage.marks.release(s.id)
}

// hushedBefore is for fanouts: their exchange is declared first, and so they are not sent.
func (s *scene) hushedBefore() {
	s.query = "?heartbeat_timeout_threshold=1"
	s.connect()
	s.bridge.hush()
}

func (s *scene) hushed() {
	s.query = "?heartbeat_timeout_threshold=1"
	s.beginUnconfirmed()
	s.bridge.hush()
}

func (s *scene) hushedWhileRunning() {
	s.query = "?heartbeat_timeout_threshold=1"
	s.beginRunning()
	s.bridge.hush()
	s.stage.marks.release(s.id)
}

func (s *scene) frozenBefore() {
	s.bridge.freeze()
	s.open()
}

func (s *scene) frozen() {
	s.beginUnconfirmed()
	s.bridge.freeze()
}

func (s *scene) frozenWhileRunning() {
	s.beginRunning()
	s.bridge.freeze()
	s.stage.marks.release(s.id)
}

// block has the broker block, and waits until the transport knows.
func (s *scene) block() {
	s.Helper()
	s.bridge.block(s)
	s.mend = func() { s.bridge.unblock(s) }
	client, err := messaging.NewClient(s.party.Transport, s.stage.bus.target(""), messaging.WithTimeout(50*time.Millisecond))
	if err != nil {
		s.Fatal(err)
	}
	eventually(s, "the transport is blocked", func() bool {
		err := client.Cast(s.Context(), "mark", mark{ID: unique("id")})
		return errors.Is(err, messaging.ErrBlocked) && !errors.Is(err, messaging.ErrUnconfirmed)
	})
}

func (s *scene) blockedBefore() {
	s.connect()
	s.block()
}

func (s *scene) blocked() {
	s.timeout *= 2
	s.beginUnconfirmed()
	s.block()
}

func (s *scene) blockedWhileRunning() {
	s.beginRunning()
	s.block()
	s.strike()
	s.stage.marks.release(s.id)
}

// elsewhere sends to a topic that the stage's server does not serve, whose bus it returns.
func (s *scene) elsewhere() *bus {
	s.Helper()
	b := newBus(s.T)
	s.to = b.target("")
	return b
}

func (s *scene) toFullQueue() {
	b := s.elsewhere()
	s.connect()
	ch := channel(s, b.url)
	full := unique("queue")
	for _, exchange := range []struct{ name, kind, key string }{{b.exchange, "topic", b.topic}, {b.topic + "_fanout", "fanout", ""}} {
		rawDo(s, ch.ExchangeDeclare(exchange.name, exchange.kind, false, exchange.kind == "fanout", false, false, nil))
	}
	_, err := ch.QueueDeclare(full, false, false, true, false, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	rawDo(s, err)
	rawDo(s, ch.QueueBind(full, b.topic, b.exchange, false, nil))
	rawDo(s, ch.QueueBind(full, "", b.topic+"_fanout", false, nil))
	rawPublish(s.T, dial(s, b.url), "", full, osloMessage("the queue is full"))
	eventually(s, "the queue is full", func() bool {
		q, err := ch.QueueDeclarePassive(full, false, false, true, false, nil)
		return err == nil && q.Messages == 1
	})
}

func rawDo(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (s *scene) tooLong() {
	s.connect()
	s.request.Fill = strings.Repeat("x", maxSize)
}

func (s *scene) toNoQueue() {
	if s.want.when == atDeadline {
		s.timeout = 3 * time.Second // for the broker to confirm and return it
	}
	s.elsewhere()
	s.connect()
}

func (s *scene) toNoQueueMandatory() {
	s.toNoQueue()
	s.opts = append(s.opts, messaging.WithMandatory())
}

func (s *scene) queueDeleted() {
	b := s.elsewhere()
	s.connect()
	ch := channel(s, b.url)
	rawDo(s, ch.ExchangeDeclare(b.exchange, "topic", false, false, false, false, nil))
	_, err := ch.QueueDeclare(b.topic, false, false, true, false, nil)
	rawDo(s, err)
	rawDo(s, ch.QueueBind(b.topic, b.topic, b.exchange, false, nil))
	s.begin()
	s.bridge.awaitPassed(s, s.id)
	s.confirmed()
	_, err = ch.QueueDelete(b.topic, false, false, false)
	rawDo(s, err)
}

func (s *scene) exchangeRefused() {
	s.to = messaging.Target{Exchange: "amq.nope", Topic: "amq." + unique("topic")}
	s.connect()
}

func (s *scene) exchangeDeleted() {
	b := s.elsewhere()
	s.connect()
	client, err := messaging.NewClient(s.party.Transport, s.to)
	rawDo(s, err)
	rawDo(s, client.Cast(patient(s), "mark", s.request))
	rawDo(s, client.Fanout(patient(s), "mark", s.request))
	ch := channel(s, b.url)
	rawDo(s, ch.ExchangeDelete(b.exchange, false, false))
	rawDo(s, ch.ExchangeDelete(b.topic+"_fanout", false, false))
}

func (s *scene) slow() { s.beginRunning() }

func (s *scene) slowMonitored() {
	s.opts = append(s.opts, messaging.WithCallMonitor(2*time.Second))
	s.timeout = 2500 * time.Millisecond
	s.beginRunning()
	s.check = func(err error) {
		var timeout *messaging.TimeoutError
		if errors.As(err, &timeout) && timeout.Heartbeats == 0 {
			s.Errorf("%v: want heartbeats", err)
		}
	}
}

// take has the request taken by a peer of the test's own, which does not answer.
func (s *scene) take() {
	s.Helper()
	b := s.elsewhere()
	s.connect()
	conn := dial(s, b.url)
	ch, err := conn.Channel()
	rawDo(s, err)
	requests := rawQueue(s, ch, b.topic, b.exchange, "topic", b.topic)
	s.begin()
	receive(s.T, requests)
	s.confirmed()
	rawDo(s, conn.Close())
}

func (s *scene) serverDies() { s.take() }

func (s *scene) serverDiesMonitored() {
	s.opts = append(s.opts, messaging.WithCallMonitor(2*time.Second))
	s.take()
}

func (s *scene) methodFails() { s.connect(); s.request.Fail = true }

func (s *scene) replyMalformed() {
	s.take()
	rawPublish(s.T, dial(s, s.stage.bus.url), "", s.bridge.queue(s, "reply_"), osloMessage("this is no reply"))
	eventually(s, "the reply is counted", func() bool { return s.party.driver.Stats().Malformed == 1 })
}

// deleteReplyQueue deletes the reply queue when the call has been under way for some time: no reply is on its way.
func (s *scene) deleteReplyQueue() {
	s.Helper()
	if !s.begun.IsZero() {
		<-time.After(time.Until(s.begun.Add(1200 * time.Millisecond)))
	}
	s.strike()
	deleteQueue(s.T, s.stage.bus, s.bridge.queue(s, "reply_"))
}

func (s *scene) replyQueueDeletedBefore() {
	s.connect()
	s.deleteReplyQueue()
	eventually(s, "the transport knows", func() bool { return s.party.driver.Stats().Cancelled == 1 })
	s.begin()
}

func (s *scene) replyQueueDeleted() {
	s.beginUnconfirmed()
	s.deleteReplyQueue()
	s.stage.marks.release(s.id)
}

func (s *scene) replyQueueDeletedWhileRunning() {
	s.beginRunning()
	s.deleteReplyQueue()
	s.stage.marks.release(s.id)
}

// takeReplyQueue deletes the reply queue and makes one of its name, which nobody else can use.
func (s *scene) takeReplyQueue() {
	s.Helper()
	name := s.bridge.queue(s, "reply_")
	conn := dial(s, s.stage.bus.url)
	s.strike()
	eventually(s, "the reply queue is taken", func() bool {
		ch, err := conn.Channel()
		rawDo(s, err)
		_, err = ch.QueueDelete(name, false, false, true) // without waiting: the client declares it again at once
		rawDo(s, err)
		_, err = ch.QueueDeclare(name, false, false, true, false, nil)
		return err == nil
	})
}

func (s *scene) replyQueueTaken() {
	s.beginUnconfirmed()
	s.takeReplyQueue()
}

func (s *scene) replyQueueTakenWhileRunning() {
	s.beginRunning()
	s.takeReplyQueue()
}

// replyQueueExpired cuts the connection for longer than the reply queue lasts without it.
func (s *scene) replyQueueExpired() {
	s.query = "?rabbit_transient_queues_ttl=1"
	s.beginRunning()
	s.bridge.close()
	<-time.After(1500 * time.Millisecond)
	s.strike()
	s.bridge.open()
}

func (s *scene) deaf() {
	s.beginRunning()
	s.bridge.deafen()
	client, err := messaging.NewClient(s.party.Transport, s.stage.bus.target(""), messaging.WithTimeout(moment))
	rawDo(s, err)
	eventually(s, "there is doubt", func() bool { // of a call that is confirmed
		if err := client.Call(s.Context(), "mark", mark{ID: unique("id")}, nil); !errors.Is(err, messaging.ErrTimeout) {
			s.Errorf("another call = %v, want a timeout", err)
		}
		return s.party.driver.Stats().ReplyProbes > 0
	})
	s.strike()
}

func (s *scene) cancelNow() {
	s.strike()
	s.cancel()
}

func (s *scene) cancelledBefore() {
	s.toNobody()
	s.begin()
	s.cancelNow()
}

func (s *scene) cancelledWhileUnconfirmed() {
	s.beginUnconfirmed()
	s.cancelNow()
}

func (s *scene) cancelledWhileRunning() {
	s.beginRunning()
	s.cancelNow()
}

func (s *scene) closeNow() {
	s.Helper()
	s.over = true
	s.strike()
	closed := make(chan error, 1)
	go func() { closed <- s.party.Close(context.WithoutCancel(s.Context())) }() // a few seconds at most
	s.Cleanup(func() {
		if err := receive(s.T, closed); err != nil {
			s.Errorf("close: %v", err)
		}
	})
}

func (s *scene) closedBefore() {
	s.toNobody()
	s.begin()
	s.closeNow()
}

func (s *scene) closedWhileUnconfirmed() {
	s.beginUnconfirmed()
	s.closeNow()
}

func (s *scene) closedWhileRunning() {
	s.beginRunning()
	s.closeNow()
}

func (s *scene) tooManySenders() {
	s.query = "?max_senders=1"
	s.connect()
	other := mark{ID: unique("id"), Hold: true}
	client, err := messaging.NewClient(s.party.Transport, s.stage.bus.target(""), messaging.WithTimeout(patience))
	rawDo(s, err)
	ended := make(chan error, 1)
	go func() { ended <- client.Call(s.Context(), "mark", other, nil) }() // ends with its timeout
	eventually(s, "another call is under way", func() bool { return s.stage.marks.count(other.ID) > 0 })
	s.mend = func() {
		s.stage.marks.release(other.ID)
		if err := receive(s.T, ended); err != nil {
			s.Errorf("the other call: %v", err)
		}
		s.mend = func() {}
	}
}
