// Command server answers calls on topic "calculator".
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/goslo/goslo/messaging"
)

type addArgs struct {
	A int `json:"a"`
	B int `json:"b"`
}

func main() {
	t, err := messaging.Open("rabbit://guest:guest@localhost:5672/")
	if err != nil {
		log.Fatal(err)
	}
	ep := messaging.NewEndpoint(messaging.WithVersion("1.0"))
	messaging.Handle(ep, "add", func(_ context.Context, args addArgs) (int, error) {
		return args.A + args.B, nil
	})
	server, err := messaging.NewRPCServer(t, messaging.Target{Topic: "calculator", Server: "host1"}, []*messaging.Endpoint{ep})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Start(ctx); err != nil { // consumes when it returns; waits for the broker if need be
		log.Fatal(err)
	}
	<-ctx.Done()
	end := context.Background()
	log.Print(server.Stop(end), server.Wait(end), t.Close(end)) // no new message, finish what runs, disconnect
}
