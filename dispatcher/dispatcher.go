// Package dispatcher finds the endpoint method that a request asks for, calls it with its arguments, and
// encodes what it returns. It knows nothing of transports: a [Request] comes in, bytes or an error go out.
package dispatcher

import (
	"context"
	"errors"
	"strings"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
)

// Request is what a caller asks for.
type Request struct {
	Method             string
	Namespace, Version wire.Optional
	// Args is the object of keyword arguments, encoded; nil is an empty one.
	Args []byte
	// Fault tells why the request cannot be dispatched at all; empty for a good one.
	Fault string
}

// Dispatcher dispatches requests to endpoints. It is made once and safe for concurrent use.
type Dispatcher struct {
	endpoints  []*Endpoint
	serializer serializer.Serializer
}

// New makes a dispatcher. It fails when there is no endpoint, or one without a method, or the version of one
// cannot be read.
func New(endpoints []*Endpoint, s serializer.Serializer) (*Dispatcher, error) {
	if len(endpoints) == 0 {
		return nil, errors.New("a server needs at least one endpoint")
	}
	for _, ep := range endpoints {
		if err := ep.check(); err != nil {
			return nil, err
		}
	}
	return &Dispatcher{endpoints: endpoints, serializer: s}, nil
}

// Dispatch calls the method that req asks for and returns its encoded result.
//
// Endpoints are tried in their order: the first of the right namespace and a compatible version that has the
// method serves (oslo_messaging/rpc/dispatcher.py, dispatch). The error is a [*NoSuchMethodError] or
// [*UnsupportedVersionError] where none does, a [*target.MalformedVersionError] for a version that cannot be
// compared, an [*ArgumentError] for arguments that do not fit, a [*ResultError] for a result that cannot be
// encoded, else what the method returned.
func (d *Dispatcher) Dispatch(ctx context.Context, req *Request) ([]byte, error) {
	if req.Fault != "" {
		return nil, &ArgumentError{Err: errors.New(req.Fault)}
	}
	method, err := d.find(req)
	if err != nil {
		return nil, err
	}
	result, err := method(ctx, &Arguments{method: req.Method, object: req.Args, serializer: d.serializer})
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, nil
	}
	encoded, err := d.serializer.Append(nil, result)
	if err != nil {
		return nil, &ResultError{Method: req.Method, Err: err}
	}
	return encoded, nil
}

func (d *Dispatcher) find(req *Request) (Method, error) {
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
		if method := ep.methods[req.Method]; method != nil && allowed(req.Method) {
			return method, nil
		}
		compatible = true
	}
	if compatible {
		return nil, &NoSuchMethodError{Method: req.Method}
	}
	return nil, &UnsupportedVersionError{Version: version, Method: req.Method}
}

// allowed is oslo.messaging's default access policy: a name with a leading underscore is private.
func allowed(method string) bool { return !strings.HasPrefix(method, "_") }
