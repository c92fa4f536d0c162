package transporttest

import (
	"testing"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

var lateTests = []test{
	{"requests can be acknowledged late and in any order", acknowledgedLate},
	{"what a listener has not acknowledged another gets, and the first has lost", unfinishedGoesOn},
	{"a request that is put back anew comes behind the others and knows its number", putBackAnew},
	{"a moved request is on its new queue as it was, and off the old one", movedAway},
	{"a request that is lost is not moved", lostIsNotMoved},
	{"what is no message can be moved where requests can", unreadableMovedAway},
}

func acknowledgedLate(t *testing.T, b *bus) {
	l := b.listen(t, "host", 8)
	var held []transport.Incoming
	for _, method := range []string{"a", "b", "c", "d"} {
		b.cast(t, method)
		held = append(held, pollMethod(t, l, method))
	}
	ack(t, held[3])
	ack(t, held[1])
	b.cast(t, "e")
	take(t, l, "e")
	ack(t, held[0])
	ack(t, held[2])
	closeListener(t, l)
	pollNothing(t, b.listen(t, "host", 8))
}

func unfinishedGoesOn(t *testing.T, b *bus) {
	d := b.newDriver(t)
	l := b.listenOn(t, d, b.onServer("host1"), 4)
	b.cast(t, "work")
	first := pollMethod(t, l, "work")
	checkDeliveries(t, first, 1, true)
	if mustBe[transport.Staleness](t, first).Stale() {
		t.Error("a request that was just delivered is stale")
	}
	closeDriver(t, d)
	again := pollMethod(t, b.listen(t, "host2", 4), "work")
	b.checkRedelivered(t, again, true)
	if n, counted := mustBe[transport.DeliveryCount](t, again).Deliveries(); n != 2 {
		t.Errorf("delivery %d (counted: %t), want 2", n, counted)
	}
	if !mustBe[transport.Staleness](t, first).Stale() {
		t.Error("a request that another has is not stale")
	}
	mustMatch(t, "late acknowledgement", first.Ack(patient(t)), transport.ErrStale)
	ack(t, again)
}

func putBackAnew(t *testing.T, b *bus) {
	l := b.listenFor(t, b.server, b.onServer("host"), transport.ListenOptions{Prefetch: 1, Movable: true})
	b.cast(t, "work")
	b.cast(t, "next")
	in := pollMethod(t, l, "work")
	move(t, in, transport.Destination{Deliveries: 4})
	take(t, l, "next")
	again := pollMethod(t, l, "work")
	checkDeliveries(t, again, 4, true)
	b.checkRedelivered(t, again, true)
	if got, want := again.Request().UniqueID, in.Request().UniqueID; got != want {
		t.Errorf("unique id %q comes back, want %q", got, want)
	}
	ack(t, again) // it is no duplicate of the original
	pollNothing(t, l)
}

// movedAway moves a call to a queue that is there, of another topic: what is answered there reaches the caller.
func movedAway(t *testing.T, b *bus) {
	l := b.listenFor(t, b.server, b.onServer("host"), transport.ListenOptions{Prefetch: 4, Movable: true})
	elsewhere := b.onServer("host")
	elsewhere.Topic = unique("topic")
	other := b.listenOn(t, b.server, elsewhere, 4)
	ended := b.call(t, "work")
	in := pollMethod(t, l, "work")
	move(t, in, transport.Destination{Queue: elsewhere.Topic, Headers: map[string]any{transport.ReasonHeader: "to be looked at", "n": int64(7)}})
	moved := take(t, other, "work")
	checkDeliveries(t, moved, 1, true)
	answer(t, moved, `"from there"`)
	awaitResult(t, ended, `"from there"`)
	closeListener(t, l)
	pollNothing(t, b.listen(t, "host", 4))
}

func lostIsNotMoved(t *testing.T, b *bus) {
	d := b.newDriver(t)
	l := b.listenFor(t, d, b.onServer("host1"), transport.ListenOptions{Prefetch: 4, Movable: true})
	b.cast(t, "work")
	in := pollMethod(t, l, "work")
	closeListener(t, l)
	err := mustBe[transport.Mover](t, in).Move(patient(t), transport.Destination{Deliveries: 2})
	mustMatch(t, "move", err, transport.ErrStale)
	closeDriver(t, d)
	l = b.listen(t, "host2", 4)
	take(t, l, "work")
	pollNothing(t, l)
}

func unreadableMovedAway(t *testing.T, b *bus) {
	if b.features.RawPublish == nil {
		t.Skip("nothing but messages can be published")
	}
	movable := transport.ListenOptions{Prefetch: 1, Movable: true}
	l := b.listenFor(t, b.server, b.onServer("host"), movable)
	elsewhere := b.onServer("host")
	elsewhere.Topic = unique("topic")
	other := b.listenFor(t, b.server, elsewhere, movable)
	b.rawPublish(t, wire.ContentTypeJSON, `not JSON`)
	b.cast(t, "next")
	in := pollMethod(t, l, "")
	checkUnreadable(t, in)
	move(t, in, transport.Destination{Queue: elsewhere.Topic, Headers: map[string]any{transport.ReasonHeader: "to be looked at"}})
	next := take(t, l, "next")
	if err := mustBe[transport.Malformed](t, next).Malformed(); err != nil {
		t.Errorf("a good request: %v", err)
	}
	moved := pollMethod(t, other, "")
	checkUnreadable(t, moved)
	ack(t, moved)
	closeListener(t, l)
	pollNothing(t, b.listen(t, "host", 4))
}

func checkUnreadable(tb testing.TB, in transport.Incoming) {
	tb.Helper()
	if mustBe[transport.Malformed](tb, in).Malformed() == nil || in.Request().Call() || in.Request().UniqueID != "" {
		tb.Errorf("polled %+v, want what cannot be read", in.Request())
	}
}

func move(tb testing.TB, in transport.Incoming, to transport.Destination) {
	tb.Helper()
	if err := mustBe[transport.Mover](tb, in).Move(patient(tb), to); err != nil {
		tb.Fatalf("move %q: %v", in.Request().Method, err)
	}
}

func checkDeliveries(tb testing.TB, in transport.Incoming, want int, counted bool) {
	tb.Helper()
	if n, c := mustBe[transport.DeliveryCount](tb, in).Deliveries(); n != want || c != counted {
		tb.Errorf("%q is delivery %d, counted: %t; want %d, %t", in.Request().Method, n, c, want, counted)
	}
}

// mustBe is the request as what it must be.
func mustBe[T any](tb testing.TB, in transport.Incoming) T {
	tb.Helper()
	able, ok := in.(T)
	if !ok {
		tb.Fatalf("%T lacks %T", in, *new(T))
	}
	return able
}
