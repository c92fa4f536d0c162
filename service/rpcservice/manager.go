package rpcservice

import (
	"context"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/periodic"
)

// Manager does the work of a service. Embed [BaseManager], and what is left to write is Endpoint: what embeds it and gets
// the signature of another method wrong does not compile.
//
// The service calls one of them at a time, but for IsWorking, which it may call at any time, as endpoint methods and
// periodic tasks run. The contexts that it gives are for the call alone: work that outlasts it needs one of its own.
type Manager interface {
	// Endpoint is the manager's interface on the bus. It is asked for once, when the service is made.
	Endpoint() *messaging.Endpoint
	// AdditionalEndpoints are others, which are tried behind the manager's own and [BaseAPI]. They are asked for once, when
	// the service is made.
	AdditionalEndpoints() []*messaging.Endpoint

	// InitHost is called before the service listens: no message has been taken, and if it fails none will be (nova:
	// init_host and pre_start_hook). An InitHost that fails has to undo what it has done.
	InitHost(ctx context.Context) error
	// InitHostWithRPC is called when the service listens: methods may run already (Karbor: init_host_with_rpc, nova:
	// post_start_hook).
	InitHostWithRPC(ctx context.Context) error
	// PeriodicTasks are the manager's chores; nil is for none. They are asked for at each start, after InitHostWithRPC.
	PeriodicTasks() *periodic.Tasks
	// IsWorking tells whether the service may report that it is alive. While it does not, others take the service to be
	// down.
	IsWorking() bool
	// Reset is called when the configuration has changed, maybe before the service was started. It must not disturb work
	// in flight.
	Reset(ctx context.Context) error
	// CleanupHost undoes InitHost, when nothing of the service runs any more. Where methods did not end in time, it is
	// called all the same, with a context that has ended: it is the last chance. Half a second after the end of its context
	// it is waited for no longer.
	CleanupHost(ctx context.Context) error
}

// BaseManager is a manager that does nothing, for others to embed; it lacks Endpoint.
type BaseManager struct{}

// AdditionalEndpoints returns none.
func (BaseManager) AdditionalEndpoints() []*messaging.Endpoint { return nil }

// InitHost does nothing.
func (BaseManager) InitHost(context.Context) error { return nil }

// InitHostWithRPC does nothing.
func (BaseManager) InitHostWithRPC(context.Context) error { return nil }

// PeriodicTasks returns none.
func (BaseManager) PeriodicTasks() *periodic.Tasks { return nil }

// IsWorking returns true.
func (BaseManager) IsWorking() bool { return true }

// Reset does nothing.
func (BaseManager) Reset(context.Context) error { return nil }

// CleanupHost does nothing.
func (BaseManager) CleanupHost(context.Context) error { return nil }
