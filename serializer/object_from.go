package serializer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ObjectError tells that something is no versioned object, or what its envelope lacks. Where it is decoded as
// part of a value, the error that holds it matches [ErrDecode] and begins with the path to the object: the
// names of fields, without the envelopes around them.
type ObjectError struct {
	// Key is the member that is missing or of a wrong type, such as nova_object.version. It is empty where
	// there is no object at all.
	Key string
	// Problem is what is wrong: missing, or want a string, got a number.
	Problem string
}

// Error is one line.
func (e *ObjectError) Error() string {
	if e.Key == "" {
		return "no versioned object: " + e.Problem
	}
	key := strconv.QuoteToASCII(clip(e.Key)) // a peer may have chosen it
	return key[1:len(key)-1] + ": " + e.Problem
}

func objectFailure(key, problem string) error {
	return decodeFailure(&ObjectError{Key: key, Problem: problem})
}

// ObjectFrom reads a versioned object from a map as [JSON] decodes it. Any prefix will do; it is the part of
// a key in front of ".name".
//
// The maps in its data become objects where they have the key "<prefix>.name" with the same prefix, as in
// oslo.versionedobjects, or all of name, namespace, version and data with another one. They are objects in
// good form then, or ObjectFrom fails with an [*ObjectError].
//
// It leaves m as it is and shares with the object what is neither a map nor a list.
func ObjectFrom(m map[string]any) (*Object, error) {
	prefix, ok := outermostPrefix(m)
	if !ok {
		return nil, objectFailure("", `want a key that ends in ".name"`)
	}
	return objectFrom(m, prefix)
}

// outermostPrefix finds the prefix of what should be an object: one with all its keys, else any.
func outermostPrefix(m map[string]any) (string, bool) {
	if prefix, ok := wholePrefix(m); ok {
		return prefix, true
	}
	if all := prefixes(m); len(all) > 0 {
		return all[0], true
	}
	return "", false
}

// prefixWithin finds out whether a map in an object is an object as well.
func prefixWithin(m map[string]any, outer string) (string, bool) {
	if _, ok := m[outer+".name"]; ok {
		return outer, true
	}
	return wholePrefix(m)
}

// wholePrefix finds the prefix of which no key is missing.
func wholePrefix(m map[string]any) (string, bool) {
	for _, prefix := range prefixes(m) {
		if missingKey(m, envelopeOf(prefix)) == "" {
			return prefix, true
		}
	}
	return "", false
}

// prefixes are what stands in front of ".name" in keys, in order, so that two readings agree.
func prefixes(m map[string]any) []string {
	var all []string
	for key := range m {
		if prefix, ok := strings.CutSuffix(key, ".name"); ok && prefix != "" {
			all = append(all, prefix)
		}
	}
	slices.Sort(all)
	return all
}

func missingKey(m map[string]any, keys envelope) string {
	for _, key := range []string{keys.name, keys.namespace, keys.version, keys.data} {
		if _, ok := m[key]; !ok {
			return key
		}
	}
	return ""
}

func objectFrom(m map[string]any, prefix string) (*Object, error) {
	keys := envelopeOf(prefix)
	if key := missingKey(m, keys); key != "" {
		return nil, objectFailure(key, "missing")
	}
	o := &Object{Prefix: prefix}
	var err error
	for _, member := range []struct {
		key string
		to  *string
	}{{keys.name, &o.Name}, {keys.namespace, &o.Namespace}, {keys.version, &o.Version}} {
		if *member.to, err = memberOf[string](m, member.key, aString); err != nil {
			return nil, err
		}
	}
	data, err := memberOf[map[string]any](m, keys.data, anObject)
	if err != nil {
		return nil, err
	}
	if o.Data, err = fieldsFrom(data, prefix); err != nil {
		return nil, err
	}
	if o.Changes, err = changesFrom(m, keys.changes); err != nil {
		return nil, err
	}
	o.Extra = extraOf(m, keys)
	return o, nil
}

func memberOf[T any](m map[string]any, key string, want kind) (T, error) {
	v, ok := m[key].(T)
	if !ok {
		return v, objectFailure(key, "want "+string(want)+", got "+kindOfTree(m[key]))
	}
	return v, nil
}

// changesFrom keeps absent and empty apart.
func changesFrom(m map[string]any, key string) ([]string, error) {
	if _, ok := m[key]; !ok {
		return nil, nil
	}
	list, err := memberOf[[]any](m, key, anArray)
	if err != nil {
		return nil, err
	}
	changes := make([]string, len(list))
	for i, v := range list {
		field, ok := v.(string)
		if !ok {
			return nil, objectFailure(key, "want strings, got "+kindOfTree(v))
		}
		changes[i] = field
	}
	return changes, nil
}

func extraOf(m map[string]any, keys envelope) map[string]any {
	var extra map[string]any
	for key, v := range m {
		if keys.has(key) {
			continue
		}
		if extra == nil {
			extra = map[string]any{}
		}
		extra[key] = v
	}
	return extra
}

// within turns the maps in v that are objects into such; outer is the prefix of the object around them.
func within(v any, outer string) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if prefix, ok := prefixWithin(v, outer); ok {
			return objectFrom(v, prefix)
		}
		return fieldsFrom(v, outer)
	case []any:
		return listFrom(v, outer)
	}
	return v, nil
}

func fieldsFrom(m map[string]any, outer string) (map[string]any, error) {
	fields := make(map[string]any, len(m))
	for key, v := range m {
		var err error
		if fields[key], err = within(v, outer); err != nil {
			return nil, inField(err, key)
		}
	}
	return fields, nil
}

func listFrom(list []any, outer string) ([]any, error) {
	out := make([]any, len(list))
	for i, v := range list {
		var err error
		if out[i], err = within(v, outer); err != nil {
			return nil, inElement(err, i)
		}
	}
	return out, nil
}

// kindOfTree names what [JSON] decodes into an interface.
func kindOfTree(v any) string {
	switch v.(type) {
	case nil:
		return string(aNull)
	case string:
		return string(aString)
	case bool:
		return string(aBoolean)
	case json.Number:
		return string(aNumber)
	case []any:
		return string(anArray)
	case map[string]any:
		return string(anObject)
	default:
		return fmt.Sprintf("a %T", v) // of another decoder
	}
}
