package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
	"github.com/goslo/goslo/messaging"
)

// Topic is where agents serve, each under the name of its host.
const Topic = "compute"

// DefaultReportInterval is how often an agent reports (nova: report_interval).
const DefaultReportInterval = 10 * time.Second

// Config is what an agent is made of.
type Config struct {
	// Host is what the host is and has.
	Host nova.HostEntry
	// SchedulerTopic is where the schedulers are; empty is scheduler.
	SchedulerTopic string
	// ReportInterval is how often the agent reports everything; 0 is [DefaultReportInterval]. Changes are reported at once.
	ReportInterval time.Duration
	// BuildTime is how long a build takes; 0 is no time at all.
	BuildTime time.Duration
	// Claims are those of an agent that this one succeeds in the same process; nil is for none.
	Claims *Claims
	// Log takes what goes wrong; nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// Agent is one compute host: a server and a reporter. Its one goroutine reports, from Start to Stop.
type Agent struct {
	config   Config
	claims   *Claims
	server   *messaging.MessageHandlingServer
	reporter *reporter

	mu     sync.Mutex
	cancel context.CancelFunc // of the reporter; nil while it does not run
	done   chan struct{}
}

// New makes an agent. Nothing touches the network before Start. It fails with what is wrong with the host, or where
// [messaging.NewRPCServer] does.
func New(t *messaging.Transport, c Config, opts ...messaging.ServerOption) (*Agent, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	schedulers, err := rpcapi.NewScheduler(t, c.SchedulerTopic)
	if err != nil {
		return nil, err
	}
	a := &Agent{config: c, claims: c.Claims}
	a.reporter = newReporter(schedulers, &a.config, a.claims)
	opts = append([]messaging.ServerOption{messaging.WithErrors(Exceptions())}, opts...)
	on := messaging.Target{Topic: Topic, Server: c.Host.ServiceHost}
	if a.server, err = messaging.NewRPCServer(t, on, []*messaging.Endpoint{a.endpoint()}, opts...); err != nil {
		return nil, err
	}
	return a, nil
}

func (c *Config) complete() error {
	host, err := c.Host.Parse()
	if err != nil {
		return fmt.Errorf("compute host: %w", err)
	}
	if c.ReportInterval < 0 || c.BuildTime < 0 {
		return errors.New("compute host: neither the report interval nor the time of a build may be negative")
	}
	if c.SchedulerTopic == "" {
		c.SchedulerTopic = "scheduler"
	}
	if c.ReportInterval == 0 {
		c.ReportInterval = DefaultReportInterval
	}
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	c.Log = c.Log.WithField("host", c.Host.ServiceHost)
	if c.Claims == nil {
		c.Claims = NewClaims(host.Total)
	}
	c.Claims.setTotal(host.Total)
	return nil
}

// Start serves, and then begins to report: a host that is reported can be reached. It fails as the server's Start does.
func (a *Agent) Start(ctx context.Context) error {
	if err := a.server.Start(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cancel != nil {
		return nil
	}
	reporting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	a.cancel, a.done = cancel, done
	go func() {
		defer close(done)
		a.reporter.run(reporting)
	}()
	return nil
}

// Stop takes no more calls, answers those that run, and then stops reporting. It returns when both have ended; when ctx
// ends it breaks them off and returns its error.
func (a *Agent) Stop(ctx context.Context) error {
	err := errors.Join(a.server.Stop(ctx), a.server.Wait(ctx))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cancel != nil {
		a.cancel()
		<-a.done // a send of the reporter ends with its context
		a.cancel = nil
	}
	return err
}

// Progress grows while the agent's server goes round; see [messaging.MessageHandlingServer.Progress].
func (a *Agent) Progress() uint64 { return a.server.Progress() }

// Claims are what the instances of the host take.
func (a *Agent) Claims() *Claims { return a.claims }

// Free is what is left of the host.
func (a *Agent) Free() placement.Resources { return a.claims.Free() }
