package serializer_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/goslo/goslo/serializer"
)

func ExampleMsgpack() {
	type host struct {
		ID   serializer.UUID        `json:"id"`
		Addr netip.Addr             `json:"addr"`
		Seen time.Time              `json:"seen"`
		Tags serializer.Set[string] `json:"tags"`
		Load float64                `json:"load"`
	}
	var id serializer.UUID
	copy(id[:], "0123456789abcdef")
	data, err := serializer.Msgpack.Append(nil, host{
		id, netip.MustParseAddr("10.0.0.1"), time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), serializer.Set[string]{"ssd"}, 1,
	})
	fmt.Println(len(data), err)

	var h host
	err = serializer.Msgpack.Decode(data, &h)
	fmt.Println(h.ID, h.Addr, h.Seen, h.Tags, h.Load, err)

	var v any
	err = serializer.Msgpack.Decode(data, &v)
	fmt.Printf("%T %T %v\n", v.(map[string]any)["addr"], v.(map[string]any)["tags"], err)
	// Output:
	// 150 <nil>
	// 30313233-3435-3637-3839-616263646566 10.0.0.1 2024-01-02 03:04:05 +0000 UTC [ssd] 1 <nil>
	// netip.Addr serializer.Set[interface {}] <nil>
}
