package messaging

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

const builtins = "builtins"

// WithTracebacks sends stack traces to callers: of a method that panicked, and of a [*RemoteError] that a method
// passes on. By default callers see none: they tell strangers about the inside. The server's log has the stack of
// a panic either way.
func WithTracebacks() ServerOption {
	return serverOption(func(c *serverConfig) { c.failures.tracebacks = true })
}

// failures is how a server tells its callers what went wrong.
type failures struct {
	registry   *ErrorRegistry // nil is an empty one
	tracebacks bool
}

// encode encodes an error for the wire. What cannot be encoded is left out, and arguments become the message
// alone: the caller must learn of the failure all the same.
func (c failures) encode(err error, s serializer.Serializer) *transport.Failure {
	remote := c.remoteError(err, s)
	f := &transport.Failure{Class: remote.Class, Module: remote.Module, Message: remote.Message}
	if c.tracebacks {
		f.Traceback = remote.Traceback
	}
	args := remote.Args
	if args == nil {
		args = []any{remote.Message}
	}
	if f.Args, err = s.Append(nil, args); err != nil {
		f.Args, _ = s.Append(nil, []any{remote.Message}) // text can be encoded, whatever it is
	}
	if remote.Kwargs != nil {
		if f.Kwargs, err = s.Append(nil, remote.Kwargs); err != nil {
			f.Kwargs = nil
		}
	}
	return f
}

// remoteError is how an error of the dispatcher or of a method looks to the caller: as the exception that it is
// registered for, or else that oslo.messaging or Python itself raises in its place. The outermost error for which
// there is one counts.
func (c failures) remoteError(err error, s serializer.Serializer) *RemoteError {
	for node := range tree(err) {
		if remote := c.passedOn(node); remote != nil {
			return remote
		}
		if remote := c.registry.encode(node, err.Error, s); remote != nil {
			return remote
		}
		if remote := ownError(node, err); remote != nil {
			return remote
		}
	}
	return &RemoteError{Module: builtins, Class: plainClass(err), Message: err.Error()}
}

// plainClass is the class of errors that nothing else is known of.
func plainClass(err error) string {
	switch {
	case errors.As(err, new(*accessError)):
		return "PermissionError"
	case errors.Is(err, context.DeadlineExceeded):
		return "TimeoutError"
	}
	return "Exception"
}

// ownError is the exception for an error of goslo's own, with the text of the whole error where it says more.
func ownError(node, whole error) *RemoteError {
	switch e := node.(type) { //nolint:errorlint // the tree is walked outside
	case *dispatcher.NoSuchMethodError:
		return &RemoteError{Module: dispatcher.Module, Class: noSuchMethod, Message: e.Error()}
	case *dispatcher.UnsupportedVersionError:
		return &RemoteError{Module: dispatcher.Module, Class: unsupportedVersion, Message: e.Error()}
	case *dispatcher.ArgumentError:
		return &RemoteError{Module: builtins, Class: "TypeError", Message: e.Error()}
	case *dispatcher.ResultError:
		return &RemoteError{Module: builtins, Class: "ValueError", Message: whole.Error()}
	case *target.MalformedVersionError:
		if e.Missing {
			return &RemoteError{Module: builtins, Class: "IndexError", Message: e.Error()}
		}
		return &RemoteError{Module: builtins, Class: "ValueError", Message: whole.Error()}
	case *panicError:
		return &RemoteError{Module: builtins, Class: "RuntimeError", Message: e.Error(), Traceback: stackLines(e.stack)}
	case *parkedError:
		return &RemoteError{Module: builtins, Class: "RuntimeError", Message: e.Error()}
	case *exitError:
		return &RemoteError{Module: builtins, Class: "RuntimeError", Message: e.Error(), Traceback: stackLines(e.stack)}
	}
	return nil
}

// passedOn is the failure of a method that returns a [*RemoteError], often one that it got from a call of its
// own: the same class, without the traces that it came with unless they are wanted. It is nil for any other error.
func (c failures) passedOn(node error) *RemoteError {
	received, ok := node.(*RemoteError) //nolint:errorlint // the tree is walked outside
	if !ok {
		return nil
	}
	remote := *received
	class := classOf(remote.Module, remote.Class)
	remote.Module, remote.Class = class.module, class.name
	if c.tracebacks {
		return &remote
	}
	remote.Message = withoutTraceback(remote.Message)
	remote.Args = slices.Clone(remote.Args) // received's own must not change
	for i, arg := range remote.Args {
		if text, ok := arg.(string); ok {
			remote.Args[i] = withoutTraceback(text)
		}
	}
	return &remote
}

// tracebackLine begins every traceback of Python.
const tracebackLine = "Traceback (most recent call last):"

// withoutTraceback cuts off the trace that Python puts behind the text of a remote exception, and that becomes
// part of it when the exception is raised again (oslo_messaging/_drivers/common.py, deserialize_remote_exception).
func withoutTraceback(text string) string {
	begin := strings.Index(text, tracebackLine)
	if begin < 0 {
		return text
	}
	if line := strings.LastIndexByte(text[:begin], '\n'); line >= 0 {
		begin = line
	}
	return text[:begin]
}

// stackLines is a stack as the lines of a traceback, each with its line break.
func stackLines(stack []byte) []string {
	return slices.Collect(strings.Lines(string(stack)))
}

// tree yields an error and the errors that it wraps, in the order of errors.Is.
func tree(err error) iter.Seq[error] {
	return func(yield func(error) bool) { walk(err, yield) }
}

func walk(err error, yield func(error) bool) bool {
	for err != nil {
		if !yield(err) {
			return false
		}
		switch x := err.(type) { //nolint:errorlint // unwrapping is what this is for
		case interface{ Unwrap() error }:
			err = x.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range x.Unwrap() {
				if !walk(inner, yield) {
					return false
				}
			}
			return true
		default:
			return true
		}
	}
	return true
}

// exitError is a method that ended its goroutine (runtime.Goexit) instead of returning.
type exitError struct{ stack []byte }

func (e *exitError) Error() string { return "the endpoint method ended its goroutine" }

// receivedError is a failure as the caller gets it.
func receivedError(f *transport.Failure, s serializer.Serializer, registry *ErrorRegistry) *RemoteError {
	e := &RemoteError{Module: f.Module, Class: f.Class, Message: f.Message, Traceback: f.Traceback}
	if f.Args != nil {
		_ = s.Decode(f.Args, &e.Args) // wire has checked that it is an array; without it the error says enough
	}
	if f.Kwargs != nil {
		_ = s.Decode(f.Kwargs, &e.Kwargs)
	}
	e.mapped = registry.decode(e, s)
	return e
}
