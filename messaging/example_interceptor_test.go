package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/goslo/goslo/messaging"
)

// serveWith is serve with options.
func serveWith(t *messaging.Transport, ep *messaging.Endpoint, opts ...messaging.ServerOption) func() {
	ctx := context.Background()
	server, err := messaging.NewRPCServer(t, messaging.Target{Topic: "worker", Server: "host1"}, []*messaging.Endpoint{ep}, opts...)
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

func workerClient(t *messaging.Transport, opts ...messaging.ClientOption) *messaging.Client {
	client, err := messaging.NewClient(t, messaging.Target{Topic: "worker"}, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// An interceptor that turns panics into errors of the user's own. Without one, a panic is answered as RuntimeError.
func ExampleInterceptor_recover() {
	t, closeTransport := open("recover")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "boot", func(context.Context, struct{}) (any, error) { panic("disk on fire") })

	recovering := func(ctx context.Context, rpc *messaging.RPC, next func(context.Context) error) (err error) {
		defer func() {
			if reason := recover(); reason != nil {
				err = fmt.Errorf("%s is out of order", rpc.Method)
			}
		}()
		return next(ctx)
	}
	defer serveWith(t, ep, messaging.WithInterceptors(recovering))()
	fmt.Println(workerClient(t).Call(context.Background(), "boot", nil, nil))
	// Output: remote Exception: boot is out of order
}

// One interceptor logs on both sides.
func ExampleInterceptor_log() {
	t, closeTransport := open("log")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "boot", func(context.Context, struct{}) (string, error) { return "up", nil })

	logging := func(ctx context.Context, rpc *messaging.RPC, next func(context.Context) error) error {
		side := "client"
		if rpc.Server {
			side = "server"
		}
		fmt.Printf("%s: %s on %s\n", side, rpc.Method, rpc.Target.Topic)
		err := next(ctx)
		fmt.Printf("%s: %s: error %v\n", side, rpc.Method, err)
		return err
	}
	defer serveWith(t, ep, messaging.WithInterceptors(logging))()
	fmt.Println(messaging.Call[string](context.Background(), workerClient(t, messaging.WithInterceptors(logging)), "boot", nil))
	// Output:
	// client: boot on worker
	// server: boot on worker
	// server: boot: error <nil>
	// client: boot: error <nil>
	// up <nil>
}

// Counters by method and outcome; with prometheus they would be a CounterVec.
func ExampleInterceptor_metrics() {
	t, closeTransport := open("metrics")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "boot", "host", func(_ context.Context, host string) (any, error) {
		if host == "" {
			return nil, errors.New("no host")
		}
		return nil, nil
	})

	var mu sync.Mutex
	counts := map[string]int{}
	counting := func(ctx context.Context, rpc *messaging.RPC, next func(context.Context) error) error {
		err := next(ctx)
		mu.Lock()
		defer mu.Unlock()
		counts[fmt.Sprintf("%s success=%t", rpc.Method, err == nil)]++
		return err
	}
	end := serveWith(t, ep, messaging.WithInterceptors(counting))
	client := workerClient(t)
	for _, host := range []string{"host1", "host2", ""} {
		_ = client.Call(context.Background(), "boot", map[string]string{"host": host}, nil)
	}
	end() // every reply is out
	fmt.Println(counts)
	// Output: map[boot success=false:1 boot success=true:2]
}

// A client that puts its token into the request context of everything it sends, and a server that asks for it.
func ExampleInterceptor_authToken() {
	t, closeTransport := open("token")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "boot", func(context.Context, struct{}) (string, error) { return "up", nil })

	withToken := func(ctx context.Context, _ *messaging.RPC, next func(context.Context) error) error {
		return next(messaging.WithRequestContext(ctx, messaging.RequestContext{"auth_token": "secret"}))
	}
	checkToken := func(_ context.Context, access messaging.Access) error {
		if access.Context["auth_token"] != "secret" {
			return errors.New("a valid token is needed")
		}
		return nil
	}
	defer serveWith(t, ep, messaging.WithAuthorizer(checkToken))()
	client := workerClient(t)
	fmt.Println(client.Call(context.Background(), "boot", nil, nil))
	fmt.Println(messaging.Call[string](context.Background(), client.Prepare(messaging.WithInterceptors(withToken)), "boot", nil))
	// Output:
	// remote PermissionError: a valid token is needed
	// up <nil>
}

// Only two of these run at once, whatever the size of the executor: other methods keep their places.
func ExampleLimit() {
	t, closeTransport := open("limit")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.HandleCast(ep, "snapshot", func(context.Context, struct{}) error { return nil }, messaging.Limit(2))
	messaging.Handle(ep, "status", func(context.Context, struct{}) (string, error) { return "fine", nil })
	defer serveWith(t, ep, messaging.WithExecutorThreadPoolSize(8))()
	fmt.Println(messaging.Call[string](context.Background(), workerClient(t), "status", nil))
	// Output: fine <nil>
}

// A server that tells tools what it answers to.
func ExampleWithDescribe() {
	t, closeTransport := open("describe")
	defer closeTransport()
	ep := messaging.NewEndpoint(messaging.WithNamespace("compute"), messaging.WithVersion("1.4"))
	messaging.HandleArg(ep, "boot", "host", func(context.Context, string) (bool, error) { return true, nil })
	defer serveWith(t, ep, messaging.WithDescribe(), messaging.WithPing())()

	client := workerClient(t, messaging.ToNamespace(messaging.DescribeNamespace))
	server, err := messaging.Call[messaging.Description](context.Background(), client, messaging.DescribeMethod, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, endpoint := range server.Endpoints {
		for _, method := range endpoint.Methods {
			fmt.Println(endpoint.Version, method.Name, method.Arguments)
		}
	}
	// Output:
	// 1.4 boot [{host string false}]
	// 1.0 oslo_rpc_server_ping []
	// 1.0 describe []
}
