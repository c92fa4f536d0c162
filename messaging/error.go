package messaging

import (
	"fmt"
	"strings"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// Errors that callers tell apart with errors.Is; package transport says what each means.
var (
	ErrTimeout        = transport.ErrTimeout
	ErrMonitorTimeout = transport.ErrMonitorTimeout
	ErrUndeliverable  = transport.ErrUndeliverable
	ErrRejected       = transport.ErrRejected
	ErrConnectionLost = transport.ErrConnectionLost
	ErrNotConnected   = transport.ErrNotConnected
	ErrTooLarge       = transport.ErrTooLarge
	ErrClosed         = transport.ErrClosed
	ErrInvalidURL     = transport.ErrInvalidURL
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
// method returns to fail as a chosen Python exception. Every other error of a method reaches its caller as
// class Exception of module builtins.
type RemoteError struct {
	// Module and Class name the Python exception class. A Python caller sees that class if the module is
	// "builtins" or one it allows (allowed_remote_exmods), else oslo.messaging's RemoteError.
	Module, Class string
	// Message is the exception's text.
	Message string
	// Args are what the exception was made with; nil stands for the message alone.
	Args []any
	// Kwargs is the exception's kwargs attribute.
	Kwargs map[string]any
	// Traceback holds the lines of the remote stack, where the peer sends them.
	Traceback []string
}

// Error prints the class with its module, unless that is builtins, and the first line of the message: what
// follows it is a traceback where the error passed several peers.
func (e *RemoteError) Error() string {
	class := e.Class
	if e.Module != "" && e.Module != "builtins" {
		class = e.Module + "." + class
	}
	message, _, _ := strings.Cut(e.Message, "\n")
	return "remote " + class + ": " + message
}
