package pyjson_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/goslo/goslo/internal/pyjson"
)

// members lists keys and values of an object in turn.
func members(text []byte) ([]string, error) {
	object, err := pyjson.NewObject(text)
	if err != nil {
		return nil, err
	}
	var list []string
	for {
		key, value, more, err := object.Next()
		if err != nil {
			return list, err
		}
		if !more {
			return list, object.End()
		}
		list = append(list, string(key), string(value))
	}
}

func elements(text []byte) ([]string, error) {
	array, err := pyjson.NewArray(text)
	if err != nil {
		return nil, err
	}
	var list []string
	for {
		value, more, err := array.Next()
		if err != nil {
			return list, err
		}
		if !more {
			return list, array.End()
		}
		list = append(list, string(value))
	}
}

func TestObjectGivesMembersAsTheyStand(t *testing.T) {
	t.Parallel()
	got, err := members([]byte(` {"a" : [1, 2] ,"\u0062":{"c":"d"}, "a":-1.5e3} `))
	want := []string{`a`, `[1, 2]`, `\u0062`, `{"c":"d"}`, `a`, `-1.5e3`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("members = %q, %v, want %q", got, err, want)
	}
	if got, err := members([]byte(`{}`)); err != nil || len(got) != 0 {
		t.Errorf("members of {} = %q, %v, want none", got, err)
	}
}

func TestArrayGivesElementsAsTheyStand(t *testing.T) {
	t.Parallel()
	got, err := elements([]byte(` ["a" , {"b": 1},[[]], NaN] `))
	want := []string{`"a"`, `{"b": 1}`, `[[]]`, `NaN`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("elements = %q, %v, want %q", got, err, want)
	}
	if got, err := elements([]byte(`[ ]`)); err != nil || len(got) != 0 {
		t.Errorf("elements of [ ] = %q, %v, want none", got, err)
	}
}

func TestBrokenContainersAreFoundOut(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `[]`, `1`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{"a":1} x`, `{x}`, `{"a":"\q"}`, `{"a\q":1}`} {
		if _, err := members([]byte(text)); !errors.Is(err, pyjson.ErrSyntax) {
			t.Errorf("members of %q: error %v, want ErrSyntax", text, err)
		}
	}
	for _, text := range []string{``, `{}`, `1`, `[`, `[1`, `[1,`, `[1,]`, `[1 2]`, `[] x`, `[x]`} {
		if _, err := elements([]byte(text)); !errors.Is(err, pyjson.ErrSyntax) {
			t.Errorf("elements of %q: error %v, want ErrSyntax", text, err)
		}
	}
}
