package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
)

// quiet keeps the bus from writing into the output of an example.
func quiet() messaging.TransportOption {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return messaging.WithLogger(l)
}

// open makes a transport on a bus in this process. With RabbitMQ it would be
// messaging.Open("rabbit://guest:guest@localhost:5672/").
func open(name string) (*messaging.Transport, func()) {
	t, err := messaging.Open("memory://"+name, quiet())
	if err != nil {
		log.Fatal(err)
	}
	return t, func() {
		if err := t.Close(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
}

// serve starts a server and returns what ends it: no new message, then the running ones are finished.
func serve(t *messaging.Transport, on messaging.Target, endpoints ...*messaging.Endpoint) func() {
	ctx := context.Background()
	server, err := messaging.NewRPCServer(t, on, endpoints, messaging.WithExecutor(executor.Threading))
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		log.Fatal(err)
	}
	return func() {
		if err := errors.Join(server.Stop(ctx), server.Wait(ctx)); err != nil {
			log.Fatal(err)
		}
	}
}

type AddArgs struct {
	A int `json:"a"`
	B int `json:"b"`
}

// A typed method, checked by the compiler, and a call of it.
func ExampleHandle() {
	t, closeTransport := open("handle")
	defer closeTransport()

	ep := messaging.NewEndpoint(messaging.WithVersion("1.1"))
	messaging.Handle(ep, "add", func(_ context.Context, args AddArgs) (int, error) {
		return args.A + args.B, nil
	})
	defer serve(t, messaging.Target{Topic: "calculator", Server: "host1"}, ep)()

	client, err := messaging.NewClient(t, messaging.Target{Topic: "calculator"})
	if err != nil {
		log.Fatal(err)
	}
	sum, err := messaging.Call[int](context.Background(), client, "add", AddArgs{A: 40, B: 2})
	fmt.Println(sum, err)
	// Output: 42 <nil>
}

type Calculator struct{}

func (Calculator) Add(_ context.Context, args AddArgs) (int, error) { return args.A + args.B, nil }

func (Calculator) Divide(_ context.Context, dividend, divisor float64) (float64, error) {
	if divisor == 0 {
		return 0, &messaging.RemoteError{Module: "builtins", Class: "ZeroDivisionError", Message: "float division by zero"}
	}
	return dividend / divisor, nil
}

// ArgumentNames gives names to arguments that are taken one by one.
func (Calculator) ArgumentNames() map[string][]string {
	return map[string][]string{"Divide": {"dividend", "divisor"}}
}

// Every exported method of a value, under its name in snake case.
func ExampleReflectEndpoint() {
	t, closeTransport := open("reflect")
	defer closeTransport()

	ep, err := messaging.ReflectEndpoint(Calculator{}, messaging.WithNamespace("math"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ep.Methods())
	defer serve(t, messaging.Target{Topic: "calculator", Server: "host1"}, ep)()

	client, err := messaging.NewClient(t, messaging.Target{Topic: "calculator", Namespace: "math"})
	if err != nil {
		log.Fatal(err)
	}
	half, err := messaging.Call[float64](context.Background(), client, "divide", map[string]any{"dividend": 1, "divisor": 2})
	fmt.Println(half, err)
	// Output:
	// [add divide]
	// 0.5 <nil>
}

// The failure of a method arrives with its class, as a Python caller would see it.
func ExampleRemoteError() {
	t, closeTransport := open("failure")
	defer closeTransport()
	ep, err := messaging.ReflectEndpoint(Calculator{})
	if err != nil {
		log.Fatal(err)
	}
	defer serve(t, messaging.Target{Topic: "calculator", Server: "host1"}, ep)()

	client, err := messaging.NewClient(t, messaging.Target{Topic: "calculator"})
	if err != nil {
		log.Fatal(err)
	}
	err = client.Call(context.Background(), "divide", map[string]any{"dividend": 1, "divisor": 0}, nil)
	var remote *messaging.RemoteError
	if errors.As(err, &remote) {
		fmt.Println(remote.Class, "-", remote.Message)
	}
	// Output: ZeroDivisionError - float division by zero
}

// A call waits for the result and decodes it into what the pointer points to.
func ExampleClient_Call() {
	t, closeTransport := open("call")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "add", func(_ context.Context, args AddArgs) (int, error) { return args.A + args.B, nil })
	defer serve(t, messaging.Target{Topic: "calculator", Server: "host1"}, ep)()

	client, err := messaging.NewClient(t, messaging.Target{Topic: "calculator"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var sum int
	if err := client.Call(ctx, "add", AddArgs{A: 40, B: 2}, &sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum)
	// Output: 42
}

// A cast goes to one server of the topic, whichever is free, and does not wait for it.
func ExampleClient_Cast() {
	t, closeTransport := open("cast")
	defer closeTransport()
	ran := make(chan string)
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "build", "instance", func(_ context.Context, instance string) (any, error) {
		ran <- instance
		return nil, nil
	})
	defer serve(t, messaging.Target{Topic: "builder", Server: "host1"}, ep)()

	client, err := messaging.NewClient(t, messaging.Target{Topic: "builder"})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Cast(context.Background(), "build", map[string]string{"instance": "vm-1"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("built", <-ran)
	// Output: built vm-1
}

// A cast goes to one server of a topic, a fanout to each of them, and neither waits for a result.
func ExampleClient_Fanout() {
	t, closeTransport := open("fanout")
	defer closeTransport()

	var heard sync.WaitGroup
	heard.Add(2)
	for _, host := range []string{"host1", "host2"} {
		ep := messaging.NewEndpoint()
		messaging.HandleCast(ep, "refresh", func(context.Context, struct{}) error {
			heard.Done()
			return nil
		})
		defer serve(t, messaging.Target{Topic: "worker", Server: host}, ep)()
	}

	client, err := messaging.NewClient(t, messaging.Target{Topic: "worker"})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Fanout(context.Background(), "refresh", nil); err != nil {
		log.Fatal(err)
	}
	heard.Wait()
	fmt.Println("both servers refresh")
	// Output: both servers refresh
}

// Prepare makes a client for one server, one version, or with limits of its own.
func ExampleClient_Prepare() {
	t, closeTransport := open("prepare")
	defer closeTransport()
	for _, host := range []string{"host1", "host2"} {
		ep := messaging.NewEndpoint(messaging.WithVersion("2.3"))
		messaging.Handle(ep, "hostname", func(context.Context, struct{}) (string, error) { return host, nil })
		defer serve(t, messaging.Target{Topic: "worker", Server: host}, ep)()
	}

	client, err := messaging.NewClient(t, messaging.Target{Topic: "worker"}, messaging.WithVersionCap("2.2"))
	if err != nil {
		log.Fatal(err)
	}
	second := client.Prepare(messaging.ToServer("host2"), messaging.ToVersion("2.1"), messaging.WithTimeout(5*time.Second))
	fmt.Println(messaging.Call[string](context.Background(), second, "hostname", nil))

	newest := client.Prepare(messaging.ToVersion("2.3"))
	fmt.Println(newest.Cast(context.Background(), "hostname", nil))
	// Output:
	// host2 <nil>
	// requested message version "2.3" is incompatible with the version cap "2.2"
}

// What travels beside the arguments: who asks, under which request id.
func ExampleWithRequestContext() {
	t, closeTransport := open("context")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "whoami", func(ctx context.Context, _ struct{}) (any, error) {
		return messaging.RequestContextFrom(ctx).UserID(), nil
	})
	defer serve(t, messaging.Target{Topic: "identity", Server: "host1"}, ep)()

	client, err := messaging.NewClient(t, messaging.Target{Topic: "identity"})
	if err != nil {
		log.Fatal(err)
	}
	ctx := messaging.WithRequestContext(context.Background(), messaging.Identity{UserID: "u-1"}.RequestContext())
	fmt.Println(messaging.Call[string](ctx, client, "whoami", nil))
	// Output: u-1 <nil>
}
