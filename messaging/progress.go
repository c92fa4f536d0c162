package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// turnTime is how long a loop waits at a stretch.
const turnTime = time.Second

// errTurn ends a wait of a loop, which begins it anew. It is known even from a driver that tells no more than its
// context's error.
var errTurn = fmt.Errorf("a turn of the loop is over: %w", context.DeadlineExceeded)

// turns cut the waits of a loop, so that it goes round at least once a second while nothing comes, or while there is
// no place to run what has come. They are for one goroutine at a time.
//
// A turn's context serves all waits until it ends: messages that come quickly share one, and its timer.
type turns struct {
	loop  context.Context //nolint:containedctx // all of them end with it
	count *atomic.Uint64

	now    context.Context //nolint:containedctx // of the present turn
	cancel context.CancelFunc
}

func newTurns(loop context.Context, count *atomic.Uint64) *turns {
	return &turns{loop: loop, count: count}
}

// wait calls f until it returns for another reason than that its context ended with a turn. Each time is progress, unless
// f fails: a loop that does nothing but fail makes none.
func (t *turns) wait(f func(ctx context.Context) error) error {
	for {
		ctx := t.context()
		err := f(ctx)
		turned := ctx.Err() != nil && t.loop.Err() == nil && errors.Is(err, context.DeadlineExceeded)
		if err == nil || turned {
			t.count.Add(1)
		}
		if !turned {
			return err
		}
	}
}

func (t *turns) context() context.Context {
	if t.now != nil && t.now.Err() == nil {
		return t.now
	}
	if t.cancel != nil {
		t.cancel()
	}
	t.now, t.cancel = context.WithTimeoutCause(t.loop, turnTime, errTurn)
	return t.now
}

// Progress is a number that grows while the server's poll loop goes round: with every message, and once a second while
// nothing comes or while every place is taken. Before Start and after Stop it stands still, and also
//
//   - while the driver does not return from Poll,
//   - while polling does nothing but fail or panic,
//   - with [executor.Blocking] while a method runs, since it runs in the loop.
//
// A broker that is gone does not stop it: the driver waits for that. It is what a watchdog of the process looks at. For
// methods that hang see [WithStuckAfter].
func (s *MessageHandlingServer) Progress() uint64 { return s.progress.Load() }
