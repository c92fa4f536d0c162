package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// ArgumentNamer is implemented by a value whose methods take their keyword arguments one by one: Go keeps no
// parameter names. It maps the Go name of a method to the names of its arguments behind the context.
type ArgumentNamer interface {
	ArgumentNames() map[string][]string
}

// ReflectEndpoint makes an endpoint of every exported method of v, under its name in snake case:
// SelectDestinations becomes select_destinations. A method takes a context and then nothing, a struct or map
// of keyword arguments, or the arguments that v names as an [ArgumentNamer]; it returns an error, or a result
// and an error.
//
// A method of another shape is an error, an [*UnsuitableMethodError] for each; leave it out with [Except]. So are
// two methods of one name in snake case, a value without any method, and a nil pointer.
func ReflectEndpoint(v any, opts ...Option) (*Endpoint, error) {
	c := configure(opts)
	ep := newEndpoint(c)
	value := reflect.ValueOf(v)
	if !value.IsValid() {
		return nil, errors.New("reflect endpoint: the value is nil")
	}
	if value.Kind() == reflect.Pointer && value.IsNil() {
		return nil, fmt.Errorf("reflect endpoint: the value is a nil %s", value.Type())
	}
	names := map[string][]string{}
	except := append([]string{"ArgumentNames"}, c.except...)
	if namer, ok := v.(ArgumentNamer); ok {
		names = namer.ArgumentNames()
	}
	if err := checkNames(value.Type(), except, names, c.methods); err != nil {
		return nil, err
	}
	var unsuitable []error
	for i := range value.NumMethod() {
		method := value.Type().Method(i)
		if slices.Contains(except, method.Name) {
			continue
		}
		name := SnakeCase(method.Name)
		erased, about, reason := reflected(value.Method(i), names[method.Name])
		if reason == "" {
			reason = ep.unsuitableName(name)
		}
		if reason != "" {
			unsuitable = append(unsuitable, &UnsuitableMethodError{value.Type().String(), method.Name, reason})
			continue
		}
		ep.Add(name, erased, append([]MethodOption{about}, c.methods[method.Name]...)...)
	}
	if len(unsuitable) > 0 {
		return nil, errors.Join(unsuitable...)
	}
	if len(ep.methods) == 0 {
		return nil, fmt.Errorf("reflect endpoint: %s has no exported methods", value.Type())
	}
	return ep, nil
}

// unsuitableName tells why a further method cannot have that name on the bus.
func (e *Endpoint) unsuitableName(name string) string {
	if err := CheckName(name); err != nil {
		return err.Error()
	}
	if e.methods[name] != nil {
		return fmt.Sprintf("another method is %q on the bus", name)
	}
	return ""
}

// checkNames refuses names that are no methods: a misspelt one would otherwise change nothing, in silence.
func checkNames(t reflect.Type, except []string, names map[string][]string, methods map[string][]MethodOption) error {
	for _, name := range except[1:] {
		if _, ok := t.MethodByName(name); !ok {
			return fmt.Errorf("reflect endpoint: %s has no method %s to leave out", t, name)
		}
	}
	for name := range names {
		if _, ok := t.MethodByName(name); !ok {
			return fmt.Errorf("reflect endpoint: %s has no method %s to name arguments of", t, name)
		}
	}
	for name := range methods {
		if _, ok := t.MethodByName(name); !ok {
			return fmt.Errorf("reflect endpoint: %s has no method %s to choose options for", t, name)
		}
	}
	return nil
}

// reflected wraps a method and describes it, or says why it cannot.
func reflected(method reflect.Value, names []string) (erased Method, about MethodOption, reason string) {
	t := method.Type()
	in, reason := shape(t)
	if reason != "" {
		return nil, nil, reason
	}
	var result reflect.Type
	if t.NumOut() == 2 {
		result = t.Out(0)
	}
	switch {
	case len(names) > 0 && len(names) != len(in):
		return nil, nil, fmt.Sprintf("it takes %d arguments, and %d are named", len(in), len(names))
	case len(names) > 0 || len(in) == 0:
		if reason := unsuitableNames(names); reason != "" {
			return nil, nil, reason
		}
		return byName(method, in, names), described(namedArguments(names, in), result), ""
	case len(in) > 1:
		return nil, nil, "it takes more than one argument, and their names are unknown (see ArgumentNamer)"
	}
	if reason := unsuitableArgs(in[0]); reason != "" {
		return nil, nil, reason
	}
	return byStruct(method, in[0]), described(fieldArguments(in[0]), result), ""
}

// shape returns the types of a method's arguments, those behind the context.
func shape(t reflect.Type) (in []reflect.Type, unsuitable string) {
	switch {
	case t.NumIn() == 0 || t.In(0) != contextType:
		return nil, "its first parameter is no context.Context"
	case t.IsVariadic():
		return nil, "it is variadic"
	case t.NumOut() < 1 || t.NumOut() > 2 || t.Out(t.NumOut()-1) != errorType:
		return nil, "it returns neither an error nor a result and an error"
	}
	for i := 1; i < t.NumIn(); i++ {
		in = append(in, t.In(i))
	}
	return in, ""
}

func unsuitableNames(names []string) string {
	for i, name := range names {
		if name == "" {
			return "an argument has no name"
		}
		if slices.Contains(names[:i], name) {
			return fmt.Sprintf("it has two arguments named %q", name)
		}
	}
	return ""
}

func byStruct(method reflect.Value, arg reflect.Type) Method {
	known := argumentFields(arg)
	return func(ctx context.Context, args *Arguments) (any, error) {
		decoded := reflect.New(arg)
		if arg.Kind() == reflect.Pointer {
			decoded.Elem().Set(reflect.New(arg.Elem()))
		}
		if err := args.Decode(decoded.Interface(), known); err != nil {
			return nil, err
		}
		return results(method.Call([]reflect.Value{reflect.ValueOf(ctx), decoded.Elem()}))
	}
}

func byName(method reflect.Value, in []reflect.Type, names []string) Method {
	return func(ctx context.Context, args *Arguments) (any, error) {
		pointers := make([]reflect.Value, len(in))
		for i, t := range in {
			pointers[i] = reflect.New(t)
		}
		if err := args.DecodeNamed(names, pointers); err != nil {
			return nil, err
		}
		call := make([]reflect.Value, 0, len(in)+1)
		call = append(call, reflect.ValueOf(ctx))
		for _, p := range pointers {
			call = append(call, p.Elem())
		}
		return results(method.Call(call))
	}
}

func results(out []reflect.Value) (any, error) {
	err, _ := reflect.TypeAssert[error](out[len(out)-1])
	if err != nil || len(out) == 1 {
		return nil, err
	}
	return out[0].Interface(), nil
}

// SnakeCase turns a Go name into the form that RPC methods have: SelectDestinations becomes
// select_destinations, GetHTTPPort get_http_port.
func SnakeCase(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			afterLower := !unicode.IsUpper(runes[i-1]) && runes[i-1] != '_'
			beforeLower := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && runes[i-1] != '_'
			if afterLower || beforeLower {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
