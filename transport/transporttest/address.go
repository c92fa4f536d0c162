package transporttest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

var addressTests = []test{
	{"a cast reaches a server of its topic", castReachesServer},
	{"casts of one sender arrive in their order", castsInOrder},
	{"a reply to a cast does nothing", replyToCast},
	{"the servers of a topic share its work", serversShareWork},
	{"a request to one server reaches no other", oneServer},
	{"listeners of one server name share its requests", oneServerName},
	{"topics are apart from each other", topicsApart},
	{"a fanout reaches every listener", fanoutReachesAll},
	{"a fanout is heard across exchanges", fanoutAcrossExchanges},
	{"a fanout for nobody is no error", fanoutForNobody},
	{"requests wait for a server once there was one", requestsWait},
	{"a request for nobody is dropped", nobody},
	{"a mandatory request for nobody is undeliverable", mandatoryNobody},
	{"a mandatory request for somebody arrives", mandatorySomebody},
}

func castReachesServer(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "cast")
	if req := take(t, l, "cast").Request(); req.Call() || req.ReplyQueue != "" || req.UniqueID == "" {
		t.Errorf("received %+v, want a cast with a unique id", req)
	}
	pollNothing(t, l)
}

func castsInOrder(t *testing.T, b *bus) {
	const casts = 200
	l := b.listen(t, "host", 16)
	for i := range casts {
		b.cast(t, fmt.Sprint("method_", i))
	}
	for i := range casts {
		take(t, l, fmt.Sprint("method_", i))
	}
}

func replyToCast(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	b.cast(t, "cast")
	answer(t, take(t, l, "cast"), `"to nobody"`)
	ended := b.call(t, "call")
	answer(t, take(t, l, "call"), `"to somebody"`)
	awaitResult(t, ended, `"to somebody"`)
}

// serversShareWork lets three servers hold a request each before any of them is done: they must all get one.
// Then each request must have been run once.
func serversShareWork(t *testing.T, b *bus) {
	const servers, casts = 3, 60
	var mu sync.Mutex
	ran := map[string]int{}
	var allBusy, done sync.WaitGroup
	allBusy.Add(servers)
	done.Add(casts)
	for i := range servers {
		busy := sync.OnceFunc(func() {
			allBusy.Done()
			allBusy.Wait()
		})
		serve(t, b.listenOn(t, b.driver(t), b.onServer(fmt.Sprint("host", i)), 1),
			func(ctx context.Context, in transport.Incoming) error {
				busy()
				if err := in.Ack(ctx); err != nil {
					return err
				}
				mu.Lock()
				ran[in.Request().Method]++
				mu.Unlock()
				done.Done()
				return nil
			})
	}
	for i := range casts {
		b.cast(t, fmt.Sprint("method_", i))
	}
	wait(t, &done)
	for method, times := range ran {
		if times != 1 {
			t.Errorf("%s ran %d times, want once", method, times)
		}
	}
}

// wait waits for a group that must come to its end.
func wait(tb testing.TB, group *sync.WaitGroup) {
	tb.Helper()
	ended := make(chan struct{}, 1)
	go func() { // ends with the group, which the servers of a failed test leave behind
		group.Wait()
		ended <- struct{}{}
	}()
	receive(tb, ended)
}

func oneServer(t *testing.T, b *bus) {
	first, second := b.listen(t, "host1", 4), b.listen(t, "host2", 4)
	b.castTo(t, b.onServer("host2"), "directed")
	take(t, second, "directed")
	ended := b.callTo(patient(t), b.client, b.onServer("host1"), request("called"), transport.SendOptions{})
	answer(t, take(t, first, "called"), `1`)
	awaitResult(t, ended, `1`)
	pollNothing(t, first)
	pollNothing(t, second)
}

func oneServerName(t *testing.T, b *bus) {
	first := b.listen(t, "host", 1)
	second := b.listenOn(t, b.driver(t), b.onServer("host"), 1)
	b.castTo(t, b.onServer("host"), "one")
	b.castTo(t, b.onServer("host"), "two")
	got := map[string]bool{}
	for _, l := range []transport.Listener{first, second} { // one each: neither acknowledges
		got[poll(t, l).Request().Method] = true
	}
	if !got["one"] || !got["two"] {
		t.Errorf("polled %v, want one and two", got)
	}
}

func topicsApart(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	on := target.Target{Exchange: b.topic.Exchange, Topic: b.topic.Topic + "-other", Server: "host"}
	other := b.listenOn(t, b.server, on, 4)
	b.cast(t, "here")
	to := on
	to.Server = ""
	b.castTo(t, to, "there")
	to.Fanout = true
	take(t, l, "here")
	take(t, other, "there")
	b.castTo(t, to, "there, everywhere")
	take(t, other, "there, everywhere")
	pollNothing(t, l)
}

func fanout(to target.Target) target.Target {
	to.Fanout = true
	return to
}

func fanoutReachesAll(t *testing.T, b *bus) {
	listeners := []transport.Listener{
		b.listen(t, "host1", 4),
		b.listenOn(t, b.driver(t), b.onServer("host2"), 4),
		b.listenOn(t, b.driver(t), b.onServer("host2"), 4), // a fanout is for listeners, not for names
	}
	b.castTo(t, fanout(b.topic), "all")
	for _, l := range listeners {
		in := take(t, l, "all")
		answer(t, in, `"to nobody"`)
	}
	for _, l := range listeners {
		pollNothing(t, l)
	}
}

func fanoutAcrossExchanges(t *testing.T, b *bus) {
	elsewhere := b.onServer("host2")
	elsewhere.Exchange = unique("exchange")
	here, there := b.listen(t, "host1", 4), b.listenOn(t, b.server, elsewhere, 4)
	third := b.topic
	third.Exchange = unique("exchange")
	b.castTo(t, fanout(third), "all")
	take(t, here, "all")
	take(t, there, "all")
}

func fanoutForNobody(t *testing.T, b *bus) {
	b.castTo(t, fanout(b.topic), "nobody")
	l := b.listen(t, "host", 4)
	pollNothing(t, l)
	closeListener(t, l)
	b.castTo(t, fanout(b.topic), "nobody any more")
	pollNothing(t, b.listen(t, "host", 4))
}

func requestsWait(t *testing.T, b *bus) {
	closeListener(t, b.listen(t, "host", 4))
	b.castTo(t, b.onServer("host"), "directed")
	b.cast(t, "shared")
	ended := b.call(t, "called")
	l := b.listen(t, "host", 4)
	got := map[string]bool{}
	for range 3 {
		in := poll(t, l)
		ack(t, in)
		got[in.Request().Method] = true
		answer(t, in, `"at last"`)
	}
	if !got["directed"] || !got["shared"] || !got["called"] {
		t.Errorf("polled %v, want directed, shared and called", got)
	}
	awaitResult(t, ended, `"at last"`)
}

func nobody(t *testing.T, b *bus) {
	b.cast(t, "shared")
	b.castTo(t, b.onServer("host"), "directed")
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	_, err := b.client.Call(ctx, b.topic, request("called"), transport.SendOptions{})
	mustMatch(t, "call", err, transport.ErrTimeout)
	pollNothing(t, b.listen(t, "host", 4))
}

func mandatoryNobody(t *testing.T, b *bus) {
	opts := transport.SendOptions{Mandatory: true}
	b.touch(b.topic)
	err := b.client.Cast(patient(t), b.topic, request("cast"), opts)
	mustMatch(t, "cast", err, transport.ErrUndeliverable)
	_, err = b.client.Call(patient(t), b.topic, request("call"), opts)
	mustMatch(t, "call", err, transport.ErrUndeliverable)
	b.listen(t, "host1", 4) // the topic has a queue now, the server host2 has not
	err = b.client.Cast(patient(t), b.onServer("host2"), request("directed"), opts)
	mustMatch(t, "cast to one server", err, transport.ErrUndeliverable)
}

func mandatorySomebody(t *testing.T, b *bus) {
	l := b.listen(t, "host", 4)
	opts := transport.SendOptions{Mandatory: true}
	if err := b.client.Cast(patient(t), b.topic, request("cast"), opts); err != nil {
		t.Errorf("cast: %v", err)
	}
	take(t, l, "cast")
	ended := b.callTo(patient(t), b.client, b.onServer("host"), request("call"), opts)
	answer(t, take(t, l, "call"), `1`)
	awaitResult(t, ended, `1`)
}
