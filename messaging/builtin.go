package messaging

import (
	"context"
	"slices"

	"github.com/goslo/goslo/dispatcher"
)

const pingMethod = "oslo_rpc_server_ping"

// WithPing makes the server answer "pong" to the method oslo_rpc_server_ping of the null namespace, whatever its
// arguments (oslo.messaging option rpc_ping_enabled, off by default). An endpoint that has a method of that name
// answers in its place.
func WithPing() ServerOption {
	return serverOption(func(c *serverConfig) { c.ping = true })
}

// Namespace and method of [WithDescribe].
const (
	DescribeNamespace = "goslo"
	DescribeMethod    = "describe"
)

// WithDescribe makes the server answer method describe of namespace goslo, version 1.0, with a [Description] of
// itself: for people and tools that look at a running system. It is off by default, since it tells every peer
// what there is to call.
func WithDescribe() ServerOption {
	return serverOption(func(c *serverConfig) { c.describe = true })
}

// Description is what a server with [WithDescribe] answers.
type Description struct {
	Topic  string `json:"topic"`
	Server string `json:"server"`
	// Endpoints are in the order in which the server tries them.
	Endpoints []EndpointDescription `json:"endpoints"`
}

// EndpointDescription tells the namespace, version and methods of one endpoint.
type EndpointDescription = dispatcher.Description

// newDispatcher makes a dispatcher of the user's endpoints and those that options add behind them.
func (s *MessageHandlingServer) newDispatcher(endpoints []*Endpoint) (*dispatcher.Dispatcher, error) {
	d, err := dispatcher.New(endpoints, s.config.policy)
	if err != nil {
		return nil, err
	}
	endpoints = slices.Clip(endpoints) // the caller's slice stays as it is
	if s.config.ping && d.Has(pingMethod) {
		s.log.WithField("method", pingMethod).Warn("an endpoint has the reserved method, which is not added")
	} else if s.config.ping {
		endpoints = append(endpoints, pingEndpoint())
	}
	if s.config.describe {
		endpoints = append(endpoints, s.describeEndpoint())
	}
	return dispatcher.New(endpoints, s.config.policy)
}

func pingEndpoint() *Endpoint {
	ep := NewEndpoint()
	Handle(ep, pingMethod, func(context.Context, map[string]any) (string, error) { return "pong", nil }, Exposed())
	return ep
}

func (s *MessageHandlingServer) describeEndpoint() *Endpoint {
	ep := NewEndpoint(WithNamespace(DescribeNamespace))
	Handle(ep, DescribeMethod, func(context.Context, struct{}) (Description, error) {
		return Description{Topic: s.target.Topic, Server: s.target.Server, Endpoints: s.dispatcher.Describe()}, nil
	}, Exposed())
	return ep
}
