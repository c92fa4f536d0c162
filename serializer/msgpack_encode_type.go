package serializer

import (
	"bytes"
	"encoding"
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/internal/msgpack"
)

var (
	addrType      = reflect.TypeFor[netip.Addr]()
	uuidType      = reflect.TypeFor[UUID]()
	dateType      = reflect.TypeFor[Date]()
	countType     = reflect.TypeFor[Count]()
	extensionType = reflect.TypeFor[Extension]()
	setType       = reflect.TypeFor[interface{ setID() int8 }]()
	packedType    = reflect.TypeFor[vmihailenco.RawMessage]()

	customEncoderType    = reflect.TypeFor[vmihailenco.CustomEncoder]()
	msgpackMarshalerType = reflect.TypeFor[vmihailenco.Marshaler]()
)

// newPacker chooses how values of a type are written, in the order of [newEncoder].
func newPacker(t reflect.Type) appendFunc {
	switch t {
	case timeType:
		return packTime
	case bigIntType:
		return packBigInt
	case numberType:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) { return packNumberText(dst, v.String()) }
	case rawMessageType:
		return func(dst []byte, v reflect.Value, at level) ([]byte, error) { return packJSON(dst, v.Bytes(), at) }
	case packedType:
		return packPacked
	case addrType:
		return packAddr
	case uuidType:
		return packUUID
	case dateType:
		return packDate
	case countType:
		return packCount
	case extensionType:
		return packExtension
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return newPointerPacker(t)
	case t.Kind() == reflect.Interface:
		return packInterface
	case t.Kind() == reflect.Slice && t.Implements(setType):
		return newSetPacker(t)
	case hasMethodsOf(t, customEncoderType):
		return packCustom
	case hasMethodsOf(t, msgpackMarshalerType):
		return packMarshaler
	case hasMethodsOf(t, marshalerType):
		return packJSONMarshaler
	case hasMethodsOf(t, textMarshalerType):
		return packTextMarshaler
	case hasMethodsOf(t, errorType):
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendString(dst, as[error](v).Error()), nil
		}
	}
	return newKindPacker(t)
}

func newKindPacker(t reflect.Type) appendFunc {
	switch t.Kind() {
	case reflect.Bool:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendBool(dst, v.Bool()), nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendInt(dst, v.Int()), nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendUint(dst, v.Uint()), nil
		}
	case reflect.Float32:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendFloat32(dst, float32(v.Float())), nil
		}
	case reflect.Float64:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendFloat(dst, v.Float()), nil
		}
	case reflect.String:
		return func(dst []byte, v reflect.Value, _ level) ([]byte, error) {
			return msgpack.AppendString(dst, v.String()), nil
		}
	case reflect.Slice, reflect.Array:
		if isBytes(t) {
			return packBytes
		}
		return newListPacker(t)
	case reflect.Map:
		return newMapPacker(t)
	case reflect.Struct:
		return newStructPacker(t)
	default:
		return func(dst []byte, _ reflect.Value, _ level) ([]byte, error) { return dst, cannotEncode(t) }
	}
}

func packBytes(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	if !v.CanAddr() && v.Kind() == reflect.Array {
		v = pointerTo(v).Elem()
	}
	return msgpack.AppendBytes(dst, v.Bytes()), nil
}

func packBigInt(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	switch n := as[*big.Int](v); {
	case n.IsInt64():
		return msgpack.AppendInt(dst, n.Int64()), nil
	case n.IsUint64():
		return msgpack.AppendUint(dst, n.Uint64()), nil
	}
	return dst, encodeFailure(msgpack.ErrRange)
}

func packPacked(dst []byte, v reflect.Value, at level) ([]byte, error) {
	if v.IsNil() {
		return msgpack.AppendNil(dst), nil
	}
	return packRaw(dst, v.Bytes(), at)
}

// packCustom asks a type that writes itself with an encoder of vmihailenco/msgpack.
func packCustom(dst []byte, v reflect.Value, at level) ([]byte, error) {
	var raw bytes.Buffer
	encoder := vmihailenco.NewEncoder(&raw)
	encoder.SetCustomStructTag("json")
	if err := as[vmihailenco.CustomEncoder](v).EncodeMsgpack(encoder); err != nil {
		return dst, encodeFailure(err)
	}
	return packRaw(dst, raw.Bytes(), at)
}

func packMarshaler(dst []byte, v reflect.Value, at level) ([]byte, error) {
	raw, err := as[vmihailenco.Marshaler](v).MarshalMsgpack()
	if err != nil {
		return dst, encodeFailure(err)
	}
	return packRaw(dst, raw, at)
}

func packJSONMarshaler(dst []byte, v reflect.Value, at level) ([]byte, error) {
	text, err := as[json.Marshaler](v).MarshalJSON()
	if err != nil {
		return dst, encodeFailure(err)
	}
	return packJSON(dst, text, at)
}

func packTextMarshaler(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	text, err := as[encoding.TextMarshaler](v).MarshalText()
	if err != nil {
		return dst, encodeFailure(err)
	}
	return msgpack.AppendString(dst, text), nil
}

func newPointerPacker(t reflect.Type) appendFunc {
	target := packerOf(t.Elem())
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		if v.IsNil() {
			return msgpack.AppendNil(dst), nil
		}
		at, err := at.follow()
		if err != nil {
			return dst, err
		}
		return target.fn()(dst, v.Elem(), at)
	}
}

func packInterface(dst []byte, v reflect.Value, at level) ([]byte, error) {
	if v.IsNil() {
		return msgpack.AppendNil(dst), nil
	}
	at, err := at.follow()
	if err != nil {
		return dst, err
	}
	return packAny(dst, v.Interface(), at)
}
