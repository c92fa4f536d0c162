package serializer

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// ObjectType is a class of versioned objects, for the typed form of [Object]: a struct whose fields have json
// tags with the names of the object's fields. A field that is an object itself is declared as *Object, several
// as []*Object or map[string]*Object, to be decoded by a type of their own.
type ObjectType struct {
	// Prefix is as in [Object].
	Prefix string
	// Namespace and Name must be those of the object.
	Namespace, Name string
	// Version is the newest that the struct knows, major and minor number; what follows these is ignored.
	Version string
}

// String is namespace, name and version, and the prefix where it is not the default.
func (t ObjectType) String() string {
	text := t.Namespace + "." + t.Name + " " + t.Version
	if cmp.Or(t.Prefix, DefaultPrefix) != DefaultPrefix {
		text += " (" + t.Prefix + ")"
	}
	return text
}

// ObjectTypeError tells that an object is of another type than wanted.
type ObjectTypeError struct{ Want, Got ObjectType }

// Error names both.
func (e *ObjectTypeError) Error() string {
	return fmt.Sprintf("want %.200s, got %.200q", e.Want, e.Got)
}

// Check tells whether a reader of type t can read o: prefix, namespace, name and major version are the same
// and the minor one is at most that of t. These are oslo.versionedobjects' rules (obj_class_from_name in
// base.py), where a service has a newer object translated by another one before it reads it. The error holds
// an [*ObjectTypeError] and matches [ErrDecode].
func (t ObjectType) Check(o *Object) error {
	got := ObjectType{Prefix: o.Prefix, Namespace: o.Namespace, Name: o.Name, Version: o.Version}
	if envelopeOf(t.Prefix) == envelopeOf(got.Prefix) && t.Namespace == got.Namespace && t.Name == got.Name && versionCovers(t.Version, got.Version) {
		return nil
	}
	return decodeFailure(&ObjectTypeError{Want: t, Got: got})
}

func versionCovers(known, asked string) bool {
	knownMajor, knownMinor, ok1 := parseVersion(known)
	major, minor, ok2 := parseVersion(asked)
	return ok1 && ok2 && major == knownMajor && minor <= knownMinor
}

// parseVersion reads major.minor, or major.minor.revision.
func parseVersion(text string) (major, minor uint64, ok bool) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.ParseUint(parts[0], 10, 32)
	minor, err2 := strconv.ParseUint(parts[1], 10, 32)
	return major, minor, err1 == nil && err2 == nil
}

// Decode checks o and reads its fields into the struct that into points to, by the rules of [JSON]: fields that
// the struct lacks stay in o alone. Its errors match [ErrDecode], or [ErrEncode] where Data holds what has no form.
func (t ObjectType) Decode(o *Object, into any) error {
	if err := t.Check(o); err != nil {
		return err
	}
	text, err := JSON.Append(nil, o.Data)
	if err != nil {
		return err
	}
	return JSON.Decode(text, into)
}

// New makes an object with the fields of data, a struct or a map, as [JSON] would write it. Changes names
// them all, as for an object that was never stored; set it to nil for one that was.
func (t ObjectType) New(data any) (*Object, error) {
	o := &Object{Prefix: t.Prefix, Namespace: t.Namespace, Name: t.Name, Version: t.Version}
	if err := o.Set(data); err != nil {
		return nil, err
	}
	return o, nil
}

// Set takes over the fields of data, a struct or a map, as [JSON] would write it, and adds those that differ
// from before to Changes, sorted. Other fields stay as they are: decode into a struct, change it and set it.
// Where it fails it has changed nothing.
func (o *Object) Set(data any) error {
	fields, err := fieldsOfData(data, o.Prefix)
	if err != nil {
		return err
	}
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		old, known := o.Data[name]
		if !known || !sameForm(old, fields[name]) {
			changed = append(changed, name)
		}
	}
	if o.Data == nil {
		o.Data = fields
	} else {
		maps.Copy(o.Data, fields)
	}
	for _, name := range changed {
		if !slices.Contains(o.Changes, name) {
			o.Changes = append(o.Changes, name)
		}
	}
	return nil
}

// fieldsOfData takes the way over the text, which knows all that can be in a struct.
func fieldsOfData(data any, prefix string) (map[string]any, error) {
	text, err := JSON.Append(nil, data)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := JSON.Decode(text, &tree); err != nil {
		return nil, err
	}
	fields, ok := tree.(map[string]any)
	if !ok {
		return nil, encodeError("the data of an object must be a struct or a map, not " + describe(reflect.ValueOf(data)))
	}
	return fieldsFrom(fields, cmp.Or(prefix, DefaultPrefix))
}

// sameForm tells whether two values look alike on the wire.
func sameForm(a, b any) bool {
	textA, errA := JSON.Append(nil, a)
	textB, errB := JSON.Append(nil, b)
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}
