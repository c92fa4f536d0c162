package pyjson

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// short holds the letter of the two-character escape of a byte, or 0.
var short = [utf8.RuneSelf]byte{'"': '"', '\\': '\\', '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f'}

// del is the one control character above the blank: Python escapes it, though JSON would not ask for it.
const del = 0x7f

// plain tells that a byte stands for itself in a JSON string that Python writes.
var plain = func() (table [256]bool) {
	for c := 0x20; c < del; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// AppendString appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func AppendString[S []byte | string](dst []byte, s S) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, `\`)
	return append(dst, '"')
}

// AppendNestedString appends s as a JSON string that itself stands in a JSON string: the escapes are
// escaped once more, the quotes around it too.
func AppendNestedString[S []byte | string](dst []byte, s S) []byte {
	dst = append(dst, '\\', '"')
	dst = AppendNestedContent(dst, s)
	return append(dst, '\\', '"')
}

// AppendNestedContent appends what [AppendNestedString] writes between the quotes.
func AppendNestedContent[S []byte | string](dst []byte, s S) []byte {
	return appendEscaped(dst, s, `\\`)
}

// appendEscaped writes the content of a string; backslash is one, escaped as often as the nesting needs.
func appendEscaped[S []byte | string](dst []byte, s S, backslash string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		if c >= utf8.RuneSelf {
			r, size := decodeRune(s[i:])
			dst = appendRune(dst, r, backslash)
			i += size
		} else {
			dst = append(dst, backslash...)
			switch letter := short[c]; {
			case letter == 0:
				dst = append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			case letter == '"' && len(backslash) > 1:
				dst = append(dst, '\\', '"')
			case letter == '\\':
				dst = append(dst, backslash...)
			default:
				dst = append(dst, letter)
			}
			i++
		}
		start = i
	}
	return append(dst, s[start:]...)
}

// AppendNested appends JSON text as the content of a JSON string, without the quotes around it. Text that is
// not ASCII gets the escapes of the inner text, as Python would have written it.
func AppendNested(dst, text []byte) []byte {
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		dst = append(dst, text[start:i]...)
		switch {
		case c >= del:
			r, size := utf8.DecodeRune(text[i:])
			dst = appendRune(dst, r, `\\`)
			i += size
		case short[c] != 0:
			dst = append(dst, '\\', short[c])
			i++
		default: // no JSON text holds such a byte; keep the outer string whole all the same
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			i++
		}
		start = i
	}
	return append(dst, text[start:]...)
}

func decodeRune[S []byte | string](s S) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

func appendRune(dst []byte, r rune, backslash string) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return appendUnit(appendUnit(dst, high, backslash), low, backslash)
	}
	return appendUnit(dst, r, backslash)
}

func appendUnit(dst []byte, r rune, backslash string) []byte {
	dst = append(dst, backslash...)
	return append(dst, 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// AppendFloat appends f as Python's repr prints it: the shortest text that reads back as f, always with a
// point, an exponent or a word, so that Python does not take it for an int.
func AppendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	smallest := 1e-4
	if bits == 32 {
		smallest = float64(float32(smallest))
	}
	if abs := math.Abs(f); abs != 0 && (abs < smallest || abs >= 1e16) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, bits)
	if bytes.IndexByte(dst[start:], '.') >= 0 {
		return dst
	}
	return append(dst, '.', '0')
}
