package pyjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Escaped reports whether there is an escape in a string's content.
func Escaped(s []byte) bool { return bytes.IndexByte(s, '\\') >= 0 }

// Unquote resolves the escapes of a string's content (the text between its quotes, checked before by a
// walk over it). Without escapes it returns s itself. A lone surrogate becomes U+FFFD.
func Unquote(s []byte) []byte {
	if !Escaped(s) {
		return s
	}
	return AppendUnquoted(make([]byte, 0, len(s)), s)
}

// UnquoteInPlace does the same, writing over s: the result is never longer than what it stands for.
func UnquoteInPlace(s []byte) []byte {
	first := bytes.IndexByte(s, '\\')
	if first < 0 {
		return s
	}
	return AppendUnquoted(s[:first], s[first:])
}

// AppendUnquoted appends what [Unquote] returns.
func AppendUnquoted(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			start := i
			for i < len(s) && s[i] != '\\' {
				i++
			}
			dst = append(dst, s[start:i]...)
			continue
		}
		switch c := s[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, size := escapedRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		default: // ", \ and /
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}

// escapedRune reads \uXXXX, or two of them that make a surrogate pair.
func escapedRune(s []byte) (rune, int) {
	r := hexValue(s[2:6])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if pair := utf16.DecodeRune(r, hexValue(s[8:12])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hexValue reads four hexadecimal digits; -1 tells that they are none.
func hexValue(digits []byte) rune {
	var r rune
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// Text returns the text of value if it is a JSON string.
func Text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	return string(Unquote(value[1 : len(value)-1])), true
}
