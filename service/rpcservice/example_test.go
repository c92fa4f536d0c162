package rpcservice_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

// greeter is a manager with one method.
type greeter struct{ rpcservice.BaseManager }

func (g *greeter) Endpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithVersion("1.0"))
	messaging.HandleArg(ep, "greet", "name", func(_ context.Context, name string) (string, error) {
		return "hello, " + name, nil
	})
	return ep
}

func (g *greeter) InitHost(context.Context) error {
	fmt.Println("nobody listens yet")
	return nil
}

func (g *greeter) CleanupHost(context.Context) error {
	fmt.Println("nobody listens any more")
	return nil
}

func Example() {
	ctx := context.Background()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	transport, err := messaging.Open("memory://rpcservice", messaging.WithLogger(quiet))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = transport.Close(ctx) }()

	svc, err := rpcservice.New(transport, &greeter{}, rpcservice.Config{Topic: "greetings", Host: "host1", Log: quiet})
	if err != nil {
		log.Fatal(err)
	}
	// A launcher of package service does this, and Stop and Wait when a signal comes.
	if err := svc.Start(ctx); err != nil {
		log.Fatal(err)
	}

	client, err := messaging.NewClient(transport, messaging.Target{Topic: "greetings"})
	if err != nil {
		log.Fatal(err)
	}
	text, err := messaging.Call[string](ctx, client, "greet", map[string]string{"name": "bus"})
	fmt.Println(text, err)

	if err := svc.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// nobody listens yet
	// hello, bus <nil>
	// nobody listens any more
}
