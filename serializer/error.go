package serializer

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
)

var (
	// ErrEncode is what every error of Append matches.
	ErrEncode = errors.New("cannot encode")
	// ErrDecode is what every error of Decode matches.
	ErrDecode = errors.New("cannot decode")
)

// pathError is the one error of this package: what is wrong, and where in the value.
type pathError struct {
	sentinel error
	path     []string // innermost first, as it is found on the way back
	text     string   // what is wrong, unless cause says it
	cause    error
}

func encodeError(text string) error       { return &pathError{sentinel: ErrEncode, text: text} }
func decodeError(text string) error       { return &pathError{sentinel: ErrDecode, text: text} }
func encodeFailure(cause error) error     { return &pathError{sentinel: ErrEncode, cause: cause} }
func decodeFailure(cause error) error     { return &pathError{sentinel: ErrDecode, cause: cause} }
func cannotEncode(t reflect.Type) error   { return encodeError("cannot encode a " + t.String()) }
func cannotDecode(t reflect.Type) error   { return decodeError("cannot decode into " + t.String()) }
func inField(err error, key string) error { return inside(err, keySegment(key)) }

func inElement(err error, i int) error {
	return inside(err, "["+strconv.Itoa(i)+"]")
}

// inside adds the step from a container to the part of it where err arose.
func inside(err error, segment string) error {
	if e := (*pathError)(nil); errors.As(err, &e) {
		e.path = append(e.path, segment)
	}
	return err
}

// longestKey is how much of a peer's key, or number, an error shows.
const longestKey = 64

func keySegment(key string) string {
	for _, c := range key {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "[" + strconv.QuoteToASCII(clip(key)) + "]"
		}
	}
	return "." + clip(key)
}

func clip[S []byte | string](text S) string {
	if len(text) > longestKey {
		return string(text[:longestKey]) + "..."
	}
	return string(text)
}

// longestPath is how many steps of a path an error shows: what contains itself has a hundred.
const longestPath = 12

// Error is one line: the path, a colon and what is wrong.
func (e *pathError) Error() string {
	var b strings.Builder
	for i := range min(len(e.path), longestPath) {
		b.WriteString(e.path[len(e.path)-1-i])
	}
	if len(e.path) > longestPath {
		b.WriteString("...")
	}
	text := e.text
	if e.cause != nil {
		text = strings.ReplaceAll(e.cause.Error(), "\n", " ")
	}
	if b.Len() == 0 {
		return text
	}
	return strings.TrimPrefix(b.String(), ".") + ": " + text
}

// Unwrap lets the error match [ErrEncode] or [ErrDecode], and its cause.
func (e *pathError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.sentinel}
	}
	return []error{e.sentinel, e.cause}
}
