package dispatcher

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goslo/goslo/serializer"
)

// Arguments are the keyword arguments of one request, encoded until a method asks for them.
type Arguments struct {
	method     string
	object     []byte
	serializer serializer.Serializer
}

// Decode fills the struct, map or any that v points to with all arguments. known, where it is not nil, holds
// the names that the method takes: any other is an error, as Python's "unexpected keyword argument".
func (a *Arguments) Decode(v any, known map[string]reflect.Type) error {
	if len(a.object) == 0 {
		return nil
	}
	if known != nil {
		if err := a.each(func(_, _ []byte) {}, known); err != nil {
			return err
		}
	}
	if err := a.serializer.Decode(a.object, v); err != nil {
		return &ArgumentError{Method: a.method, Err: err}
	}
	return nil
}

// DecodeNamed fills each v with the argument of the same place in names. An argument that is not sent leaves
// a pointer nil and is an error for everything else; so is one whose name is not listed.
func (a *Arguments) DecodeNamed(names []string, vs []reflect.Value) error {
	known := make(map[string]reflect.Type, len(names))
	for i, name := range names {
		known[name] = vs[i].Type()
	}
	values := make(map[string][]byte, len(names))
	err := a.each(func(name, value []byte) { values[string(name)] = value }, known)
	if err != nil {
		return err
	}
	for i, name := range names {
		value, sent := values[name]
		if !sent {
			if vs[i].Elem().Kind() == reflect.Pointer {
				continue
			}
			return &ArgumentError{Method: a.method, Err: fmt.Errorf("missing argument %q", name)}
		}
		if err := a.serializer.Decode(value, vs[i].Interface()); err != nil {
			return &ArgumentError{Method: a.method, Err: fmt.Errorf("argument %q: %w", name, err)}
		}
	}
	return nil
}

// each calls f for every argument and refuses names that are not known.
func (a *Arguments) each(f func(name, value []byte), known map[string]reflect.Type) error {
	if len(a.object) == 0 {
		return nil
	}
	err := a.serializer.EachMember(a.object, func(name, value []byte) error {
		if known[string(name)] == nil {
			return fmt.Errorf("unexpected argument %.256q", name)
		}
		f(name, value)
		return nil
	})
	if err != nil {
		return &ArgumentError{Method: a.method, Err: err}
	}
	return nil
}

// argumentFields are the arguments that a struct type takes, by the names in its json tags; nil for a type that
// takes any (a map, an interface, a type with an UnmarshalJSON of its own).
func argumentFields(t reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshalerType) {
		return nil
	}
	known := make(map[string]reflect.Type)
	addFields(known, t, make(map[reflect.Type]bool))
	return known
}

// addFields walks through embedded structs by hand: which fields of them count is decided by their names on the
// bus, not by those in Go, as reflect.VisibleFields does.
func addFields(known map[string]reflect.Type, t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		field := t.Field(i)
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
		case field.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			addFields(known, inner, seen) // whether or not the struct itself is exported
		case !field.IsExported():
		case name == "":
			known[field.Name] = field.Type
		default:
			known[name] = field.Type
		}
	}
}
