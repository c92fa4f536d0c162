package dispatcher

import (
	"fmt"

	"github.com/goslo/goslo/internal/loglimit"
)

// Module is the Python module that the exceptions of oslo.messaging's dispatcher live in. Python callers match
// on module and class.
const Module = "oslo_messaging.rpc.dispatcher"

// NoSuchMethodError tells that an endpoint of the right namespace and version exists, but none with the
// method. Its text is oslo.messaging's, but that a name is quoted there that cannot be printed, and one that is too long is
// cut: Method is what was asked for, word for word.
type NoSuchMethodError struct{ Method string }

func (e *NoSuchMethodError) Error() string {
	return "Endpoint does not support RPC method " + loglimit.Quote(e.Method)
}

// UnsupportedVersionError tells that no endpoint implements the namespace in that version. Its text is
// oslo.messaging's, with both names as in that of a [NoSuchMethodError].
type UnsupportedVersionError struct{ Version, Method string }

func (e *UnsupportedVersionError) Error() string {
	return fmt.Sprintf("Endpoint does not support RPC version %s. Attempted method: %s", loglimit.Quote(e.Version), loglimit.Quote(e.Method))
}

// ArgumentError tells that a request does not fit its method: an argument is unknown, missing or of the wrong
// type, or the request itself is malformed. A Python caller sees a TypeError.
type ArgumentError struct {
	Method string
	Err    error
}

func (e *ArgumentError) Error() string {
	if e.Method == "" {
		return e.Err.Error()
	}
	return e.Method + "(): " + e.Err.Error()
}

func (e *ArgumentError) Unwrap() error { return e.Err }

// ResultError tells that what a method returned cannot be encoded.
type ResultError struct {
	Method string
	Err    error
}

func (e *ResultError) Error() string {
	return fmt.Sprintf("%s(): encode the result: %v", e.Method, e.Err)
}

func (e *ResultError) Unwrap() error { return e.Err }

// UnsuitableMethodError names a method that ReflectEndpoint cannot serve, and why.
type UnsuitableMethodError struct{ Type, Method, Reason string }

func (e *UnsuitableMethodError) Error() string {
	return fmt.Sprintf("method %s of %s cannot be an RPC method: %s", e.Method, e.Type, e.Reason)
}
