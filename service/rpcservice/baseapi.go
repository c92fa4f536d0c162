package rpcservice

import (
	"context"
	"encoding/json"

	"github.com/goslo/goslo/messaging"
)

// Namespace and version of [BaseAPI].
const (
	BaseNamespace = "baseapi"
	BaseVersion   = "1.1"
)

// BaseAPI is the interface that every service of nova has (nova/baserpc.py, namespace baseapi, version 1.1):
//
//   - ping(arg) answers {"service": service, "arg": arg},
//   - get_backdoor_port() answers the port that backdoorPort tells, or null for 0 and where backdoorPort is nil.
//
// A [RPCService] has it by itself.
func BaseAPI(service string, backdoorPort func() int) *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithNamespace(BaseNamespace), messaging.WithVersion(BaseVersion))
	messaging.HandleArg(ep, "ping", "arg", func(_ context.Context, arg json.RawMessage) (pong, error) {
		return pong{Service: service, Arg: arg}, nil
	}, messaging.Exposed())
	messaging.Handle(ep, "get_backdoor_port", func(context.Context, struct{}) (*int, error) {
		return portOrNull(backdoorPort), nil
	}, messaging.Exposed())
	return ep
}

// pong answers a ping with its argument as it came, byte for byte.
type pong struct {
	Service string          `json:"service"`
	Arg     json.RawMessage `json:"arg"`
}

func portOrNull(backdoorPort func() int) *int {
	if backdoorPort == nil {
		return nil
	}
	if port := backdoorPort(); port != 0 {
		return &port
	}
	return nil
}
