package serializer

import (
	"encoding"
	"encoding/json"
	"math/big"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/pyjson"
)

var (
	timeType       = reflect.TypeFor[time.Time]()
	bigIntType     = reflect.TypeFor[big.Int]()
	numberType     = reflect.TypeFor[json.Number]()
	rawMessageType = reflect.TypeFor[json.RawMessage]()

	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	errorType         = reflect.TypeFor[error]()
)

// newEncoder chooses how values of a type are written: what the package knows, then what the type says of
// itself, then its kind.
func newEncoder(t reflect.Type) appendFunc {
	switch t {
	case timeType:
		return encodeTime
	case bigIntType:
		return encodeBigInt
	case numberType:
		return encodeNumber
	case rawMessageType:
		return encodeRawMessage
	case objectType:
		return encodeObject
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return newPointerEncoder(t)
	case t.Kind() == reflect.Interface:
		return encodeInterface
	case hasMethodsOf(t, marshalerType):
		return encodeMarshaler
	case hasMethodsOf(t, textMarshalerType):
		return encodeTextMarshaler
	case hasMethodsOf(t, errorType):
		return encodeErrorText
	}
	return newKindEncoder(t)
}

// hasMethodsOf tells whether a type, or the pointer to it, implements an interface.
func hasMethodsOf(t, iface reflect.Type) bool {
	return t.Implements(iface) || reflect.PointerTo(t).Implements(iface)
}

func newKindEncoder(t reflect.Type) appendFunc {
	switch t.Kind() {
	case reflect.Bool:
		return encodeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return encodeInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return encodeUint
	case reflect.Float32, reflect.Float64:
		return encodeFloat
	case reflect.String:
		return encodeString
	case reflect.Slice, reflect.Array:
		if isBytes(t) {
			return encodeBytes
		}
		return newListEncoder(t)
	case reflect.Map:
		return newMapEncoder(t)
	case reflect.Struct:
		return newStructEncoder(t)
	default:
		return func(dst []byte, _ reflect.Value, _ level) ([]byte, error) { return dst, cannotEncode(t) }
	}
}

// isBytes tells whether the elements are plain bytes, that is whether together they are text. A [Set] of
// them is none.
func isBytes(t reflect.Type) bool {
	e := t.Elem()
	return !t.Implements(setType) && e.Kind() == reflect.Uint8 && !hasMethodsOf(e, marshalerType) && !hasMethodsOf(e, textMarshalerType)
}

func encodeBool(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return strconv.AppendBool(dst, v.Bool()), nil
}

func encodeInt(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return strconv.AppendInt(dst, v.Int(), 10), nil
}

func encodeUint(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return strconv.AppendUint(dst, v.Uint(), 10), nil
}

func encodeFloat(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return pyjson.AppendFloat(dst, v.Float(), v.Type().Bits()), nil
}

func encodeString(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return pyjson.AppendString(dst, v.String()), nil
}

func encodeBytes(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	if !v.CanAddr() && v.Kind() == reflect.Array {
		v = pointerTo(v).Elem()
	}
	text := v.Bytes()
	if !utf8.Valid(text) {
		return dst, encodeError("bytes must be UTF-8 text")
	}
	return pyjson.AppendString(dst, text), nil
}

func encodeNumber(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return appendNumber(dst, v.String())
}

func encodeRawMessage(dst []byte, v reflect.Value, at level) ([]byte, error) {
	return appendRaw(dst, v.Bytes(), at)
}

// longestInt is how many digits of an int Python reads (sys.set_int_max_str_digits).
const longestInt = 4300

// intLimit is the first integer that is too long.
var intLimit = new(big.Int).Exp(big.NewInt(10), big.NewInt(longestInt), nil)

func encodeBigInt(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	n := as[*big.Int](v)
	if n.CmpAbs(intLimit) >= 0 {
		return dst, encodeError("an integer of more than 4300 digits")
	}
	return n.Append(dst, 10), nil
}

// timeLayout is what oslo.serialization writes for a datetime (to_primitive in jsonutils.py).
const timeLayout = "2006-01-02T15:04:05.000000"

func encodeTime(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	t, _ := reflect.TypeAssert[time.Time](v)
	if year := t.Year(); year < 1 || year > 9999 {
		return dst, encodeError("the year " + strconv.Itoa(year) + " is none that Python knows")
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, timeLayout)
	return append(dst, '"'), nil
}

// as returns the value, or the pointer to it, as I, an interface that one of them implements or its type.
func as[I any](v reflect.Value) I {
	if i, ok := reflect.TypeAssert[I](v); ok {
		return i
	}
	i, _ := reflect.TypeAssert[I](pointerTo(v))
	return i
}

func pointerTo(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v.Addr()
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}

func encodeMarshaler(dst []byte, v reflect.Value, at level) ([]byte, error) {
	text, err := as[json.Marshaler](v).MarshalJSON()
	if err != nil {
		return dst, encodeFailure(err)
	}
	return appendRaw(dst, text, at)
}

func encodeTextMarshaler(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	text, err := as[encoding.TextMarshaler](v).MarshalText()
	if err != nil {
		return dst, encodeFailure(err)
	}
	return pyjson.AppendString(dst, text), nil
}

func encodeErrorText(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	return pyjson.AppendString(dst, as[error](v).Error()), nil
}

func newPointerEncoder(t reflect.Type) appendFunc {
	target := encoderOf(t.Elem())
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		at, err := at.follow()
		if err != nil {
			return dst, err
		}
		return target.fn()(dst, v.Elem(), at)
	}
}

func encodeInterface(dst []byte, v reflect.Value, at level) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	at, err := at.follow()
	if err != nil {
		return dst, err
	}
	return appendAny(dst, v.Interface(), at)
}
