//go:build integration

package integration_test

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/goslo/goslo/messaging"
)

// newEndpoints are the methods of testdata/peer_server.py in Go: the same names, versions and failures.
func newEndpoints(server string, notes chan<- note) []*messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithVersion("1.3"))
	messaging.Handle(ep, "echo", echo)
	messaging.Handle(ep, "context", func(ctx context.Context, _ struct{}) (messaging.RequestContext, error) {
		return messaging.RequestContextFrom(ctx), nil
	})
	messaging.HandleCast(ep, "nothing", func(context.Context, struct{}) error { return nil })
	messaging.Handle(ep, "who", func(context.Context, struct{}) (string, error) { return server, nil })
	messaging.HandleArg(ep, "sleep", "seconds", sleep)
	messaging.HandleCast(ep, "note", func(ctx context.Context, args map[string]any) error {
		notes <- note{Server: server, Args: args, Context: messaging.RequestContextFrom(ctx)}
		return nil
	})
	messaging.HandleArg(ep, "size", "blob", func(_ context.Context, blob string) (int, error) { return len(blob), nil })
	messaging.HandleArg(ep, "blob", "size", func(_ context.Context, size int) (string, error) {
		return strings.Repeat("x", size), nil
	})
	messaging.HandleArg(ep, "required", "name", func(_ context.Context, name string) (string, error) { return name, nil })
	messaging.HandleArg(ep, "fail", "kind", fail)
	messaging.Handle(ep, "fail_expected", func(context.Context, struct{}) (any, error) {
		return nil, &messaging.RemoteError{Module: "builtins", Class: "LookupError", Message: "as expected"}
	})

	// These have no counterpart in Python.
	messaging.HandleArg(ep, "half", "value", func(_ context.Context, value float64) (float64, error) { return value / 2, nil })
	messaging.HandleArg(ep, "twice", "value", func(_ context.Context, value *big.Int) (*big.Int, error) {
		return new(big.Int).Lsh(value, 1), nil
	})
	messaging.HandleArg(ep, "work", "seconds", func(ctx context.Context, seconds float64) (string, error) {
		notes <- note{Server: server} // it runs
		_, err := sleep(ctx, seconds)
		return server, err
	})
	messaging.HandleArg(ep, "panic", "reason", func(_ context.Context, reason string) (any, error) { panic(reason) })

	compute := messaging.NewEndpoint(messaging.WithNamespace("compute"), messaging.WithVersion("2.3"),
		messaging.WithLegacyNamespaces("old-compute"))
	messaging.Handle(compute, "interface", func(context.Context, struct{}) (string, error) { return "compute 2.3", nil })
	return []*messaging.Endpoint{ep, compute}
}

func echo(_ context.Context, args map[string]any) (map[string]any, error) { return args, nil }

func sleep(ctx context.Context, seconds float64) (float64, error) {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return seconds, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func fail(_ context.Context, kind string) (any, error) {
	switch kind {
	case "builtin":
		return nil, &messaging.RemoteError{Module: "builtins", Class: "ValueError", Message: "no such thing: ß"}
	case "quota":
		return nil, &messaging.RemoteError{
			Module: "peer_errors", Class: "QuotaExceeded", Message: "No cores left: 20 used.",
			Kwargs: map[string]any{"resource": "cores", "used": 20},
		}
	case "unlisted":
		return nil, &messaging.RemoteError{Module: "unlisted_errors", Class: "Unlisted", Message: "nobody knows me"}
	}
	return nil, errors.New("plain")
}
