package serializer

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goslo/goslo/internal/pyjson"
)

func newListEncoder(t reflect.Type) appendFunc {
	element := encoderOf(t.Elem())
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		at, err := at.enter()
		if err != nil {
			return dst, err
		}
		encode := element.fn()
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if dst, err = encode(dst, v.Index(i), at); err != nil {
				return dst, inElement(err, i)
			}
		}
		return append(dst, ']'), nil
	}
}

// member is one entry of a map on its way into an object.
type member struct {
	key   string
	value reflect.Value
}

func newMapEncoder(t reflect.Type) appendFunc {
	switch t {
	case reflect.TypeFor[map[string]string](), reflect.TypeFor[map[string]any]():
		return func(dst []byte, v reflect.Value, at level) ([]byte, error) { return appendAny(dst, v.Interface(), at) }
	}
	keyText := newKeyEncoder(t.Key())
	value := encoderOf(t.Elem())
	list := reflect.SliceOf(t.Elem())
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		at, err := at.enter()
		if err != nil {
			return dst, err
		}
		members, err := sortedMembers(v, list, keyText)
		if err != nil {
			return dst, err
		}
		encode := value.fn()
		dst = append(dst, '{')
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(pyjson.AppendString(dst, m.key), ": "...)
			if dst, err = encode(dst, m.value, at); err != nil {
				return dst, inField(err, m.key)
			}
		}
		return append(dst, '}'), nil
	}
}

// sortedMembers copies the values into one slice, a list, which costs less than [reflect.MapIter.Value] for each.
func sortedMembers(v reflect.Value, list reflect.Type, keyText keyFunc) ([]member, error) {
	n := v.Len()
	if n == 0 {
		return nil, nil
	}
	members := make([]member, 0, n)
	values := reflect.MakeSlice(list, n, n)
	key := reflect.New(v.Type().Key()).Elem()
	for iter := v.MapRange(); iter.Next(); {
		key.SetIterKey(iter)
		text, err := keyText(key)
		if err != nil {
			return nil, err
		}
		value := values.Index(len(members))
		value.SetIterValue(iter)
		members = append(members, member{text, value})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	return members, nil
}

// keyFunc returns the text of a map's key: that of JSON's objects are strings.
type keyFunc func(reflect.Value) (string, error)

// newKeyEncoder chooses like encoding/json: the string kind before methods, these before integers.
func newKeyEncoder(t reflect.Type) keyFunc {
	switch {
	case t.Kind() == reflect.String:
		return func(v reflect.Value) (string, error) { return v.String(), nil }
	case hasMethodsOf(t, textMarshalerType):
		return marshalledKey
	case t.Kind() == reflect.Bool:
		return func(v reflect.Value) (string, error) { return strconv.FormatBool(v.Bool()), nil }
	case reflect.Zero(t).CanInt():
		return func(v reflect.Value) (string, error) { return strconv.FormatInt(v.Int(), 10), nil }
	case reflect.Zero(t).CanUint():
		return func(v reflect.Value) (string, error) { return strconv.FormatUint(v.Uint(), 10), nil }
	}
	return func(reflect.Value) (string, error) {
		return "", encodeError("cannot encode keys of type " + t.String())
	}
}

func marshalledKey(v reflect.Value) (string, error) {
	if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return "", nil
	}
	text, err := as[encoding.TextMarshaler](v).MarshalText()
	if err != nil {
		return "", encodeFailure(err)
	}
	return string(text), nil
}
