package serializer

import (
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/msgpack"
)

// Kinds that JSON does not have.
const (
	someBytes   kind = "binary data"
	anExtension kind = "an extension"
)

// msgpackKinds are the words of an error for what stands in a msgpack value.
var msgpackKinds = [...]kind{
	msgpack.None: noKind, msgpack.Nil: aNull, msgpack.Bool: aBoolean, msgpack.Integer: aNumber, msgpack.Float: aNumber, msgpack.String: aString,
	msgpack.Bytes: someBytes, msgpack.Array: anArray, msgpack.Map: anObject, msgpack.Extension: anExtension,
}

// unpacker reads one msgpack value.
type unpacker struct {
	msgpack.Scanner
	scratch []byte // for keys that are no text
}

func unpack(data []byte, v any) error {
	u := &unpacker{Scanner: msgpack.NewScanner(data, msgpack.MaxDepth)}
	if err := u.decode(v); err != nil {
		return err
	}
	return u.end()
}

// decode reads the next value into what v points to.
func (u *unpacker) decode(v any) (err error) {
	if v, ok := v.(*any); ok && v != nil {
		*v, err = u.any()
		return err
	}
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return decodeError("want a pointer to decode into, got " + describe(target))
	}
	return unpackerOf(target.Type().Elem()).fn()(u, target.Elem())
}

func (u *unpacker) end() error {
	if err := u.End(); err != nil {
		return decodeFailure(err)
	}
	return nil
}

// any reads a value as the type that goes with it.
func (u *unpacker) any() (any, error) {
	switch u.Peek() {
	case msgpack.Bool:
		return wrapped(u.Bool())
	case msgpack.Integer:
		return u.anyInteger()
	case msgpack.Float:
		return wrapped(u.Float())
	case msgpack.String:
		text, err := u.Text()
		return wrapped(string(text), err)
	case msgpack.Bytes:
		data, err := u.Bytes()
		return wrapped(slices.Clone(data), err)
	case msgpack.Array:
		return u.array()
	case msgpack.Map:
		return u.object()
	case msgpack.Extension:
		return u.extension()
	case msgpack.Nil, msgpack.None:
	}
	_, err := u.raw()
	return nil, err
}

// wrapped is the result of a step of the scanner.
func wrapped[T any](v T, err error) (T, error) {
	if err != nil {
		err = decodeFailure(err)
	}
	return v, err
}

// anyInteger is an int64, or a uint64 where it does not fit that.
func (u *unpacker) anyInteger() (any, error) {
	n, err := wrapped(u.Int())
	if err != nil {
		return nil, err
	}
	if small, ok := n.Int64(); ok {
		return small, nil
	}
	large, _ := n.Uint64()
	return large, nil
}

// raw takes the next value as it stands.
func (u *unpacker) raw() ([]byte, error) { return wrapped(u.Value()) }

// mostAhead is how many elements memory is made for before they are read: the rest is made on the way, so
// that a long array of what cannot be decoded costs nothing.
const mostAhead = 1024

func (u *unpacker) array() ([]any, error) {
	n, err := u.enter(msgpack.Array)
	if err != nil {
		return nil, err
	}
	array := make([]any, 0, min(n, mostAhead))
	for i := range n {
		v, err := u.any()
		if err != nil {
			return nil, inElement(err, i)
		}
		array = append(array, v)
	}
	u.Leave()
	return array, nil
}

func (u *unpacker) object() (map[string]any, error) {
	n, err := u.enter(msgpack.Map)
	if err != nil {
		return nil, err
	}
	object := make(map[string]any, min(n, mostAhead))
	for range n {
		key, err := u.key()
		if err != nil {
			return nil, err
		}
		name := string(key)
		if object[name], err = u.any(); err != nil {
			return nil, inField(err, name)
		}
	}
	u.Leave()
	return object, nil
}

// enter steps into an array or a map.
func (u *unpacker) enter(want msgpack.Kind) (int, error) {
	if u.Peek() != want {
		return 0, u.mismatch(msgpackKinds[want])
	}
	return wrapped(u.Enter(want))
}

// enterList steps into an array, or into the array of a set, which is read by an unpacker of its own.
func (u *unpacker) enterList() (inner *unpacker, n int, err error) {
	if u.Peek() != msgpack.Extension {
		n, err = u.enter(msgpack.Array)
		return u, n, err
	}
	id, data, err := u.Extension()
	if err != nil {
		return nil, 0, decodeFailure(err)
	}
	if id != extSet && id != extFrozenSet {
		return nil, 0, mismatch(anArray, string(anExtension))
	}
	inner = u.inside(data)
	n, err = inner.enter(msgpack.Array)
	return inner, n, err
}

func (u *unpacker) leaveList(inner *unpacker) error {
	inner.Leave()
	if inner == u {
		return nil
	}
	return inner.end()
}

// key reads the next key of a map as text: what is no string becomes the text that JSON has for it, as
// Python's json module does. The result is good until the next key is read.
func (u *unpacker) key() ([]byte, error) {
	switch u.Peek() {
	case msgpack.String, msgpack.Bytes:
		return u.text()
	case msgpack.Integer:
		n, err := wrapped(u.Int())
		u.scratch = n.Append(u.scratch[:0])
		return u.scratch, err
	case msgpack.Bool:
		b, err := wrapped(u.Bool())
		u.scratch = strconv.AppendBool(u.scratch[:0], b)
		return u.scratch, err
	default:
		return nil, u.mismatch("a key that is a string")
	}
}

// text reads a string, or what stands for one in JSON: bytes that are text, and extensions.
func (u *unpacker) text() ([]byte, error) {
	switch u.Peek() {
	case msgpack.String:
		return wrapped(u.Text())
	case msgpack.Bytes:
		data, err := wrapped(u.Bytes())
		if err == nil && !utf8.Valid(data) {
			err = decodeError("bytes must be UTF-8 text")
		}
		return data, err
	case msgpack.Extension:
		v, err := u.extension()
		if err != nil {
			return nil, err
		}
		if text, ok := textOf(v); ok {
			return text, nil
		}
		return nil, mismatch(aString, string(anExtension))
	default:
		return nil, u.mismatch(aString)
	}
}

// mismatch tells that the next value is not of the kind that is wanted; or that there is no value.
func (u *unpacker) mismatch(want kind) error {
	got := msgpackKinds[u.Peek()]
	if got == noKind {
		_, err := u.raw()
		return err
	}
	return mismatch(want, string(got))
}

// null takes the next value if it is nil.
func (u *unpacker) null() bool {
	if u.Peek() != msgpack.Nil {
		return false
	}
	_, err := u.Value()
	return err == nil
}

// json takes the next value and returns the JSON text that stands for it.
func (u *unpacker) json() ([]byte, error) {
	v, err := u.any()
	if err != nil {
		return nil, err
	}
	text, err := JSON.Append(nil, v)
	if err != nil {
		return nil, decodeError(err.Error()) // not wrapped: it matches ErrEncode
	}
	return text, nil
}
