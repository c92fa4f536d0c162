package serializer

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is one field of a struct, perhaps of a struct embedded in it, that has a place in the object.
type field struct {
	name      string
	index     []int // from the outermost struct, as for [reflect.Value.FieldByIndex]
	typ       reflect.Type
	tagged    bool // its name comes from a tag
	omitEmpty bool
	omitZero  bool
	quoted    bool // option string
}

// fieldsOf lists the fields that count, in the order of the declaration, by the rules of encoding/json.
func fieldsOf(t reflect.Type) []field {
	all := reachable(t)
	slices.SortStableFunc(all, func(a, b field) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)), tagFirst(a, b))
	})
	fields := all[:0]
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].name == all[0].name {
			n++
		}
		if winner, ok := dominant(all[:n]); ok {
			fields = append(fields, winner)
		}
		all = all[n:]
	}
	slices.SortFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return fields
}

func tagFirst(a, b field) int {
	switch {
	case a.tagged == b.tagged:
		return 0
	case a.tagged:
		return -1
	}
	return 1
}

// dominant chooses among fields of one name, the least nested and tagged ones first. As in Go itself two
// equally good ones hide each other.
func dominant(same []field) (field, bool) {
	if len(same) > 1 && len(same[0].index) == len(same[1].index) && same[0].tagged == same[1].tagged {
		return field{}, false
	}
	return same[0], true
}

// reachable lists all fields, those of embedded structs too, level by level. A struct that is embedded
// on two levels counts on the upper one only; embedded twice on one level, its fields are listed twice,
// so that they hide each other.
func reachable(t reflect.Type) []field {
	var all []field
	seen := map[reflect.Type]bool{}
	for next := []field{{typ: t}}; len(next) > 0; {
		level := next
		next = nil
		times := map[reflect.Type]int{}
		for _, f := range level {
			times[f.typ]++
		}
		for _, outer := range level {
			if seen[outer.typ] {
				continue
			}
			seen[outer.typ] = true
			for i := range outer.typ.NumField() {
				f, embedded, ok := newField(outer, i)
				switch {
				case !ok:
				case embedded:
					next = append(next, f)
				case times[outer.typ] > 1:
					all = append(all, f, f)
				default:
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// newField describes field i of outer. embedded tells that it is a struct whose fields count instead of it;
// ok is false where it has no place in the object.
func newField(outer field, i int) (f field, embedded, ok bool) {
	sf := outer.typ.Field(i)
	inner := sf.Type
	if inner.Kind() == reflect.Pointer && inner.Name() == "" {
		inner = inner.Elem()
	}
	// The exported fields of an embedded struct count although its type is not exported.
	if !sf.IsExported() && (!sf.Anonymous || inner.Kind() != reflect.Struct) {
		return field{}, false, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return field{}, false, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	f = field{name: name, index: append(slices.Clip(outer.index), i), typ: sf.Type, tagged: name != ""}
	if sf.Anonymous && name == "" && inner.Kind() == reflect.Struct {
		f.typ = inner
		return f, true, true
	}
	if name == "" {
		f.name = sf.Name
	}
	for option := range strings.SplitSeq(options, ",") {
		f.omitEmpty = f.omitEmpty || option == "omitempty"
		f.omitZero = f.omitZero || option == "omitzero"
		f.quoted = f.quoted || option == "string" && quotable(inner)
	}
	return f, false, true
}

// validName tells whether encoding/json takes a name from a tag.
func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

// quotable tells whether the option string counts for a type: numbers, booleans and strings without methods.
func quotable(t reflect.Type) bool {
	if hasMethodsOf(t, marshalerType) || hasMethodsOf(t, textMarshalerType) {
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	default:
		return false
	}
}
