//go:build integration

package integration_test

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/transport/transporttest"
)

// denyTransient has a broker refuse what RabbitMQ 4.3 refuses by default: queues that are neither durable nor exclusive.
const denyTransient = "deprecated_features.permit.transient_nonexcl_queues = false"

// TestBrokerThatDeniesTransientQueues holds the tests that share such a broker.
func TestBrokerThatDeniesTransientQueues(t *testing.T) {
	t.Parallel()
	b := broker.ForTest(t, broker.WithSettings(denyTransient))
	for name, test := range map[string]func(t *testing.T, b *broker.Broker){
		"driver conforms with the durable profile": func(t *testing.T, b *broker.Broker) {
			t.Helper()
			conforms(t, b, "?profile=durable", transporttest.Features{})
		},
		"driver conforms with the quorum profile": func(t *testing.T, b *broker.Broker) {
			t.Helper()
			conforms(t, b, "?profile=quorum", transporttest.Features{Reordered: true})
		},
		"own queues become durable and expire":              ownQueuesBecomeDurable,
		"legacy profile fails by an error with the option":  legacyIsRefused,
		"legacy profile uses durable queues that are there": legacyAdopts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

// TestDriverConformsWithTheLegacyProfile is for a broker with its defaults.
func TestDriverConformsWithTheLegacyProfile(t *testing.T) {
	t.Parallel()
	conforms(t, broker.Shared(t), "?profile=legacy", transporttest.Features{})
}

// vhostBus is a bus on a virtual host of its own.
func vhostBus(tb testing.TB, b *broker.Broker) *bus {
	tb.Helper()
	return &bus{url: b.VHost(tb), exchange: unique("exchange"), topic: unique("topic")}
}

// listQueues are name, durability, type and arguments of the queues of a virtual host, without what is random.
func (b *bus) listQueues(tb testing.TB, on *broker.Broker) []string {
	tb.Helper()
	out, err := on.Ctl(tb.Context(), "list_queues", "-p", b.vhost(tb), "--no-table-headers", "name", "durable", "type", "arguments")
	if err != nil {
		tb.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.ReplaceAll(randomID.ReplaceAllString(line, "ID"), b.topic, "TOPIC")
		start, arguments, _ := strings.Cut(line, "[")
		known := slices.DeleteFunc(argument.FindAllString(arguments, -1), func(a string) bool { return a == defaultType })
		lines = append(lines, start+"["+strings.Join(sorted(known), ",")+"]")
	}
	return sorted(lines)
}

// argument finds the arguments in a list, which come in any order.
var argument = regexp.MustCompile(`\{[^}]*\}`)

// defaultType is the argument that newer brokers add to queues that were declared without a type.
const defaultType = `{"x-queue-type","classic"}`

func (b *bus) vhost(tb testing.TB) string {
	tb.Helper()
	u, err := url.Parse(b.url)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

const adoptedQueue, adoptedExchange = "queue is not as declared here, using it as it is", "exchange is not as declared here, using it as it is"

func ownQueuesBecomeDurable(t *testing.T, on *broker.Broker) {
	b := vhostBus(t, on)
	p := join(t, b.url+"?profile=durable")
	p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
	client := p.client(t, b, messaging.WithTimeout(patience))
	want(t, client, "who", nil, "host1")
	if err := client.Fanout(patient(t), "note", nil); err != nil {
		t.Fatalf("fanout: %v", err)
	}
	receive(t, p.notes)
	expires := `[{"x-expires",1800000}]`
	got := b.listQueues(t, on)
	if diff := cmp.Diff([]string{
		"TOPIC\ttrue\tclassic\t[]", "TOPIC.host1\ttrue\tclassic\t[]", "TOPIC_fanout_ID\ttrue\tclassic\t" + expires,
		"reply_ID\ttrue\tclassic\t" + expires,
	}, got); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
	if n := p.logged("the broker refuses transient queues, making those of this process durable"); n != 1 {
		t.Errorf("the refusal was logged %d times, want once", n)
	}
	// The refusal cost one connection, which was made again; what comes later costs none.
	before := p.driver.Stats().Sessions
	q := b.target("host2")
	p.serve(t, q, newEndpoints("host2", p.notes)...)
	if after := p.driver.Stats().Sessions; before != 3 || after != before {
		t.Errorf("%d connections were made, then %d; want 3 (two, and one again) and no more", before, after-before)
	}
}

func legacyIsRefused(t *testing.T, on *broker.Broker) {
	b := vhostBus(t, on)
	p := join(t, b.url+"?profile=legacy")
	start := func() error {
		t.Helper()
		srv, err := messaging.NewRPCServer(p.Transport, b.target("host1"), newEndpoints("host1", p.notes))
		if err != nil {
			t.Fatal(err)
		}
		return srv.Start(patient(t))
	}
	for range 3 { // the later ones without asking the broker
		err := start()
		var refused *rabbit.QueueDeniedError
		if !errors.As(err, &refused) || refused.Queue != b.topic || !strings.Contains(err.Error(), "amqp_durable_queues=true") {
			t.Fatalf("start = %v, want a QueueDeniedError that names queue and option", err)
		}
		var said *rabbit.BrokerError
		if !errors.As(err, &said) || said.Code != amqp.InternalError {
			t.Errorf("start = %v, want it to tell the broker's 541", err)
		}
	}
	if n := p.driver.Stats().Sessions; n > 3 {
		t.Errorf("%d connections were made, want at most 3: the refusal costs one", n)
	}
	// A client needs no queue but its own, which may be durable.
	durable := join(t, b.url+"?profile=durable")
	durable.serve(t, b.target("host1"), newEndpoints("host1", durable.notes)...)
	want(t, p.client(t, b, messaging.WithTimeout(patience)), "who", nil, "host1")
}

func legacyAdopts(t *testing.T, on *broker.Broker) {
	b := vhostBus(t, on)
	first := join(t, b.url+"?profile=durable")
	first.serve(t, b.target("host1"), newEndpoints("host1", first.notes)...)
	p := join(t, b.url+"?profile=legacy")
	p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
	for range 4 { // each has its share of these
		want(t, p.client(t, b, messaging.WithTimeout(patience)), "who", nil, "host1")
	}
	if n := p.logged(adoptedQueue); n != 2 {
		t.Errorf("adoption of a queue was logged %d times, want twice: topic's and server's", n)
	}
}

// TestWhatExistsWithOtherFlagsIsUsedAsItIs has servers and clients that disagree about durability on one bus.
func TestWhatExistsWithOtherFlagsIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	const legacy, durable, quorum = "?profile=legacy", "?profile=durable", "?profile=quorum"
	for _, tt := range []struct{ name, first, second string }{
		{"durable where transient is wanted", durable, legacy},
		{"transient where durable is wanted", legacy, durable},
		{"quorum where transient is wanted", quorum, legacy},
		{"transient where quorum is wanted", legacy, quorum},
		{"classic where quorum is wanted", durable, quorum},
		{"auto-delete where it is not wanted", "?amqp_auto_delete=true", legacy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shared := broker.Shared(t)
			shared.RequireControl(t)
			b := vhostBus(t, shared)
			first, second := join(t, b.url+tt.first), join(t, b.url+tt.second)
			first.serve(t, b.target("host1"), newEndpoints("host1", first.notes)...)
			before := b.listQueues(t, shared)
			second.serve(t, b.target("host1"), newEndpoints("host1", second.notes)...)
			client := second.client(t, b, messaging.WithTimeout(patience))
			for range 4 { // either server may have it
				want(t, client, "who", nil, "host1")
			}
			if err := client.Fanout(patient(t), "note", nil); err != nil {
				t.Fatalf("fanout: %v", err)
			}
			receive(t, first.notes)
			receive(t, second.notes)
			after := b.listQueues(t, shared)
			for _, line := range before {
				if !slices.Contains(after, line) {
					t.Errorf("queue %q is gone; there are %q", line, after)
				}
			}
			if n := second.logged(adoptedQueue); n != 2 {
				t.Errorf("adoption of a queue was logged %d times, want twice: topic's and server's", n)
			}
			if n, lines := second.logged(adoptedExchange), hookText(second.log); n == 0 && !strings.HasPrefix(tt.name, "classic") {
				t.Errorf("adoption of an exchange was not logged:\n%s", lines)
			}
			if text := hookText(second.log); !strings.Contains(text, "inequivalent arg") || !strings.Contains(text, b.topic) {
				t.Errorf("the log does not tell what differs:\n%s", text)
			}
			// The channels of the two are whole: a consumer that was set up stays.
			if s := second.driver.Stats(); s.Sessions != 2 || second.logged("consuming channel lost, opening another") != 0 {
				t.Errorf("%d connections were made, want 2, and channels were lost:\n%s", s.Sessions, hookText(second.log))
			}
		})
	}
}

// TestStreamFanoutReachesEveryServerAcrossAReconnect cuts all connections, publishes meanwhile, and wants each server to
// run every fanout once.
func TestStreamFanoutReachesEveryServerAcrossAReconnect(t *testing.T) {
	t.Parallel()
	shared := broker.Shared(t)
	shared.RequireControl(t)
	b := vhostBus(t, shared)
	stream := b.url + "?profile=quorum&rabbit_stream_fanout=true"
	servers := []*party{join(t, stream), join(t, stream)}
	for i, p := range servers {
		name := fmt.Sprint("host", i+1)
		p.serve(t, b.target(name), newEndpoints(name, p.notes)...)
	}
	client := join(t, stream).client(t, b, messaging.WithTimeout(patience))
	again := map[string]bool{} // sent once more, under another id: the first attempt was cut off before its confirm
	publish := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			eventually(t, "a fanout is confirmed", func() bool {
				err := client.Fanout(patient(t), "note", args{"number": n})
				if err != nil {
					again[strconv.Itoa(n)] = true
				}
				return err == nil
			})
		}
	}
	publish(0, 10)
	for _, p := range servers {
		wantNumbers(t, p, 0, 10, again)
	}
	if _, err := shared.Ctl(t.Context(), "close_all_connections", "--vhost", b.vhost(t), "for a test"); err != nil {
		t.Fatal(err)
	}
	publish(10, 30)
	for _, p := range servers {
		wantNumbers(t, p, 10, 30, again)
		if len(again) == 0 {
			receiveNothing(t, p.notes)
		}
		if n := p.driver.Stats().Sessions; n < 3 {
			t.Errorf("a server made %d connections, want more than two: they were cut", n)
		}
	}
	queue := `TOPIC_fanout	true	stream	[{"x-max-age","1800s"},{"x-queue-type","stream"}]`
	if got := b.listQueues(t, shared); !slices.Contains(got, queue) {
		t.Errorf("queues %q, want the stream %q", got, queue)
	}
}

// TestStreamFanoutIsSharedWithPython has servers in Python and in Go read one stream, to which clients of both publish.
func TestStreamFanoutIsSharedWithPython(t *testing.T) {
	t.Parallel()
	pythons := slices.DeleteFunc(slices.Clone(pythons()), func(py *python) bool { return py.version == "14.0" }) // which knows no streams
	withPythons(t, pythons, func(t *testing.T, py *python) {
		b := newBus(t)
		b.url += "?rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10"
		t.Cleanup(func() { remove(t, dial(t, b.url), nil, []string{b.topic + "_fanout"}) })
		servers := startServers(t, py, b)
		own, sender := join(t, b.url), join(t, b.url)
		own.serve(t, b.target("first"), newEndpoints("first", own.notes)...)
		client, pythonClient := sender.client(t, b, messaging.WithTimeout(patience)), startClient(t, py, b.url)
		for n, fanout := range []func(number int){
			func(n int) {
				if err := client.Fanout(patient(t), "note", args{"number": n}); err != nil {
					t.Errorf("fanout %d from Go: %v", n, err)
				}
			},
			func(n int) {
				to := b.to("")
				to.Fanout = true
				pythonClient.do(t, command{Op: "cast", Target: to, Method: "note", Args: fmt.Sprintf(`{"number": %d}`, n)}).want(t, `None`)
			},
		} {
			fanout(n)
			got := []note{receive(t, servers.notes), receive(t, servers.notes), receive(t, own.notes)}
			names := make([]string, len(got))
			for i := range got {
				names[i] = got[i].Server
				if number := fmt.Sprint(got[i].Args["number"]); number != strconv.Itoa(n) {
					t.Errorf("server %s ran fanout %s, want %d", names[i], number, n)
				}
			}
			if want := []string{"first", "host1", "host2"}; !slices.Equal(sorted(names), want) {
				t.Errorf("fanout %d ran on %v, want each of %v once", n, names, want)
			}
		}
		receiveNothing(t, servers.notes)
		receiveNothing(t, own.notes)
		want(t, client.Prepare(messaging.ToServer("host1")), "who", nil, "host1")
		ch := channel(t, b.url)
		if _, err := ch.QueueDeclarePassive(b.topic+"_fanout", true, false, false, false, amqp.Table{"x-queue-type": "stream"}); err != nil {
			t.Errorf("the stream: %v", err)
		}
	})
}

// TestStreamThatIsDeletedIsReadFromItsNewBeginning: an offset of the old stream, which is 5, would skip what is in the new
// one.
func TestStreamThatIsDeletedIsReadFromItsNewBeginning(t *testing.T) {
	t.Parallel()
	shared := broker.Shared(t)
	shared.RequireControl(t)
	b := vhostBus(t, shared)
	p := join(t, b.url+"?profile=quorum&rabbit_stream_fanout=true")
	p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
	client := p.client(t, b, messaging.WithTimeout(patience))
	fanout := func(n int) {
		t.Helper()
		if err := client.Fanout(patient(t), "note", args{"number": n}); err != nil {
			t.Fatalf("fanout: %v", err)
		}
	}
	for n := range 5 {
		fanout(n)
	}
	wantNumbers(t, p, 0, 5, nil)
	if _, err := channel(t, b.url).QueueDelete(b.topic+"_fanout", false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is there again", func() bool {
		return p.driver.Stats().Cancelled == 1 && slices.ContainsFunc(b.listQueues(t, shared), func(line string) bool {
			return strings.HasPrefix(line, "TOPIC_fanout\t")
		})
	})
	fanout(5)
	wantNumbers(t, p, 5, 6, nil)
	receiveNothing(t, p.notes)
}

// wantNumbers takes a note with each number in any order, each once, but for those that were sent again.
func wantNumbers(tb testing.TB, p *party, from, to int, again map[string]bool) {
	tb.Helper()
	seen := map[string]int{}
	for len(seen) < to-from {
		number := fmt.Sprint(receive(tb, p.notes).Args["number"])
		if seen[number]++; seen[number] > 1 && !again[number] {
			tb.Errorf("fanout %s came %d times, want once", number, seen[number])
		}
	}
	for n := from; n < to; n++ {
		if seen[strconv.Itoa(n)] == 0 {
			tb.Errorf("fanout %d did not come; those that came: %v", n, seen)
		}
	}
}

// TestQueueManagerNamesQueuesThatStayWhenAServerStops looks at the names and at what is left.
func TestQueueManagerNamesQueuesThatStayWhenAServerStops(t *testing.T) {
	t.Parallel()
	shared := broker.Shared(t)
	shared.RequireControl(t)
	b := vhostBus(t, shared)
	query := "?use_queue_manager=true&hostname=node1.example.com&processname=" + unique("process")
	p := join(t, b.url+query)
	srv, err := messaging.NewRPCServer(p.Transport, b.target("host1"), newEndpoints("host1", p.notes))
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	want(t, p.client(t, b, messaging.WithTimeout(patience)), "who", nil, "host1")
	if err := srv.Stop(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := srv.Wait(patient(t)); err != nil {
		t.Fatal(err)
	}
	names := b.listQueues(t, shared)
	for _, pattern := range []string{
		`^TOPIC_fanout_node1\.example\.com:goslo-it-process-\w+:\d+\tfalse\tclassic\t\[\{"x-expires",1800000\}\]$`,
		`^reply_node1\.example\.com:goslo-it-process-\w+:\d+\tfalse\tclassic\t\[\{"x-expires",1800000\}\]$`,
	} {
		if !slices.ContainsFunc(names, regexp.MustCompile(pattern).MatchString) {
			t.Errorf("queues %q, want one like %s", names, pattern)
		}
	}
}

// TestPythonReadsCompressedMessages has Go compress what it sends, to a Python server and to a Python client, which do not
// compress.
func TestPythonReadsCompressedMessages(t *testing.T) {
	t.Parallel()
	withEachPython(t, func(t *testing.T, py *python) {
		for _, value := range []string{"gzip", "lzma"} {
			t.Run(value, func(t *testing.T) {
				t.Parallel()
				query := "?kombu_compression=" + value
				b := newBus(t)
				startServers(t, py, b)
				requests := newTap(t, b.url+query)
				text := strings.Repeat("ß and \u0000 ", 1000)
				want(t, join(t, requests.url).client(t, b, messaging.WithTimeout(patience)), "echo", args{"text": text}, args{"text": text})

				b = newBus(t)
				replies := newTap(t, b.url+query)
				p := join(t, replies.url)
				p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
				call := command{Op: "call", Target: b.to(""), Method: "blob", Args: `{"size": 5}`}
				startClient(t, py, b.url).do(t, call).want(t, "'xxxxx'")

				var sent []method
				eventually(t, "a request and a reply were sent", func() bool { // the taps read along, a moment later
					sent = append(requests.sent("basic.publish"), replies.sent("basic.publish")...)
					return len(sent) >= 2
				})
				for _, m := range sent {
					if headers, ok := m.Properties["headers"].(map[string]any); !ok || headers["compression"] == nil {
						t.Errorf("a message went out with properties %v, want a header that tells its compression", m.Properties)
					}
				}
				if len(sent) != 2 {
					t.Errorf("%d messages were sent, want a request and a reply", len(sent))
				}
			})
		}
	})
}

// TestMandatoryCastThatIsCompressedIsReturned: a return is matched by what is in its body.
func TestMandatoryCastThatIsCompressedIsReturned(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := join(t, b.url+"?kombu_compression=gzip")
	begun := time.Now()
	client := p.client(t, b, messaging.WithTimeout(patience), messaging.WithMandatory())
	if err := client.Cast(patient(t), "nothing", nil); !errors.Is(err, messaging.ErrUndeliverable) {
		t.Errorf("cast = %v after %s, want ErrUndeliverable", err, time.Since(begun))
	}
}
