package messaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/acceptance"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// TestServerDoesWhatOsloDoes plays each message that oslo.messaging servers of three releases were given to a
// goslo server, and behind each a good call. What goslo does otherwise is in acceptance.ServerDifferences.
func TestServerDoesWhatOsloDoes(t *testing.T) {
	t.Parallel()
	for _, release := range acceptance.Releases() {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newRecordedServer(t)
				for i, c := range acceptance.ServerCases(t, release) {
					c.Check(t, s.play(t, c))
					good := acceptance.GoodCall(fmt.Sprintf("%032d", i), wire.NewID())
					good.Check(t, s.play(t, good))
				}
			})
		})
	}
}

// recordedServer is a goslo server with the names and endpoints of the recorded one, and its callers' reply queue.
type recordedServer struct {
	*bus
	replies *memory.RawConsumer
}

func newRecordedServer(t *testing.T) *recordedServer {
	t.Helper()
	b := newBus(t)
	on := messaging.Target{Topic: acceptance.Topic, Server: acceptance.ServerName}
	server, err := messaging.NewRPCServer(b.servers, on, acceptance.Endpoints())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return &recordedServer{bus: b, replies: b.broker.Consume(acceptance.ReplyQueue)}
}

// recordedTime is for how long what a server sends is noted: where time matters, some heartbeats longer than the
// method runs.
func recordedTime(c *acceptance.ServerCase) time.Duration {
	if c.Slow() {
		return 4 * time.Second
	}
	return 200 * time.Millisecond
}

// play publishes a message and notes what the server does.
func (s *recordedServer) play(t *testing.T, c *acceptance.ServerCase) acceptance.Outcome {
	t.Helper()
	before := s.broker.Stats()
	message := memory.Publishing{ContentType: c.Properties.ContentType, Compression: c.Compression(), Body: c.Bytes()}
	if err := s.broker.Publish(c.Exchange, c.RoutingKey, message); err != nil {
		t.Fatal(err)
	}
	var o acceptance.Outcome
	ctx, cancel := context.WithTimeout(t.Context(), recordedTime(c))
	defer cancel()
	for {
		raw, err := s.replies.Next(ctx)
		if err != nil {
			break
		}
		reply, err := acceptance.ParseReply(raw.Body)
		if err != nil || raw.ContentType != wire.ContentTypeJSON {
			t.Fatalf("%s: reply of type %q: %v", c.Case, raw.ContentType, err)
		}
		o.Replies = append(o.Replies, reply)
	}
	after := s.broker.Stats()
	acknowledged := after.Acknowledged - before.Acknowledged - int64(len(o.Replies))
	switch rejected := after.Malformed - before.Malformed; {
	case acknowledged == 1 && rejected == 0:
		o.Settled = acceptance.Acknowledged
	case acknowledged == 0 && rejected == 1:
		o.Settled = acceptance.Rejected
	default:
		o.Settled = fmt.Sprintf("acknowledged %d times, rejected %d times", acknowledged, rejected)
	}
	return o
}

// TestClientSeesWhatOsloSees gives a goslo client the replies that oslo.messaging clients of three releases were
// given, at the same times. What its caller sees otherwise is in acceptance.ClientDifferences.
func TestClientSeesWhatOsloSees(t *testing.T) {
	t.Parallel()
	for _, release := range acceptance.Releases() {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				on := messaging.Target{Exchange: acceptance.Exchange, Topic: acceptance.Topic, Server: acceptance.ServerName}
				driver := b.broker.NewDriver()
				defer driver.Close(t.Context())
				requests, err := driver.Listen(t.Context(), on, transport.ListenOptions{Prefetch: 1})
				if err != nil {
					t.Fatal(err)
				}
				client, err := messaging.NewClient(b.client, messaging.Target{Topic: acceptance.Topic})
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range acceptance.ClientCases(t, release) {
					outcome := callRecorded(t.Context(), client, c)
					b.replay(t, c, requests)
					c.Check(t, <-outcome)
				}
			})
		})
	}
}

func TestCallMonitorsThatNoServerAnswersAreRefused(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	slowed := 0
	for _, c := range acceptance.ClientCases(t, acceptance.Oslo14) {
		reason := acceptance.SlowedClientCases[c.Case]
		if (c.Slowness() != 1) != (reason != "") {
			t.Errorf("%s: played %v times as slowly; listed: %q", c.Case, c.Slowness(), reason)
		}
		if reason == "" {
			continue
		}
		slowed++
		monitor := time.Duration(float64(2*time.Second) / c.Slowness())
		if _, err := messaging.NewClient(b.client, messaging.Target{Topic: "t"}, messaging.WithCallMonitor(monitor)); err == nil {
			t.Errorf("%s: a call monitor of %s is not refused", c.Case, monitor)
		}
	}
	if slowed != len(acceptance.SlowedClientCases) {
		t.Errorf("%d calls are played slowly, %d are listed", slowed, len(acceptance.SlowedClientCases))
	}
}

// callRecorded makes the call of a case.
func callRecorded(ctx context.Context, client *messaging.Client, c *acceptance.ClientCase) <-chan acceptance.ClientOutcome {
	outcome := make(chan acceptance.ClientOutcome, 1)
	begun := time.Now()
	go func() { // ends with the client's timeout
		var result any
		err := client.Prepare(c.Options()...).Call(ctx, c.Case, nil, &result)
		outcome <- c.Observe(result, err, time.Since(begun))
	}()
	return outcome
}

// replay takes a call and publishes its replies, each at its time.
func (b *bus) replay(t *testing.T, c *acceptance.ClientCase, requests transport.Listener) {
	t.Helper()
	in, err := requests.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	req := in.Request()
	if req.Method != c.Case || string(req.MonitorTimeout) != c.MonitorField() {
		t.Fatalf("%s: the client sends %s with _timeout %s, want %s", c.Case, req.Method, req.MonitorTimeout, c.MonitorField())
	}
	id, _ := req.MsgID.Text()
	for i := range c.Sent {
		<-time.After(c.Time(c.Sent[i].After) - time.Since(begun))
		reply := memory.Publishing{ContentType: c.Sent[i].Properties.ContentType, Body: c.Reply(i, id)}
		if err := b.broker.Publish("", req.ReplyQueue, reply); err != nil {
			t.Fatal(err)
		}
	}
}

// versionDifferences are those in how a version cap is compared. Users read them in DESIGN.md.
var versionDifferences = map[string]string{
	"malformed version": "`CanSendVersion` is false for a version or cap that cannot be compared, where oslo.messaging raises",
	"empty version cap": "an empty cap is none, as is an empty version; oslo.messaging raises ValueError",
}

// TestVersionCapsAgreeWithOslo compares every pair that oslo.messaging's own rule was measured on, with the cap as what
// is implemented.
func TestVersionCapsAgreeWithOslo(t *testing.T) {
	t.Parallel()
	acceptance.CheckDocumented(t, "../DESIGN.md", versionDifferences)
	data, err := os.ReadFile("../target/testdata/version_compat.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Cases []struct {
			Implemented, Requested *string // nil is none
			Compatible             any     // true, false, or the exception that is raised
		}
	}
	if err := json.Unmarshal(data, &table); err != nil || len(table.Cases) < 300 {
		t.Fatalf("the table has %d cases, error %v; want over 300", len(table.Cases), err)
	}
	b := newBus(t)
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, c := range table.Cases {
		limit, version := text(c.Implemented), text(c.Requested)
		want, measured := c.Compatible.(bool)
		if !measured {
			want = false // "malformed version"
		}
		if limit == "" {
			want = true // no cap, or "empty version cap"
		}
		if got := b.newClient(t, messaging.WithVersionCap(limit)).CanSendVersion(version); got != want {
			t.Errorf("cap %q: CanSendVersion(%q) = %t, want %t; in Python %v", limit, version, got, want, c.Compatible)
		}
		if c.Implemented == nil && c.Compatible != true {
			t.Errorf("without a cap %q is %v in Python", version, c.Compatible)
		}
	}
}
