package worker

import (
	"context"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// endpoints are the scheduler's interfaces on the bus (nova/scheduler/rpcapi.py), beside that of every service.
type endpoints struct {
	manager  *nova.Manager
	selected func(nova.SelectDestinationsArgs)
	log      logrus.FieldLogger
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

// capacity is not nova's: compute hosts without a placement service report what they have.
func (e *endpoints) capacity() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithNamespace("capacity"), messaging.WithVersion("1.1"))
	handleReport(e, ep, "report_capacity", e.manager.ReportCapacity)
	messaging.Handle(ep, "list_hosts", func(ctx context.Context, _ struct{}) (nova.HostList, error) {
		return e.manager.ListHosts(ctx)
	})
	messaging.Handle(ep, "export_inventory", func(ctx context.Context, _ struct{}) (nova.InventoryExport, error) {
		return e.manager.ExportInventory(ctx)
	})
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

// handleReport registers a method that hosts cast to. Nobody waits for what becomes of a cast, so that the log
// must tell of one that is wrong.
func handleReport[Args any](e *endpoints, ep *messaging.Endpoint, method string, take func(context.Context, Args) error) {
	log := e.log.WithField("method", method)
	messaging.HandleCast(ep, method, func(ctx context.Context, args Args) error {
		return dropped(log, take(ctx, args))
	})
}
