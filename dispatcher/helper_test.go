package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/serializer"
)

func newDispatcher(tb testing.TB, endpoints ...*dispatcher.Endpoint) *dispatcher.Dispatcher {
	tb.Helper()
	d, err := dispatcher.New(endpoints, dispatcher.DefaultPolicy)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// call dispatches one method of one endpoint with arguments in JSON; the result is in JSON too, "" for none.
func call(tb testing.TB, ep *dispatcher.Endpoint, method, args string) (string, error) {
	tb.Helper()
	result, err := dispatch(tb.Context(), newDispatcher(tb, ep), &dispatcher.Request{Method: method}, args)
	return string(result), err
}

// dispatch finds a method and calls it, as a server does.
func dispatch(ctx context.Context, d *dispatcher.Dispatcher, req *dispatcher.Request, args string) ([]byte, error) {
	call, err := d.Find(req)
	if err != nil {
		return nil, err
	}
	return call.Do(ctx, []byte(args), serializer.JSON)
}

// wantCall is call for a method that succeeds.
func wantCall(tb testing.TB, ep *dispatcher.Endpoint, method, args, want string) {
	tb.Helper()
	if got, err := call(tb, ep, method, args); err != nil || got != want {
		tb.Errorf("%s(%s) = %s, %v; want %s", method, args, got, err, want)
	}
}

// wantArgumentError is call for arguments that do not fit; the error names the method and has part in its text.
func wantArgumentError(tb testing.TB, ep *dispatcher.Endpoint, method, args, part string) {
	tb.Helper()
	got, err := call(tb, ep, method, args)
	var wrong *dispatcher.ArgumentError
	if !errors.As(err, &wrong) || wrong.Method != method || !strings.HasPrefix(err.Error(), method+"(): ") ||
		!strings.Contains(err.Error(), part) {
		tb.Errorf("%s(%s) = %s, %v; want an ArgumentError of the method with %q", method, args, got, err, part)
	}
}

func wantPanic(tb testing.TB, want string, f func()) {
	tb.Helper()
	defer func() {
		tb.Helper()
		if got, _ := recover().(string); !strings.Contains(got, want) {
			tb.Errorf("panicked with %q, want a text with %q", got, want)
		}
	}()
	f()
}

// answering is an endpoint whose methods return one text.
func answering(answer string, methods []string, opts ...dispatcher.Option) *dispatcher.Endpoint {
	ep := dispatcher.NewEndpoint(opts...)
	for _, method := range methods {
		dispatcher.Handle(ep, method, func(context.Context, map[string]any) (string, error) { return answer, nil })
	}
	return ep
}
