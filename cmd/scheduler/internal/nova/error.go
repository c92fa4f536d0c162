package nova

import "fmt"

// notEnoughHosts is the reason nova gives, whatever filter it was.
const notEnoughHosts = "There are not enough hosts available."

// NoValidHostError says that an instance of a request cannot be placed; then none of it is. On the wire it is
// nova.exception.NoValidHost with the keyword arguments reason and code (500).
type NoValidHostError struct {
	// Reason is what nova tells its caller.
	Reason string
	// Err says what the filters rejected: for the log of this side, it does not travel. It may be nil.
	Err error
}

// Error is nova's message for the exception.
func (e *NoValidHostError) Error() string { return "No valid host was found. " + e.Reason }

// Unwrap returns Err.
func (e *NoValidHostError) Unwrap() error { return e.Err }

// ArgumentError says which argument of a call is wrong, and how.
type ArgumentError struct {
	// Field is the path of the value, without the object envelopes: spec_obj.flavor.vcpus.
	Field string
	// Problem is what is wrong with it: want a number, got string.
	Problem string
}

// Error is one line.
func (e *ArgumentError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Problem) }
