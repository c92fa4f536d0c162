package messaging_test

import (
	"context"
	"fmt"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/serializer"
)

// A client that speaks msgpack to a Go server: bytes stay bytes. The server needs no option, and answers each
// caller as it was called.
func ExampleWithSerializer() {
	t, closeTransport := open("msgpack")
	defer closeTransport()
	ep := messaging.NewEndpoint()
	messaging.HandleArg(ep, "measure", "image", func(_ context.Context, image []byte) (int, error) { return len(image), nil })
	defer serveWith(t, ep)()

	client := workerClient(t, messaging.WithSerializer(serializer.Msgpack))
	fmt.Println(messaging.Call[int](context.Background(), client, "measure", map[string]any{"image": []byte{0xff, 0xfe}}))
	// Output: 2 <nil>
}
