package main

import (
	"context"
	"testing"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// measuring is a driver that only looks at how long the body of a request is.
type measuring struct {
	transport.Driver
	length int
}

func (d *measuring) Call(_ context.Context, _ target.Target, req *transport.Request, _ transport.SendOptions) (*transport.Reply, error) {
	transport.Prepare(req, "reply_"+wire.NewID(), 0)
	d.length = len(wire.AppendRequest(nil, req))
	return &transport.Reply{Result: req.Args, Ending: true}, nil
}

// TestRawBodiesAreAsLongAsGoslosOwn keeps the comparison honest when a message changes.
func TestRawBodiesAreAsLongAsGoslosOwn(t *testing.T) {
	t.Parallel()
	const size, tolerance = 1024, 20
	d := &measuring{}
	client, err := messaging.NewClient(messaging.NewTransport(d), messaging.Target{Topic: topic})
	if err != nil {
		t.Fatal(err)
	}
	ctx := messaging.WithRequestContext(t.Context(), requestContext())
	if err := client.Call(ctx, method, echoArgs{Payload: payload(size)}, nil); err != nil {
		t.Fatal(err)
	}
	if raw := len(rawRequest(size)); raw < d.length-tolerance || raw > d.length+tolerance {
		t.Errorf("raw requests have %d bytes, goslo's %d", raw, d.length)
	}
	id := wire.TextValue(wire.NewID())
	reply := len(wire.AppendReply(nil, &wire.Reply{
		MsgID: id, Result: wire.TextValue(payload(size)), Ending: true, UniqueID: wire.NewID(),
	}))
	if raw := len(rawReply(size)); raw < reply-tolerance || raw > reply+tolerance {
		t.Errorf("raw replies have %d bytes, goslo's %d", raw, reply)
	}
}
