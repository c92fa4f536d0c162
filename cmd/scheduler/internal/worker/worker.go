// Package worker puts the scheduler on the bus: it makes a service whose endpoint methods are those of nova's scheduler, with
// package nova behind them.
package worker

import (
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

// Config is what a worker is made of, beside its place on the bus.
type Config struct {
	// Hosts are known from the start; others come by report_capacity. It may be empty.
	Hosts []placement.Host
	// Inventory is where the worker keeps what it knows of hosts, so that the worker after it knows it too. Nil is for one of
	// its own.
	Inventory *placement.Inventory
	// Selected is called after each selection that found hosts, before the answer is sent, with the arguments
	// of the call. It must be safe for concurrent use. Nil is for nobody.
	Selected func(nova.SelectDestinationsArgs)
	// Log takes what the endpoint methods have to say; nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// ServiceName is what schedulers answer to who pings them.
const ServiceName = "scheduler"

// Manager is what a scheduler does behind its topic. Programs that have more to do at its start embed it.
type Manager struct {
	rpcservice.BaseManager
	endpoints *endpoints
	inventory *placement.Inventory
}

// NewManager makes a manager. It fails where [placement.NewInventory] or [placement.Inventory.ReportCapacity] does.
func NewManager(c Config) (*Manager, error) {
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	inventory, err := c.inventory()
	if err != nil {
		return nil, err
	}
	selector := placement.NewSelector(placement.DefaultFilters(), placement.DefaultWeighers())
	e := &endpoints{manager: nova.NewManager(inventory, selector), selected: c.Selected, log: c.Log}
	return &Manager{endpoints: e, inventory: inventory}, nil
}

// inventory is one with the hosts in it.
func (c *Config) inventory() (*placement.Inventory, error) {
	if c.Inventory == nil {
		return placement.NewInventory(c.Hosts)
	}
	for _, host := range c.Hosts {
		if err := c.Inventory.ReportCapacity(host); err != nil {
			return nil, err
		}
	}
	return c.Inventory, nil
}

// Endpoint is nova's interface of the scheduler.
func (m *Manager) Endpoint() *messaging.Endpoint { return m.endpoints.scheduler() }

// AdditionalEndpoints are those of reports from hosts.
func (m *Manager) AdditionalEndpoints() []*messaging.Endpoint {
	return []*messaging.Endpoint{m.endpoints.capacity()}
}

// Inventory is what the manager knows of hosts.
func (m *Manager) Inventory() *placement.Inventory { return m.inventory }

// NewService makes a service of a manager, which maps errors to nova's exceptions. It fails where [rpcservice.New] does.
func NewService(t *messaging.Transport, m rpcservice.Manager, conf rpcservice.Config, opts ...messaging.ServerOption) (*rpcservice.RPCService, error) {
	conf.Name = ServiceName
	return rpcservice.New(t, m, conf, append([]messaging.ServerOption{messaging.WithErrors(Exceptions())}, opts...)...)
}

// Worker is one scheduler: a service, and what it knows of hosts.
type Worker struct {
	*rpcservice.RPCService
	manager *Manager
}

// New makes a worker that serves a topic under a server name. Nothing touches the network before Start. It
// fails where [NewManager] or [NewService] does.
func New(t *messaging.Transport, on messaging.Target, c Config, opts ...messaging.ServerOption) (*Worker, error) {
	m, err := NewManager(c)
	if err != nil {
		return nil, err
	}
	svc, err := NewService(t, m, rpcservice.Config{Exchange: on.Exchange, Topic: on.Topic, Host: on.Server, Log: c.Log}, opts...)
	if err != nil {
		return nil, err
	}
	return &Worker{svc, m}, nil
}

// Inventory is what the worker knows of hosts.
func (w *Worker) Inventory() *placement.Inventory { return w.manager.inventory }
