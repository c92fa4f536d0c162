package transport

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart with errors.Is. Each error of a driver matches one of them, or the error of
// the context that ended, and says in its text what was being done.
var (
	// ErrTimeout tells that no reply came in time. It comes with context.DeadlineExceeded in its chain where a
	// context's deadline was the reason.
	ErrTimeout = errors.New("timed out waiting for a reply")
	// ErrMonitorTimeout tells that the server gave no sign of life within the call's monitor timeout. It
	// matches ErrTimeout too.
	ErrMonitorTimeout = fmt.Errorf("%w: no heartbeat from the server", ErrTimeout)
	// ErrUndeliverable tells that no queue took the message: nobody ever listened on that target.
	ErrUndeliverable = errors.New("no queue takes the message")
	// ErrRejected tells that the broker refused the message (a full queue, a failing disk).
	ErrRejected = errors.New("the broker rejected the message")
	// ErrConnectionLost tells that the connection ended before the broker confirmed the message: it may or
	// may not have been taken.
	ErrConnectionLost = errors.New("connection lost before the broker confirmed")
	// ErrNotConnected tells that the broker could not be reached in the attempts allowed; nothing was sent.
	ErrNotConnected = errors.New("not connected to a broker")
	// ErrClosed tells that the transport or listener was closed.
	ErrClosed = errors.New("closed")
	// ErrStale tells that an acknowledgement came too late: the connection it belongs to is gone, and the
	// broker delivers the message again.
	ErrStale = errors.New("the message will be delivered again")
	// ErrDuplicate tells that a message with the same unique id was received already.
	ErrDuplicate = errors.New("duplicate message")
	// ErrTooLarge tells that a message is longer than the bus carries (16 MiB).
	ErrTooLarge = errors.New("message too large")
	// ErrInvalidURL is what every error about a transport URL matches.
	ErrInvalidURL = errors.New("invalid transport URL")
)
