package rabbit

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// refusedName is how the broker refuses a queue whose node is gone.
func refusedName(queue string) error {
	return &refusedNameError{queue: queue, err: &BrokerError{Code: 404, Text: "NOT_FOUND - home node is down"}}
}

func TestFanoutQueueThatTheBrokerDoesNotMakeGetsAnotherName(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	l := &listener{driver: d, on: target.Target{Exchange: "x", Topic: "t", Server: "s"}}
	sub := newSubscription(d, d.options.serverQueues(l.on, d.options.queueSuffix), 1, nil, nil)
	sub.refusedName = l.rename
	names := func() (names [3]string) {
		for i, q := range sub.queues {
			names[i] = q.name
		}
		return names
	}
	before := names()
	for what, err := range map[string]error{
		"another error": io.EOF, "a queue of the topic, which peers share": refusedName("t"), "no queue of this server": refusedName("other"),
		"a queue that has vanished": &BrokerError{Code: 404},
	} {
		if sub.rename(err); names() != before {
			t.Errorf("%s: queues %v, want %v", what, names(), before)
		}
	}
	sub.rename(refusedName(before[2]))
	if got := names(); got[0] != "t" || got[1] != "t.s" || got[2] == before[2] || !strings.HasPrefix(got[2], "t_fanout_") {
		t.Errorf("queues %v, want another fanout queue than in %v", got, before)
	}
}

func TestReplyQueueThatTheBrokerDoesNotMakeIsGivenUpOnce(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	sub, err := d.replies.present()
	if err != nil {
		t.Fatal(err)
	}
	old := sub.queues[0].name
	waiting := make(chan error, 1)
	call := d.replies.calls.New(transport.SendOptions{})
	if err := call.Await("id", func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := call.Wait(t.Context())
		waiting <- err
	}()
	for range 2 {
		sub.rename(refusedName(old))
	}
	wantError(t, "the call that waited", <-waiting, transport.ErrReplyPathLost)
	if d.replies.current(old) || !sub.stopped() || d.Stats().ReplyPathsLost != 1 {
		t.Errorf("the queue was given up %d times, want once", d.Stats().ReplyPathsLost)
	}
}

// TestCallGoesOnWithTheReplyQueueThatComesNext has a call wait for a queue that is given up for another.
func TestCallGoesOnWithTheReplyQueueThatComesNext(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	d.consumer.link.set(true, nil)
	sub, err := d.replies.present()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		queue, err := d.replies.ready(t.Context(), 0)
		if err != nil {
			t.Errorf("ready = %v", err)
		}
		ready <- queue
	}()
	old := sub.queues[0].name
	d.replies.renew(errNoQueue)
	next, err := d.replies.present()
	if err != nil {
		t.Fatal(err)
	}
	next.set(&attachment{sub: next}, nil)
	defer next.set(nil, nil) // Close would wait for it
	if got := <-ready; got == old || got != next.queues[0].name {
		t.Errorf("the call takes the queue %s, want %s", got, next.queues[0].name)
	}
}

func TestRefusedReplyQueueIsARejection(t *testing.T) {
	t.Parallel()
	d := undialled(t, "rabbit://h/")
	d.consumer.link.set(true, nil)
	sub, err := d.replies.present()
	if err != nil {
		t.Fatal(err)
	}
	sub.set(nil, &BrokerError{Code: 403, Text: "ACCESS_REFUSED"})
	_, err = d.Call(t.Context(), target.Target{Topic: "t"}, &transport.Request{}, transport.SendOptions{})
	wantError(t, "Call", err, transport.ErrRejected)
	var refused *BrokerError
	if !errors.As(err, &refused) || refused.Code != 403 {
		t.Errorf("Call = %v, want the broker's reason in it", err)
	}
}
