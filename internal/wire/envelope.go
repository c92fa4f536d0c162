package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/pyjson"
)

// MaxSize is how long a body may be, in bytes, after decompression.
const MaxSize = 16 << 20

// The keys of the envelope.
const (
	envelopeVersion = "oslo.version"
	envelopeMessage = "oslo.message"
)

// ErrMalformed is what every error about a body that cannot be read as a message matches. Such a message is
// rejected without requeue: reading it again would fail again.
var ErrMalformed = errors.New("malformed message")

// ErrTooLarge tells that a body is longer than [MaxSize]. It matches [ErrMalformed] too.
var ErrTooLarge = fmt.Errorf("%w: longer than %d bytes", ErrMalformed, MaxSize)

const (
	envelopeOpen  = `{"oslo.version": "2.0", "oslo.message": "{`
	envelopeClose = `}"}`
)

// open returns the walk over the inner object of a body. It writes into body: the caller gives it away.
//
// An object that lacks either key of the envelope is a bare message (version 1) as it stands, and an empty
// body is an empty message.
func open(body []byte) (pyjson.Object, error) {
	if len(body) > MaxSize {
		return pyjson.Object{}, ErrTooLarge
	}
	if !utf8.Valid(body) {
		return pyjson.Object{}, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	version, message, err := envelopeMembers(body)
	if err != nil {
		return pyjson.Object{}, malformed("envelope", err)
	}
	if version == nil || message == nil {
		return object("message", body)
	}
	if err := checkVersion(version); err != nil {
		return pyjson.Object{}, err
	}
	if message[0] != '"' {
		return pyjson.Object{}, fmt.Errorf("%w: %s is no string", ErrMalformed, envelopeMessage)
	}
	return object(envelopeMessage, pyjson.UnquoteInPlace(message[1:len(message)-1]))
}

func envelopeMembers(body []byte) (version, message []byte, err error) {
	envelope, err := pyjson.NewObject(body)
	if err != nil {
		return nil, nil, err
	}
	for {
		key, value, more, err := envelope.Next()
		if err != nil {
			return nil, nil, err
		}
		if !more {
			return version, message, envelope.End()
		}
		switch string(pyjson.Unquote(key)) {
		case envelopeVersion:
			version = value
		case envelopeMessage:
			message = value
		}
	}
}

// checkVersion passes the versions that oslo's compatibility rule calls compatible with 2.0: the same
// major number, no larger minor, no larger revision.
func checkVersion(value []byte) error {
	if string(value) == `"2.0"` { // all that is ever sent
		return nil
	}
	text, ok := pyjson.Text(value)
	if !ok {
		return fmt.Errorf("%w: %s is no string", ErrMalformed, envelopeVersion)
	}
	parts := strings.Split(text, ".")
	for i, limit := range []int{2, 0, 0} {
		if i >= len(parts) {
			if i < 2 {
				return unsupportedVersion(text)
			}
			break
		}
		n, err := strconv.Atoi(strings.TrimSpace(parts[i]))
		if err != nil || n > limit || i == 0 && n != limit {
			return unsupportedVersion(text)
		}
	}
	return nil
}

func unsupportedVersion(text string) error {
	return fmt.Errorf("%w: envelope version %.256q, want 2.0", ErrMalformed, text)
}

func object(what string, text []byte) (pyjson.Object, error) {
	members, err := pyjson.NewObject(text)
	if err != nil {
		return pyjson.Object{}, malformed(what, err)
	}
	return members, nil
}

func malformed(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
}

// eachMember calls f for every member of an object, with the key unquoted, and checks its end.
func eachMember(members pyjson.Object, f func(key, value []byte)) error {
	for {
		key, value, more, err := members.Next()
		if err != nil {
			return malformed(envelopeMessage, err)
		}
		if !more {
			if err := members.End(); err != nil {
				return malformed(envelopeMessage, err)
			}
			return nil
		}
		f(pyjson.Unquote(key), value)
	}
}

// Value is one JSON value as it stands in a message; nil tells that its key is absent.
type Value []byte

// Null reports whether the value is absent or null.
func (v Value) Null() bool { return v == nil || string(v) == "null" }

// Text returns the text of a JSON string.
func (v Value) Text() (string, bool) { return pyjson.Text(v) }

// Truthy is Python's truth of the value: everything but null, false, zero and what is empty.
func (v Value) Truthy() bool {
	switch {
	case v.Null(), string(v) == "false", string(v) == `""`:
		return false
	case v[0] == '{' || v[0] == '[':
		return len(bytes.TrimSpace(v[1:len(v)-1])) > 0
	case v[0] == '-' || v[0] >= '0' && v[0] <= '9':
		f, err := strconv.ParseFloat(string(v), 64)
		return err != nil || f != 0
	}
	return true
}

// UniqueID reads the _unique_id of any message, request or reply; empty where there is none. It takes body
// over as the decoders do.
func UniqueID(contentType string, body []byte) string {
	if contentType == ContentTypeMsgpack {
		r, err := decodeMsgpackRequest(body) // whose members a reply may lack
		if err != nil {
			return ""
		}
		return r.UniqueID
	}
	members, err := open(body)
	if err != nil {
		return ""
	}
	var id string
	_ = eachMember(members, func(key, value []byte) { // what came before an error is as good
		if string(key) == "_unique_id" {
			id, _ = pyjson.Text(value)
		}
	})
	return id
}
