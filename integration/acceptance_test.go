//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/acceptance"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
)

// TestServerDoesWhatOsloDoesOverRabbit plays each message that oslo.messaging servers of three releases were
// given to a goslo server on a real broker, and behind each a good call. What goslo does otherwise is in
// acceptance.ServerDifferences. It does not run beside other tests: a recorded heartbeat is due 0.3 s before the end of its
// method, and one that a busy machine delays by more is not sent any more.
func TestServerDoesWhatOsloDoesOverRabbit(t *testing.T) {
	for _, release := range acceptance.Releases() { // one after the other: the reply queue's name is in the recordings
		t.Run(release, func(t *testing.T) {
			s := newRecordedServer(t)
			cases := acceptance.ServerCases(t, release)
			for i, c := range cases {
				s.play(t, c)
				s.play(t, acceptance.GoodCall(fmt.Sprintf("%032d", i), wire.NewID()))
				s.checkSettled(t, c)
			}
			for _, c := range cases {
				s.await(t, c)
			}
			s.watch(t)
			for _, c := range cases {
				c.Check(t, acceptance.Outcome{Settled: c.Want().Settled, Replies: s.replies[c.Key()]}) // for settled see above
				delete(s.replies, c.Key())
			}
			for key, replies := range s.replies {
				t.Errorf("replies for nobody, message id %s: %v", key, replies)
			}
			s.settled(t)
		})
	}
}

// recordedServer is a goslo server with the endpoints of the recorded one, and its callers' reply queue.
type recordedServer struct {
	*victim
	queue   <-chan amqp.Delivery
	replies map[string][]acceptance.Reply // by the key of their call
	rejects int                           // how many messages the server must have rejected
}

func newRecordedServer(t *testing.T) *recordedServer {
	t.Helper()
	b := newBus(t)
	v := &victim{bus: b, tap: newTap(t, b.url), raw: dial(t, b.url)}
	v.server = join(t, v.tap.url)
	v.server.serve(t, b.target("host1"), acceptance.Endpoints()...)
	return &recordedServer{
		victim: v, queue: rawQueue(t, channel(t, b.url), acceptance.ReplyQueue, "", "", ""),
		replies: map[string][]acceptance.Reply{},
	}
}

// play publishes a message and waits for its answer, unless that takes its time.
func (s *recordedServer) play(t *testing.T, c *acceptance.ServerCase) {
	t.Helper()
	exchange, key := c.Exchange, c.RoutingKey
	if exchange == acceptance.Exchange {
		exchange = s.exchange
	}
	exchange = strings.Replace(exchange, acceptance.Topic, s.topic, 1)
	key = strings.NewReplacer(acceptance.Topic+"."+acceptance.ServerName, s.topic+".host1", acceptance.Topic, s.topic).Replace(key)
	rawPublish(t, s.raw, exchange, key, amqpMessage(&c.Message))
	if !c.Slow() {
		s.await(t, c)
	}
	if c.Case == "good call" {
		c.Check(t, acceptance.Outcome{Settled: acceptance.Acknowledged, Replies: s.replies[c.Key()]})
		delete(s.replies, c.Key())
	}
}

// amqpMessage is a recorded message with its properties and headers.
func amqpMessage(m *acceptance.Message) amqp.Publishing {
	headers := amqp.Table{}
	for name, value := range m.Headers {
		headers[name] = value
	}
	return amqp.Publishing{
		ContentType: m.Properties.ContentType, ContentEncoding: m.Properties.ContentEncoding,
		DeliveryMode: m.Properties.DeliveryMode, Priority: m.Properties.Priority, Headers: headers, Body: m.Bytes(),
	}
}

// await receives replies until the one has come that ends the case, if there is to be one.
func (s *recordedServer) await(t *testing.T, c *acceptance.ServerCase) {
	t.Helper()
	if len(c.Want().Replies) == 0 {
		return
	}
	for {
		if got := s.replies[c.Key()]; len(got) > 0 && got[len(got)-1].Ending {
			return
		}
		s.take(t, receive(t, s.queue))
	}
}

func (s *recordedServer) take(t *testing.T, d amqp.Delivery) {
	t.Helper()
	checkProperties(t, d, "", acceptance.ReplyQueue, "")
	reply, err := acceptance.ParseReply(d.Body)
	if err != nil {
		t.Fatal(err)
	}
	s.replies[reply.Key()] = append(s.replies[reply.Key()], reply)
}

// watch receives what comes though everything was answered: longer than between the heartbeats that
// oslo.messaging sends then.
func (s *recordedServer) watch(t *testing.T) {
	t.Helper()
	end := time.After(1500 * time.Millisecond)
	for {
		select {
		case d := <-s.queue:
			s.take(t, d)
		case <-end:
			return
		}
	}
}

// checkSettled sees on the wire that the server rejects what it must, once, and nothing else.
func (s *recordedServer) checkSettled(t *testing.T, c *acceptance.ServerCase) {
	t.Helper()
	if c.Want().Settled == acceptance.Rejected {
		s.rejects++
		eventually(t, c.Case+" is rejected", func() bool { return s.rejected(t) >= s.rejects })
	}
	if got := s.rejected(t); got != s.rejects {
		t.Fatalf("%s: the server has rejected %d messages by now, want %d", c.Case, got, s.rejects)
	}
}

// TestClientSeesWhatOsloSeesOverRabbit gives a goslo client on a real broker the replies that oslo.messaging clients
// of three releases were given, at the same times; but for the cases that take long, which package messaging tests
// with a clock of its own.
func TestClientSeesWhatOsloSeesOverRabbit(t *testing.T) {
	t.Parallel()
	const long = 3 * time.Second
	for _, release := range acceptance.Releases() {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			calls := map[string]*recordedCall{}
			for _, c := range acceptance.ClientCases(t, release) {
				if c.Duration() < long {
					calls[c.Case] = &recordedCall{ClientCase: c, request: make(chan *wire.Request, 1)}
				}
			}
			if len(calls) < 45 {
				t.Fatalf("%d cases take less than %s, want at least 45", len(calls), long)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			t.Cleanup(running.Wait)
			t.Cleanup(cancel)
			conn := dial(t, b.url)
			requests := rawQueue(t, channel(t, b.url), b.topic, b.exchange, "topic", b.topic)
			running.Go(func() { handOut(ctx, t, requests, calls) })
			client := join(t, b.url).client(t, b, messaging.WithTimeout(patience))
			for name, call := range calls {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					var answering sync.WaitGroup
					answering.Go(func() { call.answer(t, conn) })
					defer answering.Wait()
					begun := time.Now()
					var result any
					err := client.Prepare(call.Options()...).Call(t.Context(), name, nil, &result)
					call.CheckAnyTime(t, call.Observe(result, err, time.Since(begun)))
				})
			}
		})
	}
}

// recordedCall is a call of the recording with the request that it made.
type recordedCall struct {
	*acceptance.ClientCase
	request chan *wire.Request
}

// handOut gives the requests to the calls that have made them.
func handOut(ctx context.Context, t *testing.T, requests <-chan amqp.Delivery, calls map[string]*recordedCall) {
	for {
		select {
		case d := <-requests:
			req, err := wire.DecodeRequest(d.Body)
			if err != nil || calls[req.Method] == nil {
				t.Errorf("request %s: %v", d.Body, err)
				continue
			}
			calls[req.Method].request <- req
		case <-ctx.Done():
			return
		}
	}
}

// answer publishes the replies of the case, each at its time.
func (c *recordedCall) answer(t *testing.T, conn *amqp.Connection) {
	var req *wire.Request
	select {
	case req = <-c.request:
	case <-time.After(patience):
		t.Error("no request came")
		return
	}
	begun := time.Now()
	ch, err := conn.Channel()
	if err != nil {
		t.Error(err)
		return
	}
	defer ch.Close()
	if got := string(req.MonitorTimeout); got != c.MonitorField() {
		t.Errorf("_timeout is %s, want %s", got, c.MonitorField())
	}
	id, _ := req.MsgID.Text()
	for i := range c.Sent {
		<-time.After(c.Time(c.Sent[i].After) - time.Since(begun))
		reply := amqpMessage(&c.Sent[i].Message)
		reply.Body = c.Reply(i, id)
		if err := ch.PublishWithContext(t.Context(), "", req.ReplyQueue, false, false, reply); err != nil {
			t.Error(err)
			return
		}
	}
}
