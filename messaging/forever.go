package messaging

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"
)

// Pauses of the server's poll loop (oslo_utils excutils, forever_retry_uncaught_exceptions).
const (
	retryDelay   = time.Second
	sameLogDelay = time.Minute
)

// forever calls f until it returns nil or ctx ends. An error or a panic of f is logged, and f is called
// again after a second; the same text is logged once a minute at most, with the number of times it came.
func forever(ctx context.Context, log logrus.FieldLogger, f func() error) {
	var throttle logThrottle
	for {
		err := recovered(f)
		if err == nil || ctx.Err() != nil {
			return
		}
		if count, due := throttle.note(err.Error(), time.Now()); due {
			log.WithError(err).WithField("count", count).Error("unexpected error, retrying")
		}
		timer := time.NewTimer(retryDelay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// recovered turns a panic of f into an error.
func recovered(f func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &panicError{reason: reason, stack: debug.Stack()}
		}
	}()
	return f()
}

// panicError is a panic that was recovered.
type panicError struct {
	reason any
	stack  []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.reason) }

// logThrottle lets a text pass when it differs from the last one that passed, or a minute after that.
type logThrottle struct {
	last  string // the last text that came
	count int    // how often it came since it was logged
	text  string // the last text that was logged
	at    time.Time
}

// note counts one more text and tells whether to log it now, and for how many times it stands.
func (l *logThrottle) note(text string, now time.Time) (count int, due bool) {
	if text != l.last {
		l.last, l.count = text, 0
	}
	l.count++
	if text == l.text && now.Sub(l.at) < sameLogDelay {
		return l.count, false
	}
	count = l.count
	l.text, l.at, l.count = text, now, 0
	return count, true
}
