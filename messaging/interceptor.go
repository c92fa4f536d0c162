package messaging

import (
	"context"
	"slices"

	"github.com/goslo/goslo/transport"
)

// RPC tells an [Interceptor], and by [RPCFrom] an endpoint method, which request it is about. It must not be
// changed.
type RPC struct {
	// Server tells the serving side from the sending one.
	Server bool
	// Call tells that the sender waits for the result; a cast or fanout does not.
	Call bool
	// Method is the name of the method.
	Method string
	// Target is where the request goes, or the server's own target, with the namespace and version that are asked
	// for. Of a fanout only the sender knows.
	Target Target
	// MsgID is the id of a call, on the serving side.
	MsgID string
	// Redelivered tells, on the serving side, that the broker handed the request out before, to a server that went
	// away without acknowledging it: most likely, but not surely, it was not run. With [AckOnFinish] it may well have
	// been run, in part or as a whole.
	Redelivered bool
	// Deliveries is, on the serving side, how often the request was delivered, this time included. Of RabbitMQ's
	// classic queues it is exact with [AckOnFinish] alone; else 2 may be more.
	Deliveries int
}

// Interceptor stands around each request of a client, or each of a server: around its encoding, sending and the
// wait for its result on the one side, around the search for its method, the decoding and the method itself on
// the other. It does its work, calls next once and returns what next returned, or an error of its own; without
// calling next it refuses the request. A client's may call next again, which sends the request again.
//
// What it puts into the context is there for what follows: on a client a request context (see
// [WithRequestContext]), on a server a value for the method. The outcome is the error; on a server a panic of the
// method passes through and becomes a failure behind the first interceptor.
//
// Interceptors are called in the order in which they were given, the first outermost. They are called from many
// goroutines at once.
type Interceptor func(ctx context.Context, rpc *RPC, next func(ctx context.Context) error) error

type interceptors []Interceptor

func (i interceptors) applyServer(c *serverConfig) { c.interceptors = c.interceptors.with(i) }
func (i interceptors) applyClient(c *clientConfig) { c.interceptors = c.interceptors.with(i) }

// with never writes to the array that prepared clients share.
func (i interceptors) with(more interceptors) interceptors {
	return append(slices.Clip(i), more...)
}

// WithInterceptors adds interceptors, inside of those that are there.
func WithInterceptors(list ...Interceptor) Option { return interceptors(list) }

// around runs f inside of all interceptors.
func (i interceptors) around(ctx context.Context, rpc *RPC, f func(ctx context.Context) error) error {
	if len(i) == 0 {
		return f(ctx)
	}
	return i[0](ctx, rpc, func(ctx context.Context) error { return i[1:].around(ctx, rpc, f) })
}

// RPCFrom returns what is known of the request whose method was called with ctx; nil elsewhere.
func RPCFrom(ctx context.Context) *RPC {
	rpc, _ := ctx.Value(rpcKey).(*RPC)
	return rpc
}

// receivedRPC describes a request to a server.
func (s *MessageHandlingServer) receivedRPC(in transport.Incoming) *RPC {
	req := in.Request()
	rpc := &RPC{Server: true, Call: req.Call(), Method: req.Method, Target: s.target}
	rpc.Target.Namespace, rpc.Target.Version = req.Namespace.Text, req.Version.Text
	rpc.MsgID, _ = req.MsgID.Text()
	rpc.Redelivered = redelivered(in)
	rpc.Deliveries, _ = deliveries(in)
	return rpc
}

func redelivered(in transport.Incoming) bool {
	r, ok := in.(transport.Redelivery)
	return ok && r.Redelivered()
}
