package worker_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

const recordings = "../nova/testdata"

// novaTarget is where nova's services expect their scheduler.
var novaTarget = messaging.Target{Exchange: "nova", Topic: "scheduler"}

// bus is a broker in memory with one worker on it, which knows the recorded hosts, and one peer beside it.
type bus struct {
	broker   *memory.Broker
	worker   *worker.Worker
	peer     *memory.Driver
	client   *messaging.Client // of the peer, for the scheduler's interface 4.5
	logs     *logtest.Hook
	selected chan nova.SelectDestinationsArgs
	ran      chan string // the methods that have ended
}

func newBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{
		broker: memory.NewBroker(memory.Config{}), selected: make(chan nova.SelectDestinationsArgs, 16), ran: make(chan string, 16),
	}
	var log *logrus.Logger
	log, b.logs = logtest.NewNullLogger()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.DebugLevel)
	log.AddHook(b)

	servers := messaging.NewTransport(b.broker.NewDriver(), messaging.WithLogger(log), messaging.WithControlExchange("nova"))
	hosts, err := placement.LoadHosts(filepath.Join(recordings, "hosts.json"))
	must(t, err)
	b.worker, err = worker.New(servers, messaging.Target{Topic: "scheduler", Server: "sched-1"}, worker.Config{
		Hosts: hosts, Log: log, Selected: func(args nova.SelectDestinationsArgs) { b.selected <- args },
	})
	must(t, err)
	must(t, b.worker.Start(t.Context()))

	b.peer = b.broker.NewDriver()
	peer := messaging.NewTransport(b.peer, messaging.WithLogger(log))
	to := novaTarget
	to.Version = "4.5"
	b.client, err = messaging.NewClient(peer, to, messaging.WithTimeout(30*time.Second))
	must(t, err)
	t.Cleanup(func() {
		ctx := context.Background()
		for _, end := range []func(context.Context) error{peer.Close, b.worker.Stop, b.worker.Wait, servers.Close} {
			if err := end(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Levels and Fire make the bus a hook of its log: they tell which methods have ended.
func (b *bus) Levels() []logrus.Level { return []logrus.Level{logrus.DebugLevel} }

func (b *bus) Fire(e *logrus.Entry) error {
	if e.Message == "replied" {
		b.ran <- e.Data["method"].(string)
	}
	return nil
}

// await waits until a method has ended.
func (b *bus) await(t *testing.T, method string) {
	t.Helper()
	select {
	case got := <-b.ran:
		if got != method {
			t.Fatalf("%s ran, want %s", got, method)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not run", method)
	}
}

// call sends the body of a request as a call and returns the body of its reply.
func (b *bus) call(t *testing.T, body []byte) []byte {
	t.Helper()
	request, err := wire.DecodeRequest(body)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	reply, err := b.peer.Call(ctx, novaTarget, request, transport.SendOptions{Mandatory: true})
	must(t, err)
	return wire.AppendReply(nil, reply)
}

// used is what each known host has in use, by name.
func (b *bus) used() map[string]placement.Resources {
	used := make(map[string]placement.Resources)
	for _, h := range b.worker.Inventory().Snapshot() {
		used[h.Name] = h.Used
	}
	return used
}

// frame is a recorded message; its texts of JSON within JSON are shown decoded.
type frame struct {
	Exchange    string
	RoutingKeys []string `json:"routing_keys"`
	Body        struct {
		Message struct {
			Inner json.RawMessage `json:"(decoded JSON string)"`
		} `json:"oslo.message"`
	}
}

func readFrame(t *testing.T, path string) frame {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var f frame
	must(t, json.Unmarshal(text, &f))
	return f
}

// wireBody is the body as it went over the wire.
func (f *frame) wireBody(t *testing.T) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(f.Body.Message.Inner)})
	must(t, err)
	return body
}
