//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// serveLate starts a server that acknowledges what its method work has finished.
func (p *party) serveLate(tb testing.TB, on messaging.Target, work func(ctx context.Context) (string, error), opts ...messaging.ServerOption) *messaging.MessageHandlingServer {
	tb.Helper()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "work", func(ctx context.Context, _ struct{}) (string, error) { return work(ctx) })
	opts = append([]messaging.ServerOption{messaging.WithAck(messaging.AckOnFinish)}, opts...)
	srv, err := messaging.NewRPCServer(p.Transport, on, []*messaging.Endpoint{ep}, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	if err := srv.Start(patient(tb)); err != nil {
		tb.Fatalf("start: %v", err)
	}
	stopLater(tb, srv)
	return srv
}

// lateWorker is an environment variable that makes the test binary a worker with late acknowledgement: see
// [TestLateWorkerProcess].
const lateWorker = "GOSLO_TEST_LATE_WORKER"

// lateJob is what such a worker is told in that variable.
type lateJob struct{ URL, Exchange, Topic, Server string }

// TestLateWorkerProcess is no test but what startLateWorker runs: a server whose method work never returns.
func TestLateWorkerProcess(t *testing.T) {
	text := os.Getenv(lateWorker)
	if text == "" {
		t.Skip("this is run by other tests, as a process of its own")
	}
	var job lateJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	on := messaging.Target{Exchange: job.Exchange, Topic: job.Topic, Server: job.Server}
	join(t, job.URL).serveLate(t, on, func(ctx context.Context) (string, error) {
		fmt.Println("RUNS", messaging.RPCFrom(ctx).Deliveries) //nolint:forbidigo // the parent reads it
		<-ctx.Done()
		return "", ctx.Err()
	}, messaging.WithMaxDeliveries(3))
	<-t.Context().Done() // until it is killed
}

// lateProcess is a process that runs [TestLateWorkerProcess].
type lateProcess struct {
	cmd  *exec.Cmd
	runs *lockedBuffer
}

// startLateWorker starts a process that is killed when the test ends, if not before.
func startLateWorker(t *testing.T, b *bus, server string) *lateProcess {
	t.Helper()
	job, err := json.Marshal(lateJob{b.url, b.exchange, b.topic, server})
	if err != nil {
		t.Fatal(err)
	}
	p := &lateProcess{cmd: exec.Command(os.Args[0], "-test.run=^TestLateWorkerProcess$"), runs: &lockedBuffer{}} //nolint:noctx // Cleanup ends it
	p.cmd.Env = append(os.Environ(), lateWorker+"="+string(job))
	p.cmd.Stdout = p.runs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9. Killing twice is harmless.
func (p *lateProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// awaitRun waits until the method runs, and tells as which delivery.
func (p *lateProcess) awaitRun(t *testing.T) (delivery string) {
	t.Helper()
	eventually(t, "the worker runs the request", func() bool { return strings.Contains(p.runs.String(), "RUNS") })
	_, after, _ := strings.Cut(p.runs.String(), "RUNS ")
	return strings.TrimSpace(after)
}

// parkedAt takes the one message of a parking queue, which must be there and durable.
func parkedAt(t *testing.T, b *bus) amqp.Delivery {
	t.Helper()
	ch := channel(t, b.url)
	queue := b.topic + ".parking"
	var message amqp.Delivery
	eventually(t, "the request is parked", func() bool {
		if ch.IsClosed() { // there was no queue yet
			ch = channel(t, b.url)
		}
		got, ok, err := ch.Get(queue, true)
		if err == nil && ok {
			message = got
		}
		return err == nil && ok
	})
	if _, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil); err != nil {
		t.Errorf("the parking queue: %v", err)
	}
	t.Cleanup(func() { remove(t, dial(t, b.url), nil, []string{queue}) })
	return message
}

// withEachQueue runs a test with classic queues, which do not count deliveries, and with quorum queues, which do.
func withEachQueue(t *testing.T, test func(t *testing.T, b *bus)) {
	t.Helper()
	for name, query := range map[string]string{"classic": "", "quorum": "?rabbit_quorum_queue=true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			b.url += query
			test(t, b)
		})
	}
}

// TestRequestOfAKilledWorkerRunsElsewhere kills the process that runs a call (kill -9).
func TestRequestOfAKilledWorkerRunsElsewhere(t *testing.T) {
	t.Parallel()
	withEachQueue(t, func(t *testing.T, b *bus) {
		first := join(t, b.url) // makes the queue
		if err := first.serveLate(t, b.target("host2"), nil).Stop(patient(t)); err != nil {
			t.Fatal(err)
		}
		p := startLateWorker(t, b, "host1")
		answered := make(chan error, 1)
		var answer string
		client := join(t, b.url).client(t, b, messaging.WithTimeout(2*patience))
		go func() { answered <- client.Call(t.Context(), "work", nil, &answer) }() // ends with its timeout
		p.awaitRun(t)
		other := join(t, b.url)
		srv := other.serveLate(t, b.target("host2"), func(ctx context.Context) (string, error) {
			return fmt.Sprint("delivery ", messaging.RPCFrom(ctx).Deliveries), nil
		})
		p.kill()
		if err := receive(t, answered); err != nil || answer != "delivery 2" {
			t.Errorf("Call = %q, %v; want the other worker's answer", answer, err)
		}
		if got := srv.Stats(); got.Redelivered == 0 {
			t.Errorf("stats = %+v, want a redelivery", got)
		}
	})
}

// TestRequestThatKillsItsWorkersIsParkedWithAllItHad kills as many processes as may try, and looks at what is left.
func TestRequestThatKillsItsWorkersIsParkedWithAllItHad(t *testing.T) {
	t.Parallel()
	withEachQueue(t, func(t *testing.T, b *bus) {
		first := join(t, b.url) // makes the queue
		if err := first.serveLate(t, b.target("host2"), nil).Stop(patient(t)); err != nil {
			t.Fatal(err)
		}
		// Sent with CC, of which the parked request must not go anywhere.
		message := osloMessage(envelope(`"2.0"`, `{"method": "work", "args": {}, "_msg_id": "m", "_reply_q": "reply_`+b.topic+`", "_unique_id": "`+unique("id")+`"}`))
		message.Headers = amqp.Table{"x-mine": "kept", "CC": []any{b.topic + "_nobody"}}
		message.Expiration, message.CorrelationId, message.Priority = "600000", "c", 3
		replies := rawQueue(t, channel(t, b.url), "reply_"+b.topic, "", "", "")
		rawPublish(t, dial(t, b.url), b.exchange, b.topic, message)
		for n := 1; n <= 3; n++ {
			p := startLateWorker(t, b, "host1")
			got := p.awaitRun(t)
			if want := strconv.Itoa(n); got != want {
				t.Errorf("it runs as delivery %s, want %s", got, want)
			}
			p.kill()
		}
		startLateWorker(t, b, "host1")
		got := parkedAt(t, b)
		if string(got.Body) != string(message.Body) || got.ContentType != message.ContentType || got.ContentEncoding != message.ContentEncoding ||
			got.CorrelationId != "c" || got.Priority != 3 || got.DeliveryMode != amqp.Persistent || got.Expiration != "" {
			t.Errorf("parked %+v, want it as it was", got)
		}
		for header, want := range map[string]any{
			"x-mine": "kept", "goslo.queue": b.topic, "goslo.deliveries": int64(3), "goslo.expiration": "600000",
		} {
			if got.Headers[header] != want {
				t.Errorf("header %s is %v, want %v", header, got.Headers[header], want)
			}
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(got.Headers["goslo.time"])); err != nil || time.Since(at) > time.Minute {
			t.Errorf("parked at %v", got.Headers["goslo.time"])
		}
		if reason := fmt.Sprint(got.Headers["goslo.reason"]); !strings.Contains(reason, "finished") {
			t.Errorf("reason %q", reason)
		}
		if text := string(receive(t, replies).Body); !strings.Contains(text, "parked in queue") {
			t.Errorf("the caller is told %s", text)
		}
	})
}

// TestRequeuedRequestIsParkedAfterItsTries has a method that always asks for another try.
func TestRequeuedRequestIsParkedAfterItsTries(t *testing.T) {
	t.Parallel()
	withEachQueue(t, func(t *testing.T, b *bus) {
		var ran atomic.Int32
		server := join(t, b.url)
		srv := server.serveLate(t, b.target("host1"), func(ctx context.Context) (string, error) {
			if n := ran.Add(1); int(n) != messaging.RPCFrom(ctx).Deliveries {
				t.Errorf("run %d is delivery %d", n, messaging.RPCFrom(ctx).Deliveries)
			}
			return "", messaging.Requeue(errors.New("the cell is gone"))
		})
		var remote *messaging.RemoteError
		err := join(t, b.url).client(t, b).Call(patient(t), "work", nil, nil)
		if !errors.As(err, &remote) || !strings.Contains(remote.Message, "parked") || !strings.Contains(remote.Message, "the cell is gone") {
			t.Errorf("Call = %v, want a failure that says that it is parked, and why", err)
		}
		got := parkedAt(t, b)
		if got.Headers["goslo.reason"] != "the cell is gone" || got.Headers["goslo.deliveries"] != int64(messaging.DefaultMaxDeliveries) {
			t.Errorf("headers %v", got.Headers)
		}
		if ran.Load() != messaging.DefaultMaxDeliveries || srv.Stats().Parked != 1 || srv.Stats().Requeued != 4 {
			t.Errorf("it ran %d times, stats %+v", ran.Load(), srv.Stats())
		}
		if d := server.driver.Stats(); d.Duplicates != 0 || d.Stale != 0 {
			t.Errorf("the driver counts %+v, want no duplicates and nothing stale", d)
		}
	})
}

// TestMethodThatOutlastsTheBrokersPatienceRunsOnce has a broker that closes the channel of who does not acknowledge
// within three seconds.
func TestMethodThatOutlastsTheBrokersPatienceRunsOnce(t *testing.T) {
	t.Parallel()
	own := broker.ForTest(t, broker.WithSettings("consumer_timeout = 3000"))
	// It looks once a minute, unless it is told otherwise in its own language.
	if _, err := own.Ctl(t.Context(), "eval", "application:set_env(rabbit, channel_tick_interval, 500)."); err != nil {
		t.Fatal(err)
	}
	b := busOf(t, own)
	server, client := join(t, b.url), join(t, b.url)
	var ran atomic.Int32
	release := make(chan struct{})
	srv := server.serveLate(t, b.target("host1"), func(context.Context) (string, error) {
		if ran.Add(1) == 1 {
			<-release
		}
		return "done", nil
	})
	answered := make(chan error, 1)
	c := client.client(t, b, messaging.WithTimeout(5*time.Minute))
	go func() { answered <- c.Call(t.Context(), "work", nil, nil) }() // ends with the test
	begun := time.Now()
	for end := begun.Add(4 * time.Minute); srv.Stats().Redelivered == 0; {
		if time.Now().After(end) {
			t.Fatal("the broker has not delivered it again")
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Logf("delivered again after %s", time.Since(begun).Round(time.Millisecond))
	close(release)
	if err := receive(t, answered); err != nil {
		t.Errorf("Call = %v", err)
	}
	if err := c.Call(patient(t), "work", nil, nil); err != nil {
		t.Errorf("the next Call = %v", err)
	}
	eventually(t, "nothing is left", func() bool { return queueLength(t, b) == 0 })
	if ran.Load() != 2 || srv.Stats().Redelivered != 1 || srv.Stats().Received != 3 {
		t.Errorf("%d runs for two calls, stats %+v; want one redelivery", ran.Load(), srv.Stats())
	}
	if d := server.driver.Stats(); d.Stale != 1 || d.Sessions != 2 {
		t.Errorf("the driver counts %+v, want one stale acknowledgement, and the connections it had", d)
	}
	if n := server.logged("consuming channel lost, opening another"); n != 1 {
		t.Errorf("%d lines about the channel, want 1", n)
	}
}

// queueLength is how many messages wait on the topic's queue.
func queueLength(t *testing.T, b *bus) int {
	t.Helper()
	ch, err := dial(t, b.url).Channel()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclarePassive(b.topic, false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

// TestStoppedServerFinishesAndAnswersWhateverTheAckMode stops one of two servers under load: every call has its
// answer, each from one run.
func TestStoppedServerFinishesAndAnswersWhateverTheAckMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []messaging.AckMode{messaging.AckOnReceive, messaging.AckOnStart, messaging.AckOnFinish} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			const calls = 60
			var ran, first atomic.Int32
			work := func(own *atomic.Int32) func(context.Context) (string, error) {
				return func(ctx context.Context) (string, error) {
					ran.Add(1)
					own.Add(1)
					_, err := sleep(ctx, 0.05)
					return "done", err
				}
			}
			opts := []messaging.ServerOption{messaging.WithAck(mode), messaging.WithExecutorThreadPoolSize(2)}
			srv := join(t, b.url).serveLate(t, b.target("host1"), work(&first), opts...)
			answered := make(chan error, calls)
			c := join(t, b.url).client(t, b, messaging.WithTimeout(2*patience))
			for range calls {
				go func() { answered <- c.Call(t.Context(), "work", nil, nil) }() // ends with its timeout
			}
			eventually(t, "the first server works", func() bool { return first.Load() >= 4 })
			var second atomic.Int32
			join(t, b.url).serveLate(t, b.target("host2"), work(&second), opts...)
			if err := srv.Stop(patient(t)); err != nil {
				t.Errorf("Stop = %v", err)
			}
			if err := srv.Wait(patient(t)); err != nil {
				t.Errorf("Wait = %v", err)
			}
			for range calls {
				if err := receive(t, answered); err != nil {
					t.Errorf("Call = %v", err)
				}
			}
			if ran.Load() != calls || second.Load() == 0 {
				t.Errorf("%d runs, %d of them on the second server, want %d and some", ran.Load(), second.Load(), calls)
			}
			eventually(t, "nothing is left", func() bool { return queueLength(t, b) == 0 })
		})
	}
}

// TestWhatHasNoTimeToFinishRunsOnAnotherServer ends Wait while a method runs that obeys its context.
func TestWhatHasNoTimeToFinishRunsOnAnotherServer(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	runs := make(chan struct{})
	srv := join(t, b.url).serveLate(t, b.target("host1"), func(ctx context.Context) (string, error) {
		close(runs)
		<-ctx.Done()
		return "", context.Cause(ctx)
	})
	answered := make(chan error, 1)
	var answer string
	client := join(t, b.url).client(t, b, messaging.WithTimeout(2*patience))
	go func() { answered <- client.Call(t.Context(), "work", nil, &answer) }() // ends with its timeout
	receiveClosed(t, runs)
	if err := srv.Stop(patient(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	if err := srv.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Wait = %v, want the end of its context", err)
	}
	join(t, b.url).serveLate(t, b.target("host2"), func(context.Context) (string, error) { return "host2", nil })
	if err := receive(t, answered); err != nil || answer != "host2" {
		t.Errorf("Call = %q, %v; want the other server's answer", answer, err)
	}
}

// TestCallWhoseReplyWasLostWithItsServerRunsElsewhere cuts a server off for good whose method has ended, before the
// broker has its reply.
func TestCallWhoseReplyWasLostWithItsServerRunsElsewhere(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	m := newMuffler(t, b.url)
	g := newGate(t, m.url)
	ended := make(chan struct{})
	srv := join(t, g.url).serveLate(t, b.target("host1"), func(context.Context) (string, error) {
		m.publishes.Store(true)
		close(ended)
		return "host1", nil
	})
	answered := make(chan error, 1)
	var answer string
	client := join(t, b.url).client(t, b, messaging.WithTimeout(2*patience))
	go func() { answered <- client.Call(t.Context(), "work", nil, &answer) }() // ends with its timeout
	receiveClosed(t, ended)
	<-time.After(moment) // for the reply to be under way
	g.shut.Store(true)
	g.cut()
	join(t, b.url).serveLate(t, b.target("host2"), func(context.Context) (string, error) { return "host2", nil })
	if err := receive(t, answered); err != nil || answer != "host2" {
		t.Errorf("Call = %q, %v; want the other server's answer", answer, err)
	}
	m.publishes.Store(false)
	g.shut.Store(false)
	if err := errors.Join(srv.Stop(patient(t)), srv.Wait(patient(t))); err != nil {
		t.Errorf("the first server, back again: %v", err)
	}
}

// TestMessagesThatCannotBeReadAreParkedAsTheyCame sends some kinds of them to a server with late acknowledgement.
func TestMessagesThatCannotBeReadAreParkedAsTheyCame(t *testing.T) {
	t.Parallel()
	withEachQueue(t, func(t *testing.T, b *bus) {
		server := join(t, b.url)
		srv := server.serveLate(t, b.target("host1"), func(context.Context) (string, error) { return "good", nil })
		raw := dial(t, b.url)
		bad := map[string]amqp.Publishing{
			"a word": osloMessage(`hello`), "no UTF-8": osloMessage("{\"method\": \"\xff\xfe\"}"), "zero bytes": osloMessage("\x00\x00"),
			"half an envelope":       osloMessage(`{"oslo.version": "2.0", "oslo.mess`),
			"another version":        osloMessage(envelope(`"3.0"`, `{"method": "work"}`)),
			"another content type":   {ContentType: "text/plain", Body: []byte(`{"method": "work"}`)},
			"compressed that is not": {ContentType: "application/json", Headers: amqp.Table{"compression": "application/x-gzip"}, Body: []byte(`{}`)},
		}
		for name, message := range bad {
			headers := amqp.Table{"x-name": name}
			maps.Copy(headers, message.Headers)
			message.Headers = headers
			rawPublish(t, raw, b.exchange, b.topic, message)
		}
		begun := time.Now()
		if err := join(t, b.url).client(t, b).Call(patient(t), "work", nil, nil); err != nil {
			t.Errorf("the next call: %v", err)
		}
		if took := time.Since(begun); took > promptly {
			t.Errorf("the next call took %s", took)
		}
		eventually(t, "all are parked", func() bool { return srv.Stats().Parked == uint64(len(bad)) })
		t.Cleanup(func() { remove(t, raw, nil, []string{b.topic + ".parking"}) })
		ch := channel(t, b.url)
		for range len(bad) {
			got, ok, err := ch.Get(b.topic+".parking", true)
			if err != nil || !ok {
				t.Fatalf("get a parked message: %v, %v", ok, err)
			}
			name := fmt.Sprint(got.Headers["x-name"])
			want, ok := bad[name]
			if !ok {
				t.Fatalf("parked %q, which was not sent, or comes again", name)
			}
			delete(bad, name)
			if string(got.Body) != string(want.Body) || got.ContentType != want.ContentType || got.ContentEncoding != want.ContentEncoding ||
				got.Headers["compression"] != want.Headers["compression"] || got.DeliveryMode != amqp.Persistent {
				t.Errorf("%s: parked %+v, want it as it came", name, got)
			}
			if reason, _ := got.Headers["goslo.reason"].(string); reason == "" || got.Headers["goslo.queue"] != b.topic {
				t.Errorf("%s: headers %v, want why and from where", name, got.Headers)
			}
		}
		eventually(t, "nothing is left", func() bool { return queueLength(t, b) == 0 })
		if got := srv.Stats(); got.Requeued != 0 {
			t.Errorf("stats %+v, want all parked at once", got)
		}
	})
}

// receiveClosed waits until c is closed.
func receiveClosed(tb testing.TB, c <-chan struct{}) {
	tb.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		tb.Fatal("still waiting")
	}
}
