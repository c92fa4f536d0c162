package dispatcher

import (
	"reflect"
	"slices"
	"strings"

	"github.com/goslo/goslo/target"
)

// Description tells what one endpoint answers to.
type Description struct {
	// Namespace is the interface's name; null for the null namespace.
	Namespace *string `json:"namespace"`
	// LegacyNamespaces are the other names that it answers to; "" is the null namespace.
	LegacyNamespaces []string `json:"legacy_namespaces"`
	// Version is the version that it implements.
	Version string `json:"version"`
	// Methods are those that the access policy allows, sorted by name.
	Methods []MethodDescription `json:"methods"`
}

// MethodDescription tells how one method is called.
type MethodDescription struct {
	Name string `json:"name"`
	// Arguments are the keyword arguments that it takes, sorted by name.
	Arguments []Argument `json:"arguments"`
	// AnyArguments tells that it takes arguments of any name.
	AnyArguments bool `json:"any_arguments"`
	// Result is the Go type of its result; empty where it returns none.
	Result string `json:"result"`
}

// Argument is one keyword argument of a method.
type Argument struct {
	Name string `json:"name"`
	// Type is the Go type that the argument is decoded into.
	Type string `json:"type"`
	// Optional tells that the method can be called without it.
	Optional bool `json:"optional"`
}

// Describe lists the endpoints in the order in which they are tried.
func (d *Dispatcher) Describe() []Description {
	all := make([]Description, len(d.endpoints))
	for i, ep := range d.endpoints {
		all[i] = ep.describe(d.policy)
	}
	return all
}

func (e *Endpoint) describe(policy Policy) Description {
	description := Description{Version: e.version(), LegacyNamespaces: slices.Clone(e.target.LegacyNamespaces)}
	if namespace := e.target.Namespace; namespace != "" {
		description.Namespace = &namespace
	}
	for _, name := range e.Methods() {
		if r := e.methods[name]; policy.Allowed(name, r.exposed) {
			description.Methods = append(description.Methods, MethodDescription{
				Name: name, Arguments: r.arguments, AnyArguments: r.arguments == nil, Result: r.result,
			})
		}
	}
	return description
}

// version is the version that the endpoint implements, with its default filled in.
func (e *Endpoint) version() string {
	if e.target.Version == "" {
		return target.DefaultVersion
	}
	return e.target.Version
}

// fieldArguments are the keyword arguments that a struct takes, sorted; nil for a type that takes any.
func fieldArguments(t reflect.Type) []Argument {
	fields := argumentFields(t)
	if fields == nil {
		return nil
	}
	arguments := make([]Argument, 0, len(fields))
	for name, field := range fields {
		arguments = append(arguments, Argument{Name: name, Type: field.String(), Optional: true})
	}
	slices.SortFunc(arguments, func(a, b Argument) int { return strings.Compare(a.Name, b.Name) })
	return arguments
}

// namedArguments are keyword arguments that a method takes one by one.
func namedArguments(names []string, types []reflect.Type) []Argument {
	arguments := make([]Argument, len(names))
	for i, name := range names {
		arguments[i] = Argument{Name: name, Type: types[i].String(), Optional: types[i].Kind() == reflect.Pointer}
	}
	return arguments
}
