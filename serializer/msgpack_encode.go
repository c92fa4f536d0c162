package serializer

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/internal/pyjson"
)

var packers plans[appendFunc]

// packerOf is to msgpack what [encoderOf] is to JSON.
func packerOf(t reflect.Type) *encoderPlan { return packers.of(t, newPacker) }

// packAny appends a value by its type. The types that decoding into an interface gives, and those most usual
// beside them, need no reflection.
func packAny(dst []byte, v any, at level) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return msgpack.AppendNil(dst), nil
	case string:
		return msgpack.AppendString(dst, v), nil
	case bool:
		return msgpack.AppendBool(dst, v), nil
	case int:
		return msgpack.AppendInt(dst, int64(v)), nil
	case int64:
		return msgpack.AppendInt(dst, v), nil
	case uint64:
		return msgpack.AppendUint(dst, v), nil
	case float64:
		return msgpack.AppendFloat(dst, v), nil
	case []byte:
		return msgpack.AppendBytes(dst, v), nil
	case json.Number:
		return packNumberText(dst, string(v))
	case []any:
		return packSlice(dst, v, at, packAny)
	case []string:
		return packSlice(dst, v, at, packText)
	case map[string]any:
		return packMap(dst, v, at, packAny)
	case map[string]string:
		return packMap(dst, v, at, packText)
	default:
		return packerOf(reflect.TypeOf(v)).fn()(dst, reflect.ValueOf(v), at)
	}
}

func packText(dst []byte, s string, _ level) ([]byte, error) {
	return msgpack.AppendString(dst, s), nil
}

func packSlice[V any](dst []byte, list []V, at level, value func([]byte, V, level) ([]byte, error)) ([]byte, error) {
	at, err := at.enter()
	if err != nil {
		return dst, err
	}
	dst = msgpack.AppendArrayLen(dst, len(list))
	for i, v := range list {
		if dst, err = value(dst, v, at); err != nil {
			return dst, inElement(err, i)
		}
	}
	return dst, nil
}

// packMap writes the keys in order, so that equal maps give equal bytes.
func packMap[V any](dst []byte, m map[string]V, at level, value func([]byte, V, level) ([]byte, error)) ([]byte, error) {
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
	dst = msgpack.AppendMapLen(dst, len(keys))
	for _, key := range keys {
		if dst, err = value(msgpack.AppendString(dst, key), m[key], at); err != nil {
			return dst, inField(err, key)
		}
	}
	return dst, nil
}

// packNumberText writes the number that a text is in JSON.
func packNumberText(dst []byte, text string) ([]byte, error) {
	if !isNumber([]byte(text)) {
		return appendNumber(dst, text) // which tells what is wrong
	}
	out, err := msgpack.AppendNumber(dst, text)
	if err != nil {
		return dst, encodeFailure(err)
	}
	return out, nil
}

// packJSON writes what a JSON text means.
func packJSON(dst, text []byte, at level) ([]byte, error) {
	if text == nil {
		return msgpack.AppendNil(dst), nil
	}
	if err := pyjson.ValidWithin(text, at.left()); err != nil {
		return dst, encodeFailure(err)
	}
	out, err := msgpack.AppendFromJSON(dst, text, at.left())
	if err != nil {
		return dst, encodeFailure(err)
	}
	return out, nil
}

// packRaw writes a value that comes ready-made.
func packRaw(dst, raw []byte, at level) ([]byte, error) {
	if err := msgpack.Valid(raw, at.left()); err != nil {
		return dst, encodeFailure(err)
	}
	return append(dst, raw...), nil
}

func newListPacker(t reflect.Type) appendFunc {
	element := packerOf(t.Elem())
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		at, err := at.enter()
		if err != nil {
			return dst, err
		}
		pack := element.fn()
		dst = msgpack.AppendArrayLen(dst, v.Len())
		for i := range v.Len() {
			if dst, err = pack(dst, v.Index(i), at); err != nil {
				return dst, inElement(err, i)
			}
		}
		return dst, nil
	}
}

func newMapPacker(t reflect.Type) appendFunc {
	switch t {
	case reflect.TypeFor[map[string]string](), reflect.TypeFor[map[string]any]():
		return func(dst []byte, v reflect.Value, at level) ([]byte, error) { return packAny(dst, v.Interface(), at) }
	}
	keyText := newKeyEncoder(t.Key())
	value := packerOf(t.Elem())
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
		pack := value.fn()
		dst = msgpack.AppendMapLen(dst, len(members))
		for _, m := range members {
			if dst, err = pack(msgpack.AppendString(dst, m.key), m.value, at); err != nil {
				return dst, inField(err, m.key)
			}
		}
		return dst, nil
	}
}

// fieldPacker writes one field of a struct.
type fieldPacker struct {
	field
	key   []byte
	value *encoderPlan
	text  *encoderPlan // its JSON form, for the option string
	zero  func(reflect.Value) bool
}

func newStructPacker(t reflect.Type) appendFunc {
	fields := fieldPackers(t)
	always := !slices.ContainsFunc(fields, func(f fieldPacker) bool { return f.omitEmpty || f.omitZero || len(f.index) > 1 })
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		at, err := at.enter()
		if err != nil {
			return dst, err
		}
		if always {
			dst = msgpack.AppendMapLen(dst, len(fields))
		}
		start, n := len(dst), 0
		for i := range fields {
			f := &fields[i]
			value, ok := f.find(v)
			if !ok || f.omitEmpty && isEmpty(value) || f.omitZero && f.zero(value) {
				continue
			}
			n++
			if dst, err = f.append(append(dst, f.key...), value, at); err != nil {
				return dst, inField(err, f.name)
			}
		}
		if always {
			return dst, nil
		}
		return msgpack.InsertMapLen(dst, start, n), nil
	}
}

func fieldPackers(t reflect.Type) []fieldPacker {
	fields := fieldsOf(t)
	packers := make([]fieldPacker, len(fields))
	for i, f := range fields {
		packers[i] = fieldPacker{field: f, key: msgpack.AppendString(nil, f.name), value: packerOf(f.typ), text: encoderOf(f.typ), zero: zeroTest(f.typ)}
	}
	return packers
}

// append writes the value, as a string that holds its JSON form where the field asks for it.
func (f *fieldPacker) append(dst []byte, v reflect.Value, at level) ([]byte, error) {
	if !f.quoted || v.Kind() == reflect.Pointer && v.IsNil() {
		return f.value.fn()(dst, v, at)
	}
	text, err := f.text.fn()(nil, v, at)
	if err != nil {
		return dst, err
	}
	return msgpack.AppendString(dst, text), nil
}
