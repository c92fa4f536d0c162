package messaging_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/memory"
)

// TestCallersDeadlineEndsTheMethodsContext has a method that waits for its context alone.
func TestCallersDeadlineEndsTheMethodsContext(t *testing.T) {
	t.Parallel()
	for name, deadline := range map[string]func(ctx context.Context) (context.Context, context.CancelFunc){
		"the context's": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		},
		"the client's timeout": func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ended := make(chan time.Duration, 1)
			begun := time.Now()
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "wait", func(ctx context.Context, _ struct{}) error {
				if at, ok := ctx.Deadline(); !ok || at.Sub(begun) != 5*time.Second {
					t.Errorf("%s: the method's deadline is after %s, want 5s", name, at.Sub(begun))
				}
				<-ctx.Done()
				ended <- time.Since(begun)
				if cause := context.Cause(ctx); cause == nil || cause.Error() != "the caller has stopped waiting" {
					t.Errorf("%s: cause = %v", name, cause)
				}
				return ctx.Err()
			})
			b.serve(t, []*messaging.Endpoint{ep})
			ctx, cancel := deadline(t.Context())
			defer cancel()
			err := b.newClient(t, messaging.WithTimeout(5*time.Second)).Call(ctx, "wait", nil, nil)
			if !errors.Is(err, messaging.ErrTimeout) { // though the method fails at the same time
				t.Errorf("%s: Call = %v, want a timeout", name, err)
			}
			if after := <-ended; after != 5*time.Second {
				t.Errorf("%s: the method's context ended after %s, want 5s", name, after)
			}
		})
	}
}

func TestCastHasNoDeadlineAtTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		ran := false
		messaging.HandleCast(ep, "work", func(ctx context.Context, _ struct{}) error {
			_, has := ctx.Deadline()
			ran = !has
			return nil
		})
		b.serve(t, []*messaging.Endpoint{ep})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.newClient(t).Cast(ctx, "work", nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !ran {
			t.Error("the cast has not run, or with its sender's deadline")
		}
	})
}

// TestExpiredRequestIsNotRun publishes requests without expiration, as a broker hands them out that has not looked
// at it: the header alone tells that nobody waits.
func TestExpiredRequestIsNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		ran := make(chan string, 10)
		messaging.HandleArg(ep, "work", "id", func(_ context.Context, id string) (any, error) { ran <- id; return nil, nil })
		server := b.serve(t, []*messaging.Endpoint{ep})
		now := time.Now()
		for id, deadline := range map[string]time.Time{
			"past": now.Add(-time.Millisecond), "now": now, "future": now.Add(time.Millisecond), "none": {},
		} {
			body := wire.AppendRequest(nil, &wire.Request{
				Method: "work", Args: wire.Value(`{"id": "` + id + `"}`), UniqueID: wire.NewID(),
				MsgID: wire.TextValue("m"), ReplyQueue: "gone",
			})
			if err := b.broker.Publish("openstack", "t", memory.Publishing{
				ContentType: "application/json", Body: body, Deadline: deadline,
			}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		close(ran)
		got := map[string]bool{}
		for id := range ran {
			got[id] = true
		}
		if len(got) != 2 || !got["future"] || !got["none"] {
			t.Errorf("ran %v, want those whose callers wait", got)
		}
		if stats := server.Stats(); stats.Expired != 2 || stats.Received != 4 {
			t.Errorf("stats = %+v, want 2 of 4 expired", stats)
		}
		if lines := b.count("not run: the caller has stopped waiting"); lines != 1 {
			t.Errorf("%d lines about it, want one a minute", lines)
		}
		if queue := b.broker.Stats().Queues["t"]; queue.Waiting+queue.Unacknowledged != 0 {
			t.Errorf("the queue has %+v, want nothing", queue)
		}
	})
}
