package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goslo/goslo/messaging"
)

// ErrNoValidHost is nova's exception NoValidHost in Go.
var ErrNoValidHost = errors.New("no valid host was found")

// QuotaError is an exception with keyword arguments: its fields.
type QuotaError struct {
	Resource string `json:"resource"`
	Used     int    `json:"used"`
}

func (e *QuotaError) Error() string { return fmt.Sprintf("no %s left: %d used", e.Resource, e.Used) }

// registeredErrors are shared by the servers of a project and their clients.
func registeredErrors() *messaging.ErrorRegistry {
	var r messaging.ErrorRegistry
	r.Sentinel("nova.exception", "NoValidHost", ErrNoValidHost)
	messaging.RegisterError[*QuotaError](&r, "nova.exception", "QuotaError")
	return &r
}

// serveErrors starts a server of topic "scheduler" and makes a client of it, both with the registry.
func serveErrors(t *messaging.Transport, registry *messaging.ErrorRegistry, ep *messaging.Endpoint) (*messaging.Client, func()) {
	ctx := context.Background()
	server, err := messaging.NewRPCServer(t, messaging.Target{Topic: "scheduler", Server: "host1"},
		[]*messaging.Endpoint{ep}, messaging.WithErrors(registry))
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		log.Fatal(err)
	}
	client, err := messaging.NewClient(t, messaging.Target{Topic: "scheduler"}, messaging.WithErrors(registry))
	if err != nil {
		log.Fatal(err)
	}
	return client, func() {
		if err := errors.Join(server.Stop(ctx), server.Wait(ctx)); err != nil {
			log.Fatal(err)
		}
	}
}

// An error is registered for a class of Python exceptions: it goes out as that class, which a Python caller
// catches, and a Go caller gets it back, from a server in Go or in Python.
func ExampleErrorRegistry_Sentinel() {
	t, closeTransport := open("sentinel")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "select", "name", func(_ context.Context, name string) (string, error) {
		return "", fmt.Errorf("place %s: %w", name, ErrNoValidHost)
	})
	client, stop := serveErrors(t, registeredErrors(), ep)
	defer stop()

	err := client.Call(context.Background(), "select", map[string]any{"name": "vm-1"}, nil)
	fmt.Println(errors.Is(err, ErrNoValidHost))
	fmt.Println(err)
	// Output:
	// true
	// remote nova.exception.NoValidHost: place vm-1: no valid host was found
}

// An error with data: the fields travel as the keyword arguments of the exception.
func ExampleRegisterError() {
	t, closeTransport := open("typed-error")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "reserve", func(context.Context, struct{}) (any, error) {
		return nil, &QuotaError{Resource: "cores", Used: 20}
	})
	client, stop := serveErrors(t, registeredErrors(), ep)
	defer stop()

	err := client.Call(context.Background(), "reserve", nil, nil)
	var quota *QuotaError
	if errors.As(err, &quota) {
		fmt.Println(quota.Resource, quota.Used)
	}
	var remote *messaging.RemoteError
	if errors.As(err, &remote) { // it is the peer that failed, not this side
		fmt.Println(remote.Class, remote.Kwargs)
	}
	// Output:
	// cores 20
	// QuotaError map[resource:cores used:20]
}

// An exception that carries its data as positional arguments needs functions.
func ExampleRegisterErrorFunc() {
	t, closeTransport := open("error-func")
	defer closeTransport()
	var registry messaging.ErrorRegistry
	messaging.RegisterErrorFunc(&registry, "builtins", "KeyError",
		func(e *MissingKeyError) *messaging.RemoteError { return &messaging.RemoteError{Args: []any{e.Key}} },
		func(remote *messaging.RemoteError) *MissingKeyError {
			if len(remote.Args) != 1 {
				return nil // the caller gets the RemoteError alone
			}
			return &MissingKeyError{Key: fmt.Sprint(remote.Args[0])}
		})
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "lookup", func(context.Context, struct{}) (any, error) {
		return nil, &MissingKeyError{Key: "flavor"}
	})
	client, stop := serveErrors(t, &registry, ep)
	defer stop()

	err := client.Call(context.Background(), "lookup", nil, nil)
	var missing *MissingKeyError
	fmt.Println(errors.As(err, &missing), missing.Key)
	// Output: true flavor
}

// MissingKeyError is Python's KeyError.
type MissingKeyError struct{ Key string }

func (e *MissingKeyError) Error() string { return "no key " + e.Key }

// A failure that is part of the method's work: the server's log stays quiet, the caller sees no difference.
func ExampleExpected() {
	t, closeTransport := open("expected")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "select", func(context.Context, struct{}) (any, error) {
		return nil, messaging.Expected(ErrNoValidHost)
	})
	client, stop := serveErrors(t, registeredErrors(), ep)
	defer stop()

	err := client.Call(context.Background(), "select", nil, nil)
	fmt.Println(errors.Is(err, ErrNoValidHost))
	fmt.Println(err)
	// Output:
	// true
	// remote nova.exception.NoValidHost: no valid host was found
}

// Every server, in Go or in Python, says so when it does not have a method or a version.
func Example_missingMethod() {
	t, closeTransport := open("missing-method")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "select", func(context.Context, struct{}) (string, error) { return "host1", nil })
	client, stop := serveErrors(t, nil, ep)
	defer stop()

	ctx := context.Background()
	err := client.Call(ctx, "select_many", nil, nil)
	fmt.Println(errors.Is(err, messaging.ErrNoSuchMethod))
	err = client.Prepare(messaging.ToVersion("2.0")).Call(ctx, "select", nil, nil)
	fmt.Println(errors.Is(err, messaging.ErrUnsupportedVersion))
	// Output:
	// true
	// true
}
