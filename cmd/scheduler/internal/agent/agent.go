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
	"github.com/goslo/goslo/service/rpcservice"
)

// ServiceName is what agents answer to who pings them (nova: the service's topic).
const ServiceName = "compute"

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
	// Service has further choices about the agent's service: its backdoor, its version.
	Service rpcservice.Config
	// Claims are those of an agent that this one succeeds in the same process; nil is for none.
	Claims *Claims
	// Log takes what goes wrong; nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// Agent is one compute host: a service, and what it knows of its instances.
type Agent struct {
	*rpcservice.RPCService
	manager *manager
}

// New makes an agent. Nothing touches the network before Start. It fails with what is wrong with the host, or where
// [rpcservice.New] does.
func New(t *messaging.Transport, c Config, opts ...messaging.ServerOption) (*Agent, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	schedulers, err := rpcapi.NewScheduler(t, c.SchedulerTopic)
	if err != nil {
		return nil, err
	}
	m := &manager{config: c, claims: c.Claims}
	m.reporter = newReporter(schedulers, &m.config, m.claims)
	svc, err := rpcservice.New(t, m, m.service(), append([]messaging.ServerOption{messaging.WithErrors(Exceptions())}, opts...)...)
	if err != nil {
		return nil, err
	}
	return &Agent{svc, m}, nil
}

// Claims are what the instances of the host take.
func (a *Agent) Claims() *Claims { return a.manager.claims }

// Free is what is left of the host.
func (a *Agent) Free() placement.Resources { return a.manager.claims.Free() }

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

// service is the configuration of the agent's service: what nova writes into the record of a compute service is the report of
// the host to the schedulers here.
func (m *manager) service() rpcservice.Config {
	conf := m.config.Service
	conf.Topic, conf.Host, conf.Name = Topic, m.config.Host.ServiceHost, ServiceName
	conf.ReportState, conf.ReportInterval = m.reporter.reportAll, m.config.ReportInterval
	conf.Log = m.config.Log
	return conf
}

// manager is what an agent does behind its topic. Its one goroutine reports, while the service works.
type manager struct {
	rpcservice.BaseManager
	config   Config
	claims   *Claims
	reporter *reporter

	cancel    context.CancelFunc // of the reporter; nil while it does not run
	reporting sync.WaitGroup
}

// Endpoint is what calls and casts reach.
func (m *manager) Endpoint() *messaging.Endpoint { return m.endpoint() }

// InitHostWithRPC begins to report: a host that is reported can be reached.
func (m *manager) InitHostWithRPC(ctx context.Context) error {
	reporting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.cancel = cancel
	m.reporting.Go(func() { m.reporter.run(reporting) })
	return nil
}

// CleanupHost stops reporting, once nothing changes any more. A send of the reporter ends with its context.
func (m *manager) CleanupHost(context.Context) error {
	if m.cancel != nil {
		m.cancel()
		m.reporting.Wait()
		m.cancel = nil
	}
	return nil
}
