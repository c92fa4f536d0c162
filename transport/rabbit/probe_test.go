package rabbit

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// timeOut has a call taken by the broker and not answered, which is a doubt about the path of replies.
func timeOut(t *testing.T, d *Driver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	done := call(ctx, d, transport.SendOptions{})
	p, _ := sent(t, d.direct)
	p.settle(nil)
	wantError(t, "Call", (<-done).err, transport.ErrTimeout)
	synctest.Wait()
}

// mustProbe takes the probe that was handed to the lane, written.
func mustProbe(t *testing.T, d *Driver) *publication {
	t.Helper()
	synctest.Wait()
	p := mustAttempt(t, d)
	p.state.Store(written)
	message, err := wire.ReadReply(wire.Properties{ContentType: p.message.ContentType}, slices.Clone(p.message.Body)) // in place
	if err != nil {
		t.Fatalf("a probe that is no reply: %v", err)
	}
	if p.exchange.name != "" || !p.mandatory || !message.Ending {
		t.Errorf("the probe is %+v, want a mandatory message to the default exchange that ends a call", p)
	}
	return p
}

// wantPath checks which reply queue is in use, and how often one was lost.
func wantPath(t *testing.T, d *Driver, old string, lost uint64) {
	t.Helper()
	synctest.Wait()
	if got := d.Stats().ReplyPathsLost; got != lost {
		t.Errorf("the path was lost %d times, want %d", got, lost)
	}
	if kept := d.replies.current(old); kept != (lost == 0) {
		t.Errorf("the reply queue was kept: %v, want %v", kept, lost == 0)
	}
}

// TestProbeDecidesWhetherReplyQueueIsKept lets a probe end in each way, with a call in flight.
func TestProbeDecidesWhetherReplyQueueIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(t *testing.T, d *Driver, a *attachment)
		lost bool
	}{
		"it arrives": {func(t *testing.T, d *Driver, a *attachment) {
			t.Helper()
			p := mustProbe(t, d)
			p.settle(nil)
			if v, settled := d.replies.receive(a.delivery(1, p.message.Body)); v != accept || !settled {
				t.Errorf("the probe: verdict %d, %v; want it taken off", v, settled)
			}
		}, false},
		"it arrives before its confirm": {func(t *testing.T, d *Driver, a *attachment) {
			t.Helper()
			p := mustProbe(t, d)
			d.replies.receive(a.delivery(1, p.message.Body))
			p.settle(nil)
		}, false},
		"it is taken and does not arrive": {func(t *testing.T, d *Driver, _ *attachment) {
			t.Helper()
			p := mustProbe(t, d)
			p.settle(nil)
			<-time.After(probeTimeout)
		}, true},
		"replies arrive, and the probe is behind them": {func(t *testing.T, d *Driver, a *attachment) {
			t.Helper()
			p := mustProbe(t, d)
			p.settle(nil)
			<-time.After(probeTimeout / 2)
			other := &transport.Reply{MsgID: wire.TextValue("other"), Ending: true}
			d.replies.receive(a.delivery(1, wire.AppendReply(nil, other)))
			<-time.After(probeTimeout / 2)
		}, false},
		"it finds no queue, again and again": {func(t *testing.T, d *Driver, _ *attachment) {
			t.Helper()
			for p := mustAttempt(t, d); p != nil; p = attempt(d) {
				p.settle(transport.ErrUndeliverable)
				<-time.After(probeRepeat)
			}
		}, true},
		"it finds no queue at first": {func(t *testing.T, d *Driver, a *attachment) {
			t.Helper()
			p := mustProbe(t, d)
			p.settle(transport.ErrUndeliverable)
			<-time.After(probeRepeat)
			p = mustProbe(t, d)
			d.replies.receive(a.delivery(1, p.message.Body))
		}, false},
		"the broker does not confirm it": {func(t *testing.T, d *Driver, _ *attachment) {
			t.Helper()
			mustProbe(t, d)
			<-time.After(probeTimeout)
		}, false},
		"the connection is lost first": {func(t *testing.T, d *Driver, _ *attachment) {
			t.Helper()
			p := mustProbe(t, d)
			p.settle(transport.ErrConnectionLost)
			<-time.After(probeTimeout)
		}, false},
	} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			t.Log(name)
			a := connected(t, d)
			old := a.sub.queues[0].name
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			waiting := call(ctx, d, transport.SendOptions{})
			p, _ := sent(t, d.direct)
			p.settle(nil)
			timeOut(t, d)
			c.end(t, d, a)
			if c.lost {
				wantError(t, name+": the call in flight", (<-waiting).err, transport.ErrReplyPathLost)
				wantPath(t, d, old, 1)
				return
			}
			wantPath(t, d, old, 0)
			if d.replies.calls.Waiting() != 1 {
				t.Errorf("%s: the call in flight has ended", name)
			}
			if got := d.Stats(); got.ReplyProbes == 0 {
				t.Errorf("%s: stats %+v, want a probe in them", name, got)
			}
		})
	}
}

func TestProbeIsNoReplyToAnybody(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		timeOut(t, d)
		p := mustProbe(t, d)
		for tag := range uint64(2) { // the second one is an ordinary reply that comes late
			d.replies.receive(a.delivery(tag+1, slices.Clone(p.message.Body)))
		}
		if got := d.Stats().RepliesUnwaited; got != 1 {
			t.Errorf("%d replies without a call, want 1", got)
		}
	})
}

func TestSilenceOfAMinuteIsProbedWhileCallsWait(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		<-time.After(10 * silence)
		synctest.Wait()
		if attempt(d) != nil {
			t.Error("a client without calls probes")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := call(ctx, d, transport.SendOptions{})
		p, _ := sent(t, d.direct)
		p.settle(nil)
		<-time.After(silence)
		p = mustProbe(t, d)
		d.replies.receive(a.delivery(1, p.message.Body))
		for range 3 { // heartbeats of the method: replies arrive
			<-time.After(silence / 2)
			d.replies.receive(a.delivery(2, wire.AppendReply(nil, &transport.Reply{MsgID: wire.TextValue("x")})))
		}
		synctest.Wait()
		if attempt(d) != nil {
			t.Error("a client that hears replies probes")
		}
		<-time.After(silence)
		mustProbe(t, d)
		cancel()
		<-done
	})
}

// TestDoubtsInARowAreOneProbe has calls time out while a probe is under way.
func TestDoubtsInARowAreOneProbe(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		timeOut(t, d)
		p := mustProbe(t, d)
		for range 100 {
			d.replies.prober.doubt()
		}
		d.replies.receive(a.delivery(1, p.message.Body))
		<-time.After(probePause / 2)
		if attempt(d) != nil {
			t.Error("a second probe follows the first at once")
		}
		<-time.After(probePause)
		p = mustProbe(t, d)
		d.replies.receive(a.delivery(2, p.message.Body))
		<-time.After(silence / 2)
		if attempt(d) != nil || d.Stats().ReplyProbes != 2 {
			t.Errorf("%d probes for a hundred doubts, want 2", d.Stats().ReplyProbes)
		}
	})
}

func TestReplyQueueIsGivenUpWhereItIsNotConsumedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		old := a.sub.queues[0].name
		done := call(t.Context(), d, transport.SendOptions{})
		p, _ := sent(t, d.direct)
		p.settle(nil)
		begun := time.Now()
		a.sub.consumerGone()
		a.sub.set(nil, nil)
		a.sub.lost(a)
		wantError(t, "Call", (<-done).err, transport.ErrReplyPathLost)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the call was told after %s, want within a second", took)
		}
		wantPath(t, d, old, 1)
		if !a.sub.stopped() || len(d.consumer.subs) != 1 {
			t.Errorf("%d subscriptions, the old one stopped: %v", len(d.consumer.subs), a.sub.stopped())
		}
	})
}

// TestCallsThatMayHaveLostTheirRepliesWithTheQueueAreGivenUp has the broker delete a reply queue that is consumed again
// at once.
func TestCallsThatMayHaveLostTheirRepliesWithTheQueueAreGivenUp(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		old := a.sub.queues[0].name
		begin := func(opts transport.SendOptions) (<-chan result, *transport.Request) {
			done := call(t.Context(), d, opts)
			p, req := sent(t, d.direct)
			p.settle(nil)
			return done, req
		}
		long, longRequest := begin(transport.SendOptions{})
		<-time.After(justSent + time.Millisecond)
		short, _ := begin(transport.SendOptions{})
		prompt, promptRequest := begin(transport.SendOptions{})
		monitored, monitoredRequest := begin(transport.SendOptions{Monitor: time.Minute})
		waits := call(t.Context(), d, transport.SendOptions{})
		synctest.Wait()
		unsent := <-d.direct.jobs // not written yet
		begun := time.Now()
		a.sub.consumerGone()
		p := mustProbe(t, d)
		d.replies.receive(a.delivery(1, p.message.Body))
		later, laterRequest := begin(transport.SendOptions{})
		answer := func(req *transport.Request) {
			reply := &transport.Reply{MsgID: req.MsgID, Result: transport.Value("1"), Ending: true}
			d.replies.receive(a.delivery(2, wire.AppendReply(nil, reply)))
		}
		<-time.After(replyRetryPause)
		answer(promptRequest)

		err := (<-short).err
		wantError(t, "the call that had just been sent", err, transport.ErrReplyPathLost)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it was told after %s, want within a second", took)
		}
		request, err := wire.DecodeRequest(unsent.message.Body)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(silence / 4)
		for _, req := range []*transport.Request{longRequest, monitoredRequest, laterRequest, request} {
			answer(req)
		}
		for name, done := range map[string]<-chan result{
			"answered at once": prompt, "long": long, "monitored": monitored, "sent later": later, "not sent when it happened": waits,
		} {
			if err := (<-done).err; err != nil {
				t.Errorf("a call that is %s: %v", name, err)
			}
		}
		wantPath(t, d, old, 0)
	})
}

// TestClosingDoesNotWaitForCallsThatAreGivenUp deletes the queue of a driver that is closed right then.
func TestClosingDoesNotWaitForCallsThatAreGivenUp(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		done := call(t.Context(), d, transport.SendOptions{})
		p, _ := sent(t, d.direct)
		p.settle(nil)
		begun := time.Now()
		a.sub.consumerGone()
		d.replies.close()
		a.sub.consumerGone()
		wantError(t, "Call", (<-done).err, transport.ErrClosed)
		if took := time.Since(begun); took > 0 {
			t.Errorf("close took %s", took)
		}
	})
}

// TestReplyQueueOfALostConnectionIsProbedOrGivenUp has the client away for some time.
func TestReplyQueueOfALostConnectionIsProbedOrGivenUp(t *testing.T) {
	t.Parallel()
	for away, lost := range map[time.Duration]uint64{9 * time.Second: 0, 10 * time.Second: 1} {
		inBubble(t, "rabbit://h/?rabbit_transient_queues_ttl=10", func(t *testing.T, d *Driver) {
			a := connected(t, d)
			old := a.sub.queues[0].name
			done := call(t.Context(), d, transport.SendOptions{})
			p, _ := sent(t, d.direct)
			p.settle(nil)
			d.consumer.link.set(false, transport.ErrConnectionLost)
			a.sub.set(nil, nil)
			a.sub.lost(a)
			<-time.After(away)
			d.consumer.link.set(true, nil)
			next := fakeChannel()
			next.sub = a.sub
			close(next.idle)
			t.Cleanup(func() { close(next.ended) })
			a.sub.set(next, nil)
			a.sub.attachedTo(next)
			synctest.Wait()
			wantPath(t, d, old, lost)
			if lost > 0 {
				wantError(t, "Call", (<-done).err, transport.ErrReplyPathLost)
				return
			}
			p = mustProbe(t, d)
			d.replies.receive(next.delivery(1, p.message.Body))
			d.replies.calls.Fail(transport.ErrClosed)
			<-done
		})
	}
}

// TestCallOnAReplyQueueThatWasJustLostIsNotSent has the queue replaced between the choice of it and the call's wait.
func TestCallOnAReplyQueueThatWasJustLostIsNotSent(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		d.replies.renew(errNoQueue)
		if d.replies.current(a.sub.queues[0].name) {
			t.Error("the old queue is current")
		}
		if got, err := d.replies.present(); err != nil || got == a.sub {
			t.Errorf("present = %v, %v, want another subscription", got, err)
		}
	})
}

// TestHostThatIsCutOffFromThePublishersIsGivenUp has probes, each after the doubt that the one before left, that the
// publisher's host does not confirm.
func TestHostThatIsCutOffFromThePublishersIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url   string
		hosts [2]int // of the publisher and the consumers
		play  string // - is a probe that is not confirmed, beside requests that are, ? one beside none, + one that comes
		want  bool
	}{
		"two in a row":                           {"rabbit://a,b/", [2]int{0, 1}, "--", true},
		"two, with requests confirmed at one":    {"rabbit://a,b/", [2]int{0, 1}, "-??", false},
		"one":                                    {"rabbit://a,b/", [2]int{0, 1}, "-", false},
		"two, with one that comes between":       {"rabbit://a,b/", [2]int{0, 1}, "-+-", false},
		"two in a row, later":                    {"rabbit://a,b/", [2]int{0, 1}, "-+--", true},
		"all, where both are with the same host": {"rabbit://a,b/", [2]int{1, 1}, "---", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, c.url, func(t *testing.T, d *Driver) {
				a := connected(t, d)
				old := a.sub.queues[0].name
				publisher := sessionWith(t, d.hosts.all[c.hosts[0]])
				d.publisher.current.Store(publisher)
				a.session = sessionWith(t, d.hosts.all[c.hosts[1]])
				for _, outcome := range c.play {
					d.replies.prober.doubt()
					<-time.After(probePause)
					p := mustProbe(t, d)
					if outcome != '?' {
						publisher.takes.Store(time.Now().UnixNano())
					}
					if outcome == '+' {
						d.replies.receive(a.delivery(1, p.message.Body))
						continue
					}
					<-time.After(probeTimeout)
					synctest.Wait()
				}
				if got := a.session.cause() != transport.ErrClosed; got != c.want { //nolint:errorlint // which it is while there is no cause
					t.Errorf("the host was given up: %t, want %t", got, c.want)
				}
				if c.want {
					wantError(t, "cause", a.session.cause(), errCutOff)
					wantPath(t, d, old, 1)
					return
				}
				wantPath(t, d, old, 0)
			})
		})
	}
}
