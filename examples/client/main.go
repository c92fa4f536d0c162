// Command client calls the server.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/goslo/goslo/messaging"
)

func main() {
	t, err := messaging.Open("rabbit://guest:guest@localhost:5672/")
	if err != nil {
		log.Fatal(err)
	}
	client, err := messaging.NewClient(t, messaging.Target{Topic: "calculator"})
	if err != nil {
		log.Fatal(err)
	}
	sum, err := messaging.Call[int](context.Background(), client, "add", map[string]int{"a": 40, "b": 2})
	fmt.Println(sum, err, t.Close(context.Background()))
}
