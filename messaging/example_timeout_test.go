package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/goslo/goslo/messaging"
)

// A call that times out tells why: whether its request was sent, taken, or taken by nobody, and when.
func ExampleTimeoutError() {
	t, closeTransport := open("timeout")
	defer closeTransport()
	release := make(chan struct{})
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "rebuild", func(context.Context, struct{}) (string, error) {
		<-release
		return "at last", nil
	})
	defer serve(t, messaging.Target{Topic: "worker", Server: "host1"}, ep)()
	defer close(release)

	client, err := messaging.NewClient(t, messaging.Target{Topic: "worker"}, messaging.WithTimeout(200*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	for _, server := range []string{"host1", "host2"} {
		err := client.Prepare(messaging.ToServer(server)).Call(context.Background(), "rebuild", nil, nil)
		var timeout *messaging.TimeoutError
		if !errors.As(err, &timeout) {
			log.Fatal(err)
		}
		switch timeout.Reason {
		case messaging.ReasonNoQueue:
			fmt.Println(server, "does not exist:", errors.Is(err, messaging.ErrUndeliverable))
		case messaging.ReasonUnanswered:
			fmt.Println(server, "is slow, sent:", timeout.Sent > 0, "taken:", timeout.Confirmed > 0, "heartbeats:", timeout.Heartbeats)
		default:
			fmt.Println(server, timeout.Reason)
		}
	}
	// Output:
	// host1 is slow, sent: true taken: true heartbeats: 0
	// host2 does not exist: true
}
