package loopcall

import (
	"context"
	"time"
)

// NoInterval is what the function of a [Dynamic] loop returns when it has no wish: the loop then waits for the
// greatest interval (see [WithPeriodicIntervalMax]), and ends with [ErrNoInterval] without one. Every negative
// duration means the same.
const NoInterval time.Duration = -1

// failingFloor keeps a dynamic loop that continues on errors from spinning.
const failingFloor = 10 * time.Millisecond

// Dynamic makes a loop that waits, after each call, as long as f has asked for, but no longer than
// [WithPeriodicIntervalMax]. An interval of 0 means the next call follows at once. With [ContinueOnError] it waits
// 10 ms after an error.
func Dynamic(f func(ctx context.Context) (time.Duration, error), opts ...DynamicOption) *Loop {
	l := &Loop{kind: "dynamic", config: newConfig("dynamic")}
	for _, o := range opts {
		o.applyDynamic(&l.config)
	}
	l.check = func() error {
		if f == nil {
			return errNoFunction
		}
		return l.config.checkDelay()
	}
	l.begin = func() step { return steps(&l.config, f, failingFloor, l.config.dynamicDelay) }
	return l
}

func (c *config) dynamicDelay(wish, _ time.Duration) (time.Duration, error) {
	switch {
	case wish < 0 && !c.hasIntervalMax:
		return 0, ErrNoInterval
	case wish < 0:
		return c.intervalMax, nil
	case c.hasIntervalMax:
		return min(wish, c.intervalMax), nil
	default:
		return wish, nil
	}
}
