package pyjson_test

import (
	"errors"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/internal/pyjson"
)

// canonical is the meaning of a JSON text, written so that texts of one meaning look alike: keys sorted, the
// last of equal ones kept, escapes resolved.
func canonical(tb rapid.TB, text []byte) string {
	tb.Helper()
	s := pyjson.NewScanner(text, pyjson.MaxDepth)
	meaning, err := meaningOf(&s)
	if err == nil {
		err = s.End()
	}
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return meaning
}

func meaningOf(s *pyjson.Scanner) (string, error) {
	switch s.Peek() {
	case '{':
		return meaningOfObject(s)
	case '[':
		return meaningOfArray(s)
	case '"':
		text, err := s.Text()
		return string(pyjson.AppendString(nil, pyjson.Unquote(text))), err
	}
	word, err := s.Value()
	return string(word), err
}

func meaningOfObject(s *pyjson.Scanner) (string, error) {
	if err := s.Enter('{'); err != nil {
		return "", err
	}
	members := map[string]string{}
	for first := true; ; first = false {
		key, more, err := s.Key(first)
		if err != nil {
			return "", err
		}
		if !more {
			break
		}
		name := string(pyjson.Unquote(key))
		if members[name], err = meaningOf(s); err != nil {
			return "", err
		}
	}
	var lines []string
	for name, value := range members {
		lines = append(lines, string(pyjson.AppendString(nil, name))+":"+value)
	}
	sort.Strings(lines)
	return "{" + strings.Join(lines, ",") + "}", nil
}

func meaningOfArray(s *pyjson.Scanner) (string, error) {
	if err := s.Enter('['); err != nil {
		return "", err
	}
	var values []string
	for {
		more, err := s.Element(len(values) == 0)
		if err != nil {
			return "", err
		}
		if !more {
			return "[" + strings.Join(values, ",") + "]", nil
		}
		value, err := meaningOf(s)
		if err != nil {
			return "", err
		}
		values = append(values, value)
	}
}

func TestScannerWalksWhatIsValid(t *testing.T) {
	t.Parallel()
	text := ` {"b": [1, {"x":NaN} ,[]], "a\u0062":"\ud83d\udc0e", "b" : null} `
	if got, want := canonical(t, []byte(text)), `{"ab":"\ud83d\udc0e","b":null}`; got != want {
		t.Errorf("%s means %s, want %s", text, got, want)
	}
	for _, text := range validTexts {
		canonical(t, []byte(text))
	}
}

func TestScannerTellsWhatItMisses(t *testing.T) {
	t.Parallel()
	s := pyjson.NewScanner([]byte(" 1 "), 1)
	if _, err := s.Text(); !errors.Is(err, pyjson.ErrSyntax) {
		t.Errorf("Text of 1 = %v, want ErrSyntax", err)
	}
	if err := s.Enter('{'); !errors.Is(err, pyjson.ErrSyntax) {
		t.Errorf("Enter into 1 = %v, want ErrSyntax", err)
	}
	if value, err := s.Value(); string(value) != "1" || err != nil {
		t.Errorf("Value = %q, %v, want 1", value, err)
	}
	if s.Peek() != 0 || s.End() != nil {
		t.Errorf("at the end Peek = %q, End = %v", s.Peek(), s.End())
	}
}

// FuzzScanner checks that a walk by Scanner, Object or Array finds fault with a text where Valid does.
func FuzzScanner(f *testing.F) {
	for _, text := range append(validTexts, invalidTexts...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return
		}
		valid := pyjson.Valid(text) == nil
		s := pyjson.NewScanner(text, pyjson.MaxDepth)
		_, err := meaningOf(&s)
		if err == nil {
			err = s.End()
		}
		if (err == nil) != valid {
			t.Fatalf("the walk over %q ends with %v, Valid says %t", text, err, valid)
		}
		switch start := strings.TrimLeft(string(text), " \t\r\n"); {
		case strings.HasPrefix(start, "{"):
			_, err = members(text)
		case strings.HasPrefix(start, "["):
			_, err = elements(text)
		default:
			return
		}
		if (err == nil) != valid {
			t.Fatalf("the members of %q end with %v, Valid says %t", text, err, valid)
		}
	})
}
