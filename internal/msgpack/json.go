package msgpack

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/goslo/goslo/internal/pyjson"
)

// ErrRange tells that an integer has more than 64 bits.
var ErrRange = errors.New("an integer of more than 64 bits")

// ErrNoJSON tells that a value has no form in JSON: binary data, an extension, a key that is no string.
var ErrNoJSON = errors.New("no JSON form")

// AppendFromJSON appends the msgpack form of a JSON text in which arrays and objects nest depth levels deep at
// most. The error matches [pyjson.ErrSyntax] or [ErrRange]; what has been appended is void then.
func AppendFromJSON(dst, text []byte, depth int) ([]byte, error) {
	s := pyjson.NewScanner(text, depth)
	dst, err := appendNextJSON(dst, &s)
	if err != nil {
		return dst, err
	}
	return dst, s.End()
}

func appendNextJSON(dst []byte, s *pyjson.Scanner) ([]byte, error) {
	switch s.Peek() {
	case '{':
		return appendJSONObject(dst, s)
	case '[':
		return appendJSONArray(dst, s)
	case '"':
		text, err := s.Text()
		if err != nil {
			return dst, err
		}
		return AppendString(dst, pyjson.Unquote(text)), nil
	}
	word, err := s.Value()
	if err != nil {
		return dst, err
	}
	switch word[0] {
	case 'n':
		return AppendNil(dst), nil
	case 't', 'f':
		return AppendBool(dst, word[0] == 't'), nil
	}
	return AppendNumber(dst, word)
}

// AppendNumber appends a number of JSON: an integer where it has neither fraction nor exponent, else a float.
// The error is [ErrRange]. A float that is too large is infinite, as Python reads it.
func AppendNumber[T []byte | string](dst []byte, number T) ([]byte, error) {
	text := string(number)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return AppendInt(dst, n), nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return AppendUint(dst, n), nil
	}
	if !bytes.ContainsAny([]byte(text), ".eEIN") {
		return dst, ErrRange
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is infinite
	return AppendFloat(dst, f), nil
}

func appendJSONObject(dst []byte, s *pyjson.Scanner) ([]byte, error) {
	if err := s.Enter('{'); err != nil {
		return dst, err
	}
	start := len(dst)
	for n := 0; ; n++ {
		key, more, err := s.Key(n == 0)
		switch {
		case err != nil:
			return dst, err
		case !more:
			return InsertMapLen(dst, start, n), nil
		}
		dst = AppendString(dst, pyjson.Unquote(key))
		if dst, err = appendNextJSON(dst, s); err != nil {
			return dst, err
		}
	}
}

func appendJSONArray(dst []byte, s *pyjson.Scanner) ([]byte, error) {
	if err := s.Enter('['); err != nil {
		return dst, err
	}
	start := len(dst)
	for n := 0; ; n++ {
		more, err := s.Element(n == 0)
		switch {
		case err != nil:
			return dst, err
		case !more:
			var few [5]byte
			return slices.Insert(dst, start, AppendArrayLen(few[:0], n)...), nil
		}
		if dst, err = appendNextJSON(dst, s); err != nil {
			return dst, err
		}
	}
}

// InsertMapLen puts the head of a map before its n members, which were appended from start on: for who learns
// their number only then.
func InsertMapLen(dst []byte, start, n int) []byte {
	var few [5]byte
	return slices.Insert(dst, start, AppendMapLen(few[:0], n)...)
}

// AppendJSON appends the JSON text of a value. The error matches [ErrSyntax] or [ErrNoJSON].
func AppendJSON(dst, value []byte) ([]byte, error) {
	s := NewScanner(value, MaxDepth)
	dst, err := appendAsJSON(dst, &s)
	if err != nil {
		return dst, err
	}
	return dst, s.End()
}

func appendAsJSON(dst []byte, s *Scanner) ([]byte, error) {
	switch kind := s.Peek(); kind {
	case Integer:
		n, err := s.Int()
		return n.Append(dst), err
	case Float:
		f, err := s.Float()
		return pyjson.AppendFloat(dst, f, 64), err
	case String:
		text, err := s.Text()
		return pyjson.AppendString(dst, text), err
	case Array:
		return appendArrayAsJSON(dst, s)
	case Map:
		return appendMapAsJSON(dst, s)
	case Bytes, Extension:
		return dst, fmt.Errorf("%w for a value of kind %s", ErrNoJSON, kind)
	case Bool:
		b, err := s.Bool()
		return strconv.AppendBool(dst, b), err
	case Nil, None:
	}
	_, err := s.Value()
	return append(dst, "null"...), err
}

func appendArrayAsJSON(dst []byte, s *Scanner) ([]byte, error) {
	n, err := s.Enter(Array)
	if err != nil {
		return dst, err
	}
	defer s.Leave()
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if dst, err = appendAsJSON(dst, s); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendMapAsJSON(dst []byte, s *Scanner) ([]byte, error) {
	n, err := s.Enter(Map)
	if err != nil {
		return dst, err
	}
	defer s.Leave()
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if kind := s.Peek(); kind != String && kind != None {
			return dst, fmt.Errorf("%w for a key of kind %s", ErrNoJSON, kind)
		}
		if dst, err = appendAsJSON(dst, s); err != nil {
			return dst, err
		}
		if dst, err = appendAsJSON(append(dst, ": "...), s); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}
