//go:build integration

package faults

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/integration/broker"
)

const (
	// patience is how long a row waits for what has to happen before it gives up.
	patience = time.Minute
	// drainTime is how long what was taken may take to run: a broker that was cut off hands its messages to others
	// when it has missed two heartbeats.
	drainTime = 45 * time.Second
	// heartbeat is that of every connection.
	heartbeat = 10 * time.Second
)

// fault is a row: what breaks under load, how that is mended, and what is promised.
type fault struct {
	name string
	// missing says why this machine cannot have the fault; empty if it can.
	missing func(s *suite) string
	// short is true for rows of the short form.
	short bool
	// alone rows bring a load of their own: only inject is called, which also notes the row's promises.
	alone bool
	// losesQueue is true where queues vanish, and with them what the broker had confirmed.
	losesQueue bool
	// vhost and ttl, in seconds, are of the transport URL.
	vhost string
	ttl   int
	// calm is how long the load runs before the fault, nil for a second.
	calm func(short bool) time.Duration
	// prepare is called before the load starts.
	prepare func(r *run)
	// inject breaks something. It returns when it is broken.
	inject func(r *run)
	// hold is how long it stays so, nil for not at all.
	hold func(short bool) time.Duration
	// heal mends it. It returns when it is mended.
	heal func(r *run)
	// back is how soon after heal each client must have a good call; 0 promises nothing.
	back time.Duration
	// check notes further promises, when the load has ended.
	check func(r *run)
}

// run is one play of a fault.
type run struct {
	t     *testing.T
	suite *suite
	fault fault
	short bool

	topic   string
	url     string // through the network
	network *network
	history *history
	journal *journal
	load    *load
	victim  *broker.Broker // one node of the cluster

	mu     sync.Mutex // protects what follows
	opened []*party   // every transport, in this row

	begun            time.Time // of the load
	injected, healed time.Time // set by play, where inject and heal do not know better
	promises         []promise
	lenient          bool // what comes too late is noted in late, and fails nothing
	late             []string
}

// play plays a row. In the short form, which runs wherever tests do, one that was too slow and broke nothing else gets a
// second chance: the machine may have had other things to do.
func play(t *testing.T, s *suite, f fault, short bool) {
	t.Helper()
	r := newRun(t, s, f, short)
	r.lenient = short
	r.play()
	if len(r.late) > 0 && !t.Failed() {
		again := newRun(t, s, f, short)
		again.tell("too late when first played", strings.Join(r.late, "; "))
		again.play()
	}
}

func newRun(t *testing.T, s *suite, f fault, short bool) *run {
	t.Helper()
	r := &run{t: t, suite: s, fault: f, short: short, history: newHistory(), journal: &journal{}}
	r.topic = "goslo-faults-" + strings.ToLower(rand.Text()[:10])
	r.network = newNetwork(t, s.address())
	r.url = s.url(r.network.address(), f)
	return r
}

// play plays a row from its baseline to its promises.
func (r *run) play() {
	f := r.fault
	before := baseline()
	defer func() {
		if len(r.late) == 0 || r.t.Failed() { // else it is played again
			r.suite.table.add(r.promises...)
		}
	}()
	defer r.abandon()
	if f.alone {
		f.inject(r)
		return
	}
	if f.prepare != nil {
		f.prepare(r)
	}
	startLoad(r)
	r.begun = time.Now()
	if f.calm == nil {
		f.calm = held(time.Second, time.Second)
	}
	r.wait(f.calm(r.short))
	sessions := r.load.sessions()
	r.injected = time.Now()
	f.inject(r)
	if f.hold != nil {
		r.wait(f.hold(r.short))
	}
	if f.heal != nil {
		f.heal(r)
	}
	if r.healed.IsZero() {
		r.healed = time.Now()
	}
	r.history.fault(r.injected, r.healed)
	r.until(patience, r.everybodyIsGood)
	r.wait(time.Second)
	r.tell("connections made again", strconv.FormatUint(r.load.sessions()-sessions, 10))
	closing := r.load.end(r.drained)
	r.network.close()
	r.common(closing)
	if f.check != nil {
		f.check(r)
	}
	r.leftovers(before)
}

// wait lets the load go on.
func (r *run) wait(d time.Duration) {
	r.t.Helper()
	if err := pause(r.t.Context(), d); err != nil {
		r.t.Fatal(err)
	}
}

// until waits until ok holds, for a time at most, and reports whether it does.
func (r *run) until(most time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), most)
	defer cancel()
	for !ok() {
		if pause(ctx, 10*time.Millisecond) != nil {
			return false
		}
	}
	return true
}

// everybodyIsGood reports whether each client had a good call since the fault's end.
func (r *run) everybodyIsGood() bool {
	_, ok := r.slowestClient()
	return ok
}

// slowestClient is when the last of the clients had its first good call after the fault's end.
func (r *run) slowestClient() (last time.Duration, ok bool) {
	for client := range clients {
		took, ok := r.history.firstGood(client, r.healed)
		if !ok {
			return 0, false
		}
		last = max(last, took)
	}
	return last, true
}

// drained reports whether every confirmed cast has run.
func (r *run) drained() bool { return r.history.lost(r.keepsSince()) == 0 }

// keepsSince is from when on a confirmed cast must not be lost.
func (r *run) keepsSince() time.Time {
	if r.fault.losesQueue {
		return r.healed
	}
	return time.Time{}
}

// promise notes what was promised and seen; a broken one fails the row.
func (r *run) promise(promised, seen string, ok bool) {
	r.t.Helper()
	v := kept
	switch why := excuse(r.fault.name, promised); {
	case ok:
	case r.short && why != "":
		v = expected
		r.t.Logf("promised %s: seen %s: %s", promised, seen, why)
	default:
		v = broken
		r.t.Errorf("promised %s: seen %s", promised, seen)
	}
	r.promises = append(r.promises, promise{r.fault.name, promised, seen, v})
}

// tick is what two clocks may differ by.
const tick = 100 * time.Millisecond

// atMost promises that something takes no longer than limit, to a tenth of a second.
func (r *run) atMost(what string, took, limit time.Duration) {
	r.t.Helper()
	if r.lenient && took.Round(tick) > limit {
		r.late = append(r.late, fmt.Sprintf("%s <= %s: %s", what, limit, took.Round(time.Millisecond)))
		return
	}
	r.promise(fmt.Sprintf("%s <= %s", what, limit), took.Round(time.Millisecond).String(), took.Round(tick) <= limit)
}

// none promises that of so many nothing was so.
func (r *run) none(what string, seen, of int) {
	r.t.Helper()
	r.promise(what+" 0", fmt.Sprintf("%d of %d", seen, of), seen == 0)
}

// tell notes a number that nothing is promised about.
func (r *run) tell(what, seen string) {
	r.promises = append(r.promises, promise{r.fault.name, "(" + what + ")", seen, told})
}

// ctl runs rabbitmqctl.
func (r *run) ctl(args ...string) string {
	r.t.Helper()
	out, err := r.suite.broker.Ctl(context.WithoutCancel(r.t.Context()), args...)
	if err != nil {
		r.t.Fatalf("rabbitmqctl %s: %v", args[0], err)
	}
	return out
}

// channel opens a bare AMQP channel to the broker, not through the network, and returns what closes it.
func (r *run) channel() (*amqp.Channel, func()) {
	r.t.Helper()
	conn, err := amqp.Dial(broker.AMQP(r.suite.broker.URL()))
	if err != nil {
		r.t.Fatal(err)
	}
	ch, err := conn.Channel()
	if err != nil {
		r.t.Fatal(err)
	}
	return ch, func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) }
}

// suite is what all rows share.
type suite struct {
	broker  *broker.Broker
	cluster *broker.Cluster // nil before the first row that needs one
	user    string
	secret  string // in no URL but goslo's own, so that it can be looked for
	table   table
}

// newSuite starts a broker with a user of the suite's own.
func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{broker: broker.ForTest(t, broker.WithControl()), user: suiteUser, secret: rand.Text()}
	t.Cleanup(func() {
		if s.cluster == nil {
			return
		}
		if err := s.cluster.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
	})
	for _, args := range s.grants() {
		if _, err := s.broker.Ctl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// grants make the suite's user, for rabbitmqctl.
func (s *suite) grants() [][]string {
	return [][]string{{"add_user", s.user, s.secret}, {"set_permissions", "-p", "/", s.user, ".*", ".*", ".*"}}
}

// address is the broker's host:port.
func (s *suite) address() string {
	u, err := url.Parse(s.broker.AMQPURL())
	if err != nil {
		panic("the broker's URL is one")
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// url is goslo's URL of the broker behind an address: durable queues, so that what is confirmed outlives the broker,
// and short-lived private ones, so that rows leave nothing.
func (s *suite) url(address string, f fault) string {
	ttl := 120
	if f.ttl > 0 {
		ttl = f.ttl
	}
	return fmt.Sprintf("rabbit://%s:%s@%s/%s?heartbeat_timeout_threshold=%d&amqp_durable_queues=true&rabbit_transient_queues_ttl=%d",
		s.user, s.secret, address, f.vhost, int(heartbeat.Seconds()), ttl)
}

// usage is what a process holds.
type usage struct {
	goroutines int
	heap       uint64
}

// baseline is the usage of now, of goroutines those that are not the proxy's own.
func baseline() usage {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{goroutines: goroutines(), heap: memory.HeapAlloc}
}

// goroutines counts those that are not the proxy's: it leaves the ends of links behind that it cut.
func goroutines() int {
	n := 0
	for stack := range strings.SplitSeq(stacks(), "\n\n") {
		if !strings.Contains(stack, "Shopify/toxiproxy") {
			n++
		}
	}
	return n
}

func stacks() string {
	for size := 1 << 20; ; size *= 2 {
		text := make([]byte, size)
		if n := runtime.Stack(text, true); n < size {
			return string(text[:n])
		}
	}
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most/2] + "\n...\n" + text[len(text)-most/2:]
}
