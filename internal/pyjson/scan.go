package pyjson

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest. Python stops at its recursion limit, about 1,000;
// no message of a real service comes near either.
const MaxDepth = 100

// ErrSyntax is what every error about malformed text matches.
var ErrSyntax = errors.New("not JSON")

// ErrDepth tells that arrays and objects nest deeper than [MaxDepth].
var ErrDepth = fmt.Errorf("%w: nested deeper than %d", ErrSyntax, MaxDepth)

func syntaxError(b []byte, i int, want string) error {
	if i >= len(b) {
		return fmt.Errorf("%w: ends where %s should stand", ErrSyntax, want)
	}
	return fmt.Errorf("%w: want %s at byte %d, got %q", ErrSyntax, want, i, b[i])
}

// ErrEncoding tells that text is not UTF-8.
var ErrEncoding = fmt.Errorf("%w: not UTF-8", ErrSyntax)

// Valid checks that b is UTF-8 and holds one JSON value with nothing but blanks around it.
func Valid(b []byte) error { return ValidWithin(b, MaxDepth) }

// ValidWithin does the same where arrays and objects may nest depth levels deep.
func ValidWithin(b []byte, depth int) error {
	if !utf8.Valid(b) {
		return ErrEncoding
	}
	end, err := skipValue(b, skipSpace(b, 0), depth)
	if err != nil {
		return err
	}
	if end = skipSpace(b, end); end != len(b) {
		return syntaxError(b, end, "the end")
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns where the value that starts at i ends.
func skipValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return 0, syntaxError(b, i, "a value")
	}
	switch c := b[i]; {
	case c == '"':
		return skipString(b, i)
	case c == '{':
		return skipObject(b, i, depth)
	case c == '[':
		return skipArray(b, i, depth)
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(b, i)
	default:
		return skipWord(b, i)
	}
}

var words = []string{"null", "true", "false", "NaN", "Infinity"}

func skipWord(b []byte, i int) (int, error) {
	for _, word := range words {
		if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
			return end, nil
		}
	}
	return 0, syntaxError(b, i, "a value")
}

// plainText tells that a byte may stand in a string as it is.
var plainText = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return table
}()

// skipString checks the escapes; control characters must be escaped (Python's strict mode).
func skipString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case plainText[c]:
		case c == '"':
			return i + 1, nil
		case c < 0x20:
			return 0, syntaxError(b, i, "no control character")
		case c == '\\':
			i++
			if i >= len(b) {
				return 0, syntaxError(b, i, "an escape")
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(b) || hexValue(b[i+1:i+5]) < 0 {
					return 0, syntaxError(b, i, "four hexadecimal digits")
				}
				i += 4
			default:
				return 0, syntaxError(b, i, "an escape")
			}
		}
	}
	return 0, syntaxError(b, i, "the end of a string")
}

func skipNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
		if i < len(b) && b[i] == 'I' {
			return skipWord(b, i)
		}
	}
	var err error
	if i < len(b) && b[i] == '0' {
		i++
	} else if i, err = skipDigits(b, i); err != nil {
		return 0, err
	}
	if i < len(b) && b[i] == '.' {
		if i, err = skipDigits(b, i+1); err != nil {
			return 0, err
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i, nil
}

func skipDigits(b []byte, i int) (int, error) {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return 0, syntaxError(b, i, "a digit")
	}
	return i, nil
}

func skipArray(b []byte, i, depth int) (int, error) {
	if depth == 0 {
		return 0, ErrDepth
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := skipValue(b, i, depth-1)
		if err != nil {
			return 0, err
		}
		i = skipSpace(b, end)
		switch {
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		default:
			return 0, syntaxError(b, i, "a comma or ]")
		}
	}
}

func skipObject(b []byte, i, depth int) (int, error) {
	members := Object{text: b, at: i, depth: depth}
	for {
		_, _, more, err := members.Next()
		if err != nil {
			return 0, err
		}
		if !more {
			return members.at, nil
		}
	}
}
