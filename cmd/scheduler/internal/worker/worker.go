// Package worker puts the scheduler on the bus: it makes a message-handling server whose endpoint methods are
// those of nova's scheduler, with package nova behind them.
package worker

import (
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/messaging"
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

// Worker is one scheduler: a server, to be started, stopped and waited for, and what it knows of hosts.
type Worker struct {
	*messaging.MessageHandlingServer
	inventory *placement.Inventory
}

// New makes a worker that serves a topic under a server name. Nothing touches the network before Start. It
// fails where [placement.NewInventory], [placement.Inventory.ReportCapacity] or [messaging.NewRPCServer] does.
func New(t *messaging.Transport, on messaging.Target, c Config, opts ...messaging.ServerOption) (*Worker, error) {
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	inventory, err := c.inventory()
	if err != nil {
		return nil, err
	}
	selector := placement.NewSelector(placement.DefaultFilters(), placement.DefaultWeighers())
	e := &endpoints{manager: nova.NewManager(inventory, selector), selected: c.Selected, log: c.Log}
	opts = append([]messaging.ServerOption{messaging.WithErrors(Exceptions())}, opts...)
	server, err := messaging.NewRPCServer(t, on, e.all(), opts...)
	if err != nil {
		return nil, err
	}
	return &Worker{MessageHandlingServer: server, inventory: inventory}, nil
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

// Inventory is what the worker knows of hosts.
func (w *Worker) Inventory() *placement.Inventory { return w.inventory }
