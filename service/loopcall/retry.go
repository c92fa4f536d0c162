package loopcall

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RetryPolicy says which errors [Retry] tries again, how often and after which waits. The zero value retries
// nothing; [DefaultRetry] has oslo.service's defaults.
type RetryPolicy struct {
	// MaxRetries is how often a call is tried again: 0 never, -1 for ever (oslo.service: max_retry_count).
	MaxRetries int
	// IncSleepTime is by how much each wait is longer than the one before, and the length of the first
	// (oslo.service: inc_sleep_time).
	IncSleepTime time.Duration
	// MaxSleepTime caps the waits (oslo.service: max_sleep_time).
	MaxSleepTime time.Duration
	// On reports whether to try again after an error. nil means never.
	On func(error) bool
}

// DefaultRetry tries again for ever after the listed errors, matched by [errors.Is]: after 10 s, 20 s and so on up
// to 60 s, as oslo.service's RetryDecorator does.
func DefaultRetry(on ...error) RetryPolicy {
	return RetryPolicy{
		MaxRetries:   -1,
		IncSleepTime: 10 * time.Second,
		MaxSleepTime: 60 * time.Second,
		On: func(err error) bool {
			for _, listed := range on {
				if errors.Is(err, listed) {
					return true
				}
			}
			return false
		},
	}
}

// Retry calls f, on the caller's goroutine, until it returns without one of the policy's errors: before the k-th
// retry it waits k times IncSleepTime, at most MaxSleepTime. It returns f's result and its error, which is the last
// one when no retry is left.
//
// When ctx ends during a wait, Retry returns an error that matches ctx's cause and f's last error. The count
// belongs to the call; in oslo.service it belongs to the decorated function, which may have used it up before.
// Retry is safe for concurrent use.
func Retry[T any](ctx context.Context, policy RetryPolicy, f func(ctx context.Context) (T, error)) (T, error) {
	var sleep time.Duration
	for retries := 0; ; retries++ {
		result, err := f(ctx)
		if err == nil || policy.On == nil || !policy.On(err) {
			return result, err
		}
		if policy.MaxRetries >= 0 && retries >= policy.MaxRetries {
			return result, err
		}
		sleep = min(sleep+policy.IncSleepTime, policy.MaxSleepTime)
		if ended := pause(ctx, sleep); ended != nil {
			return result, fmt.Errorf("loopcall: retry: %w: %w", ended, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
