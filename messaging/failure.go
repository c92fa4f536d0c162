package messaging

import (
	"context"
	"errors"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

const builtins = "builtins"

// remoteError is how an error of the dispatcher or of a method looks to the caller: as the exception that
// oslo.messaging, or Python itself, raises in its place.
func remoteError(err error) *RemoteError {
	var (
		remote      *RemoteError
		noMethod    *dispatcher.NoSuchMethodError
		unsupported *dispatcher.UnsupportedVersionError
		argument    *dispatcher.ArgumentError
		version     *target.MalformedVersionError
		result      *dispatcher.ResultError
		panicked    *panicError
		access      *accessError
	)
	switch {
	case errors.As(err, &remote):
		return remote
	case errors.As(err, &noMethod):
		return &RemoteError{Module: dispatcher.Module, Class: "NoSuchMethod", Message: noMethod.Error()}
	case errors.As(err, &unsupported):
		return &RemoteError{Module: dispatcher.Module, Class: "UnsupportedVersion", Message: unsupported.Error()}
	case errors.As(err, &argument):
		return &RemoteError{Module: builtins, Class: "TypeError", Message: argument.Error()}
	case errors.As(err, &version) && version.Missing:
		return &RemoteError{Module: builtins, Class: "IndexError", Message: version.Error()}
	case errors.As(err, &version), errors.As(err, &result):
		return &RemoteError{Module: builtins, Class: "ValueError", Message: err.Error()}
	case errors.As(err, &panicked):
		return &RemoteError{Module: builtins, Class: "RuntimeError", Message: panicked.Error()}
	case errors.As(err, &access):
		return &RemoteError{Module: builtins, Class: "PermissionError", Message: access.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &RemoteError{Module: builtins, Class: "TimeoutError", Message: err.Error()}
	}
	return &RemoteError{Module: builtins, Class: "Exception", Message: err.Error()}
}

// failure encodes an error for the wire. Arguments that cannot be encoded are left out: the caller must learn
// of the failure all the same.
func failure(err error, s serializer.Serializer) *transport.Failure {
	remote := remoteError(err)
	f := &transport.Failure{
		Class: remote.Class, Module: remote.Module, Message: remote.Message, Traceback: remote.Traceback,
	}
	args := remote.Args
	if args == nil {
		args = []any{remote.Message}
	}
	if f.Args, err = s.Append(nil, args); err != nil {
		f.Args = nil
	}
	if remote.Kwargs != nil {
		if f.Kwargs, err = s.Append(nil, remote.Kwargs); err != nil {
			f.Kwargs = nil
		}
	}
	return f
}

// receivedError is a failure as the caller gets it.
func receivedError(f *transport.Failure, s serializer.Serializer) *RemoteError {
	e := &RemoteError{Module: f.Module, Class: f.Class, Message: f.Message, Traceback: f.Traceback}
	if f.Args != nil {
		_ = s.Decode(f.Args, &e.Args) // wire has checked that it is an array; without it the error says enough
	}
	if f.Kwargs != nil {
		_ = s.Decode(f.Kwargs, &e.Kwargs)
	}
	return e
}
