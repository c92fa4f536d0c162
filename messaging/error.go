package messaging

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/internal/loglimit"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// Errors that callers tell apart with errors.Is; package transport says what each means.
var (
	ErrTimeout        = transport.ErrTimeout
	ErrMonitorTimeout = transport.ErrMonitorTimeout
	ErrUndeliverable  = transport.ErrUndeliverable
	ErrRejected       = transport.ErrRejected
	ErrUnconfirmed    = transport.ErrUnconfirmed
	ErrBlocked        = transport.ErrBlocked
	ErrConnectionLost = transport.ErrConnectionLost
	ErrReplyPathLost  = transport.ErrReplyPathLost
	ErrNotConnected   = transport.ErrNotConnected
	ErrTooManySenders = transport.ErrTooManySenders
	ErrTooLarge       = transport.ErrTooLarge
	ErrClosed         = transport.ErrClosed
	ErrInvalidURL     = transport.ErrInvalidURL
)

// Failures of every server, in Go or in Python, that callers tell apart with errors.Is. The error is a
// [*RemoteError].
var (
	// ErrNoSuchMethod tells that the server has the interface that was asked for, without the method.
	ErrNoSuchMethod = errors.New("no such method")
	// ErrUnsupportedVersion tells that the server does not implement the namespace in the version asked for.
	ErrUnsupportedVersion = errors.New("unsupported version")
)

// The classes of these failures, in [dispatcher.Module].
const (
	noSuchMethod       = "NoSuchMethod"
	unsupportedVersion = "UnsupportedVersion"
)

// TimeoutError tells why a call ended without a reply in time: how far it came, and when. Every error of a call that
// matches [ErrTimeout] holds one for errors.As. See [transport.TimeoutError] for its fields.
type TimeoutError = transport.TimeoutError

// What a [TimeoutError] gives for its reason; package transport says what each means.
const (
	ReasonNotSent     = transport.ReasonNotSent
	ReasonUnconfirmed = transport.ReasonUnconfirmed
	ReasonNoQueue     = transport.ReasonNoQueue
	ReasonSilent      = transport.ReasonSilent
	ReasonUnanswered  = transport.ReasonUnanswered
	ReasonBlocked     = transport.ReasonBlocked
)

// InvalidTargetError says which part of a target is missing.
type InvalidTargetError = target.InvalidTargetError

// ServerListenError tells that a server could not begin to listen on its target.
type ServerListenError struct {
	Target Target
	Err    error
}

func (e *ServerListenError) Error() string {
	return fmt.Sprintf("listen on target %s: %v", e.Target, e.Err)
}

func (e *ServerListenError) Unwrap() error { return e.Err }

// VersionCapError tells that a request was not sent because its version is above the client's cap.
type VersionCapError struct{ Version, Cap string }

func (e *VersionCapError) Error() string {
	return fmt.Sprintf("requested message version %q is incompatible with the version cap %q", e.Version, e.Cap)
}

// RemoteError is the failure of an endpoint method: what a caller gets when the method failed, and what a
// method returns to fail as a chosen Python exception. A method that returns what its own call failed with passes
// that on. Errors that an [ErrorRegistry] knows go out as their class, and come back as a RemoteError that
// matches them too; every other error of a method reaches its caller as class Exception of module builtins.
//
// Only what a peer sent is a RemoteError: it tells the peer's failures from those of this side.
type RemoteError struct {
	// Module and Class name the Python exception class. A Python caller sees that class if the module is
	// "builtins" or one it allows (allowed_remote_exmods), else oslo.messaging's RemoteError.
	Module, Class string
	// Message is the exception's text. Where the exception passed several peers, Python's tracebacks may follow
	// in further lines.
	Message string
	// Args are what the exception was made with; nil stands for the message alone.
	Args []any
	// Kwargs is the exception's kwargs attribute.
	Kwargs map[string]any
	// Traceback holds the lines of the remote stack, where the peer sends them. A server sends it with
	// [WithTracebacks] only.
	Traceback []string

	mapped error // what the client's registry made of it
}

// Error prints the class with its module, unless that is builtins, and the first line of the message: what
// follows it is a traceback where the error passed several peers. Both are cut to 256 bytes, and quoted where they hold
// what cannot be printed: the fields have them whole.
func (e *RemoteError) Error() string {
	class := e.Class
	if e.Module != "" && e.Module != builtins {
		class = e.Module + "." + class
	}
	message, _, _ := strings.Cut(e.Message, "\n")
	return "remote " + loglimit.Quote(class) + ": " + loglimit.Quote(message)
}

// Unwrap returns the error that the client's [ErrorRegistry] has for the class, or nil.
func (e *RemoteError) Unwrap() error { return e.mapped }

// Is lets the failures of oslo.messaging's dispatcher match [ErrNoSuchMethod] and [ErrUnsupportedVersion].
func (e *RemoteError) Is(target error) bool {
	switch target {
	case ErrNoSuchMethod:
		return classOf(e.Module, e.Class) == pythonClass{dispatcher.Module, noSuchMethod}
	case ErrUnsupportedVersion:
		return classOf(e.Module, e.Class) == pythonClass{dispatcher.Module, unsupportedVersion}
	}
	return false
}
