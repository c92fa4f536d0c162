package loopcall

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
)

// rounding is what oslo.service rounds the wait of a fixed loop to (loopingcall.py, _idle_for: two decimals).
const rounding = 10 * time.Millisecond

// Fixed makes a loop that calls f every interval, counted from the beginning of a call. The wait is rounded to
// 10 ms, if the interval is not shorter than that. A call that outlasts the interval is logged, and the next one
// follows at once; calls that were missed are not made up for.
//
// The interval must be positive; Start says so otherwise.
func Fixed(interval time.Duration, f func(ctx context.Context) error, opts ...Option) *Loop {
	return FixedWithTimeout(interval, 0, f, opts...)
}

// FixedWithTimeout is [Fixed] with an end: once a call has returned and the loop has run for longer than timeout,
// the initial delay included, it ends with a [*TimeoutError]. A call that hangs is not interrupted. A timeout of 0
// means none.
func FixedWithTimeout(interval, timeout time.Duration, f func(ctx context.Context) error, opts ...Option) *Loop {
	l := &Loop{kind: "fixed", config: newConfig("fixed")}
	for _, o := range opts {
		o.apply(&l.config)
	}
	l.check = func() error { return checkFixed(&l.config, interval, timeout, f == nil) }
	l.begin = func() step {
		begin := time.Now()
		return steps(&l.config, withoutResult(f), struct{}{}, func(_ struct{}, elapsed time.Duration) (time.Duration, error) {
			delay := fixedDelay(&l.config, interval, elapsed)
			if total := time.Since(begin); timeout > 0 && total > timeout {
				return 0, &TimeoutError{Elapsed: total}
			}
			return delay, nil
		})
	}
	return l
}

func checkFixed(c *config, interval, timeout time.Duration, noFunction bool) error {
	switch {
	case noFunction:
		return errNoFunction
	case interval <= 0:
		return fmt.Errorf("interval %s is not positive", interval)
	case timeout < 0:
		return fmt.Errorf("timeout %s is negative", timeout)
	}
	return c.checkDelay()
}

func withoutResult(f func(context.Context) error) func(context.Context) (struct{}, error) {
	return func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) }
}

// fixedDelay is what is left of the interval.
func fixedDelay(c *config, interval, elapsed time.Duration) time.Duration {
	left := interval - elapsed
	if interval >= rounding {
		left = left.Round(rounding)
	}
	if left < 0 {
		c.log.WithFields(logrus.Fields{"loop": c.name, "interval": interval, "excess": -left}).
			Warn("a looping call outlasted its interval")
		return 0
	}
	return left
}
