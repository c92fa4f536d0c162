package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// wantBound draws many pauses and checks that they are spread over all that is below the bound.
func wantBound(t *testing.T, o *Options, failures int, refused bool, bound time.Duration) {
	t.Helper()
	var longest time.Duration
	for range 2000 {
		pause := o.backoff(failures, refused)
		if pause < 0 || pause >= bound {
			t.Fatalf("backoff(%d, %t) = %s, want less than %s", failures, refused, pause, bound)
		}
		longest = max(longest, pause)
	}
	if longest < bound*3/4 { // full jitter: all of the range is used
		t.Errorf("backoff(%d, %t) is at most %s, want up to %s", failures, refused, longest, bound)
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	o := DefaultOptions()
	for _, c := range []struct {
		failures int
		refused  bool
		bound    time.Duration
	}{
		{1, true, 500 * time.Millisecond},
		{2, true, time.Second},
		{3, true, 2 * time.Second},
		{6, true, 16 * time.Second},
		{7, true, 30 * time.Second},
		{9, true, 30 * time.Second},
		{10, true, 30 * time.Second},
		{1 << 40, true, 30 * time.Second},
		{1, false, 500 * time.Millisecond},
		{3, false, 2 * time.Second},
		{4, false, 3 * time.Second},
		{1 << 40, false, 3 * time.Second},
	} {
		wantBound(t, &o, c.failures, c.refused, c.bound)
	}
}

func TestBackoffGrowsAsTheOptionsSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query    string
		failures int
		refused  bool
		bound    time.Duration
	}{
		{"rabbit_retry_interval=2", 1, true, 2 * time.Second},
		{"rabbit_retry_interval=2", 2, true, 4 * time.Second},
		{"rabbit_retry_interval=2", 9, true, 30 * time.Second},
		{"rabbit_retry_interval=2&rabbit_retry_backoff=3", 1, true, 2 * time.Second},
		{"rabbit_retry_interval=2&rabbit_retry_backoff=3", 4, true, 11 * time.Second},
		{"rabbit_retry_interval=1&rabbit_retry_backoff=2&rabbit_interval_max=4", 9, true, 4 * time.Second},
		{"rabbit_retry_interval=1&rabbit_retry_backoff=0", 1 << 40, true, time.Second},
		{"rabbit_retry_interval=60", 1, true, 30 * time.Second},
		{"rabbit_interval_max=60", 8, true, time.Minute},
		{"rabbit_interval_max=60", 8, false, 3 * time.Second},
		{"rabbit_interval_max=1", 1 << 40, false, time.Second},
	} {
		o, err := parse("rabbit://h/?" + c.query)
		if err != nil {
			t.Fatal(err)
		}
		wantBound(t, &o, c.failures, c.refused, c.bound)
	}
}

func TestReconnectingIsDelayedAsTheOptionsSay(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]struct{ least, bound time.Duration }{
		"":                          {0, 1},
		"kombu_reconnect_delay=1.5": {1500 * time.Millisecond, 1500*time.Millisecond + 1},
		"kombu_reconnect_splay=2":   {0, 2 * time.Second},
		"kombu_reconnect_delay=1&kombu_reconnect_splay=0.5": {time.Second, 1500 * time.Millisecond},
	} {
		o, err := parse("rabbit://h/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		var longest time.Duration
		for range 2000 {
			pause := o.reconnectPause()
			if pause < want.least || pause >= want.bound {
				t.Fatalf("%s: pause of %s, want from %s to less than %s", query, pause, want.least, want.bound)
			}
			longest = max(longest, pause)
		}
		if low := want.least + (want.bound-want.least)*3/4; want.bound-want.least > 1 && longest < low {
			t.Errorf("%s: pauses of at most %s, want up to %s", query, longest, want.bound)
		}
	}
}

func TestSessionThatTheBrokerEndsAtOnceIsUseless(t *testing.T) {
	t.Parallel()
	broker, network := &BrokerError{Code: 541, Text: "INTERNAL_ERROR"}, errors.New("EOF")
	for _, c := range []struct {
		lasted time.Duration
		cause  error
		want   bool
	}{
		{0, broker, true},
		{settled - 1, fmt.Errorf("wrapped: %w", broker), true},
		{settled, broker, false},
		{0, network, false},
		{time.Hour, network, false},
	} {
		if got := isUseless(c.lasted, c.cause); got != c.want {
			t.Errorf("%s, %v: useless %t, want %t", c.lasted, c.cause, got, c.want)
		}
	}
}

// outage lets a link of a driver dial, within a bubble, a broker that is away for a time. It returns the links' searches,
// and when they have found it, from its return on.
func (d *Driver) outage(t *testing.T, away, handshake time.Duration) (found []time.Duration) {
	t.Helper()
	back := time.Now().Add(away)
	var links sync.WaitGroup
	var mu sync.Mutex
	for _, l := range []*link{d.publisher, d.consumer.link} {
		l.dial = func(_ context.Context, host transport.Host) (*session, error) {
			if time.Now().Before(back) {
				return nil, syscall.ECONNREFUSED
			}
			<-time.After(handshake)
			return &session{host: host}, nil
		}
		links.Go(func() {
			l.rest(l.options.backoff(1, false)) // as after a connection was lost
			l.find(l.hosts.search())
			mu.Lock()
			defer mu.Unlock()
			found = append(found, time.Since(back))
		})
	}
	links.Wait()
	return found
}

func TestBothLinksAreBackSoonAfterAnOutage(t *testing.T) {
	t.Parallel()
	const handshake = 20 * time.Millisecond
	for away, bound := range map[time.Duration]time.Duration{ // without the handshakes
		0:                      500 * time.Millisecond,
		300 * time.Millisecond: 500 * time.Millisecond,
		time.Second:            500 * time.Millisecond,
		3 * time.Second:        500 * time.Millisecond,
		4 * time.Second:        time.Second,
		6 * time.Second:        3 * time.Second,
		15 * time.Second:       3 * time.Second,
		time.Minute:            3 * time.Second,
	} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for range 25 {
					for _, took := range bubbleDriver(t).outage(t, away, handshake) {
						if took > bound+2*handshake {
							t.Fatalf("a link is back after %s, want at most %s", took, bound)
						}
					}
				}
			})
		})
	}
}

// TestLinksOfManyDriversDoNotComeAtOnce plays the clients of a broker that restarts, each in a process of its own.
func TestLinksOfManyDriversDoNotComeAtOnce(t *testing.T) {
	t.Parallel()
	const drivers, window = 200, 500 * time.Millisecond
	for _, away := range []time.Duration{7 * time.Second, 20 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var all []time.Duration
				var running sync.WaitGroup
				var mu sync.Mutex
				for range drivers {
					d := bubbleDriver(t)
					running.Go(func() {
						found := d.outage(t, away, 0)
						mu.Lock()
						defer mu.Unlock()
						all = append(all, found...)
					})
				}
				running.Wait()
				slices.Sort(all)
				most := 0
				for i, at := range all {
					n, _ := slices.BinarySearch(all, at+window)
					most = max(most, n-i)
				}
				if most > len(all)*3/5 {
					t.Errorf("%d of %d dials within %s, want at most three of five", most, len(all), window)
				}
			})
		})
	}
}

func TestLinkThatFindsTheBrokerEndsThePauseOfTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := bubbleDriver(t)
		search := d.hosts.search()
		search.next()
		begun := time.Now()
		time.AfterFunc(time.Second, search.found)
		d.consumer.link.rest(30 * time.Second)
		if took := time.Since(begun); took < time.Second || took >= 1500*time.Millisecond {
			t.Errorf("the pause took %s, want less than half a second more than the other link", took)
		}
	})
}

func TestSessionIsGivenUpForAnotherHostNowAndThenOnly(t *testing.T) {
	t.Parallel()
	reason := errors.New("it does not do as it should")
	synctest.Test(t, func(t *testing.T) {
		l := undialled(t, "rabbit://a,b/").publisher
		giveUp := func() bool {
			s, peer := emptySession(t)
			defer peer.Close()
			defer s.conn.Close()
			did := l.distrust(s, reason)
			if did {
				wantError(t, "cause", s.cause(), errDistrusted)
				wantError(t, "cause", s.cause(), reason)
			}
			return did
		}
		if !giveUp() {
			t.Error("the first session was not given up")
		}
		<-time.After(distrustPause - 1)
		if giveUp() {
			t.Error("the next session was given up too soon")
		}
		<-time.After(1)
		if !giveUp() {
			t.Error("a later session was not given up")
		}
		if alone := bubbleDriver(t).publisher; alone.distrust(nil, reason) {
			t.Error("the only host was given up")
		}
	})
}

func TestErrorsNameTheHostTheUserAndTheVirtualHost(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"rabbit://nova:s3cr3t@10.0.0.1/vh":                              `10.0.0.1:5672, user "nova", virtual host "vh": refused`,
		"rabbit://10.0.0.1:1/":                                          `10.0.0.1:1, user "guest", virtual host "/": refused`,
		"rabbit://nova@h/?rabbit_username_file=/s3cr3t":                 `h:5672, user of rabbit_username_file, virtual host "/": refused`,
		"amqps://nova:s3cr3t@h/?rabbit_login_method=EXTERNAL":           `h:5671, by certificate, virtual host "/": refused`,
		"rabbit://nova:s3cr3t@[2001:db8::1]/?rabbit_login_method=PLAIN": `[2001:db8::1]:5672, user "nova", virtual host "/": refused`,
	} {
		d := undialled(t, url)
		if got := d.publisher.about(d.hosts.all[0], errors.New("refused")).Error(); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// bubbleDriver is a driver whose links never dial, within a bubble.
func bubbleDriver(t *testing.T) *Driver {
	t.Helper()
	return undialled(t, "rabbit://h/")
}

func TestAwaitCountsTheAttemptsThatMayFail(t *testing.T) {
	t.Parallel()
	failed := errors.New("it is not there")
	for name, c := range map[string]struct {
		before, retry, after int // attempts that fail before and after await begins; want ErrNotConnected after the last
	}{
		"none after the first":             {0, 0, 1},
		"two after the first":              {0, 2, 3},
		"none, where the link is down":     {1, 0, 0},
		"none, where it is down for long":  {9, 0, 0},
		"two more, where the link is down": {5, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := bubbleDriver(t).publisher
				for range c.before {
					l.set(false, failed)
				}
				done := make(chan error, 1)
				go func() { done <- l.await(t.Context(), c.retry) }()
				for i := range c.after {
					synctest.Wait()
					select {
					case err := <-done:
						t.Fatalf("await = %v after %d attempts, want it to wait for %d", err, i, c.after)
					default:
					}
					l.set(false, failed)
				}
				err := <-done
				wantError(t, "await", err, transport.ErrNotConnected)
				wantError(t, "await", err, failed)
			})
		})
	}
}

func TestAwaitEndsWhenTheLinkIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := bubbleDriver(t).publisher
		done := make(chan error, 1)
		go func() { done <- l.await(t.Context(), transport.RetryForever) }()
		for range 50 {
			synctest.Wait()
			l.set(false, errors.New("not yet"))
		}
		l.set(true, nil)
		if err := <-done; err != nil {
			t.Errorf("await = %v", err)
		}
		if err := l.await(t.Context(), 0); err != nil {
			t.Errorf("await while it is up = %v", err)
		}
		if l.set(false, errors.New("lost")); l.failed != 1 {
			t.Errorf("%d failures in a row after a success, want 1", l.failed)
		}
	})
}

func TestAwaitEndsWithItsContextAndTellsTheLastReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := bubbleDriver(t).publisher
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.await(ctx, transport.RetryForever)
		wantError(t, "await before any attempt", err, transport.ErrNotConnected)
		wantError(t, "await before any attempt", err, context.DeadlineExceeded)

		failed := errors.New("it is not there")
		l.set(false, failed)
		reason := errors.New("the user left")
		cancelled, stop := context.WithCancelCause(t.Context())
		stop(reason)
		err = l.await(cancelled, transport.RetryForever)
		for _, want := range []error{transport.ErrNotConnected, reason, failed} {
			wantError(t, "await", err, want)
		}
	})
}

func TestAwaitEndsWithItsLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := bubbleDriver(t).publisher
		done := make(chan error, 1)
		go func() { done <- l.await(t.Context(), transport.RetryForever) }()
		synctest.Wait()
		l.stop()
		wantError(t, "await", <-done, transport.ErrClosed)
		wantError(t, "await after the end", l.await(t.Context(), transport.RetryForever), transport.ErrClosed)
	})
}

// TestAbsentBrokerIsDialledAgainAndAgain has a refused dial for every attempt. The kernel refuses at once, so
// that only the pauses take (fake) time.
func TestAbsentBrokerIsDialledAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, hook := open(t, "rabbit://user:s3cr3t@127.0.0.1:1,second:s3cr3t@127.0.0.1:1/")
		err := d.Cast(t.Context(), target.Target{Topic: "t"}, &transport.Request{}, transport.SendOptions{Retry: 3})
		wantError(t, "Cast", err, transport.ErrNotConnected)
		wantError(t, "Cast", err, syscall.ECONNREFUSED)
		<-time.After(10*time.Minute - time.Second)
		d.publisher.mu.Lock()
		attempts := d.publisher.failed
		d.publisher.mu.Unlock()
		if low, high := 10*60/3, 10*60; attempts < low || attempts > high { // 1.5 s apart on average
			t.Errorf("%d attempts in ten minutes, want %d to %d", attempts, low, high)
		}
		if err := d.Ping(t.Context()); !errors.Is(err, transport.ErrNotConnected) {
			t.Errorf("Ping = %v, want ErrNotConnected", err)
		}
		lines := 0
		for _, entry := range hook.AllEntries() {
			if entry.Message == "cannot connect to the broker, retrying" && entry.Level == logrus.WarnLevel {
				lines++
			}
			text, err := entry.String()
			if err != nil || strings.Contains(text, "s3cr3t") {
				t.Errorf("logged %q, %v", text, err)
			}
		}
		if lines < 9 || lines > 10 {
			t.Errorf("%d warnings in ten minutes, want one a minute", lines)
		}
		if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Cast = %q shows a password or has two lines", err)
		}
	})
}

func TestCallToAnAbsentBrokerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := open(t, absent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		_, err := d.Call(ctx, target.Target{Topic: "t"}, &transport.Request{}, transport.SendOptions{Retry: transport.RetryForever})
		for _, want := range []error{transport.ErrTimeout, transport.ErrNotConnected, context.DeadlineExceeded, syscall.ECONNREFUSED} {
			wantError(t, "Call", err, want)
		}
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("Call took %s, want a minute", waited)
		}
		var timeout *transport.TimeoutError
		if !errors.As(err, &timeout) || timeout.Reason != transport.ReasonNotSent || timeout.Ended != time.Minute {
			t.Errorf("Call = %v, want a TimeoutError that tells that nothing was sent within a minute", err)
		}
		_, err = d.Call(t.Context(), target.Target{Topic: "t"}, &transport.Request{}, transport.SendOptions{Retry: 0})
		wantError(t, "Call without retries", err, transport.ErrNotConnected)
		_, err = d.Listen(ctx, target.Target{Topic: "t", Server: "s"}, transport.ListenOptions{})
		wantError(t, "Listen", err, transport.ErrNotConnected)
	})
}

func TestCloseEndsWhatWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := open(t, absent)
		to, on := target.Target{Topic: "t"}, target.Target{Topic: "t", Server: "s"}
		forEver := transport.SendOptions{Retry: transport.RetryForever}
		waiting := map[string]chan error{"Cast": make(chan error, 1), "Call": make(chan error, 1), "Listen": make(chan error, 1), "Ping": make(chan error, 1)}
		go func() { waiting["Cast"] <- d.Cast(t.Context(), to, &transport.Request{}, forEver) }()
		go func() {
			_, err := d.Call(t.Context(), to, &transport.Request{}, forEver)
			waiting["Call"] <- err
		}()
		go func() {
			_, err := d.Listen(t.Context(), on, transport.ListenOptions{})
			waiting["Listen"] <- err
		}()
		go func() { waiting["Ping"] <- d.publisher.await(t.Context(), transport.RetryForever) }()
		<-time.After(time.Minute)
		begun := time.Now()
		for range 2 {
			if err := d.Close(t.Context()); err != nil {
				t.Errorf("Close = %v", err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close took %s without a connection", took)
		}
		for name, done := range waiting {
			wantError(t, name, <-done, transport.ErrClosed)
		}
		wantError(t, "Cast after Close", d.Cast(t.Context(), to, &transport.Request{}, forEver), transport.ErrClosed)
		_, err := d.Call(t.Context(), to, &transport.Request{}, forEver)
		wantError(t, "Call after Close", err, transport.ErrClosed)
		_, err = d.Listen(t.Context(), on, transport.ListenOptions{})
		wantError(t, "Listen after Close", err, transport.ErrClosed)
		wantError(t, "Ping after Close", d.Ping(t.Context()), transport.ErrClosed)
	})
}
