package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

var topic = target.Target{Exchange: "x", Topic: "t"}

// connected is a driver that takes its links for up, whose reply queue is consumed on the channel returned.
func connected(t *testing.T, d *Driver) *attachment {
	t.Helper()
	d.publisher.set(true, nil)
	d.consumer.link.set(true, nil)
	ready := make(chan error, 1)
	go func() {
		_, err := d.replies.ready(t.Context(), 0)
		ready <- err
	}()
	synctest.Wait()
	a := fakeChannel()
	close(a.idle)
	a.sub = d.replies.subscription
	d.replies.subscription.set(a, nil)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(a.ended) }) // before the driver is closed, which waits for it
	return a
}

// sent takes the request that was handed to a lane.
func sent(t *testing.T, l *lane) (*publication, *transport.Request) {
	t.Helper()
	synctest.Wait()
	select {
	case p := <-l.jobs:
		p.state.Store(written)
		req, err := wire.DecodeRequest(p.message.Body)
		if err != nil {
			t.Fatal(err)
		}
		return p, req
	default:
		t.Fatal("nothing was handed to the publisher")
		return nil, nil
	}
}

type result struct {
	reply *transport.Reply
	err   error
}

func call(ctx context.Context, d *Driver, opts transport.SendOptions) <-chan result {
	done := make(chan result, 1)
	go func() {
		reply, err := d.Call(ctx, topic, &transport.Request{Method: "m"}, opts)
		done <- result{reply, err}
	}()
	return done
}

func TestCallGetsItsReply(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		a := connected(t, d)
		done := call(t.Context(), d, transport.SendOptions{Expiration: time.Minute, Monitor: 5 * time.Second, Mandatory: true})
		p, req := sent(t, d.direct)
		if p.exchange.name != "x" || p.key != "t" || p.message.Expiration != "60000" || !p.mandatory {
			t.Errorf("published %+v, want a mandatory message of a minute to the topic", p)
		}
		if req.ReplyQueue != d.replies.subscription.queues[0].name || !req.Call() || string(req.MonitorTimeout) != "5" {
			t.Errorf("the request is %+v, want the reply queue, an id and the monitor timeout in it", req)
		}
		p.settle(nil)
		reply := &transport.Reply{MsgID: req.MsgID, Result: transport.Value("42"), Ending: true, UniqueID: "u"}
		for i, want := range []verdict{accept, accept} { // the second one comes too late
			if v, settled := d.replies.receive(a.delivery(uint64(i+1), wire.AppendReply(nil, reply))); v != want || !settled {
				t.Errorf("reply %d: verdict %d, %v; want it taken off", i, v, settled)
			}
		}
		if v, settled := d.replies.receive(a.delivery(3, []byte("no JSON"))); v != reject || !settled {
			t.Errorf("a reply that cannot be read: verdict %d, %v; want it rejected", v, settled)
		}
		if got := <-done; got.err != nil || string(got.reply.Result) != "42" {
			t.Errorf("Call = %v, %v; want 42", got.reply, got.err)
		}
		want := Stats{Malformed: 1, RepliesUnwaited: 1}
		if got := d.Stats(); got != want {
			t.Errorf("stats %+v, want %+v", got, want)
		}
	})
}

func TestCallsShareTheReplyQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		connected(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := call(ctx, d, transport.SendOptions{}), call(ctx, d, transport.SendOptions{})
		_, one := sent(t, d.direct)
		_, two := sent(t, d.direct)
		if one.ReplyQueue != two.ReplyQueue || string(one.MsgID) == string(two.MsgID) || one.UniqueID == two.UniqueID {
			t.Errorf("requests %+v and %+v, want one reply queue and ids of their own", one, two)
		}
		cancel()
		for _, done := range []<-chan result{first, second} {
			wantError(t, "Call", (<-done).err, context.Canceled)
		}
		if len(d.consumer.subs) != 1 {
			t.Errorf("%d subscriptions, want one", len(d.consumer.subs))
		}
	})
}

func TestCallThatWasNotTakenFailsAtOnce(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{transport.ErrUndeliverable, transport.ErrRejected, transport.ErrConnectionLost} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			connected(t, d)
			done := call(t.Context(), d, transport.SendOptions{Mandatory: true})
			p, _ := sent(t, d.direct)
			p.settle(reason)
			wantError(t, "Call", (<-done).err, reason)
			if n := d.replies.calls.Waiting(); n != 0 {
				t.Errorf("%d calls wait still", n)
			}
		})
	}
}

// TestCallThatEndsTellsHowFarItCame lets calls end at every stage: by their deadline, their monitor and their caller.
func TestCallThatEndsTellsHowFarItCame(t *testing.T) {
	t.Parallel()
	reason := errors.New("the user left")
	written := func(t *testing.T, d *Driver) *publication {
		t.Helper()
		p, _ := sent(t, d.direct)
		p.writing()
		return p
	}
	for name, stage := range map[string]struct {
		reach func(t *testing.T, d *Driver)
		text  string
		match error // nil is none
	}{
		"not sent":    {func(*testing.T, *Driver) {}, "nothing was sent", transport.ErrNotConnected},
		"not written": {func(t *testing.T, d *Driver) { t.Helper(); sent(t, d.direct) }, "about to be sent", transport.ErrUnconfirmed},
		"unconfirmed": {func(t *testing.T, d *Driver) { t.Helper(); written(t, d) }, "sent after 1ns", transport.ErrUnconfirmed},
		"returned": {
			func(t *testing.T, d *Driver) { t.Helper(); written(t, d).settle(transport.ErrUndeliverable) },
			"no queue took the request", transport.ErrUndeliverable,
		},
		"taken": {func(t *testing.T, d *Driver) { t.Helper(); written(t, d).settle(nil) }, "taken by the broker", nil},
	} {
		for end, matches := range map[string][]error{
			"deadline": {transport.ErrTimeout, context.DeadlineExceeded, reason},
			"monitor":  {transport.ErrTimeout, transport.ErrMonitorTimeout},
			"caller":   {context.Canceled, reason},
		} {
			what := name + ", ended by the " + end
			inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
				connected(t, d)
				ctx, cancel := context.WithCancelCause(t.Context())
				var opts transport.SendOptions
				switch end {
				case "deadline":
					var cancelDeadline context.CancelFunc
					ctx, cancelDeadline = context.WithTimeoutCause(t.Context(), 2*time.Second, reason)
					defer cancelDeadline()
				case "monitor":
					opts.Monitor = 2 * time.Second
				case "caller":
					time.AfterFunc(2*time.Second, func() { cancel(reason) })
				}
				begun := time.Now()
				done := call(ctx, d, opts)
				stage.reach(t, d)
				err := (<-done).err
				if waited := time.Since(begun); waited != 2*time.Second {
					t.Errorf("%s: Call took %s, want 2s", what, waited)
				}
				for _, match := range []error{
					transport.ErrTimeout, transport.ErrMonitorTimeout, transport.ErrNotConnected, transport.ErrUnconfirmed,
					transport.ErrUndeliverable, context.DeadlineExceeded, context.Canceled, reason,
				} {
					want := errors.Is(stage.match, match) || slices.Contains(matches, match)
					if got := errors.Is(err, match); got != want {
						t.Errorf("%s: Call = %v, matches %q: %t, want %t", what, err, match, got, want)
					}
				}
				if !strings.Contains(err.Error(), stage.text) {
					t.Errorf("%s: Call = %v, want %q in it", what, err, stage.text)
				}
				if name == "not sent" { // it stays in the queue, where the publisher finds it withdrawn
					if p := <-d.direct.jobs; p.state.Load() != withdrawn {
						t.Errorf("%s: the request could be sent still", what)
					}
				}
				cancel(nil)
			})
		}
	}
}

func TestEveryCallIsMandatoryForTheBroker(t *testing.T) {
	t.Parallel()
	for _, mandatory := range []bool{false, true} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			connected(t, d)
			opts := transport.SendOptions{Mandatory: mandatory}
			ctx, cancel := context.WithCancel(t.Context())
			done := call(ctx, d, opts)
			if p, _ := sent(t, d.direct); !p.mandatory {
				t.Errorf("a call with %+v is not mandatory", opts)
			}
			cancel()
			<-done
			go func() { _ = d.Cast(t.Context(), topic, &transport.Request{}, opts) }() // ends when the driver is closed
			if p, _ := sent(t, d.direct); p.mandatory != mandatory {
				t.Errorf("a cast with %+v is mandatory: %t", opts, p.mandatory)
			}
		})
	}
}

func TestRequestWithAnEndedContextIsNotSent(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		connected(t, d)
		reason := errors.New("the user left")
		expired, cancelExpired := context.WithTimeoutCause(t.Context(), -1, reason)
		defer cancelExpired()
		cancelled, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		for range 20 { // there is room in the queue: a select would choose it now and then
			for _, c := range []struct {
				ctx  context.Context //nolint:containedctx // a table of contexts
				want error
			}{{expired, context.DeadlineExceeded}, {cancelled, context.Canceled}} {
				_, called := d.Call(c.ctx, topic, &transport.Request{}, transport.SendOptions{})
				cast := d.Cast(c.ctx, topic, &transport.Request{}, transport.SendOptions{})
				for _, want := range []error{transport.ErrNotConnected, reason, c.want} {
					wantError(t, "Call", called, want)
					wantError(t, "Cast", cast, want)
				}
				if got, want := errors.Is(called, transport.ErrTimeout), errors.Is(called, context.DeadlineExceeded); got != want {
					t.Errorf("Call = %v is a timeout: %t, want %t", called, got, want)
				}
			}
		}
		if n := len(d.direct.jobs); n != 0 {
			t.Errorf("%d requests were handed to the publisher", n)
		}
	})
}

func TestMonitoredCallEndsWithSilence(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		connected(t, d)
		done := call(t.Context(), d, transport.SendOptions{Monitor: 2 * time.Second})
		sent(t, d.direct)
		wantError(t, "Call", (<-done).err, transport.ErrMonitorTimeout)
	})
}

func TestCastReturnsWithItsConfirm(t *testing.T) {
	t.Parallel()
	for _, to := range []target.Target{topic, {Exchange: "x", Topic: "t", Fanout: true}} {
		for _, reason := range []error{nil, transport.ErrUndeliverable, transport.ErrRejected, transport.ErrConnectionLost, transport.ErrClosed} {
			inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
				d.publisher.set(true, nil)
				done := make(chan error, 1)
				go func() { done <- d.Cast(t.Context(), to, &transport.Request{Method: "m"}, transport.SendOptions{}) }()
				p, req := sent(t, d.laneTo(to, 0))
				if req.Call() || req.ReplyQueue != "" || req.UniqueID == "" {
					t.Errorf("the request is %+v, want a cast with a unique id", req)
				}
				select {
				case err := <-done:
					t.Errorf("Cast = %v before it was confirmed", err)
				default:
				}
				p.settle(reason)
				if err := <-done; !errors.Is(err, reason) {
					t.Errorf("Cast = %v, want %v", err, reason)
				}
			})
		}
	}
}

func TestCastThatIsCancelledTellsWhetherItWasSent(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{"sent": transport.ErrUnconfirmed, "not sent": transport.ErrNotConnected} {
		inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
			d.publisher.set(true, nil)
			reason := errors.New("the user left")
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{}) }()
			synctest.Wait()
			if name == "sent" {
				sent(t, d.direct)
			}
			cancel(reason)
			err := <-done
			for _, want := range []error{want, reason, context.Canceled} {
				wantError(t, name, err, want)
			}
		})
	}
}

func TestCastThatIsNotConfirmedInTimeSaysSo(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		d.publisher.set(true, nil)
		reason := errors.New("the user's patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, reason)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{}) }()
		sent(t, d.direct)
		err := <-done
		for _, want := range []error{transport.ErrUnconfirmed, context.DeadlineExceeded, reason} {
			wantError(t, "Cast", err, want)
		}
		if errors.Is(err, transport.ErrConnectionLost) || !strings.Contains(err.Error(), "within 5s") {
			t.Errorf("Cast = %v, want the time in it and no ErrConnectionLost", err)
		}
	})
}

func TestFullLaneMakesSendersWait(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		d.publisher.set(true, nil)
		for range laneQueue {
			if err := d.direct.submit(t.Context(), &publication{settle: func(error) {}}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{})
		wantError(t, "Cast", err, transport.ErrNotConnected)
		wantError(t, "Cast", err, context.DeadlineExceeded)
		if !strings.Contains(err.Error(), "busy") {
			t.Errorf("Cast = %v, want it to tell that the publisher is busy", err)
		}
		closed := make(chan error, 1)
		go func() { closed <- d.direct.submit(t.Context(), &publication{settle: func(error) {}}) }()
		synctest.Wait()
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; err != nil { // there may be room again before it looks
			wantError(t, "submit", err, transport.ErrClosed)
		}
	})
}

func TestAbandonedLaneSettlesEachPublicationOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		var s settlement
		d.direct.carried = s.publication("carried")
		taken := s.publication("withdrawn")
		for _, p := range []*publication{s.publication("first"), taken, s.publication("last")} {
			if err := d.direct.submit(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		taken.withdraw()
		for range 2 {
			d.direct.abandon()
		}
		for _, name := range []string{"carried", "first", "last"} {
			s.want(t, name, transport.ErrClosed)
		}
		s.wantUnsettled(t, "withdrawn")
	})
}

func TestCloseEndsCallsAndCastsUnderWay(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		connected(t, d)
		called := call(t.Context(), d, transport.SendOptions{})
		sent(t, d.direct)
		cast := make(chan error, 1)
		go func() { cast <- d.Cast(t.Context(), topic, &transport.Request{}, transport.SendOptions{}) }()
		synctest.Wait()
		begun := time.Now()
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
		if took := time.Since(begun); took > closeTimeout {
			t.Errorf("Close took %s, want at most %s", took, closeTimeout)
		}
		wantError(t, "Call", (<-called).err, transport.ErrClosed)
		wantError(t, "Cast", <-cast, transport.ErrClosed)
	})
}

func TestCloseThatIsCutShortGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		connected(t, d) // on a channel whose owner does not answer
		ctx, cancel := context.WithTimeout(t.Context(), closeTimeout/4)
		defer cancel()
		wantError(t, "Close", d.Close(ctx), context.DeadlineExceeded)
		wantError(t, "Cast", d.Cast(t.Context(), topic, &transport.Request{}, transport.SendOptions{}), transport.ErrClosed)
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("second Close = %v", err)
		}
	})
}

func TestOpenKeepsTheHostsAndShufflesThem(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("h%02d", i))
	}
	url := "rabbit://" + strings.Join(names, ",") + "/vh"
	shuffled := false
	for range 3 {
		d := undialled(t, url)
		var got []string
		for _, h := range d.hosts.all {
			got = append(got, h.Name)
		}
		shuffled = shuffled || !cmp.Equal(names, got)
		if diff := cmp.Diff(names, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("other hosts (-want +got):\n%s", diff)
		}
		if d.virtualHost != "vh" {
			t.Errorf("virtual host %q, want vh", d.virtualHost)
		}
	}
	if !shuffled {
		t.Error("the hosts are in the order of the URL three times, want them shuffled")
	}
	if d := undialled(t, "rabbit:///"); len(d.hosts.all) != 1 || d.hosts.all[0] != (transport.Host{}) {
		t.Errorf("hosts %v, want the default one", d.hosts.all)
	}
}

func TestOpenLogsToTheStandardLoggerByDefault(t *testing.T) {
	t.Parallel()
	d, err := Open(&transport.URL{Driver: "rabbit"})
	if err != nil {
		t.Fatal(err)
	}
	if d.log != logrus.StandardLogger() {
		t.Errorf("the logger is %v, want the standard one", d.log)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
}

func TestSubscriptionIsReadyWhenItIsAttached(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		begin := func() (*subscription, <-chan error) {
			sub := newSubscription(d, []queue{d.options.replyQueue("1")}, 1, nil, nil)
			done := make(chan error, 1)
			go func() { done <- sub.ready(t.Context()) }()
			synctest.Wait()
			return sub, done
		}
		sub, done := begin()
		a := fakeChannel()
		sub.set(a, nil)
		if err := <-done; err != nil || sub.attached() != a {
			t.Errorf("ready = %v, attached to %p; want %p", err, sub.attached(), a)
		}
		sub, done = begin()
		refused := &BrokerError{Code: 406, Text: "PRECONDITION_FAILED"}
		sub.set(nil, refused)
		wantError(t, "ready where the broker refuses", <-done, refused)
		sub, done = begin()
		sub.stop()
		sub.stop()
		wantError(t, "ready of one that is stopped", <-done, transport.ErrClosed)
		if !sub.stopped() {
			t.Error("it is not stopped")
		}
		_, done = begin()
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, "ready of a closed driver's", <-done, transport.ErrClosed)
	})
}

func TestSubscriptionThatIsNotReadyInTimeIsForgotten(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/", func(t *testing.T, d *Driver) {
		d.consumer.link.set(false, errConnClosed)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		listened := make(chan error, 1)
		go func() {
			_, err := d.Listen(ctx, target.Target{Exchange: "x", Topic: "t", Server: "s"}, transport.ListenOptions{})
			listened <- err
		}()
		synctest.Wait()
		d.consumer.mu.Lock()
		sub := d.consumer.subs[0]
		d.consumer.mu.Unlock()
		err := <-listened
		if !sub.stopped() || !sub.abandoned.Load() {
			t.Error("an attachment that comes too late would stay")
		}
		for _, want := range []error{transport.ErrNotConnected, context.DeadlineExceeded, errConnClosed} {
			wantError(t, "Listen", err, want)
		}
		if len(d.consumer.subs) != 0 {
			t.Errorf("%d subscriptions are remembered", len(d.consumer.subs))
		}
	})
}

func TestPrefetchOfAListenerIsTheOptionsOrItsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query     string
		own, want int
	}{
		{"", 128, 128},
		{"", 0, 1},
		{"rabbit_qos_prefetch_count=10", 128, 10},
		{"rabbit_qos_prefetch_count=0", 128, 128},
		{"", 1 << 20, 65535}, // more than the wire can say
	} {
		inBubble(t, "rabbit://h/?"+c.query, func(t *testing.T, d *Driver) {
			listened := make(chan error, 1)
			go func() {
				_, err := d.Listen(t.Context(), target.Target{Exchange: "x", Topic: "t", Server: "s"}, transport.ListenOptions{Prefetch: c.own})
				listened <- err
			}()
			synctest.Wait()
			d.consumer.mu.Lock()
			sub := d.consumer.subs[0]
			d.consumer.mu.Unlock()
			if sub.prefetch != c.want {
				t.Errorf("%q with %d: prefetch %d, want %d", c.query, c.own, sub.prefetch, c.want)
			}
			a := fakeChannel()
			close(a.ended)
			sub.set(a, nil)
			if err := <-listened; err != nil {
				t.Errorf("Listen = %v", err)
			}
		})
	}
}

// TestSendersAreBounded has more calls and casts under way than allowed.
func TestSendersAreBounded(t *testing.T) {
	t.Parallel()
	inBubble(t, "rabbit://h/?max_senders=3", func(t *testing.T, d *Driver) {
		connected(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		waiting := []<-chan result{call(ctx, d, transport.SendOptions{}), call(ctx, d, transport.SendOptions{})}
		cast := make(chan error, 1)
		go func() { cast <- d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{}) }()
		synctest.Wait()
		for range 2 {
			wantError(t, "Call", (<-call(ctx, d, transport.SendOptions{})).err, transport.ErrTooManySenders)
			wantError(t, "Cast", d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{}), transport.ErrTooManySenders)
		}
		cancel()
		wantError(t, "Cast", <-cast, context.Canceled)
		for _, done := range waiting {
			wantError(t, "Call", (<-done).err, context.Canceled)
		}
		if n := d.senders.Load(); n != 0 {
			t.Errorf("%d senders are counted, want none", n)
		}
	})
}

// TestSendersCountWhereverTheyWait has as many callers as allowed wait for a connection, and at a broker in alarm. Calls that
// wait for replies are in TestSendersAreBounded.
func TestSendersCountWhereverTheyWait(t *testing.T) {
	t.Parallel()
	for where, arrive := range map[string]func(t *testing.T, d *Driver){
		"for a connection":       func(*testing.T, *Driver) {},
		"for a broker in alarm":  func(t *testing.T, d *Driver) { t.Helper(); blockedDriver(t, d) },
		"behind a lane's writer": func(t *testing.T, d *Driver) { t.Helper(); connected(t, d) },
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			inBubble(t, "rabbit://h/?max_senders=20", func(t *testing.T, d *Driver) {
				arrive(t, d)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var calls []<-chan result
				casts := make(chan error, 10)
				for range 10 {
					calls = append(calls, call(ctx, d, transport.SendOptions{Retry: transport.RetryForever}))
					go func() {
						casts <- d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{Retry: transport.RetryForever})
					}()
				}
				synctest.Wait()
				wantError(t, "Call", (<-call(ctx, d, transport.SendOptions{})).err, transport.ErrTooManySenders)
				wantError(t, "Cast", d.Cast(ctx, topic, &transport.Request{}, transport.SendOptions{}), transport.ErrTooManySenders)
				cancel()
				for _, done := range calls {
					wantError(t, "Call", (<-done).err, context.Canceled)
					if err := <-casts; err == nil {
						t.Error("a cast that was cancelled succeeded")
					}
				}
				if senders, waiting := d.senders.Load(), d.replies.calls.Waiting(); senders != 0 || waiting != 0 {
					t.Errorf("%d senders are counted and %d calls wait, want none", senders, waiting)
				}
			})
		})
	}
}
