package messaging

import (
	"context"

	"github.com/goslo/goslo/dispatcher"
)

// Endpoint is a set of methods that implement one interface. See [dispatcher.Endpoint].
type Endpoint = dispatcher.Endpoint

// EndpointOption is a choice about an endpoint.
type EndpointOption = dispatcher.Option

// NewEndpoint makes an endpoint without methods; add them with [Handle], [HandleArg] and [HandleCast] before a
// server is made of it.
func NewEndpoint(opts ...EndpointOption) *Endpoint { return dispatcher.NewEndpoint(opts...) }

// ReflectEndpoint makes an endpoint of every exported method of v, named in snake case: SelectDestinations
// becomes select_destinations. An unsuitable method is an error that names it. See [dispatcher.ReflectEndpoint]
// for the shapes that are suitable.
func ReflectEndpoint(v any, opts ...EndpointOption) (*Endpoint, error) {
	return dispatcher.ReflectEndpoint(v, opts...)
}

// WithNamespace names the endpoint's interface.
func WithNamespace(namespace string) EndpointOption { return dispatcher.WithNamespace(namespace) }

// WithVersion says which version of the interface the endpoint implements; the default is "1.0".
func WithVersion(version string) EndpointOption { return dispatcher.WithVersion(version) }

// WithLegacyNamespaces adds namespaces that the endpoint answers to as well.
func WithLegacyNamespaces(namespaces ...string) EndpointOption {
	return dispatcher.WithLegacyNamespaces(namespaces...)
}

// Except leaves exported methods out of [ReflectEndpoint], by their Go names.
func Except(methods ...string) EndpointOption { return dispatcher.Except(methods...) }

// MethodOption is a choice about one method of an endpoint.
type MethodOption = dispatcher.MethodOption

// Exposed marks a method as one that [ExplicitAccessPolicy] allows.
func Exposed() MethodOption { return dispatcher.Exposed() }

// Limit bounds how many requests for the method run at once on one server, so that a slow method leaves places for
// quick ones; the default, also for 0, is the size of the executor alone. Requests beyond the limit wait without
// a place, in their order, and unacknowledged: they count against the prefetch. Where more of them wait than it
// allows (by default at least 256 on servers with a limit), the others wait as well; see [WithPrefetch].
func Limit(n int) MethodOption { return dispatcher.Limit(n) }

// WithMethod makes choices about a method of [ReflectEndpoint], by its Go name.
func WithMethod(method string, opts ...MethodOption) EndpointOption {
	return dispatcher.WithMethod(method, opts...)
}

// Handle registers fn as a method of ep. Args is a struct whose fields, by their json tags, are the keyword
// arguments, or a map; struct{} takes none. An argument that is not sent leaves its field zero; one without a
// field is an error to the caller. It panics where ep has the method already, and for a name that does not match
// ^[A-Za-z_][A-Za-z0-9_]{0,127}$, as HandleArg and HandleCast do.
func Handle[Args, Res any](
	ep *Endpoint, method string, fn func(ctx context.Context, args Args) (Res, error), opts ...MethodOption,
) {
	dispatcher.Handle(ep, method, fn, opts...)
}

// HandleArg registers fn as a method of ep with the single keyword argument arg, of any type. A pointer type
// makes it optional.
func HandleArg[Arg, Res any](
	ep *Endpoint, method, arg string, fn func(ctx context.Context, value Arg) (Res, error), opts ...MethodOption,
) {
	dispatcher.HandleArg(ep, method, arg, fn, opts...)
}

// HandleCast registers fn as a method of ep that returns nothing.
func HandleCast[Args any](
	ep *Endpoint, method string, fn func(ctx context.Context, args Args) error, opts ...MethodOption,
) {
	dispatcher.HandleCast(ep, method, fn, opts...)
}
