package serializer

import (
	"encoding/json"
	"reflect"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/pyjson"
)

// decoder reads one text.
type decoder struct {
	pyjson.Scanner
	scratch []byte // where escapes are resolved
}

func decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return decodeFailure(pyjson.ErrEncoding)
	}
	d := &decoder{Scanner: pyjson.NewScanner(data, pyjson.MaxDepth)}
	if err := d.decode(v); err != nil {
		return err
	}
	return d.end()
}

// decode reads the next value into what v points to.
func (d *decoder) decode(v any) (err error) {
	switch v := v.(type) {
	case *any:
		if v != nil {
			*v, err = d.any()
			return err
		}
	case *map[string]any:
		if v != nil {
			*v, err = orNull(d, d.object)
			return err
		}
	case *[]any:
		if v != nil {
			*v, err = orNull(d, d.array)
			return err
		}
	}
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return decodeError("want a pointer to decode into, got " + describe(target))
	}
	return decoderOf(target.Type().Elem()).fn()(d, target.Elem())
}

func describe(v reflect.Value) string {
	switch {
	case !v.IsValid():
		return "nil"
	case v.Kind() == reflect.Pointer:
		return "a nil " + v.Type().String()
	}
	return v.Type().String()
}

func (d *decoder) end() error {
	if err := d.End(); err != nil {
		return decodeFailure(err)
	}
	return nil
}

// any reads a value as the type that goes with it.
func (d *decoder) any() (any, error) {
	switch d.Peek() {
	case '{':
		return d.object()
	case '[':
		return d.array()
	case '"':
		return d.text()
	}
	word, err := d.word()
	if err != nil {
		return nil, err
	}
	switch word[0] {
	case 'n':
		return nil, nil //nolint:nilnil // null is a value
	case 't', 'f':
		return word[0] == 't', nil
	}
	return json.Number(word), nil
}

// word reads a value that is neither array, object nor string: a number, true, false or null.
func (d *decoder) word() ([]byte, error) {
	word, err := d.Value()
	if err != nil {
		return nil, decodeFailure(err)
	}
	return word, nil
}

func (d *decoder) object() (map[string]any, error) {
	if err := d.enter(anObject); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for first := true; ; first = false {
		key, more, err := d.key(first)
		if err != nil || !more {
			return object, err
		}
		name := string(key)
		if object[name], err = d.any(); err != nil {
			return nil, inField(err, name)
		}
	}
}

func (d *decoder) array() ([]any, error) {
	if err := d.enter(anArray); err != nil {
		return nil, err
	}
	array := []any{}
	for {
		more, err := d.element(len(array) == 0)
		if err != nil || !more {
			return array, err
		}
		v, err := d.any()
		if err != nil {
			return nil, inElement(err, len(array))
		}
		array = append(array, v)
	}
}

// text reads a string.
func (d *decoder) text() (string, error) {
	text, err := d.bytes()
	return string(text), err
}

// bytes reads a string; the result is good until the next one is read.
func (d *decoder) bytes() ([]byte, error) {
	if got := kindOf(d.Peek()); got != aString {
		return nil, d.mismatch(aString)
	}
	text, err := d.Text()
	if err != nil {
		return nil, decodeFailure(err)
	}
	return d.unquote(text), nil
}

func (d *decoder) unquote(text []byte) []byte {
	if !pyjson.Escaped(text) {
		return text
	}
	d.scratch = pyjson.AppendUnquoted(d.scratch[:0], text)
	return d.scratch
}

// enter steps into an object or array.
func (d *decoder) enter(want kind) error {
	first := d.Peek()
	if kindOf(first) != want {
		return d.mismatch(want)
	}
	if err := d.Enter(first); err != nil {
		return decodeFailure(err)
	}
	return nil
}

// key reads the next key of an object; it is good until the next string is read.
func (d *decoder) key(first bool) (key []byte, more bool, err error) {
	key, more, err = d.Key(first)
	if err != nil {
		return nil, false, decodeFailure(err)
	}
	return d.unquote(key), more, nil
}

func (d *decoder) element(first bool) (bool, error) {
	more, err := d.Element(first)
	if err != nil {
		return false, decodeFailure(err)
	}
	return more, nil
}

// mismatch tells that the next value is not of the kind that is wanted; or that there is no value.
func (d *decoder) mismatch(want kind) error {
	got := kindOf(d.Peek())
	if got == noKind {
		_, err := d.word()
		return err
	}
	return mismatch(want, string(got))
}

// null takes the next value if it is null.
func (d *decoder) null() (bool, error) {
	if d.Peek() != 'n' {
		return false, nil
	}
	_, err := d.word()
	return err == nil, err
}

// orNull reads a value that may be null, which is the zero value.
func orNull[T any](d *decoder, read func() (T, error)) (T, error) {
	if null, err := d.null(); null || err != nil {
		var zero T
		return zero, err
	}
	return read()
}
