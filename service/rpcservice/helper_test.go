package rpcservice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/periodic"
	"github.com/goslo/goslo/service/rpcservice"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// launched is what launchers of package service run.
type launched interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Wait(ctx context.Context) error
	Reset(ctx context.Context) error
}

var _ launched = (*rpcservice.RPCService)(nil)

var errBoom = errors.New("boom")

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// take returns what was noted since it was last called.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

func (j *journal) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, j.take()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// manager is one that notes what is done with it and fails where it is told to.
type manager struct {
	rpcservice.BaseManager
	journal  *journal
	endpoint *messaging.Endpoint
	more     []*messaging.Endpoint
	fail     map[string]func(ctx context.Context) error // by name of hook
	tasks    *periodic.Tasks
	idle     atomic.Bool // not working

	tasksAsked func() // may be nil
}

func newManager() *manager {
	m := &manager{journal: &journal{}, endpoint: messaging.NewEndpoint(), fail: make(map[string]func(context.Context) error)}
	messaging.HandleArg(m.endpoint, "echo", "value", func(_ context.Context, value any) (any, error) { return value, nil })
	messaging.HandleArg(m.endpoint, "work", "seconds", func(ctx context.Context, seconds int) (any, error) {
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
			m.journal.note("work done")
			return nil, nil
		case <-ctx.Done():
			m.journal.note("work cancelled")
			return nil, context.Cause(ctx)
		}
	})
	return m
}

func (m *manager) hook(ctx context.Context, name string) error {
	m.journal.note(name)
	if fail := m.fail[name]; fail != nil {
		return fail(ctx)
	}
	return nil
}

func (m *manager) Endpoint() *messaging.Endpoint              { return m.endpoint }
func (m *manager) AdditionalEndpoints() []*messaging.Endpoint { return m.more }
func (m *manager) InitHost(ctx context.Context) error         { return m.hook(ctx, "init host") }
func (m *manager) InitHostWithRPC(ctx context.Context) error {
	return m.hook(ctx, "init host with RPC")
}
func (m *manager) CleanupHost(ctx context.Context) error { return m.hook(ctx, "clean up host") }
func (m *manager) Reset(ctx context.Context) error       { return m.hook(ctx, "reset") }
func (m *manager) IsWorking() bool                       { return !m.idle.Load() }
func (m *manager) fails(hook string, err error) {
	m.fail[hook] = func(context.Context) error { return err }
}
func (m *manager) does(hook string, f func(ctx context.Context) error) { m.fail[hook] = f }

func (m *manager) PeriodicTasks() *periodic.Tasks {
	if m.tasksAsked != nil {
		m.tasksAsked()
	}
	return m.tasks
}

// driver notes when listeners come and go.
type driver struct {
	transport.Driver
	journal   *journal
	listenErr error
	stopErr   error
	closeErr  error
}

func (d *driver) Listen(ctx context.Context, on target.Target, opts transport.ListenOptions) (transport.Listener, error) {
	if d.listenErr != nil {
		return nil, d.listenErr
	}
	d.journal.note("listen")
	l, err := d.Driver.Listen(ctx, on, opts)
	return &listener{Listener: l, driver: d}, err
}

type listener struct {
	transport.Listener
	driver  *driver
	stopped sync.Once
}

func (l *listener) Stop(ctx context.Context) error {
	l.stopped.Do(func() { l.driver.journal.note("stop listening") })
	return errors.Join(l.Listener.Stop(ctx), l.driver.stopErr)
}

func (l *listener) Close(ctx context.Context) error {
	l.driver.journal.note("close listener")
	return errors.Join(l.Listener.Close(ctx), l.driver.closeErr)
}

// bus is a broker in memory with a transport for services and one for clients.
type bus struct {
	broker          *memory.Broker
	driver          *driver
	servers, client *messaging.Transport
	log             *logrus.Logger
	logs            *logtest.Hook
}

func newBus(t testing.TB, j *journal) *bus {
	t.Helper()
	log, hook := logtest.NewNullLogger()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.DebugLevel)
	broker := memory.NewBroker(memory.Config{})
	b := &bus{broker: broker, driver: &driver{Driver: broker.NewDriver(), journal: j}, log: log, logs: hook}
	b.servers = messaging.NewTransport(b.driver, messaging.WithLogger(log))
	b.client = messaging.NewTransport(broker.NewDriver(), messaging.WithLogger(log))
	t.Cleanup(func() {
		for _, tr := range []*messaging.Transport{b.client, b.servers} {
			if err := tr.Close(context.Background()); err != nil {
				t.Errorf("Close = %v", err)
			}
		}
	})
	return b
}

// newService makes a service of topic "compute" on "host1"; change may be nil.
func (b *bus) newService(t testing.TB, m rpcservice.Manager, change func(*rpcservice.Config), opts ...messaging.ServerOption) *rpcservice.RPCService {
	t.Helper()
	conf := rpcservice.Config{Topic: "compute", Host: "host1", PeriodicFuzzyDelay: rpcservice.NoDelay, Log: b.log}
	if change != nil {
		change(&conf)
	}
	svc, err := rpcservice.New(b.servers, m, conf, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func (b *bus) newClient(t testing.TB, opts ...messaging.ClientOption) *messaging.Client {
	t.Helper()
	client, err := messaging.NewClient(b.client, messaging.Target{Topic: "compute"}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// levels are the levels of the lines with that message.
func (b *bus) levels(message string) (levels []logrus.Level) {
	for _, entry := range b.logs.AllEntries() {
		if entry.Message == message {
			levels = append(levels, entry.Level)
		}
	}
	return levels
}

func (b *bus) wantLogged(t testing.TB, message string, want ...logrus.Level) {
	t.Helper()
	if got := b.levels(message); !slices.Equal(got, want) {
		t.Errorf("%q was logged at %v, want %v", message, got, want)
	}
}

// scene is one service of one manager in a bubble.
type scene struct {
	*bus
	manager *manager
	svc     *rpcservice.RPCService
}

func newScene(t *testing.T, change func(*rpcservice.Config), opts ...messaging.ServerOption) *scene {
	t.Helper()
	m := newManager()
	b := newBus(t, m.journal)
	return &scene{b, m, b.newService(t, m, change, opts...)}
}

func (s *scene) start(t testing.TB) {
	t.Helper()
	if err := s.svc.Start(t.Context()); err != nil {
		t.Fatalf("Start = %v", err)
	}
}

func (s *scene) stop(t testing.TB) {
	t.Helper()
	stop(t, s.svc)
}

func stop(t testing.TB, svc *rpcservice.RPCService) {
	t.Helper()
	for _, end := range []func(context.Context) error{svc.Stop, svc.Wait} {
		if err := end(context.Background()); err != nil {
			t.Errorf("the service does not end: %v", err)
		}
	}
}

// inBubble plays scenes with a clock of their own.
func inBubble(t *testing.T, play func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, play)
}

// pass lets d pass, and what happens at its end.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// moments notes when something is done, counted from the beginning.
func (j *journal) moments(name string, err error) func(context.Context) error {
	begun := time.Now()
	return func(context.Context) error {
		j.note(fmt.Sprintf("%s@%s", name, time.Since(begun)))
		return err
	}
}
