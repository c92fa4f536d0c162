package dispatcher

import "strings"

// Policy decides which methods of an endpoint a request may name. A method that it does not allow looks to the
// caller as if it did not exist (oslo_messaging/rpc/dispatcher.py, RPCAccessPolicyBase).
type Policy interface {
	// Allowed is asked for every request. exposed tells that the method was registered with [Exposed].
	Allowed(method string, exposed bool) bool
}

// PolicyFunc is a Policy of one function.
type PolicyFunc func(method string, exposed bool) bool

// Allowed calls f.
func (f PolicyFunc) Allowed(method string, exposed bool) bool { return f(method, exposed) }

// The access policies of oslo.messaging.
var (
	// DefaultPolicy allows every method whose name has no leading underscore.
	DefaultPolicy Policy = PolicyFunc(func(method string, _ bool) bool { return !strings.HasPrefix(method, "_") })
	// LegacyPolicy allows every method.
	LegacyPolicy Policy = PolicyFunc(func(string, bool) bool { return true })
	// ExplicitPolicy allows the methods that were registered with [Exposed].
	ExplicitPolicy Policy = PolicyFunc(func(_ string, exposed bool) bool { return exposed })
)
