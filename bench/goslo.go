package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
)

func openTransport(url string) (*messaging.Transport, error) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return messaging.Open(url, messaging.WithLogger(log))
}

func serveGoslo(ctx context.Context, url string) (stop func() error, err error) {
	t, err := openTransport(url)
	if err != nil {
		return nil, err
	}
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, method, func(_ context.Context, args echoArgs) (string, error) { return args.Payload, nil })
	server, err := messaging.NewRPCServer(t, messaging.Target{Topic: topic, Server: "bench"}, []*messaging.Endpoint{ep})
	if err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	return func() error {
		ctx := context.Background()
		return errors.Join(server.Stop(ctx), server.Wait(ctx), t.Close(ctx))
	}, nil
}

// gosloClient calls as a service does: typed arguments and result, a request context.
type gosloClient struct {
	transport *messaging.Transport
	client    *messaging.Client
	context   messaging.RequestContext
	args      echoArgs
}

func newGosloClient(url string, size int) (*gosloClient, error) {
	t, err := openTransport(url)
	if err != nil {
		return nil, err
	}
	client, err := messaging.NewClient(t, messaging.Target{Topic: topic})
	if err != nil {
		return nil, err
	}
	return &gosloClient{transport: t, client: client, context: requestContext(), args: echoArgs{Payload: payload(size)}}, nil
}

func (c *gosloClient) call(ctx context.Context) error {
	got, err := messaging.Call[string](messaging.WithRequestContext(ctx, c.context), c.client, method, c.args)
	if err != nil {
		return err
	}
	if got != c.args.Payload {
		return fmt.Errorf("got %d bytes back, want the %d that were sent", len(got), len(c.args.Payload))
	}
	return nil
}

func (c *gosloClient) close() error { return c.transport.Close(context.Background()) }

// rabbitURL is the same broker in the form of a transport URL.
func rabbitURL(amqpURL string) string { return "rabbit" + strings.TrimPrefix(amqpURL, "amqp") }
