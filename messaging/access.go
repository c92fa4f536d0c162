package messaging

import (
	"context"

	"github.com/goslo/goslo/dispatcher"
)

// AccessPolicy decides which methods of the endpoints may be called. A method that it does not allow looks to a
// caller as if it did not exist.
type AccessPolicy = dispatcher.Policy

// The access policies of oslo.messaging (oslo_messaging/rpc/dispatcher.py).
var (
	// DefaultAccessPolicy allows every method whose name has no leading underscore.
	DefaultAccessPolicy = dispatcher.DefaultPolicy
	// LegacyAccessPolicy allows every method.
	LegacyAccessPolicy = dispatcher.LegacyPolicy
	// ExplicitAccessPolicy allows the methods that were registered with [Exposed].
	ExplicitAccessPolicy = dispatcher.ExplicitPolicy
)

// WithAccessPolicy chooses which methods may be called; the default is [DefaultAccessPolicy].
func WithAccessPolicy(policy AccessPolicy) ServerOption {
	return serverOption(func(c *serverConfig) { c.policy = policy })
}

// Access is one request for a method that exists and that the access policy allows.
type Access struct {
	Method, Namespace string
	// Context is the request context, whose accessors tell the OpenStack user. Nothing but the sender's word stands
	// behind it.
	Context RequestContext
	// UserID is the broker's user that published the request (the AMQP property user-id, which the broker has
	// checked); empty where the sender did not say, as oslo.messaging's do not.
	UserID string
}

// Authorizer decides whether a request is served; see [WithAuthorizer].
type Authorizer func(ctx context.Context, access Access) error

// WithAuthorizer asks authorize before each method is called, inside of the interceptors. An error refuses the
// request: the caller gets it as a failure, of class PermissionError where it does not choose another (see
// [RemoteError]). It is called from many goroutines at once.
func WithAuthorizer(authorize Authorizer) ServerOption {
	return serverOption(func(c *serverConfig) { c.authorize = authorize })
}

// accessError tells that the authorizer refused a request.
type accessError struct{ err error }

func (e *accessError) Error() string { return e.err.Error() }

func (e *accessError) Unwrap() error { return e.err }

func (s *MessageHandlingServer) checkAccess(ctx context.Context, j *job) error {
	if s.config.authorize == nil {
		return nil
	}
	err := s.config.authorize(ctx, Access{
		Method: j.request.Method, Namespace: j.request.Namespace.Text,
		Context: RequestContextFrom(ctx), UserID: j.request.UserID,
	})
	if err != nil {
		return &accessError{err}
	}
	return nil
}
