package dispatcher

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
)

// Endpoint is a set of methods that implement one interface, a namespace in a version. Fill it before a
// server is made of it; after that it must not change.
type Endpoint struct {
	target  target.Target
	methods map[string]*registration
}

// Option is a choice about an endpoint.
type Option func(*endpointConfig)

type endpointConfig struct {
	target  target.Target
	except  []string
	methods map[string][]MethodOption
}

// WithNamespace names the interface. Without it the endpoint answers requests without namespace.
func WithNamespace(namespace string) Option {
	return func(c *endpointConfig) { c.target.Namespace = namespace }
}

// WithVersion says which version the endpoint implements, "major.minor" or "major.minor.revision"; the default
// is "1.0". It serves requests for the same major and any lower minor version.
func WithVersion(version string) Option {
	return func(c *endpointConfig) { c.target.Version = version }
}

// WithLegacyNamespaces adds namespaces that the endpoint answers to as well; "" is the null namespace.
func WithLegacyNamespaces(namespaces ...string) Option {
	return func(c *endpointConfig) { c.target.LegacyNamespaces = namespaces }
}

// Except leaves methods out of ReflectEndpoint, by their Go names: those that are exported for other reasons.
func Except(methods ...string) Option {
	return func(c *endpointConfig) { c.except = append(c.except, methods...) }
}

// WithMethod makes choices about a method of ReflectEndpoint, by its Go name.
func WithMethod(method string, opts ...MethodOption) Option {
	return func(c *endpointConfig) {
		if c.methods == nil {
			c.methods = make(map[string][]MethodOption)
		}
		c.methods[method] = append(c.methods[method], opts...)
	}
}

// NewEndpoint makes an endpoint without methods; add them with Handle, HandleArg and HandleCast.
func NewEndpoint(opts ...Option) *Endpoint {
	return newEndpoint(configure(opts))
}

func configure(opts []Option) endpointConfig {
	var c endpointConfig
	for _, opt := range opts {
		opt(&c)
	}
	return c
}

func newEndpoint(c endpointConfig) *Endpoint {
	return &Endpoint{target: c.target, methods: make(map[string]*registration)}
}

// Target is the interface that the endpoint implements: its namespace and version.
func (e *Endpoint) Target() target.Target { return e.target }

// Methods are the names of the endpoint's methods, sorted.
func (e *Endpoint) Methods() []string {
	names := make([]string, 0, len(e.methods))
	for name := range e.methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Add registers a method by its name on the bus. It panics for a name that [CheckName] refuses and for a second method of
// one name, both a programmer's mistakes at start-up.
func (e *Endpoint) Add(name string, method Method, opts ...MethodOption) {
	if err := CheckName(name); err != nil {
		panic("dispatcher: " + err.Error())
	}
	if _, exists := e.methods[name]; exists {
		panic(fmt.Sprintf("dispatcher: endpoint method %q registered twice", name))
	}
	r := &registration{name: name, call: method}
	for _, opt := range opts {
		opt(r)
	}
	e.methods[name] = r
}

func (e *Endpoint) check() error {
	if e == nil {
		return errors.New("an endpoint is nil")
	}
	if len(e.methods) == 0 {
		return fmt.Errorf("the endpoint of namespace %q has no methods", e.target.Namespace)
	}
	if _, err := target.Compatible(e.version(), e.version()); err != nil { // with itself: that reads every part
		return fmt.Errorf("the endpoint of namespace %q: %w", e.target.Namespace, err)
	}
	return nil
}

// serves compares the namespace; absent and null are the null namespace, which no name is.
func (e *Endpoint) serves(namespace wire.Optional) bool {
	if namespace.State != wire.Present {
		return e.target.Namespace == "" || slices.Contains(e.target.LegacyNamespaces, "")
	}
	return namespace.Text != "" &&
		(e.target.Namespace == namespace.Text || slices.Contains(e.target.LegacyNamespaces, namespace.Text))
}
