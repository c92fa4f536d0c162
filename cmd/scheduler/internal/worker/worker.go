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
// fails where [placement.NewInventory] or [messaging.NewRPCServer] does.
func New(t *messaging.Transport, on messaging.Target, c Config, opts ...messaging.ServerOption) (*Worker, error) {
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	inventory, err := placement.NewInventory(c.Hosts)
	if err != nil {
		return nil, err
	}
	selector := placement.NewSelector(placement.DefaultFilters(), placement.DefaultWeighers())
	e := &endpoints{manager: nova.NewManager(inventory, selector), selected: c.Selected, log: c.Log}
	opts = append([]messaging.ServerOption{messaging.WithErrors(exceptions())}, opts...)
	server, err := messaging.NewRPCServer(t, on, e.all(), opts...)
	if err != nil {
		return nil, err
	}
	return &Worker{MessageHandlingServer: server, inventory: inventory}, nil
}

// Inventory is what the worker knows of hosts.
func (w *Worker) Inventory() *placement.Inventory { return w.inventory }
