package serializer

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
