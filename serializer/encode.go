package serializer

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"github.com/goslo/goslo/internal/pyjson"
)

// appendFunc appends the JSON form of v, which lies at a level of the whole value. After an error what it
// has appended is void.
type appendFunc func(dst []byte, v reflect.Value, at level) ([]byte, error)

type encoderPlan = plan[appendFunc]

var encoders plans[appendFunc]

func encoderOf(t reflect.Type) *encoderPlan { return encoders.of(t, newEncoder) }

// level is how deep a value lies.
type level struct {
	depth uint8 // arrays and objects around it
	hops  uint8 // pointers and interfaces since the innermost of them
}

// enter is the level within an array or object.
func (l level) enter() (level, error) {
	if l.depth == pyjson.MaxDepth {
		return l, encodeError("nested deeper than 100, or contains itself")
	}
	return level{depth: l.depth + 1}, nil
}

// follow is the level behind a pointer or interface: a pointer may lead to itself.
func (l level) follow() (level, error) {
	if l.hops == pyjson.MaxDepth {
		return l, encodeError("points to itself")
	}
	return level{depth: l.depth, hops: l.hops + 1}, nil
}

// left is how deep text that comes ready-made may nest.
func (l level) left() int { return pyjson.MaxDepth - int(l.depth) }

// appendAny appends a value by its type. The types that decoding into an interface gives, and
// those most usual beside them, need no reflection.
func appendAny(dst []byte, v any, at level) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return pyjson.AppendString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		return pyjson.AppendFloat(dst, v, 64), nil
	case json.Number:
		return appendNumber(dst, string(v))
	case json.RawMessage:
		return appendRaw(dst, v, at)
	case []any:
		return appendSlice(dst, v, at)
	case []string:
		return appendStrings(dst, v, at)
	case map[string]any:
		return appendMap(dst, v, at, appendAny)
	case map[string]string:
		return appendMap(dst, v, at, func(dst []byte, s string, _ level) ([]byte, error) {
			return pyjson.AppendString(dst, s), nil
		})
	default:
		return encoderOf(reflect.TypeOf(v)).fn()(dst, reflect.ValueOf(v), at)
	}
}

func appendSlice(dst []byte, list []any, at level) ([]byte, error) {
	at, err := at.enter()
	if err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if dst, err = appendAny(dst, v, at); err != nil {
			return dst, inElement(err, i)
		}
	}
	return append(dst, ']'), nil
}

func appendStrings(dst []byte, list []string, at level) ([]byte, error) {
	if _, err := at.enter(); err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = pyjson.AppendString(dst, s)
	}
	return append(dst, ']'), nil
}

// appendMap writes the keys in order, so that equal maps give equal bytes.
func appendMap[V any](dst []byte, m map[string]V, at level, value func([]byte, V, level) ([]byte, error)) ([]byte, error) {
	at, err := at.enter()
	if err != nil {
		return dst, err
	}
	var few [16]string
	keys := few[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(pyjson.AppendString(dst, key), ": "...)
		if dst, err = value(dst, m[key], at); err != nil {
			return dst, inField(err, key)
		}
	}
	return append(dst, '}'), nil
}

// appendNumber writes the text of a number as it is.
func appendNumber(dst []byte, text string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, text...)
	if !isNumber(dst[start:]) {
		return dst, encodeError("a json.Number must be a number, not " + strconv.QuoteToASCII(clip(text)))
	}
	return dst, nil
}

func isNumber(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	s := pyjson.NewScanner(text, 0)
	number, err := s.Value()
	return err == nil && len(number) == len(text) && kindOf(text[0]) == aNumber
}

// appendRaw writes text that is JSON already, as it is.
func appendRaw(dst, text []byte, at level) ([]byte, error) {
	if text == nil {
		return append(dst, "null"...), nil
	}
	if err := pyjson.ValidWithin(text, at.left()); err != nil {
		return dst, encodeFailure(err)
	}
	return append(dst, text...), nil
}
