// Package messaging is OpenStack's service bus for Go: remote procedure calls between services over RabbitMQ,
// as Python's oslo.messaging makes them. A peer cannot tell the two apart.
//
// A [Transport] is a way to the bus. A [MessageHandlingServer] listens on a [Target], a topic and a server name,
// and hands what is sent there to the methods of its endpoints. A [Client] calls a method and waits for its
// result ([Client.Call]), or sends and goes on: to one server ([Client.Cast]) or to all of a topic
// ([Client.Fanout]).
//
//	t, err := messaging.Open("rabbit://guest:guest@localhost:5672/")
//	...
//	ep := messaging.NewEndpoint(messaging.WithVersion("1.1"))
//	messaging.Handle(ep, "add", func(ctx context.Context, args AddArgs) (int, error) { return args.A + args.B, nil })
//	server, err := messaging.NewRPCServer(t, messaging.Target{Topic: "calculator", Server: "host1"}, []*messaging.Endpoint{ep})
//	err = server.Start(ctx)
//
//	client, err := messaging.NewClient(t, messaging.Target{Topic: "calculator"})
//	sum, err := messaging.Call[int](ctx, client, "add", AddArgs{A: 1, B: 2})
//
// # What is promised
//
// A call is run at most once, has at most one answer, and always ends by its deadline, with its result or with an
// error that says why there is none: see the Err values of this package, [RemoteError] and [ErrorRegistry]. A request is
// acknowledged when a place for its handler is free and before it runs, so that a server never takes more from
// the broker than it can run and prefetch; what it has not begun when it stops goes back to the broker. A cast
// that returns without error has been confirmed by the broker.
//
// A transport whose broker goes away waits for it and restores everything by itself: connections, queues,
// consumers.
//
// What calls, casts and servers see of each fault, in which phase and by which error, is in the tables of
// docs/faults.md (https://github.com/goslo/goslo/blob/main/docs/faults.md).
package messaging
