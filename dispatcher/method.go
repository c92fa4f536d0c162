package dispatcher

import (
	"context"
	"reflect"
)

// Method is an endpoint method with its types erased: every registration ends up as one.
type Method func(ctx context.Context, args *Arguments) (any, error)

// registration is a method as an endpoint has it.
type registration struct {
	name      string
	call      Method
	exposed   bool
	limit     int
	arguments []Argument
	result    string
}

// MethodOption is a choice about one method of an endpoint.
type MethodOption func(*registration)

// Exposed marks a method for [ExplicitPolicy], as oslo.messaging's decorator expose does.
func Exposed() MethodOption { return func(r *registration) { r.exposed = true } }

// Limit bounds how many requests for the method run at once on one server; the default, also for 0, is no bound
// of its own.
func Limit(n int) MethodOption { return func(r *registration) { r.limit = max(n, 0) } }

// described notes what a method takes and returns, for [Dispatcher.Describe].
func described(arguments []Argument, result reflect.Type) MethodOption {
	return func(r *registration) {
		r.arguments, r.result = arguments, ""
		if result != nil {
			r.result = result.String()
		}
	}
}
