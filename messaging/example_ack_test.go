package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goslo/goslo/messaging"
)

// A server that acknowledges what it has finished: what it asks to run again comes back, and what never succeeds is
// parked, for a person to look at.
func ExampleWithAck() {
	transport, done := open("late-ack")
	defer done()

	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "build", "image", func(ctx context.Context, image string) (string, error) {
		if image == "broken" {
			return "", messaging.Requeue(errors.New("no such disk"))
		}
		if n := messaging.RPCFrom(ctx).Deliveries; n < 3 {
			return "", messaging.Requeue(fmt.Errorf("the host is busy, delivery %d", n))
		}
		return image + " is built", nil
	})
	server, err := messaging.NewRPCServer(transport, messaging.Target{Topic: "builder", Server: "host1"},
		[]*messaging.Endpoint{ep}, messaging.WithAck(messaging.AckOnFinish), messaging.WithMaxDeliveries(4))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := server.Start(ctx); err != nil {
		log.Fatal(err)
	}

	client, err := messaging.NewClient(transport, messaging.Target{Topic: "builder"})
	if err != nil {
		log.Fatal(err)
	}
	for _, image := range []string{"debian", "broken"} {
		text, err := messaging.Call[string](ctx, client, "build", map[string]any{"image": image})
		var remote *messaging.RemoteError
		if errors.As(err, &remote) {
			text = remote.Message
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Println(text)
	}
	if err := errors.Join(server.Stop(ctx), server.Wait(ctx)); err != nil {
		log.Fatal(err)
	}
	fmt.Println("parked:", server.Stats().Parked)
	// Output:
	// debian is built
	// parked in queue "builder.parking" after 4 deliveries: no such disk
	// parked: 1
}
