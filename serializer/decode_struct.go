package serializer

import (
	"reflect"

	"github.com/goslo/goslo/internal/pyjson"
)

// structPlan is how the members of an object find the fields of a struct.
type structPlan struct {
	fieldIndex
	fields []fieldDecoder
}

type fieldDecoder struct {
	field
	value *decoderPlan
}

func newStructDecoder(t reflect.Type) decodeFunc {
	fields := fieldsOf(t)
	p := &structPlan{fieldIndex: newFieldIndex(fields)}
	for _, f := range fields {
		p.fields = append(p.fields, fieldDecoder{field: f, value: decoderOf(f.typ)})
	}
	return p.decode
}

func (p *structPlan) decode(d *decoder, v reflect.Value) error {
	if err := d.enter(anObject); err != nil {
		return err
	}
	filled := newBitset(len(p.fields))
	next := 0
	for first := true; ; first = false {
		key, more, err := d.key(first)
		if err != nil || !more {
			return err
		}
		i, ok := p.lookup(key, next)
		if !ok {
			if _, err := d.word(); err != nil {
				return inField(err, string(key))
			}
			continue
		}
		next = i + 1
		if err := p.fields[i].decode(d, v, filled.add(i)); err != nil {
			return inField(err, p.fields[i].name)
		}
	}
}

// fieldIndex finds fields by name.
type fieldIndex struct {
	names  []string
	byName map[string]int
}

func newFieldIndex(fields []field) fieldIndex {
	index := fieldIndex{byName: map[string]int{}}
	for i := range fields {
		index.names = append(index.names, fields[i].name)
		index.byName[fields[i].name] = i
	}
	return index
}

// lookup finds the field of a key. Members mostly come in the order of the fields: next is tried first.
func (x *fieldIndex) lookup(key []byte, next int) (int, bool) {
	if next < len(x.names) && x.names[next] == string(key) {
		return next, true
	}
	i, ok := x.byName[string(key)]
	return i, ok
}

// bitset is a set of small numbers.
type bitset struct {
	few  [2]uint64
	many []uint64 // instead of few where these would not do
}

func newBitset(n int) (b bitset) {
	if n > 64*len(b.few) {
		b.many = make([]uint64, (n+63)/64)
	}
	return b
}

// add reports whether i was in the set before.
func (b *bitset) add(i int) bool {
	words := b.few[:]
	if b.many != nil {
		words = b.many
	}
	word, bit := &words[i/64], uint64(1)<<(i%64)
	known := *word&bit != 0
	*word |= bit
	return known
}

// decode reads the next value into the field of v; again tells that an earlier member has been there.
func (f *fieldDecoder) decode(d *decoder, v reflect.Value, again bool) error {
	target, err := f.make(v)
	if err != nil {
		return err
	}
	if again {
		target.SetZero()
	}
	if f.quoted {
		return f.decodeQuoted(d, target)
	}
	return f.value.fn()(d, target)
}

// make walks to the field, making the embedded structs on the way.
func (f *fieldDecoder) make(v reflect.Value) (reflect.Value, error) {
	v = v.Field(f.index[0])
	for _, i := range f.index[1:] {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return v, decodeError("cannot make the embedded " + v.Type().String() + ", which is not exported")
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, nil
}

// decodeQuoted reads a string that holds the JSON form of the value.
func (f *fieldDecoder) decodeQuoted(d *decoder, v reflect.Value) error {
	null, err := d.null()
	switch {
	case err != nil:
		return err
	case null:
		v.SetZero()
		return nil
	}
	text, err := d.bytes()
	if err != nil {
		return err
	}
	return f.decodeText(text, v)
}

func (f *fieldDecoder) decodeText(text []byte, v reflect.Value) error {
	inner := &decoder{Scanner: pyjson.NewScanner(text, 0)}
	if err := f.value.fn()(inner, v); err != nil {
		return err
	}
	return inner.end()
}
