package serializer

import (
	"encoding"
	"encoding/json"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
)

// decodeFunc reads the next value of d into v, which can be set. It is not called for null, unless the type
// asks for it.
type decodeFunc func(d *decoder, v reflect.Value) error

type decoderPlan = plan[decodeFunc]

var decoders plans[decodeFunc]

func decoderOf(t reflect.Type) *decoderPlan { return decoders.of(t, newDecoder) }

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// newDecoder chooses how values of a type are read, in the order of [newEncoder].
func newDecoder(t reflect.Type) decodeFunc {
	switch {
	case t == rawMessageType:
		return decodeRawMessage
	case t.Kind() != reflect.Pointer && t != timeType && t != bigIntType && t != objectType && reflect.PointerTo(t).Implements(unmarshalerType):
		return decodeUnmarshaler
	}
	decode := newValueDecoder(t)
	return func(d *decoder, v reflect.Value) error {
		null, err := d.null()
		switch {
		case err != nil:
			return err
		case null:
			v.SetZero()
			return nil
		}
		return decode(d, v)
	}
}

func newValueDecoder(t reflect.Type) decodeFunc {
	switch t {
	case timeType:
		return decodeTime
	case bigIntType:
		return decodeBigInt
	case numberType:
		return decodeNumber
	case objectType:
		return decodeObject
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return newPointerDecoder(t)
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		return decodeInterface
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		return decodeTextUnmarshaler
	}
	return newKindDecoder(t)
}

func newKindDecoder(t reflect.Type) decodeFunc {
	switch t.Kind() {
	case reflect.Bool:
		return decodeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return decodeInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return decodeUint
	case reflect.Float32, reflect.Float64:
		return decodeFloat
	case reflect.String:
		return decodeString
	case reflect.Slice:
		if isBytes(t) {
			return newBytesDecoder(t)
		}
		return newSliceDecoder(t)
	case reflect.Array:
		if isBytes(t) {
			return newByteArrayDecoder(t)
		}
		return newArrayDecoder(t)
	case reflect.Map:
		return newMapDecoder(t)
	case reflect.Struct:
		return newStructDecoder(t)
	default:
		return func(*decoder, reflect.Value) error { return cannotDecode(t) }
	}
}

func decodeBool(d *decoder, v reflect.Value) error {
	if kindOf(d.Peek()) != aBoolean {
		return d.mismatch(aBoolean)
	}
	word, err := d.word()
	if err != nil {
		return err
	}
	v.SetBool(word[0] == 't')
	return nil
}

// number reads a number.
func (d *decoder) number(want kind) ([]byte, error) {
	if kindOf(d.Peek()) != aNumber {
		return nil, d.mismatch(want)
	}
	return d.word()
}

// integer reads a number that has neither fraction nor exponent.
func (d *decoder) integer() ([]byte, error) {
	number, err := d.number(anInteger)
	if err != nil {
		return nil, err
	}
	for _, c := range number {
		if c != '-' && (c < '0' || c > '9') {
			return nil, mismatch(anInteger, clip(number))
		}
	}
	return number, nil
}

func decodeInt(d *decoder, v reflect.Value) error {
	number, err := d.integer()
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || v.OverflowInt(n) {
		return doesNotFit(number, v.Type())
	}
	v.SetInt(n)
	return nil
}

func decodeUint(d *decoder, v reflect.Value) error {
	number, err := d.integer()
	if err != nil {
		return err
	}
	if string(number) == "-0" {
		number = number[1:]
	}
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || v.OverflowUint(n) {
		return doesNotFit(number, v.Type())
	}
	v.SetUint(n)
	return nil
}

func decodeFloat(d *decoder, v reflect.Value) error {
	number, err := d.number(aNumber)
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(string(number), v.Type().Bits()) // it knows Python's words too
	if err != nil {
		return doesNotFit(number, v.Type())
	}
	v.SetFloat(f)
	return nil
}

func decodeString(d *decoder, v reflect.Value) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	v.SetString(text)
	return nil
}

func decodeNumber(d *decoder, v reflect.Value) error {
	number, err := d.number(aNumber)
	if err != nil {
		return err
	}
	v.SetString(string(number))
	return nil
}

func decodeBigInt(d *decoder, v reflect.Value) error {
	number, err := d.integer()
	if err != nil {
		return err
	}
	if len(number) > longestInt+1 || len(number) > longestInt && number[0] != '-' {
		return decodeError("an integer of more than 4300 digits")
	}
	n, _ := new(big.Int).SetString(string(number), 10)
	v.Set(reflect.ValueOf(n).Elem())
	return nil
}

func decodeTime(d *decoder, v reflect.Value) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	return setTime(v, text)
}

func setTime(v reflect.Value, text string) error {
	t, err := parseTime(text)
	if err != nil || t.Year() < 1 { // the others are those that can be written
		return decodeError("want a time, got " + strconv.QuoteToASCII(clip(text)))
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

// parseTime reads what Python writes without an offset as UTC.
func parseTime(text string) (time.Time, error) {
	if len(text) == len(time.DateOnly) {
		return time.Parse(time.DateOnly, text)
	}
	if clock := text[min(len(text), len(time.DateOnly)):]; !strings.ContainsAny(clock, "Zz+-") {
		text += "Z"
	}
	return time.Parse(time.RFC3339Nano, text)
}

func decodeRawMessage(d *decoder, v reflect.Value) error {
	text, err := d.word()
	if err != nil {
		return err
	}
	v.SetBytes(slices.Clone(text))
	return nil
}

func decodeUnmarshaler(d *decoder, v reflect.Value) error {
	text, err := d.word()
	if err != nil {
		return err
	}
	target, _ := reflect.TypeAssert[json.Unmarshaler](v.Addr())
	if err := target.UnmarshalJSON(text); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func decodeTextUnmarshaler(d *decoder, v reflect.Value) error {
	text, err := d.bytes()
	if err != nil {
		return err
	}
	target, _ := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	if err := target.UnmarshalText(text); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func decodeInterface(d *decoder, v reflect.Value) error {
	value, err := d.any()
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(value)) // never nil: null does not come here
	return nil
}

func newPointerDecoder(t reflect.Type) decodeFunc {
	if pointsToItself(t) {
		return func(*decoder, reflect.Value) error { return cannotDecode(t) }
	}
	target := decoderOf(t.Elem())
	return func(d *decoder, v reflect.Value) error {
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		return target.fn()(d, v.Elem())
	}
}

// pointsToItself finds type P *P, which has no value to read.
func pointsToItself(t reflect.Type) bool {
	hops := 0
	for ; t.Kind() == reflect.Pointer && hops <= pyjson.MaxDepth; t = t.Elem() {
		hops++
	}
	return hops > pyjson.MaxDepth
}
