package serializer

import "github.com/goslo/goslo/internal/pyjson"

// Serializer turns Go values into bytes and back. Both methods are safe for concurrent use.
type Serializer interface {
	// ContentType is the MIME type of what Append writes, as a message carries it.
	ContentType() string

	// Append appends the encoded form of v to dst. Where it fails it returns dst as it was and an error that
	// matches [ErrEncode] and begins with the path to the value that cannot be encoded.
	Append(dst []byte, v any) ([]byte, error)

	// Decode reads data, which must hold one value, into what the pointer v points to. It keeps no part of
	// data. Its error matches [ErrDecode] and begins with the path to the value that does not fit; v may be
	// filled in part then.
	Decode(data []byte, v any) error

	// EachMember calls f for every member of object, which must hold one encoded object: with its name and its
	// encoded value, which is part of object. It stops at the first error of f and returns it; an object that
	// cannot be read is an error that matches [ErrDecode].
	EachMember(object []byte, f func(name, value []byte) error) error
}

// ContextSerializer is implemented by a Serializer that shapes the request context too, beyond encoding its
// values: one that adds or takes away keys, or gives values another form. Both methods are safe for concurrent use
// and do not change the map that they are given.
type ContextSerializer interface {
	// SerializeContext returns what is sent for a request context.
	SerializeContext(rc map[string]any) map[string]any
	// DeserializeContext returns what endpoint methods see of a received one.
	DeserializeContext(rc map[string]any) map[string]any
}

// JSON is the default: JSON as Python writes and reads it. The package comment tells how values map.
var JSON Serializer = jsonSerializer{}

type jsonSerializer struct{}

func (jsonSerializer) ContentType() string { return "application/json" }

func (jsonSerializer) Append(dst []byte, v any) ([]byte, error) {
	out, err := appendAny(dst, v, level{})
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (jsonSerializer) Decode(data []byte, v any) error {
	return decode(data, v)
}

func (jsonSerializer) EachMember(object []byte, f func(name, value []byte) error) error {
	members, err := pyjson.NewObject(object)
	if err != nil {
		return decodeFailure(err)
	}
	for {
		key, value, more, err := members.Next()
		if err == nil && !more {
			err = members.End()
		}
		if err != nil {
			return decodeFailure(err)
		}
		if !more {
			return nil
		}
		if err := f(pyjson.Unquote(key), value); err != nil {
			return err
		}
	}
}
