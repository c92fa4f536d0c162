package nova

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// value is something out of a message, and where it stood. Its methods read it as one type each. null and
// absent are the same, as in nova's objects, and read as the type's zero.
type value struct {
	path string
	any  any
}

func (v value) absent() bool { return v.any == nil }

// wrong makes the error for a value of another type than wanted.
func (v value) wrong(want string) error {
	return &ArgumentError{Field: v.path, Problem: "want " + want + ", got " + kind(v.any)}
}

func (v value) missing() error {
	return &ArgumentError{Field: v.path, Problem: "missing"}
}

// text reads a string.
func (v value) text() (string, error) {
	if v.absent() {
		return "", nil
	}
	s, ok := v.any.(string)
	if !ok {
		return "", v.wrong("a string")
	}
	return s, nil
}

// name reads a string that must be there.
func (v value) name() (string, error) {
	s, err := v.text()
	if err == nil && s == "" {
		err = v.missing()
	}
	return s, err
}

// flag reads a boolean.
func (v value) flag() (bool, error) {
	if v.absent() {
		return false, nil
	}
	b, ok := v.any.(bool)
	if !ok {
		return false, v.wrong("true or false")
	}
	return b, nil
}

// number reads a whole number from 0 to placement.MaxAmount; 512.0 is one.
func (v value) number() (int64, error) {
	var n float64
	switch x := v.any.(type) {
	case nil:
		return 0, nil
	case json.Number:
		parsed, err := strconv.ParseFloat(string(x), 64)
		if err != nil {
			return 0, v.outOfRange()
		}
		n = parsed
	case float64:
		n = x
	case int64:
		n = float64(x)
	case int:
		n = float64(x)
	default:
		return 0, v.wrong("a number")
	}
	// A float64 is exact far beyond MaxAmount. NaN is not equal to itself.
	if n != math.Trunc(n) || n < 0 || n > placement.MaxAmount {
		return 0, v.outOfRange()
	}
	return int64(n), nil
}

func (v value) outOfRange() error {
	return &ArgumentError{
		Field:   v.path,
		Problem: fmt.Sprintf("want a whole number from 0 to %d, got %.40s", int64(placement.MaxAmount), fmt.Sprint(v.any)),
	}
}

// list reads a list of anything.
func (v value) list() ([]value, error) {
	if v.absent() {
		return nil, nil
	}
	items, ok := v.any.([]any)
	if !ok {
		return nil, v.wrong("a list")
	}
	values := make([]value, len(items))
	for i, item := range items {
		values[i] = value{path: v.path + "[" + strconv.Itoa(i) + "]", any: item}
	}
	return values, nil
}

// texts reads a list of strings.
func (v value) texts() ([]string, error) {
	items, err := v.list()
	if err != nil || len(items) == 0 {
		return nil, err
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if item.absent() {
			return nil, item.wrong("a string")
		}
		if texts[i], err = item.text(); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// names reads a list of host or node names.
func (v value) names() (placement.Names, error) {
	texts, err := v.texts()
	return placement.NewNames(texts...), err
}

// kind is what JSON calls the type of v.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number, float64, int64, int:
		return "number"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	default:
		return fmt.Sprintf("%T", v)
	}
}
