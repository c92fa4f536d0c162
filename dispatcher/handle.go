package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
)

var (
	contextType     = reflect.TypeFor[context.Context]()
	errorType       = reflect.TypeFor[error]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// Handle registers fn as the method name of ep. Args is a struct whose fields are the keyword arguments (by
// their json tags; an argument that is not sent leaves its field zero, one that has no field is an error to
// the caller), a map, or struct{} for a method without arguments. It panics where ep has the method already, and for a
// name that [CheckName] refuses.
func Handle[Args, Res any](
	ep *Endpoint, name string, fn func(ctx context.Context, args Args) (Res, error), opts ...MethodOption,
) {
	t := reflect.TypeFor[Args]()
	checkArgs(t, name)
	known := argumentFields(t)
	opts = append([]MethodOption{described(fieldArguments(t), reflect.TypeFor[Res]())}, opts...)
	ep.Add(name, func(ctx context.Context, args *Arguments) (any, error) {
		var decoded Args
		if t.Kind() == reflect.Pointer { // never nil, not even for a request without arguments
			reflect.ValueOf(&decoded).Elem().Set(reflect.New(t.Elem()))
		}
		if err := args.Decode(&decoded, known); err != nil {
			return nil, err
		}
		return fn(ctx, decoded)
	}, opts...)
}

// HandleArg registers fn as the method name of ep, which takes the single keyword argument arg, of any type.
// A pointer type makes the argument optional.
func HandleArg[Arg, Res any](
	ep *Endpoint, name, arg string, fn func(ctx context.Context, arg Arg) (Res, error), opts ...MethodOption,
) {
	names, types := []string{arg}, []reflect.Type{reflect.TypeFor[Arg]()}
	opts = append([]MethodOption{described(namedArguments(names, types), reflect.TypeFor[Res]())}, opts...)
	ep.Add(name, func(ctx context.Context, args *Arguments) (any, error) {
		var decoded Arg
		if err := args.DecodeNamed(names, []reflect.Value{reflect.ValueOf(&decoded)}); err != nil {
			return nil, err
		}
		return fn(ctx, decoded)
	}, opts...)
}

// HandleCast registers fn as the method name of ep, one that returns nothing: a caller that waits for it all
// the same gets null. Args is as for Handle.
func HandleCast[Args any](
	ep *Endpoint, name string, fn func(ctx context.Context, args Args) error, opts ...MethodOption,
) {
	opts = append([]MethodOption{described(fieldArguments(reflect.TypeFor[Args]()), nil)}, opts...)
	Handle(ep, name, func(ctx context.Context, args Args) (any, error) { return nil, fn(ctx, args) }, opts...)
}

// checkArgs panics for a type that no object of keyword arguments fits: a programmer's mistake.
func checkArgs(t reflect.Type, method string) {
	if reason := unsuitableArgs(t); reason != "" {
		panic(fmt.Sprintf("dispatcher: endpoint method %q: %s", method, reason))
	}
}

func unsuitableArgs(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case reflect.PointerTo(t).Implements(unmarshalerType), t.Kind() == reflect.Struct:
		return ""
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		return ""
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		return ""
	}
	return fmt.Sprintf("its arguments are a %s: want a struct or a map, whose fields are the keyword arguments", t)
}
