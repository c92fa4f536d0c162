//go:build integration

package proof

import (
	"cmp"
	"crypto/rand"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/service/listen"
)

var rounds = flag.Int("rounds", 1, "play all events so many times")

const (
	// workers is how many processes schedulers and fronts have each.
	workers = 2
	// lead is how long the loads go before each event, and settle how long at least after it.
	lead   = 500 * time.Millisecond
	settle = time.Second
	// hang is how long a process hangs at least before it is killed: all that it had sent arrives meanwhile.
	hang = 100 * time.Millisecond
	// settleTime is how long that may take. An answer that had not left the process does not arrive.
	settleTime = 5 * time.Second
	// buildTime is how long agents take for each call.
	buildTime = 100 * time.Millisecond
)

// host is that of the schedulers.
const host = "ctl"

// scene is the services and what they are started with.
type scene struct {
	t       *testing.T
	ledger  *ledger
	program string
	bus     string // URL
	name    string // of exchange and topic, which are the test's own
	file    string // with what schedulers know from the start

	url    string   // of the fronts
	socket *os.File // of the fronts: it outlives them
	hosts  []string // of the agents

	schedulers, fronts *process
	agents             []*process
}

// newScene has a bus and nothing on it yet.
func newScene(t *testing.T, l *ledger) *scene {
	t.Helper()
	program, err := build()
	must(t, err)
	s := &scene{t: t, ledger: l, program: program, bus: broker.Shared(t).VHost(t), name: "goslo-it-" + strings.ToLower(rand.Text()[:10])}
	s.file = filepath.Join(t.TempDir(), "hosts.json")
	const known = `[{"service_host": "static", "nodename": "static", "compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000009",
		"cell_uuid": "cccccccc-0000-4000-8000-000000000001", "vcpus": 9, "memory_mb": 1024, "disk_gb": 1}]`
	must(t, os.WriteFile(s.file, []byte(known), 0o600))
	return s
}

// startAll starts all services.
func (s *scene) startAll() {
	s.t.Helper()
	// Keeps the socket non-blocking, and has the backlog of deploy's unit.
	listener, err := listen.TCP("api", "127.0.0.1:0", listen.WithBacklog(4096))
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, listener.Close()) })
	s.socket, s.url = listen.Inherited()[0].File, "http://"+listener.Addr().String()
	s.hosts = []string{"cmp1-" + s.name, "cmp2-" + s.name}
	s.schedulers, s.fronts = s.startSchedulers(workers), s.startFronts()
	for i := range s.hosts {
		s.agents = append(s.agents, s.startAgent(i))
	}
}

func (s *scene) start(workers int, socket *os.File, args ...string) *process {
	s.t.Helper()
	if workers > 0 {
		args = append(args, "--workers", strconv.Itoa(workers))
	}
	return start(s.t, s.ledger, workers, socket, s.program, append(args, "--debug", "--transport-url", s.bus, "--control-exchange", s.name, "--topic", s.name)...)
}

func (s *scene) startSchedulers(workers int) *process {
	return s.start(workers, nil, "serve", "--host", host, "--hosts", s.file)
}

func (s *scene) secondSchedulers() *process { return s.startSchedulers(workers) }

func (s *scene) startFronts() *process {
	return s.start(workers, s.socket, "api")
}

func (s *scene) startAgent(i int) *process {
	return s.start(0, nil, "agent", "--host", s.hosts[i], "--vcpus", "1000000", "--memory-mb", "1000000",
		"--scheduler-agent-build-time", fmt.Sprint(buildTime.Seconds()))
}

// busiestFront has the most connections: the kernel prefers some of those that accept on one socket.
func (s *scene) busiestFront() int {
	return slices.MaxFunc(s.fronts.living(), func(a, b int) int {
		return cmp.Compare(len(connections(s.t, a, s.port())), len(connections(s.t, b, s.port())))
	})
}

func (s *scene) port() int {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	return number10(port)
}

// event is what happens to services under load. It returns when they are whole again, with the process that it has killed.
type event struct {
	name string
	do   func(*scene) *victim
}

var events = []event{
	{"nothing", func(*scene) *victim { return nil }},
	{"TERM of a worker", func(s *scene) *victim {
		s.together(func() { termWorker(s.schedulers) }, func() { termWorker(s.fronts) })
		return nil
	}},
	{"HUP: rolling reload", func(s *scene) *victim {
		s.together(func() { reload(s.schedulers) }, func() { reload(s.fronts) }, func() { s.agents[0].signal(syscall.SIGHUP) })
		return nil
	}},
	{"kill -9 of a scheduler", func(s *scene) *victim {
		v := s.kill(calls, s.schedulers.living()[0])
		s.schedulers.replaced(v.pid)
		return v
	}},
	{"kill -9 of a front", func(s *scene) *victim {
		v := s.kill(requests, s.busiestFront())
		s.fronts.replaced(v.pid)
		return v
	}},
	{"kill -9 of an agent", func(s *scene) *victim {
		v := s.kill(claims, s.agents[0].living()[0])
		s.agents[0].awaitEnd()
		s.agents[0] = s.startAgent(0) // as systemd does
		return v
	}},
	{"second service started, then TERM of the first", func(s *scene) *victim {
		s.together(
			func() { s.schedulers = succeed(s.schedulers, s.secondSchedulers) },
			func() { s.fronts = succeed(s.fronts, s.startFronts) },
		)
		return nil
	}},
	{"TERM of the service, then started again", func(s *scene) *victim {
		s.together(
			func() { s.schedulers = restart(s.schedulers, s.secondSchedulers) },
			func() { s.fronts = restart(s.fronts, s.startFronts) },
			func() { s.agents[1] = restart(s.agents[1], func() *process { return s.startAgent(1) }) },
		)
		return nil
	}},
}

// together does several things at once. It ends the test where one of them could not be done.
func (s *scene) together(all ...func()) {
	var wg sync.WaitGroup
	var done atomic.Int64
	for _, do := range all {
		wg.Go(func() { do(); done.Add(1) })
	}
	wg.Wait()
	if int(done.Load()) < len(all) {
		s.t.FailNow()
	}
}

func termWorker(p *process) {
	one := p.living()[0]
	kill(p.t, one, syscall.SIGTERM)
	p.replaced(one)
}

func reload(p *process) {
	old := p.living()
	p.signal(syscall.SIGHUP)
	p.replaced(old...)
}

// kill kills a process that hangs, and notes what it has in its hands. A moment before, it would be open whether its last words
// had left it.
func (s *scene) kill(kind load, pid int) *victim {
	stopped := time.Now()
	kill(s.t, pid, syscall.SIGSTOP)
	until(func() bool { return s.ledger.settled(kind, pid, stopped) }, settleTime)
	wait(hang)
	v := &victim{load: kind, pid: pid, at: time.Now()}
	if kind == requests {
		v.conns = connections(s.t, pid, s.port())
	}
	kill(s.t, pid, syscall.SIGKILL)
	return v
}

func succeed(first *process, start func() *process) *process {
	second := start()
	first.terminate()
	return second
}

func restart(first *process, start func() *process) *process {
	first.terminate()
	return start()
}

// nonBlocking tells whether a socket has O_NONBLOCK, for all that share it.
func nonBlocking(t *testing.T, socket *os.File) bool {
	t.Helper()
	raw, err := socket.SyscallConn()
	must(t, err)
	flags := 0
	must(t, raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }))
	must(t, err)
	return flags&unix.O_NONBLOCK != 0
}

// until waits until a condition holds, for a time at most.
func until(condition func() bool, most time.Duration) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(most)
	for !condition() {
		select {
		case <-ticker.C:
		case <-end:
			return
		}
	}
}

func wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// play has an event happen under load.
func (s *scene) play(e event) span {
	now := span{from: time.Now()}
	wait(lead)
	now.event = time.Now()
	now.victim = e.do(s)
	if !nonBlocking(s.t, s.socket) {
		s.t.Errorf("%s: the fronts' socket is blocking", e.name)
	}
	wait(settle)
	now.until = time.Now()
	return now
}

// What happens to services costs nothing, but for kill -9, which costs what that process had in its hands: nothing else fails,
// and nothing is run twice.
func TestNothingIsLostWhenServicesComeAndGoUnderLoad(t *testing.T) {
	l := newLedger()
	s := newScene(t, l)
	s.startAll()
	c := startLoads(t, l, s)
	var spans []span
	for range *rounds {
		for _, e := range events {
			spans = append(spans, s.play(e))
		}
	}
	c.stop(spans)
	for _, p := range append(s.agents, s.fronts, s.schedulers) {
		p.terminate()
	}
	report(t, l, spans)
}

// report prints the table, and fails for what should not have been.
func report(t *testing.T, l *ledger, spans []span) {
	var all table
	defer all.print(os.Stdout)
	for i, sums := range l.sums(spans) {
		e := events[i%len(events)]
		for _, kind := range loads {
			got := sums[kind]
			all.add(e.name, kind, *got)
			for _, fault := range got.faults[:min(5, len(got.faults))] {
				t.Errorf("%s: %s", e.name, fault)
			}
			if got.sent < rates[kind]/4 {
				t.Errorf("%s: %d %s were sent, which shows nothing", e.name, got.sent, kind)
			}
		}
	}
}
