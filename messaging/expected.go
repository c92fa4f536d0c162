package messaging

import "errors"

// Expected marks an error that a method is meant to return: the server logs it at debug level only, while it logs
// other errors as errors. The caller gets err itself, as if it had not been marked, and so do errors.Is and
// errors.As (oslo_messaging/rpc/server.py, expected_exceptions). Expected(nil) is nil.
//
// A [*RemoteError] is expected without a mark.
func Expected(err error) error {
	if err == nil {
		return nil
	}
	return &expectedError{err}
}

type expectedError struct{ err error }

func (e *expectedError) Error() string { return e.err.Error() }

func (e *expectedError) Unwrap() error { return e.err }

// expected reports whether the method meant to fail so.
func expected(err error) bool {
	var (
		marked *expectedError
		remote *RemoteError
	)
	return errors.As(err, &marked) || errors.As(err, &remote)
}
