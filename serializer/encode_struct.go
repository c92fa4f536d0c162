package serializer

import (
	"reflect"

	"github.com/goslo/goslo/internal/pyjson"
)

// fieldEncoder writes one field of a struct.
type fieldEncoder struct {
	field
	prefix []byte // its key as it is written, with the colon
	value  *encoderPlan
	zero   func(reflect.Value) bool
}

func newStructEncoder(t reflect.Type) appendFunc {
	fields := fieldEncoders(t)
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		at, err := at.enter()
		if err != nil {
			return dst, err
		}
		dst = append(dst, '{')
		first := true
		for i := range fields {
			f := &fields[i]
			value, ok := f.find(v)
			if !ok || f.omitEmpty && isEmpty(value) || f.omitZero && f.zero(value) {
				continue
			}
			if !first {
				dst = append(dst, ", "...)
			}
			first = false
			dst = append(dst, f.prefix...)
			if dst, err = f.append(dst, value, at); err != nil {
				return dst, inField(err, f.name)
			}
		}
		return append(dst, '}'), nil
	}
}

func fieldEncoders(t reflect.Type) []fieldEncoder {
	fields := fieldsOf(t)
	encoders := make([]fieldEncoder, len(fields))
	for i, f := range fields {
		prefix := append(pyjson.AppendString(nil, f.name), ": "...)
		encoders[i] = fieldEncoder{field: f, prefix: prefix, value: encoderOf(f.typ), zero: zeroTest(f.typ)}
	}
	return encoders
}

// find walks to the field; ok is false where an embedded pointer on the way is nil.
func (f *field) find(v reflect.Value) (value reflect.Value, ok bool) {
	v = v.Field(f.index[0])
	for _, i := range f.index[1:] {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// append writes the value, as a string that holds its JSON form where the field asks for it.
func (f *fieldEncoder) append(dst []byte, v reflect.Value, at level) ([]byte, error) {
	if !f.quoted || v.Kind() == reflect.Pointer && v.IsNil() {
		return f.value.fn()(dst, v, at)
	}
	text, err := f.value.fn()(nil, v, at)
	if err != nil {
		return dst, err
	}
	return pyjson.AppendString(dst, text), nil
}

// isEmpty is what omitempty asks.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

type zeroer interface{ IsZero() bool }

// zeroTest is what omitzero asks of a type: its IsZero, if it has one.
func zeroTest(t reflect.Type) func(reflect.Value) bool {
	if !hasMethodsOf(t, reflect.TypeFor[zeroer]()) {
		return reflect.Value.IsZero
	}
	return func(v reflect.Value) bool {
		if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
			return true
		}
		return as[zeroer](v).IsZero()
	}
}
