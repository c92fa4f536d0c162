package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "scheduler"

var host = nova.HostEntry{
	ServiceHost: "cmp-a", NodeName: "cmp-a", ComputeNodeUUID: "aaaaaaaa-0000-4000-8000-000000000001",
	CellUUID: "cccccccc-0000-4000-8000-000000000001", Zone: "az1", Amounts: nova.Amounts{VCPUs: 4, MemoryMB: 4096, DiskGB: 40},
}

func uuid(n int) string { return fmt.Sprintf("11111111-1111-4111-8111-%012d", n) }

// cloud is a broker in memory; call it inside a bubble.
type cloud struct {
	*testing.T
	broker *memory.Broker
	log    *logrus.Logger
	client *messaging.Client // of the agent
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{T: t, broker: memory.NewBroker(memory.Config{}), log: logrus.New()}
	c.log.SetOutput(io.Discard)
	var err error
	c.client, err = messaging.NewClient(c.join(), messaging.Target{Topic: agent.Topic, Server: host.ServiceHost, Namespace: "claims"},
		messaging.WithErrors(agent.Exceptions()))
	c.must(err)
	return c
}

func (c *cloud) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cloud) join() *messaging.Transport {
	t := messaging.NewTransport(c.broker.NewDriver(), messaging.WithLogger(c.log))
	c.Cleanup(func() {
		if err := t.Close(context.Background()); err != nil {
			c.Error(err)
		}
	})
	return t
}

// part is what is started and stopped.
type part interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// start starts a part and returns what stops it, which the end of the test does too.
func (c *cloud) start(p part) (stop func()) {
	c.Helper()
	c.must(p.Start(c.Context()))
	stop = sync.OnceFunc(func() {
		if err := p.Stop(context.Background()); err != nil {
			c.Error(err)
		}
	})
	c.Cleanup(stop)
	return stop
}

func (c *cloud) agent(change func(*agent.Config)) *agent.Agent {
	c.Helper()
	conf := agent.Config{Host: host, Log: c.log}
	if change != nil {
		change(&conf)
	}
	a, err := agent.New(c.join(), conf)
	c.must(err)
	return a
}

// scheduler is a worker that is stopped with one call.
type scheduler struct{ *worker.Worker }

func (s scheduler) Start(ctx context.Context) error { return s.Worker.Start(ctx) }

func (s scheduler) Stop(ctx context.Context) error {
	return errors.Join(s.Worker.Stop(ctx), s.Wait(ctx))
}

func (c *cloud) scheduler(name string) scheduler {
	c.Helper()
	w, err := worker.New(c.join(), messaging.Target{Topic: topic, Server: name}, worker.Config{Log: c.log})
	c.must(err)
	return scheduler{w}
}

func (c *cloud) call(method string, n int, vcpus int64) (agent.Claim, error) {
	var args any = agent.ClaimArgs{InstanceUUID: uuid(n), Flavor: map[string]any{"vcpus": vcpus, "memory_mb": 1024, "root_gb": 10}}
	if method == "delete" {
		args = agent.DeleteArgs{InstanceUUID: uuid(n)}
	}
	return messaging.Call[agent.Claim](c.Context(), c.client, method, args)
}

func TestClaimsAreTakenRefusedAndRepeatedWithoutHarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		a := c.agent(nil)
		c.start(a)
		for _, step := range []struct {
			method  string
			n       int
			vcpus   int64
			changed bool
			err     error
			free    int64 // vcpus
		}{
			{"build", 1, 2, true, nil, 2},
			{"build", 1, 2, false, nil, 2},
			{"build", 1, 3, false, &agent.ExistsError{UUID: uuid(1)}, 2},
			{"build", 2, 3, false, &agent.UnavailableError{Reason: "Free vcpus 2 VCPU < requested 3 VCPU"}, 2},
			{"build", 2, 1, true, nil, 1},
			{"resize", 2, 2, true, nil, 0},
			{"resize", 2, 2, false, nil, 0},
			{"resize", 2, 3, false, &agent.UnavailableError{Reason: "Free vcpus 2 VCPU < requested 3 VCPU"}, 0},
			{"resize", 3, 1, false, &agent.NotFoundError{UUID: uuid(3)}, 0},
			{"delete", 1, 0, true, nil, 2},
			{"delete", 1, 0, false, nil, 2},
			{"build", 1, 1, true, nil, 1},
		} {
			got, err := c.call(step.method, step.n, step.vcpus)
			want := agent.Claim{Host: "cmp-a", InstanceUUID: uuid(step.n), Changed: step.changed}
			if step.err != nil {
				want = agent.Claim{}
			}
			if got != want || !matches(err, step.err) || a.Free().VCPUs != step.free {
				t.Fatalf("%s(%d, %d) = %+v, %v with %d vcpus free, want %+v, %v with %d",
					step.method, step.n, step.vcpus, got, err, a.Free().VCPUs, want, step.err, step.free)
			}
		}
		list, err := messaging.Call[agent.ClaimList](t.Context(), c.client, "list", nil)
		c.must(err)
		want := agent.ClaimList{Host: "cmp-a", Free: nova.Amounts{VCPUs: 1, MemoryMB: 2048, DiskGB: 20}, Instances: []agent.InstanceInfo{
			{InstanceUUID: uuid(1), Amounts: nova.Amounts{VCPUs: 1, MemoryMB: 1024, DiskGB: 10}},
			{InstanceUUID: uuid(2), Amounts: nova.Amounts{VCPUs: 2, MemoryMB: 1024, DiskGB: 10}},
		}}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
	})
}

// matches holds an error that came over the bus against the one that was returned: type and fields.
func matches(err, want error) bool {
	switch want := want.(type) { //nolint:errorlint // want is what it is
	case nil:
		return err == nil
	case *agent.UnavailableError:
		var got *agent.UnavailableError
		return errors.As(err, &got) && *got == *want
	case *agent.ExistsError:
		var got *agent.ExistsError
		return errors.As(err, &got) && *got == *want
	case *agent.NotFoundError:
		var got *agent.NotFoundError
		return errors.As(err, &got) && *got == *want
	}
	return false
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.start(c.agent(nil))
		for _, test := range []struct {
			method string
			args   map[string]any
			want   string
		}{
			{"build", map[string]any{"instance_uuid": "x", "flavor": nil}, `instance_uuid: want a UUID, got "x"`},
			{"build", map[string]any{"instance_uuid": uuid(1), "flavor": nil}, "flavor: missing"},
			{"build", map[string]any{"instance_uuid": uuid(1), "flavor": map[string]any{"vcpus": -1, "memory_mb": 1}}, "flavor.vcpus: want a whole number from 0 to 1099511627776, got -1"},
			{"resize", map[string]any{"instance_uuid": uuid(1), "flavor": map[string]any{"vcpus": 1}}, "flavor.memory_mb: missing"},
			{"delete", map[string]any{"instance_uuid": nil}, "instance_uuid: missing"},
		} {
			err := c.client.Call(t.Context(), test.method, test.args, nil)
			var remote *messaging.RemoteError
			if !errors.As(err, &remote) || remote.Class != "ValueError" || remote.Message != test.want {
				t.Errorf("%s(%v) = %v, want ValueError: %s", test.method, test.args, err, test.want)
			}
		}
	})
}

func TestClaimsOfManyCallersNeverExceedTheHost(t *testing.T) {
	t.Parallel()
	claims := agent.NewClaims(placement.Resources{VCPUs: 10})
	var wg sync.WaitGroup
	var taken atomic.Int64
	for n := range 100 {
		wg.Go(func() {
			if created, err := claims.Build(uuid(n/2), placement.Resources{VCPUs: 1}); err == nil && created { // each twice
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 10 || claims.Free().VCPUs != 0 || len(claims.Instances()) != 10 {
		t.Errorf("%d claims of 10 were taken, %d vcpus are free", taken.Load(), claims.Free().VCPUs)
	}
}

func TestABuildThatNobodyWaitsForGivesItsClaimBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		a := c.agent(func(conf *agent.Config) { conf.BuildTime = time.Hour })
		stop := c.start(a)
		done := make(chan error, 1)
		go func() {
			long := c.client.Prepare(messaging.WithTimeout(2*time.Hour), messaging.WithCallMonitor(10*time.Second))
			done <- long.Call(t.Context(), "build", agent.ClaimArgs{InstanceUUID: uuid(1), Flavor: map[string]any{"vcpus": 1, "memory_mb": 1}}, nil)
		}()
		<-time.After(59 * time.Minute)
		if a.Free().VCPUs != 3 {
			t.Errorf("%d vcpus are free while it is built, want 3", a.Free().VCPUs)
		}
		<-time.After(2 * time.Minute)
		c.must(<-done)
		go func() {
			done <- c.client.Call(t.Context(), "build", agent.ClaimArgs{InstanceUUID: uuid(2), Flavor: map[string]any{"vcpus": 1, "memory_mb": 1}}, nil)
		}()
		var refused *messaging.RemoteError // the answer of that very moment
		if err := <-done; !errors.Is(err, messaging.ErrTimeout) && !errors.As(err, &refused) {
			t.Errorf("a build that takes longer than its caller waits = %v, want a timeout", err)
		}
		stop()
		if a.Free().VCPUs != 3 {
			t.Errorf("%d vcpus are free, want 3: the first instance alone has one", a.Free().VCPUs)
		}
	})
}

// known is what a scheduler knows of the host; ok is false where it does not know it.
func known(s scheduler) (used int64, ok bool) {
	for _, h := range s.Inventory().Snapshot() {
		return h.Used.VCPUs, true
	}
	return 0, false
}

func TestSchedulersLearnOfHostClaimsAndRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		first := c.scheduler("s1")
		stopFirst := c.start(first)
		stop := c.start(c.agent(nil))
		expect := func(when string, s scheduler, wantUsed int64) {
			t.Helper()
			if used, ok := known(s); !ok || used != wantUsed {
				t.Errorf("%s: known %t with %d vcpus used, want %d", when, ok, used, wantUsed)
			}
		}
		synctest.Wait()
		expect("after the start, at once", first, 0)
		_, err := c.call("build", 1, 2)
		c.must(err)
		synctest.Wait()
		expect("after a build, at once", first, 2)

		stopFirst()
		second := c.scheduler("s2")
		c.start(second)
		synctest.Wait()
		if _, ok := known(second); ok {
			t.Error("a new scheduler knows the host before it has reported")
		}
		<-time.After(2 * agent.DefaultReportInterval)
		synctest.Wait()
		expect("two intervals after the scheduler's restart", second, 2)

		stop()
		c.start(c.agent(nil))
		synctest.Wait()
		expect("after the agent's restart, which has lost its claims", second, 0)
	})
}

func TestNewNamesWhatIsWrongWithTheHost(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*agent.Config){
		`compute host: service_host: missing`:                                               func(c *agent.Config) { c.Host.ServiceHost = "" },
		`compute host: vcpus: want 0 to 1099511627776, got -1`:                              func(c *agent.Config) { c.Host.VCPUs = -1 },
		`compute host: compute_node_uuid: want a UUID, got "x"`:                             func(c *agent.Config) { c.Host.ComputeNodeUUID = "x" },
		`compute host: neither the report interval nor the time of a build may be negative`: func(c *agent.Config) { c.BuildTime = -1 },
	} {
		conf := agent.Config{Host: host}
		change(&conf)
		tr := messaging.NewTransport(memory.New())
		if _, err := agent.New(tr, conf); err == nil || err.Error() != want {
			t.Errorf("New = %v, want %s", err, want)
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
