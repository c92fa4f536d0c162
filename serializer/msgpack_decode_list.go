package serializer

import (
	"reflect"

	"github.com/goslo/goslo/internal/msgpack"
)

func newSliceUnpacker(t reflect.Type) unpackFunc {
	element := unpackerOf(t.Elem())
	return func(u *unpacker, v reflect.Value) error {
		inner, n, err := u.enterList()
		if err != nil {
			return err
		}
		decode := element.fn()
		v.Set(reflect.MakeSlice(t, 0, min(n, mostAhead)))
		for i := range n {
			if i == v.Cap() {
				v.Grow(1)
			}
			v.SetLen(i + 1)
			if err := decode(inner, v.Index(i)); err != nil {
				return inElement(err, i)
			}
		}
		return u.leaveList(inner)
	}
}

func newArrayUnpacker(t reflect.Type) unpackFunc {
	element := unpackerOf(t.Elem())
	return func(u *unpacker, v reflect.Value) error {
		inner, n, err := u.enterList()
		if err != nil {
			return err
		}
		if n != t.Len() {
			return wrongLength(t.Len(), n, false, "elements")
		}
		decode := element.fn()
		for i := range n {
			if err := decode(inner, v.Index(i)); err != nil {
				return inElement(err, i)
			}
		}
		return u.leaveList(inner)
	}
}

// newBytesUnpacker reads binary data, text, or an array of numbers, as JSON has it.
func newBytesUnpacker(t reflect.Type) unpackFunc {
	numbers := newSliceUnpacker(t)
	return func(u *unpacker, v reflect.Value) error {
		if u.Peek() == msgpack.Array {
			return numbers(u, v)
		}
		data, err := u.bytes()
		if err != nil {
			return err
		}
		v.SetBytes(append(make([]byte, 0, len(data)), data...))
		return nil
	}
}

func newByteArrayUnpacker(t reflect.Type) unpackFunc {
	numbers := newArrayUnpacker(t)
	return func(u *unpacker, v reflect.Value) error {
		if u.Peek() == msgpack.Array {
			return numbers(u, v)
		}
		data, err := u.bytes()
		if err != nil {
			return err
		}
		if len(data) != t.Len() {
			return wrongLength(t.Len(), len(data), false, "bytes")
		}
		copy(v.Bytes(), data)
		return nil
	}
}

// bytes reads binary data or text.
func (u *unpacker) bytes() ([]byte, error) {
	if u.Peek() == msgpack.Bytes {
		return wrapped(u.Bytes())
	}
	return u.text()
}

func newMapUnpacker(t reflect.Type) unpackFunc {
	setKey := newKeyDecoder(t.Key())
	element := unpackerOf(t.Elem())
	return func(u *unpacker, v reflect.Value) error {
		n, err := u.enter(msgpack.Map)
		if err != nil {
			return err
		}
		decode := element.fn()
		v.Set(reflect.MakeMapWithSize(t, min(n, mostAhead)))
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		for range n {
			text, err := u.key()
			if err != nil {
				return err
			}
			name := string(text)
			key.SetZero()
			value.SetZero()
			if err := setKey(key, name); err != nil {
				return inField(err, name)
			}
			if err := decode(u, value); err != nil {
				return inField(err, name)
			}
			v.SetMapIndex(key, value)
		}
		u.Leave()
		return nil
	}
}

// structUnpackPlan is to msgpack what [structPlan] is to JSON.
type structUnpackPlan struct {
	fieldIndex
	fields []fieldUnpacker
}

type fieldUnpacker struct {
	fieldDecoder // for the option string, whose value is JSON
	value        *unpackerPlan
}

func newStructUnpacker(t reflect.Type) unpackFunc {
	fields := fieldsOf(t)
	p := &structUnpackPlan{fieldIndex: newFieldIndex(fields)}
	for _, f := range fields {
		p.fields = append(p.fields, fieldUnpacker{fieldDecoder{field: f, value: decoderOf(f.typ)}, unpackerOf(f.typ)})
	}
	return p.decode
}

func (p *structUnpackPlan) decode(u *unpacker, v reflect.Value) error {
	n, err := u.enter(msgpack.Map)
	if err != nil {
		return err
	}
	filled := newBitset(len(p.fields))
	next := 0
	for range n {
		key, err := u.key()
		if err != nil {
			return err
		}
		i, ok := p.lookup(key, next)
		if !ok {
			if _, err := u.raw(); err != nil {
				return inField(err, string(key))
			}
			continue
		}
		next = i + 1
		if err := p.fields[i].decode(u, v, filled.add(i)); err != nil {
			return inField(err, p.fields[i].name)
		}
	}
	u.Leave()
	return nil
}

// decode reads the next value into the field of v; again tells that an earlier member has been there.
func (f *fieldUnpacker) decode(u *unpacker, v reflect.Value, again bool) error {
	target, err := f.make(v)
	if err != nil {
		return err
	}
	if again {
		target.SetZero()
	}
	if !f.quoted {
		return f.value.fn()(u, target)
	}
	if u.null() {
		target.SetZero()
		return nil
	}
	text, err := u.text()
	if err != nil {
		return err
	}
	return f.decodeText(text, target)
}
