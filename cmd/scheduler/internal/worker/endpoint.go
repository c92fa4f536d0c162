package worker

import (
	"context"
	"encoding/json"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// endpoints are the scheduler's interfaces on the bus (nova/scheduler/rpcapi.py, nova/baserpc.py).
type endpoints struct {
	manager  *nova.Manager
	selected func(nova.SelectDestinationsArgs)
	log      logrus.FieldLogger
}

func (e *endpoints) all() []*messaging.Endpoint {
	return []*messaging.Endpoint{e.scheduler(), e.base(), e.capacity()}
}

// scheduler is nova's interface of the scheduler, which has no namespace.
func (e *endpoints) scheduler() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithVersion("4.5"))
	messaging.Handle(ep, "select_destinations", e.selectDestinations)
	handleReport(e, ep, "update_aggregates", e.manager.UpdateAggregates)
	handleReport(e, ep, "delete_aggregate", e.manager.DeleteAggregate)
	handleReport(e, ep, "update_instance_info", e.manager.UpdateInstanceInfo)
	handleReport(e, ep, "delete_instance_info", e.manager.DeleteInstanceInfo)
	handleReport(e, ep, "sync_instance_info", e.manager.SyncInstanceInfo)
	return ep
}

// base is what every service of nova answers.
func (e *endpoints) base() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithNamespace("baseapi"), messaging.WithVersion("1.1"))
	messaging.HandleArg(ep, "ping", "arg", ping)
	messaging.Handle(ep, "get_backdoor_port", noBackdoor)
	return ep
}

// capacity is not nova's: compute hosts without a placement service report what they have.
func (e *endpoints) capacity() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithNamespace("capacity"))
	handleReport(e, ep, "report_capacity", e.manager.ReportCapacity)
	return ep
}

func (e *endpoints) selectDestinations(ctx context.Context, args nova.SelectDestinationsArgs) (any, error) {
	answer, err := e.manager.SelectDestinations(ctx, args)
	if err != nil {
		return nil, refused(e.log, err)
	}
	if e.selected != nil {
		e.selected(args)
	}
	return answer, nil
}

// pong answers a ping with its argument as it came, byte for byte.
type pong struct {
	Service string          `json:"service"`
	Arg     json.RawMessage `json:"arg"`
}

func ping(_ context.Context, arg json.RawMessage) (pong, error) {
	return pong{Service: "scheduler", Arg: arg}, nil
}

// noBackdoor says null: there is no port with an interpreter behind it.
func noBackdoor(context.Context, struct{}) (any, error) { return nil, nil }

// handleReport registers a method that hosts cast to. Nobody waits for what becomes of a cast, so that the log
// must tell of one that is wrong.
func handleReport[Args any](e *endpoints, ep *messaging.Endpoint, method string, take func(context.Context, Args) error) {
	log := e.log.WithField("method", method)
	messaging.HandleCast(ep, method, func(ctx context.Context, args Args) error {
		return dropped(log, take(ctx, args))
	})
}
