//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
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

	messaging.HandleArg(ep, "work", "seconds", func(ctx context.Context, seconds float64) (string, error) {
		notes <- note{Server: server} // it runs
		_, err := sleep(ctx, seconds)
		return server, err
	})

	// These have no counterpart in Python.
	messaging.HandleArg(ep, "same", "value", func(_ context.Context, value any) (any, error) { return value, nil })
	messaging.HandleArg(ep, "narrow", "value", func(_ context.Context, value int64) (int64, error) { return value, nil })
	messaging.HandleArg(ep, "next_day", "date", func(_ context.Context, date time.Time) (time.Time, error) {
		return date.AddDate(0, 0, 1), nil
	})
	messaging.HandleArg(ep, "half", "value", func(_ context.Context, value float64) (float64, error) { return value / 2, nil })
	messaging.HandleArg(ep, "twice", "value", func(_ context.Context, value *big.Int) (*big.Int, error) {
		return new(big.Int).Lsh(value, 1), nil
	})
	messaging.Handle(ep, "late", func(ctx context.Context, in numbered) (int, error) {
		_, err := sleep(ctx, in.Seconds)
		return in.Number, err
	})
	messaging.Handle(ep, "busy", func(ctx context.Context, in numbered) (int, error) {
		notes <- note{Server: server}
		_, err := sleep(ctx, in.Seconds)
		notes <- note{Server: server}
		return in.Number, err
	})
	messaging.HandleArg(ep, "fail_late", "seconds", func(ctx context.Context, seconds float64) (any, error) {
		if _, err := sleep(ctx, seconds); err != nil {
			return nil, err
		}
		return nil, &messaging.RemoteError{Module: "builtins", Class: "ValueError", Message: "too late"}
	})
	messaging.HandleArg(ep, "panic", "reason", func(_ context.Context, reason string) (any, error) { panic(reason) })

	compute := messaging.NewEndpoint(messaging.WithNamespace("compute"), messaging.WithVersion("2.3"),
		messaging.WithLegacyNamespaces("old-compute"))
	messaging.Handle(compute, "interface", func(context.Context, struct{}) (string, error) { return "compute 2.3", nil })
	return []*messaging.Endpoint{ep, compute}
}

// numbered are the arguments of one call of many.
type numbered struct {
	Number  int     `json:"number"`
	Seconds float64 `json:"seconds"`
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

var errPlain = errors.New("plain")

func fail(_ context.Context, kind string) (any, error) {
	switch kind {
	case "builtin":
		return nil, &messaging.RemoteError{Module: "builtins", Class: "ValueError", Message: "no such thing: ß"}
	case "quota":
		return nil, &messaging.RemoteError{
			Module: "peer_errors", Class: "QuotaExceeded", Message: "No cores left: 20 used.",
			Kwargs: map[string]any{"resource": "cores", "used": 20},
		}
	case "several":
		return nil, &messaging.RemoteError{
			Module: "builtins", Class: "KeyError", Message: "'k'", Args: []any{"k", 2, nil},
		}
	case "lines":
		return nil, &messaging.RemoteError{Module: "builtins", Class: "ValueError", Message: "first\nsecond: ß\n"}
	case "no such builtin":
		return nil, &messaging.RemoteError{Module: "builtins", Class: "NoSuchThing", Message: "gone"}
	case "picky":
		return nil, &messaging.RemoteError{Module: "peer_errors", Class: "Picky", Message: "choosy", Args: []any{"choosy"}}
	case "picky with its args":
		return nil, &messaging.RemoteError{Module: "peer_errors", Class: "Picky", Message: "choosy", Args: []any{"a", "b"}}
	case "wrapped":
		return nil, fmt.Errorf("look up host: %w", errPlain)
	case "unlisted":
		return nil, &messaging.RemoteError{Module: "unlisted_errors", Class: "Unlisted", Message: "nobody knows me"}
	}
	return nil, errPlain
}
