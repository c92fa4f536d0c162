package serializer

import (
	"bytes"
	"encoding"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"slices"
	"time"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/internal/pyjson"
)

// unpackFunc reads the next value of u into v, which can be set. It is not called for nil, unless the type
// asks for it.
type unpackFunc func(u *unpacker, v reflect.Value) error

type unpackerPlan = plan[unpackFunc]

var unpackers plans[unpackFunc]

func unpackerOf(t reflect.Type) *unpackerPlan { return unpackers.of(t, newUnpacker) }

var (
	customDecoderType      = reflect.TypeFor[vmihailenco.CustomDecoder]()
	msgpackUnmarshalerType = reflect.TypeFor[vmihailenco.Unmarshaler]()
)

// newUnpacker chooses how values of a type are read, in the order of [newPacker].
func newUnpacker(t reflect.Type) unpackFunc {
	if unpack := newNilUnpacker(t); unpack != nil {
		return unpack
	}
	unpack := newValueUnpacker(t)
	return func(u *unpacker, v reflect.Value) error {
		if u.null() {
			v.SetZero()
			return nil
		}
		return unpack(u, v)
	}
}

// newNilUnpacker returns what reads types that see nil themselves, nil for all others.
func newNilUnpacker(t reflect.Type) unpackFunc {
	p := reflect.PointerTo(t)
	switch {
	case t == rawMessageType:
		return unpackRawMessage
	case t.Kind() == reflect.Pointer || t == timeType || t == bigIntType:
		return nil
	case p.Implements(customDecoderType):
		return unpackCustom
	case p.Implements(msgpackUnmarshalerType):
		return unpackUnmarshaler
	case p.Implements(unmarshalerType):
		return unpackJSONUnmarshaler
	}
	return nil
}

func newValueUnpacker(t reflect.Type) unpackFunc {
	switch t {
	case timeType:
		return unpackTime
	case bigIntType:
		return unpackBigInt
	case numberType:
		return unpackNumber
	case countType:
		return newCountUnpacker(t)
	case extensionType:
		return unpackExtension
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return newPointerUnpacker(t)
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		return unpackInterface
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		return unpackTextUnmarshaler
	}
	return newKindUnpacker(t)
}

func newKindUnpacker(t reflect.Type) unpackFunc {
	switch t.Kind() {
	case reflect.Bool:
		return unpackBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return unpackInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return unpackUint
	case reflect.Float32, reflect.Float64:
		return unpackFloat
	case reflect.String:
		return unpackString
	case reflect.Slice:
		if isBytes(t) {
			return newBytesUnpacker(t)
		}
		return newSliceUnpacker(t)
	case reflect.Array:
		if isBytes(t) {
			return newByteArrayUnpacker(t)
		}
		return newArrayUnpacker(t)
	case reflect.Map:
		return newMapUnpacker(t)
	case reflect.Struct:
		return newStructUnpacker(t)
	default:
		return func(*unpacker, reflect.Value) error { return cannotDecode(t) }
	}
}

func unpackBool(u *unpacker, v reflect.Value) error {
	if u.Peek() != msgpack.Bool {
		return u.mismatch(aBoolean)
	}
	b, err := wrapped(u.Bool())
	if err == nil {
		v.SetBool(b)
	}
	return err
}

// integer reads a number that is no float.
func (u *unpacker) integer() (msgpack.Int, error) {
	switch u.Peek() {
	case msgpack.Integer:
		return wrapped(u.Int())
	case msgpack.Float:
		f, err := wrapped(u.Float())
		if err == nil {
			err = mismatch(anInteger, string(pyjson.AppendFloat(nil, f, 64)))
		}
		return msgpack.Int{}, err
	default:
		return msgpack.Int{}, u.mismatch(anInteger)
	}
}

func unpackInt(u *unpacker, v reflect.Value) error {
	number, err := u.integer()
	if err != nil {
		return err
	}
	n, ok := number.Int64()
	if !ok || v.OverflowInt(n) {
		return doesNotFit(number.Append(nil), v.Type())
	}
	v.SetInt(n)
	return nil
}

func unpackUint(u *unpacker, v reflect.Value) error {
	number, err := u.integer()
	if err != nil {
		return err
	}
	n, ok := number.Uint64()
	if !ok || v.OverflowUint(n) {
		return doesNotFit(number.Append(nil), v.Type())
	}
	v.SetUint(n)
	return nil
}

func unpackFloat(u *unpacker, v reflect.Value) error {
	switch u.Peek() {
	case msgpack.Integer:
		n, err := wrapped(u.Int())
		v.SetFloat(n.Float64())
		return err
	case msgpack.Float:
	default:
		return u.mismatch(aNumber)
	}
	f, err := wrapped(u.Float())
	switch {
	case err != nil:
		return err
	case v.OverflowFloat(f) && !math.IsInf(f, 0):
		return doesNotFit(pyjson.AppendFloat(nil, f, 64), v.Type())
	}
	v.SetFloat(f)
	return nil
}

func unpackString(u *unpacker, v reflect.Value) error {
	text, err := u.text()
	if err != nil {
		return err
	}
	v.SetString(string(text))
	return nil
}

// unpackNumber gives the text that JSON has for a number.
func unpackNumber(u *unpacker, v reflect.Value) error {
	var text []byte
	switch u.Peek() {
	case msgpack.Integer:
		n, err := wrapped(u.Int())
		if err != nil {
			return err
		}
		text = n.Append(nil)
	case msgpack.Float:
		f, err := wrapped(u.Float())
		if err != nil {
			return err
		}
		text = pyjson.AppendFloat(nil, f, 64)
	default:
		return u.mismatch(aNumber)
	}
	v.SetString(string(text))
	return nil
}

func unpackBigInt(u *unpacker, v reflect.Value) error {
	number, err := u.integer()
	if err != nil {
		return err
	}
	var n big.Int
	if small, ok := number.Int64(); ok {
		n.SetInt64(small)
	} else {
		large, _ := number.Uint64()
		n.SetUint64(large)
	}
	v.Set(reflect.ValueOf(n)) // moved: n is not used again
	return nil
}

func unpackTime(u *unpacker, v reflect.Value) error {
	if u.Peek() != msgpack.Extension {
		text, err := u.text()
		if err != nil {
			return err
		}
		return setTime(v, string(text))
	}
	value, err := u.extension()
	if err != nil {
		return err
	}
	switch t := value.(type) {
	case time.Time:
		v.Set(reflect.ValueOf(t))
	case Date:
		v.Set(reflect.ValueOf(t.Time()))
	default:
		return decodeError("want a time, got " + string(anExtension))
	}
	return nil
}

func unpackExtension(u *unpacker, v reflect.Value) error {
	if u.Peek() != msgpack.Extension {
		return u.mismatch(anExtension)
	}
	id, data, err := u.Extension()
	if err != nil {
		return decodeFailure(err)
	}
	v.Set(reflect.ValueOf(Extension{Type: id, Data: slices.Clone(data)}))
	return nil
}

// newCountUnpacker reads the extension, or the map that a Count is in JSON.
func newCountUnpacker(t reflect.Type) unpackFunc {
	object := newStructUnpacker(t)
	return func(u *unpacker, v reflect.Value) error {
		if u.Peek() != msgpack.Extension {
			return object(u, v)
		}
		value, err := u.extension()
		if err != nil {
			return err
		}
		count, ok := value.(Count)
		if !ok {
			return mismatch("a count", string(anExtension))
		}
		v.Set(reflect.ValueOf(count))
		return nil
	}
}

func unpackRawMessage(u *unpacker, v reflect.Value) error {
	text, err := u.json()
	if err != nil {
		return err
	}
	v.SetBytes(text)
	return nil
}

// unpackCustom asks a type that reads itself with a decoder of vmihailenco/msgpack; that one believes what it
// reads, so the value is checked first.
func unpackCustom(u *unpacker, v reflect.Value) error {
	raw, err := u.raw()
	if err != nil {
		return err
	}
	decoder := vmihailenco.NewDecoder(bytes.NewReader(raw))
	decoder.SetCustomStructTag("json")
	target, _ := reflect.TypeAssert[vmihailenco.CustomDecoder](v.Addr())
	if err := target.DecodeMsgpack(decoder); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func unpackUnmarshaler(u *unpacker, v reflect.Value) error {
	raw, err := u.raw()
	if err != nil {
		return err
	}
	target, _ := reflect.TypeAssert[vmihailenco.Unmarshaler](v.Addr())
	if err := target.UnmarshalMsgpack(slices.Clone(raw)); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func unpackJSONUnmarshaler(u *unpacker, v reflect.Value) error {
	text, err := u.json()
	if err != nil {
		return err
	}
	target, _ := reflect.TypeAssert[json.Unmarshaler](v.Addr())
	if err := target.UnmarshalJSON(text); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func unpackTextUnmarshaler(u *unpacker, v reflect.Value) error {
	text, err := u.text()
	if err != nil {
		return err
	}
	target, _ := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	if err := target.UnmarshalText(slices.Clone(text)); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func unpackInterface(u *unpacker, v reflect.Value) error {
	value, err := u.any()
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(value)) // never nil: that does not come here
	return nil
}

func newPointerUnpacker(t reflect.Type) unpackFunc {
	if pointsToItself(t) {
		return func(*unpacker, reflect.Value) error { return cannotDecode(t) }
	}
	target := unpackerOf(t.Elem())
	return func(u *unpacker, v reflect.Value) error {
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		return target.fn()(u, v.Elem())
	}
}
