// Package dispatcher finds the endpoint method that a request asks for, calls it with its arguments, and
// encodes what it returns. It knows nothing of transports: a [Request] comes in, bytes or an error go out.
package dispatcher

import (
	"context"
	"errors"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
)

// Request is what a caller asks for.
type Request struct {
	Method             string
	Namespace, Version wire.Optional
	// Fault tells why the request cannot be dispatched at all; empty for a good one.
	Fault string
}

// Dispatcher dispatches requests to endpoints. It is made once and safe for concurrent use.
type Dispatcher struct {
	endpoints []*Endpoint
	policy    Policy
}

// New makes a dispatcher. It fails when there is no endpoint, or one without a method, or the version of one
// cannot be read.
func New(endpoints []*Endpoint, policy Policy) (*Dispatcher, error) {
	if len(endpoints) == 0 {
		return nil, errors.New("a server needs at least one endpoint")
	}
	for _, ep := range endpoints {
		if err := ep.check(); err != nil {
			return nil, err
		}
	}
	return &Dispatcher{endpoints: endpoints, policy: policy}, nil
}

// Has reports whether an endpoint has a method of that name, whatever its namespace and version.
func (d *Dispatcher) Has(method string) bool {
	for _, ep := range d.endpoints {
		if ep.methods[method] != nil {
			return true
		}
	}
	return false
}

// Limited reports whether a method has a [Limit].
func (d *Dispatcher) Limited() bool {
	for _, ep := range d.endpoints {
		for _, r := range ep.methods {
			if r.limit > 0 {
				return true
			}
		}
	}
	return false
}

// Find returns the method that req asks for. It looks at nothing but names and versions.
//
// Endpoints are tried in their order: the first of the right namespace and a compatible version that has the
// method serves (oslo_messaging/rpc/dispatcher.py, dispatch). The error is a [*NoSuchMethodError] or
// [*UnsupportedVersionError] where none does, a [*target.MalformedVersionError] for a version that cannot be
// compared, an [*ArgumentError] for a request with a fault.
func (d *Dispatcher) Find(req *Request) (*Call, error) {
	if req.Fault != "" {
		return nil, &ArgumentError{Err: errors.New(req.Fault)}
	}
	version := target.DefaultVersion
	switch req.Version.State {
	case wire.Present:
		version = req.Version.Text
	case wire.Null: // unlike an absent one, compatible with nothing
		return nil, &UnsupportedVersionError{Version: "None", Method: req.Method}
	case wire.Absent:
	}
	compatible := false
	for _, ep := range d.endpoints {
		if !ep.serves(req.Namespace) {
			continue
		}
		ok, err := target.Compatible(ep.version(), version)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if r := ep.methods[req.Method]; r != nil && d.policy.Allowed(req.Method, r.exposed) {
			return &Call{endpoint: ep, method: r}, nil
		}
		compatible = true
	}
	if compatible {
		return nil, &NoSuchMethodError{Method: req.Method}
	}
	return nil, &UnsupportedVersionError{Version: version, Method: req.Method}
}

// Call is a method that was found for a request.
type Call struct {
	endpoint *Endpoint
	method   *registration
}

// Endpoint is the one that has the method.
func (c *Call) Endpoint() *Endpoint { return c.endpoint }

// Limit is how many requests for the method may run at once; 0 is any number.
func (c *Call) Limit() int { return c.method.limit }

// Key is the same for all calls of one method of one endpoint, and comparable.
func (c *Call) Key() any { return c.method }

// Do calls the method with args, an encoded object of keyword arguments (nil is an empty one), and returns its
// result, encoded; nil for a nil one. The error is an [*ArgumentError] for arguments that do not fit, a
// [*ResultError] for a result that cannot be encoded, else what the method returned.
func (c *Call) Do(ctx context.Context, args []byte, s serializer.Serializer) ([]byte, error) {
	result, err := c.method.call(ctx, &Arguments{method: c.method.name, object: args, serializer: s})
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, nil
	}
	encoded, err := s.Append(nil, result)
	if err != nil {
		return nil, &ResultError{Method: c.method.name, Err: err}
	}
	return encoded, nil
}
