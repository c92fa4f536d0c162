package transport

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart with errors.Is. Each error of a driver matches one of them, or the error of
// the context that ended, and says in its text what was being done.
var (
	// ErrTimeout tells that no reply came in time. It is matched by a [*TimeoutError], which tells why, and comes with
	// context.DeadlineExceeded in its chain where a context's deadline was the reason.
	ErrTimeout = errors.New("timed out waiting for a reply")
	// ErrMonitorTimeout tells that the server gave no sign of life within the call's monitor timeout. It
	// matches ErrTimeout too.
	ErrMonitorTimeout = fmt.Errorf("%w: no heartbeat from the server", ErrTimeout)
	// ErrUndeliverable tells that no queue took the message: nobody ever listened on that target. A call that is
	// not mandatory matches it at its end only, beside ErrTimeout.
	ErrUndeliverable = errors.New("no queue takes the message")
	// ErrRejected tells that the broker refused the message (a full queue, a failing disk).
	ErrRejected = errors.New("the broker rejected the message")
	// ErrUnconfirmed tells that a context ended, or a call's monitor gave up, before the broker had confirmed the
	// message, on a connection that still seemed to live: it may or may not be taken.
	ErrUnconfirmed = errors.New("the broker did not confirm the message")
	// ErrBlocked tells that a context ended while the broker took no messages because it was short of memory or disk
	// space. Nothing was sent, unless the error matches ErrUnconfirmed too.
	ErrBlocked = errors.New("the broker takes no messages for now")
	// ErrConnectionLost tells that the connection ended before the broker confirmed the message: it may or
	// may not have been taken.
	ErrConnectionLost = errors.New("connection lost before the broker confirmed")
	// ErrReplyPathLost tells that replies to this client did not arrive: the queue on which they come was lost. The
	// request may have run, and its reply went nowhere; further calls are answered again.
	ErrReplyPathLost = errors.New("the path of replies was lost")
	// ErrNotConnected tells that the broker could not be reached in the attempts allowed, or not before the context
	// ended; nothing was sent.
	ErrNotConnected = errors.New("not connected to a broker")
	// ErrClosed tells that the transport or listener was closed.
	ErrClosed = errors.New("closed")
	// ErrStale tells that an acknowledgement came too late: the connection it belongs to is gone, and the
	// broker delivers the message again.
	ErrStale = errors.New("the message will be delivered again")
	// ErrDuplicate tells that a message with the same unique id was received already.
	ErrDuplicate = errors.New("duplicate message")
	// ErrTooManySenders tells that as many calls and casts are under way as the driver allows. Nothing was sent.
	ErrTooManySenders = errors.New("too many calls and casts are under way")
	// ErrTooLarge tells that a message is longer than the bus carries (16 MiB).
	ErrTooLarge = errors.New("message too large")
	// ErrInvalidURL is what every error about a transport URL matches.
	ErrInvalidURL = errors.New("invalid transport URL")
)
