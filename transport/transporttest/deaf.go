package transporttest

import (
	"context"
	"errors"
	"testing"

	"github.com/goslo/goslo/transport"
)

var deafTests = []test{
	{"a call that times out tells the others that wait, and the next one is answered", deafCalls},
}

func deafCalls(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	d, deafen := b.features.Deaf(t)
	closed(t, d)
	call := func(ctx context.Context, method string) <-chan error {
		ended := make(chan error, 1)
		go func() { // ends with ctx
			_, err := d.Call(ctx, b.topic, request(method), transport.SendOptions{Retry: transport.RetryForever})
			ended <- err
		}()
		return ended
	}
	first := call(patient(t), "first")
	answer(t, take(t, l, "first"), `1`)
	if err := receive(t, first); err != nil {
		t.Fatalf("call: %v", err)
	}
	deafen()
	waiting := call(patient(t), "waiting")
	take(t, l, "waiting")
	ctx, cancel := context.WithTimeout(t.Context(), 4*moment)
	defer cancel()
	short := call(ctx, "short")
	answer(t, take(t, l, "short"), `2`)
	mustMatch(t, "the call that is not answered in time", receive(t, short), transport.ErrTimeout)
	err := receive(t, waiting)
	mustMatch(t, "the call that waits", err, transport.ErrReplyPathLost)
	if errors.Is(err, transport.ErrTimeout) {
		t.Errorf("the call that waits: %v, want that it ends before its time", err)
	}
	next := call(patient(t), "next")
	answer(t, take(t, l, "next"), `3`)
	if err := receive(t, next); err != nil {
		t.Errorf("the next call: %v", err)
	}
}
