package memory_test

import (
	"bytes"
	"compress/zlib"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

func TestPublishNeedsAQueue(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	declareQueue(t, newDriver(t, b))
	for _, to := range []struct{ exchange, key string }{
		{"nowhere", "topic"},
		{"openstack", "nobody"},
		{"openstack", "*"},
		{"topic_fanout", "topic"},
		{"", "nobody"},
	} {
		mustMatch(t, "publish to "+to.exchange+" "+to.key, b.Publish(to.exchange, to.key, raw("lost")), transport.ErrUndeliverable)
	}
	if got := b.Stats().Unroutable; got != 5 {
		t.Errorf("%d unroutable messages, want 5", got)
	}
}

func TestPublishKeepsACopy(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	l := listen(t, newDriver(t, b), onServer, 1)
	p := raw("method")
	if err := b.Publish("openstack", "topic", p); err != nil {
		t.Fatal(err)
	}
	clear(p.Body)
	take(t, l, "method")
}

// TestRequeuedBodyIsWhole guards the body of a message against its decoder, which works in place.
func TestRequeuedBodyIsWhole(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	l := listen(t, newDriver(t, b), onServer, 1)
	if err := b.Publish("openstack", "topic", raw("quoted \"\u00fc\"")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := poll(t, l, "quoted \"\u00fc\"").Requeue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	take(t, l, "quoted \"\u00fc\"")
}

func TestCompressedBodyIsRead(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	l := listen(t, newDriver(t, b), onServer, 1)
	p := raw("compressed")
	var body bytes.Buffer
	w := zlib.NewWriter(&body)
	_, _ = w.Write(p.Body) // to a buffer: it cannot fail
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.Compression = "application/x-gzip"
	broken := p
	p.Body = body.Bytes()
	for _, p := range []memory.Publishing{broken, p} {
		if err := b.Publish("openstack", "topic", p); err != nil {
			t.Fatal(err)
		}
	}
	take(t, l, "compressed")
	if got := b.Stats().Malformed; got != 1 {
		t.Errorf("%d malformed messages, want 1: the one whose body is not compressed", got)
	}
}

func TestMalformedMessagesAreCountedOnce(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{})
	d := newDriver(t, b)
	l := listen(t, d, onServer, 1)
	plain := raw("plain text")
	plain.ContentType = "text/plain"
	cutOff := raw("cut off")
	cutOff.Body = cutOff.Body[:20]
	for _, p := range []memory.Publishing{plain, cutOff, raw("good")} {
		if err := b.Publish("openstack", "topic", p); err != nil {
			t.Fatal(err)
		}
	}
	take(t, l, "good")
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Malformed != 2 || s.Acknowledged != 1 || s.Returned != 0 || s.Queues["topic"].Waiting != 0 {
		t.Errorf("stats %+v, want 2 malformed, 1 acknowledged and none left", s)
	}
}

func TestExchangesKeepTheirType(t *testing.T) {
	t.Parallel()
	d := newDriver(t, memory.NewBroker(memory.Config{}))
	l := listen(t, d, onServer, 1)
	odd := target.Target{Exchange: "topic_fanout", Topic: "other", Server: "host"}
	_, err := d.Listen(t.Context(), odd, transport.ListenOptions{Prefetch: 1})
	mustMatch(t, "listen", err, transport.ErrRejected)
	odd.Server = ""
	mustMatch(t, "cast", d.Cast(t.Context(), odd, &transport.Request{}, transport.SendOptions{}), transport.ErrRejected)
	_, err = d.Call(t.Context(), odd, &transport.Request{}, transport.SendOptions{})
	mustMatch(t, "call", err, transport.ErrRejected)

	if err := l.Stop(t.Context()); err != nil { // a fanout exchange goes with its last queue
		t.Fatal(err)
	}
	odd.Server = "host"
	listen(t, d, odd, 1)
	_, err = d.Listen(t.Context(), onServer, transport.ListenOptions{Prefetch: 1})
	mustMatch(t, "listen on a topic whose fanout exchange is taken", err, transport.ErrRejected)
}

// TestFanoutReachesThoseWithRoom lets one of two listeners fall behind.
func TestFanoutReachesThoseWithRoom(t *testing.T) {
	t.Parallel()
	b := memory.NewBroker(memory.Config{MaxQueueLength: 1})
	d := newDriver(t, b)
	slow, quick := listen(t, d, onServer, 1), listen(t, d, onServer, 1)
	toAll := topic
	toAll.Fanout = true
	send := func(method string) error {
		return d.Cast(t.Context(), toAll, &transport.Request{Method: method}, transport.SendOptions{})
	}
	for _, method := range []string{"prefetched", "waiting"} {
		if err := send(method); err != nil {
			t.Fatal(err)
		}
		take(t, quick, method)
	}
	mustMatch(t, "fanout", send("too much"), transport.ErrRejected)
	take(t, quick, "too much")
	take(t, slow, "prefetched")
	take(t, slow, "waiting")
}

// TestPublishingRacesWithTheEndOfAQueue sends fanouts while their queues come and go.
func TestPublishingRacesWithTheEndOfAQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{})
		d := newDriver(t, b)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 {
				if err := listen(t, d, onServer, 1).Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}()
		toAll := topic
		toAll.Fanout = true
		for sending := true; sending; {
			if err := d.Cast(t.Context(), toAll, &transport.Request{Method: "fanout"}, transport.SendOptions{}); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				sending = false
			default:
			}
		}
		if s := b.Stats(); len(s.Queues) != 2 {
			t.Errorf("queues %v are left, want topic and topic.host", s.Queues)
		}
	})
}
