package messaging

import (
	"fmt"
	"reflect"

	"github.com/goslo/goslo/serializer"
)

// errorFields copies the exported fields of an error type to kwargs and back. The way goes through a struct with
// the same fields and no methods: a serializer writes an error as its text.
type errorFields struct {
	plain reflect.Type
	index []int // of each field of plain, which one of the error type it is
}

// newErrorFields fails for what has no fields to copy. Embedded fields are refused: the fields and methods that
// they promote have no place in a struct made here.
func newErrorFields(t reflect.Type) (*errorFields, error) {
	whole := t
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is neither a struct nor a pointer to one", whole)
	}
	var (
		f      errorFields
		fields []reflect.StructField
	)
	for i := range t.NumField() {
		field := t.Field(i)
		switch {
		case field.Tag.Get("json") == "-":
		case field.Anonymous:
			return nil, fmt.Errorf("%s embeds %s", whole, field.Type)
		case field.IsExported():
			fields = append(fields, reflect.StructField{Name: field.Name, Type: field.Type, Tag: field.Tag})
			f.index = append(f.index, i)
		}
	}
	f.plain = reflect.StructOf(fields)
	return &f, nil
}

// kwargs are e's fields by their names on the wire; nil where one cannot be encoded.
func (f *errorFields) kwargs(e error, s serializer.Serializer) map[string]any {
	from, plain := reflect.Indirect(reflect.ValueOf(e)), reflect.New(f.plain)
	for i, field := range f.index {
		plain.Elem().Field(i).Set(from.Field(field))
	}
	encoded, err := s.Append(nil, plain.Interface())
	if err != nil {
		return nil
	}
	var kwargs map[string]any
	if s.Decode(encoded, &kwargs) != nil {
		return nil
	}
	return kwargs
}

// set fills the fields of the error that into points at, or that the pointer does to which into points.
func (f *errorFields) set(into any, kwargs map[string]any, s serializer.Serializer) error {
	if kwargs == nil { // which a serializer writes as null
		kwargs = map[string]any{}
	}
	encoded, err := s.Append(nil, kwargs)
	if err != nil {
		return err
	}
	plain := reflect.New(f.plain)
	if err := s.Decode(encoded, plain.Interface()); err != nil {
		return err
	}
	to := reflect.ValueOf(into).Elem()
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	for i, field := range f.index {
		to.Field(field).Set(plain.Elem().Field(i))
	}
	return nil
}
