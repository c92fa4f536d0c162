package serializer

import (
	"encoding"
	"reflect"
	"strconv"
)

func newSliceDecoder(t reflect.Type) decodeFunc {
	element := decoderOf(t.Elem())
	return func(d *decoder, v reflect.Value) error {
		if err := d.enter(anArray); err != nil {
			return err
		}
		decode := element.fn()
		list := reflect.MakeSlice(t, 0, 0)
		v.Set(list)
		for n := 0; ; n++ {
			more, err := d.element(n == 0)
			if err != nil || !more {
				return err
			}
			if n == v.Cap() {
				v.Grow(1)
			}
			v.SetLen(n + 1)
			if err := decode(d, v.Index(n)); err != nil {
				return inElement(err, n)
			}
		}
	}
}

func newArrayDecoder(t reflect.Type) decodeFunc {
	element := decoderOf(t.Elem())
	return func(d *decoder, v reflect.Value) error {
		if err := d.enter(anArray); err != nil {
			return err
		}
		decode := element.fn()
		for n := 0; ; n++ {
			more, err := d.element(n == 0)
			switch {
			case err != nil:
				return err
			case more != (n < t.Len()):
				return wrongLength(t.Len(), n, more, "elements")
			case !more:
				return nil
			}
			if err := decode(d, v.Index(n)); err != nil {
				return inElement(err, n)
			}
		}
	}
}

// newBytesDecoder reads text, or the numbers that Python's bytearray becomes.
func newBytesDecoder(t reflect.Type) decodeFunc {
	numbers := newSliceDecoder(t)
	return func(d *decoder, v reflect.Value) error {
		if kindOf(d.Peek()) == anArray {
			return numbers(d, v)
		}
		text, err := d.text()
		if err != nil {
			return err
		}
		v.SetBytes([]byte(text))
		return nil
	}
}

func newByteArrayDecoder(t reflect.Type) decodeFunc {
	numbers := newArrayDecoder(t)
	return func(d *decoder, v reflect.Value) error {
		if kindOf(d.Peek()) == anArray {
			return numbers(d, v)
		}
		text, err := d.bytes()
		if err != nil {
			return err
		}
		if len(text) != t.Len() {
			return wrongLength(t.Len(), len(text), false, "bytes")
		}
		copy(v.Bytes(), text)
		return nil
	}
}

func newMapDecoder(t reflect.Type) decodeFunc {
	setKey := newKeyDecoder(t.Key())
	element := decoderOf(t.Elem())
	return func(d *decoder, v reflect.Value) error {
		if err := d.enter(anObject); err != nil {
			return err
		}
		decode := element.fn()
		v.Set(reflect.MakeMap(t))
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		for first := true; ; first = false {
			text, more, err := d.key(first)
			if err != nil || !more {
				return err
			}
			name := string(text)
			key.SetZero()
			value.SetZero()
			if err := setKey(key, name); err != nil {
				return inField(err, name)
			}
			if err := decode(d, value); err != nil {
				return inField(err, name)
			}
			v.SetMapIndex(key, value)
		}
	}
}

// newKeyDecoder returns what reads the text of a key, in the order of [newKeyEncoder].
func newKeyDecoder(t reflect.Type) func(v reflect.Value, text string) error {
	switch {
	case t.Kind() == reflect.String:
		return func(v reflect.Value, text string) error { v.SetString(text); return nil }
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		return unmarshalKey
	case t.Kind() == reflect.Bool:
		return parseBoolKey
	case reflect.Zero(t).CanInt():
		return parseIntKey
	case reflect.Zero(t).CanUint():
		return parseUintKey
	}
	return func(reflect.Value, string) error { return decodeError("cannot decode keys of type " + t.String()) }
}

func unmarshalKey(v reflect.Value, text string) error {
	target, _ := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	if err := target.UnmarshalText([]byte(text)); err != nil {
		return decodeFailure(err)
	}
	return nil
}

func parseBoolKey(v reflect.Value, text string) error {
	if text != "true" && text != "false" {
		return wrongKey(v)
	}
	v.SetBool(text == "true")
	return nil
}

func parseIntKey(v reflect.Value, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return wrongKey(v)
	}
	v.SetInt(n)
	return nil
}

func parseUintKey(v reflect.Value, text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v.OverflowUint(n) {
		return wrongKey(v)
	}
	v.SetUint(n)
	return nil
}

func wrongKey(v reflect.Value) error {
	return decodeError("the key is no " + v.Type().String())
}
