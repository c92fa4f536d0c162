package transport

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// TimeoutReason tells how far a call had come when its time was over.
type TimeoutReason int

const (
	// ReasonNotSent tells that nothing was sent: there was no connection in time. The error matches
	// [ErrNotConnected]; the call may be repeated safely.
	ReasonNotSent TimeoutReason = iota + 1
	// ReasonUnconfirmed tells that the request was sent, or was about to be, and that the broker has not said
	// what became of it: it may run. The error matches [ErrUnconfirmed].
	ReasonUnconfirmed
	// ReasonNoQueue tells that the broker returned the request, since no queue took it: it does not run. Nobody
	// ever listened on the target, or its queue is gone. The error matches [ErrUndeliverable].
	ReasonNoQueue
	// ReasonSilent tells that the request was taken, and that its server gave no sign of life for as long as the
	// call's monitor waits. The error matches [ErrMonitorTimeout].
	ReasonSilent
	// ReasonUnanswered tells that the request was taken and not answered: it may have run, run still, or wait for
	// a server. Heartbeats tell which, where the call is monitored.
	ReasonUnanswered
	// ReasonBlocked tells that nothing was sent: the broker took no messages, being short of memory or disk space.
	// The error matches [ErrBlocked]; the call may be repeated safely, later.
	ReasonBlocked
)

// String is the reason in a word or two, for logs and labels.
func (r TimeoutReason) String() string {
	switch r {
	case ReasonNotSent:
		return "not sent"
	case ReasonUnconfirmed:
		return "unconfirmed"
	case ReasonNoQueue:
		return "no queue"
	case ReasonSilent:
		return "silent"
	case ReasonUnanswered:
		return "unanswered"
	case ReasonBlocked:
		return "blocked"
	}
	return fmt.Sprintf("TimeoutReason(%d)", int(r))
}

// sentinel is the error that a timeout for that reason matches, nil where it is none of its own.
func (r TimeoutReason) sentinel() error {
	switch r {
	case ReasonNotSent:
		return ErrNotConnected
	case ReasonUnconfirmed:
		return ErrUnconfirmed
	case ReasonNoQueue:
		return ErrUndeliverable
	case ReasonBlocked:
		return ErrBlocked
	case ReasonSilent, ReasonUnanswered:
	}
	return nil
}

// Timeline is what became of a call and when. Its durations count from Began; zero means that it did not happen,
// what did happen takes a nanosecond at least.
type Timeline struct {
	// Began is when the call began.
	Began time.Time
	// Sent is when the request was handed to the connection. Where the connection could not take it and the
	// next one did, the last time counts.
	Sent time.Duration
	// Confirmed is when the broker said that it took the request.
	Confirmed time.Duration
	// Returned is when the broker said that no queue took it.
	Returned time.Duration
	// Heartbeats is how many heartbeats the server sent, and LastHeartbeat when the last one came.
	Heartbeats    int
	LastHeartbeat time.Duration
	// Ended is when the call ended.
	Ended time.Duration
}

// now is how long ago the call began.
func (t *Timeline) now() time.Duration { return max(time.Since(t.Began), 1) }

// TimeoutError is how a call ends without a reply at its deadline, or when its monitor gives it up. It matches
// [ErrTimeout], the sentinel of its reason, [ErrMonitorTimeout] where the monitor ended the call, and
// [context.DeadlineExceeded] and the context's cause where its deadline did.
type TimeoutError struct {
	// MsgID is the id of the request, by which logs of both sides know it; empty where there was no connection
	// to make one for.
	MsgID string
	// Reason is how far the call had come.
	Reason TimeoutReason
	// Monitor is how long the monitor waited for a sign of life in vain; 0 where the deadline ended the call.
	Monitor time.Duration
	Timeline

	ended error // the context's error, nil where the monitor ended the call
	cause error // the context's cause, or why nothing was sent
}

// Error is one line with the reason and the time line, such as "timed out waiting for a reply to message 5f... after
// 1m0s: taken by the broker after 4ms, 12 heartbeats, the last after 58s, no answer".
func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("%s%s after %s: %s", ErrTimeout, e.message(), brief(e.Ended), e.story())
	// That a deadline passed needs no words; a cause of the caller's own does, and why nothing was sent.
	if e.cause == nil || e.cause.Error() == context.DeadlineExceeded.Error() {
		return text
	}
	return text + ": " + e.cause.Error()
}

// Unwrap returns all that the error matches.
func (e *TimeoutError) Unwrap() []error {
	timeout := ErrTimeout
	if e.Monitor > 0 {
		timeout = ErrMonitorTimeout
	}
	return append([]error{timeout}, e.causes()...)
}

// causes is what the end of the call matches, whether time was the reason or somebody cancelled it.
func (e *TimeoutError) causes() []error {
	var causes []error
	for _, err := range []error{e.Reason.sentinel(), e.ended, e.cause} {
		if err != nil {
			causes = append(causes, err)
		}
	}
	return causes
}

func (e *TimeoutError) message() string {
	if e.MsgID == "" {
		return ""
	}
	return " to message " + e.MsgID
}

// story tells in words how far the call came.
func (e *TimeoutError) story() string {
	parts := make([]string, 1, 3)
	switch {
	case e.Reason == ReasonNotSent || e.Reason == ReasonBlocked:
		parts[0] = "nothing was sent"
	case e.Returned > 0:
		parts[0] = fmt.Sprintf("no queue took the request (returned after %s)", brief(e.Returned))
	case e.Confirmed > 0:
		parts[0] = fmt.Sprintf("taken by the broker after %s", brief(e.Confirmed))
	case e.Heartbeats > 0: // the broker's word can come later than the server's
		parts[0] = "taken by a server"
	case e.Sent > 0:
		parts[0] = fmt.Sprintf("the broker did not confirm the request, sent after %s", brief(e.Sent))
	default:
		parts[0] = "the broker did not confirm the request, which was about to be sent"
	}
	switch {
	case e.Heartbeats == 1:
		parts = append(parts, fmt.Sprintf("1 heartbeat after %s", brief(e.LastHeartbeat)))
	case e.Heartbeats > 1:
		parts = append(parts, fmt.Sprintf("%d heartbeats, the last after %s", e.Heartbeats, brief(e.LastHeartbeat)))
	}
	switch {
	case e.Monitor > 0 && e.Heartbeats > 0:
		parts = append(parts, fmt.Sprintf("then none for %s", brief(e.Monitor)))
	case e.Monitor > 0:
		parts = append(parts, fmt.Sprintf("no heartbeat for %s", brief(e.Monitor)))
	case e.Reason == ReasonUnanswered:
		parts = append(parts, "no answer")
	}
	return strings.Join(parts, ", ")
}

// cancelledError is the end of a call that its caller cancelled. It matches what a timeout would that had come this
// far, but that it is none.
type cancelledError struct{ end TimeoutError }

func (e *cancelledError) Error() string {
	return fmt.Sprintf("cancelled after %s waiting for a reply%s: %s: %v", brief(e.end.Ended), e.end.message(), e.end.story(), e.end.cause)
}

func (e *cancelledError) Unwrap() []error { return e.end.causes() }

// brief rounds a duration to three digits, or to the second.
func brief(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 && unit < time.Second {
		unit *= 10
	}
	return d.Round(unit)
}
