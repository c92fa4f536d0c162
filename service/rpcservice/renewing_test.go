package rpcservice_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
	"github.com/goslo/goslo/service/systemd"
	"github.com/goslo/goslo/transport"
)

var _ launched = (*rpcservice.Renewing)(nil)

// closing notes when its driver is closed.
type closing struct {
	transport.Driver
	journal *journal
}

func (c *closing) Close(ctx context.Context) error {
	c.journal.note("close transport")
	return c.Driver.Close(ctx)
}

// renewed is a scene whose service is made anew for each life, of the topic that is set then.
type renewed struct {
	*bus
	manager *manager
	topic   string
	wrong   error // of the configuration
	svc     *rpcservice.Renewing
}

func newRenewed(t *testing.T) *renewed {
	t.Helper()
	m := newManager()
	r := &renewed{bus: newBus(t, m.journal), manager: m, topic: "compute"}
	r.svc = rpcservice.NewRenewing("nova-compute", func() (*rpcservice.RPCService, *messaging.Transport, error) {
		if r.wrong != nil {
			return nil, nil, r.wrong
		}
		own := messaging.NewTransport(&closing{r.broker.NewDriver(), m.journal}, messaging.WithLogger(r.log))
		svc, err := rpcservice.New(own, m, rpcservice.Config{Topic: r.topic, Host: "host1", Log: r.log})
		return svc, own, err
	})
	return r
}

func (r *renewed) echo(t *testing.T, topic string) error {
	t.Helper()
	client, err := messaging.NewClient(r.client, messaging.Target{Topic: topic}, messaging.WithMandatory(), messaging.WithTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return client.Call(t.Context(), "echo", map[string]any{"value": 1}, nil)
}

func TestRenewingTakesTheConfigurationOfEachStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRenewed(t)
		for _, topic := range []string{"compute", "compute-2"} {
			r.topic = topic
			for range 2 { // the second finds that it works
				if err := r.svc.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.echo(t, topic); err != nil {
				t.Errorf("on %s: %v", topic, err)
			}
			if err := r.svc.Reset(t.Context()); err != nil {
				t.Error(err)
			}
			for _, end := range []func(context.Context) error{r.svc.Stop, r.svc.Wait, r.svc.Stop, r.svc.Reset} {
				if err := end(t.Context()); err != nil {
					t.Error(err)
				}
			}
			r.manager.journal.want(t, "one life on "+topic,
				"init host", "init host with RPC", "reset", "clean up host", "close transport")
		}
	})
}

func TestRenewingBeforeTheFirstStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRenewed(t)
		for _, f := range []func(context.Context) error{r.svc.Check, r.svc.Stop, r.svc.Wait, r.svc.Reset} {
			if err := f(t.Context()); err != nil {
				t.Error(err)
			}
		}
		r.manager.journal.want(t, "before the start", "close transport") // of Check
		var text strings.Builder
		r.svc.State(&text)
		if got, want := text.String(), "service = nova-compute\nphase = not started\n"; got != want {
			t.Errorf("state = %q, want %q", got, want)
		}
		r.wrong = errBoom
		if err := r.svc.Check(t.Context()); !errors.Is(err, errBoom) {
			t.Errorf("Check = %v, want %v", err, errBoom)
		}
	})
}

func TestRenewingThatDoesNotStartLeavesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRenewed(t)
		r.manager.fails("init host", errBoom)
		if err := r.svc.Start(t.Context()); !errors.Is(err, errBoom) {
			t.Errorf("Start = %v, want %v", err, errBoom)
		}
		r.manager.journal.want(t, "a start that fails", "init host", "close transport")
		r.wrong = errors.New("no topic")
		if err := r.svc.Start(t.Context()); !errors.Is(err, r.wrong) {
			t.Errorf("Start = %v, want %v", err, r.wrong)
		}
		r.wrong = nil
		delete(r.manager.fail, "init host")
		if err := r.svc.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.svc.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopEndsAStartOfARenewing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRenewed(t)
		r.manager.does("init host", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		started := make(chan error, 1)
		go func() { started <- r.svc.Start(t.Context()) }()
		synctest.Wait()
		if err := r.svc.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v", err)
		}
		if err := <-started; !errors.Is(err, rpcservice.ErrStopped) {
			t.Errorf("Start = %v, want %v", err, rpcservice.ErrStopped)
		}
	})
}

func TestRenewingWaitsAMinuteForItsEarlierLife(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRenewed(t)
		release := make(chan struct{})
		messaging.HandleCast(r.manager.endpoint, "deaf", func(context.Context, struct{}) error { <-release; return nil })
		if err := r.svc.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		client, err := messaging.NewClient(r.client, messaging.Target{Topic: r.topic})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Cast(t.Context(), "deaf", nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.svc.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v, want that its time was over", err)
		}
		begun := time.Now()
		if err := r.svc.Start(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start = %v, want that its time was over", err)
		}
		if got := time.Since(begun); got < time.Minute || got > 70*time.Second {
			t.Errorf("Start waited for %s, want a minute", got)
		}
		close(release)
		for _, f := range []func(context.Context) error{r.svc.Start, r.svc.Stop, r.svc.Wait} {
			if err := f(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestProgressOfARenewingStandsStillOnlyWithItsConsumeLoop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRenewed(t)
		look := systemd.Moving(r.svc.Progress)
		moves := func(when string) {
			t.Helper()
			for range 3 {
				pass(2 * time.Second)
				if err := look(); err != nil {
					t.Errorf("%s: %v", when, err)
				}
			}
		}
		for range 2 {
			moves("before a life")
			if err := r.svc.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			moves("while it works")
			if err := look(); !errors.Is(err, systemd.ErrNoProgress) {
				t.Errorf("at the same moment: %v, want %v", err, systemd.ErrNoProgress)
			}
			if err := r.svc.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		moves("after the last life")
	})
}
