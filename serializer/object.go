package serializer

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/goslo/goslo/internal/pyjson"
)

// DefaultPrefix begins the keys of an [Object] that names no other; it is oslo.versionedobjects' own
// (VersionedObject.OBJ_SERIAL_NAMESPACE), which neutron keeps. nova writes nova_object.
const DefaultPrefix = "versioned_object"

// Object is a versioned object, as oslo.versionedobjects sends them (obj_to_primitive in base.py):
//
//	{"nova_object.name": "Flavor", "nova_object.namespace": "nova", "nova_object.version": "1.2",
//	 "nova_object.data": {"vcpus": 1}, "nova_object.changes": ["vcpus"]}
//
// It can be encoded and decoded by [JSON] and by encoding/json; for any other codec [Object.Primitive] and
// [ObjectFrom] turn it into a map and back. What was decoded is encoded the same again, but for the order of
// keys. An Object is not safe for concurrent use, unless nobody changes it.
type Object struct {
	// Prefix is what the keys begin with: nova_object. Empty is [DefaultPrefix].
	Prefix string
	// Namespace is the project that the class belongs to: nova.
	Namespace string
	// Name is the class: RequestSpec.
	Name string
	// Version is that of the class: 1.14.
	Version string
	// Data holds the fields. A field that is an object is an *Object, also in a []any or map[string]any; all
	// else is what [JSON] decodes into an interface: numbers keep their text, datetimes are strings. Other Go
	// values may be put in, too. A nil map is an empty one.
	Data map[string]any
	// Changes are the fields that were set since the object was loaded: a set, in no order. nil leaves the key
	// out, as oslo does where there are none.
	Changes []string
	// Extra holds whatever else stands beside the five keys; nil where there is nothing. A key that is one of
	// the five is not sent.
	Extra map[string]any
}

// envelope is the keys of an object's members.
type envelope struct{ name, namespace, version, data, changes string }

func envelopeOf(prefix string) envelope {
	prefix = cmp.Or(prefix, DefaultPrefix)
	return envelope{prefix + ".name", prefix + ".namespace", prefix + ".version", prefix + ".data", prefix + ".changes"}
}

func (e envelope) has(key string) bool {
	switch key {
	case e.name, e.namespace, e.version, e.data, e.changes:
		return true
	}
	return false
}

// Primitive returns the object as a map with the keys that travel, and so every object in Data. It shares all
// other values with o. An object that contains itself has no such form.
func (o Object) Primitive() map[string]any {
	keys := envelopeOf(o.Prefix)
	m := make(map[string]any, 5+len(o.Extra))
	maps.Copy(m, o.Extra)
	delete(m, keys.changes)
	m[keys.name], m[keys.namespace], m[keys.version] = o.Name, o.Namespace, o.Version
	m[keys.data] = primitives(o.Data)
	if o.Changes != nil {
		m[keys.changes] = mapped(o.Changes, func(field string) any { return field })
	}
	return m
}

// primitive turns the objects in a value into maps.
func primitive(v any) any {
	switch v := v.(type) {
	case Object:
		return v.Primitive()
	case *Object:
		if v == nil {
			return nil
		}
		return v.Primitive()
	case []*Object:
		return mapped(v, func(o *Object) any { return primitive(o) })
	case map[string]*Object:
		return primitives(v)
	case []any:
		return mapped(v, primitive)
	case map[string]any:
		return primitives(v)
	}
	return v
}

func primitives[V any](fields map[string]V) map[string]any {
	m := make(map[string]any, len(fields))
	for key, v := range fields {
		m[key] = primitive(v)
	}
	return m
}

func mapped[V any](list []V, f func(V) any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// MarshalJSON returns what [JSON] writes.
func (o Object) MarshalJSON() ([]byte, error) { return JSON.Append(nil, o) }

// UnmarshalJSON reads what [JSON] reads. null leaves the object as it is.
func (o *Object) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	return JSON.Decode(text, o)
}

var objectType = reflect.TypeFor[Object]()

// encodeObject writes the members in oslo's order, then the extra ones.
func encodeObject(dst []byte, v reflect.Value, at level) ([]byte, error) {
	o, _ := reflect.TypeAssert[Object](v)
	keys := envelopeOf(o.Prefix)
	inner, err := at.enter()
	if err != nil {
		return dst, err
	}
	dst = appendTextMember(append(dst, '{'), keys.name, o.Name)
	dst = appendTextMember(append(dst, ", "...), keys.namespace, o.Namespace)
	dst = appendTextMember(append(dst, ", "...), keys.version, o.Version)
	dst = append(pyjson.AppendString(append(dst, ", "...), keys.data), ": "...)
	if dst, err = appendMap(dst, o.Data, inner, appendAny); err != nil {
		return dst, err
	}
	if o.Changes != nil {
		dst = append(pyjson.AppendString(append(dst, ", "...), keys.changes), ": "...)
		if dst, err = appendStrings(dst, o.Changes, inner); err != nil {
			return dst, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Extra)) {
		if keys.has(key) {
			continue
		}
		dst = append(pyjson.AppendString(append(dst, ", "...), key), ": "...)
		if dst, err = appendAny(dst, o.Extra[key], inner); err != nil {
			return dst, inField(err, key)
		}
	}
	return append(dst, '}'), nil
}

func appendTextMember(dst []byte, key, text string) []byte {
	return pyjson.AppendString(append(pyjson.AppendString(dst, key), ": "...), text)
}

func decodeObject(d *decoder, v reflect.Value) error {
	m, err := d.object()
	if err != nil {
		return err
	}
	o, err := ObjectFrom(m)
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(o).Elem())
	return nil
}
