package serializer

import (
	"reflect"
	"strconv"
)

// kind is what a JSON value is, in the words of an error.
type kind string

const (
	aString   kind = "a string"
	anObject  kind = "an object"
	anArray   kind = "an array"
	aBoolean  kind = "a boolean"
	aNumber   kind = "a number"
	aNull     kind = "null"
	noKind    kind = "nothing"
	anInteger kind = "an integer" // a number without fraction and exponent; only ever wanted
)

// kindOf tells by the first byte of a value what it is. What is no JSON at all passes for a number or a word,
// and fails where it is read.
func kindOf(first byte) kind {
	switch first {
	case '"':
		return aString
	case '{':
		return anObject
	case '[':
		return anArray
	case 't', 'f':
		return aBoolean
	case 'n':
		return aNull
	case 'N', 'I', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return aNumber
	default:
		return noKind
	}
}

func mismatch(want kind, got string) error {
	return decodeError("want " + string(want) + ", got " + got)
}

// doesNotFit tells that a number is none of a Go type.
func doesNotFit(number []byte, t reflect.Type) error {
	return decodeError(clip(number) + " does not fit " + t.String())
}

// wrongLength tells that an array holds got parts, or more than that, where a Go array holds want.
func wrongLength(want, got int, more bool, parts string) error {
	text := strconv.Itoa(got)
	if more {
		text = "more"
	}
	return decodeError("want " + strconv.Itoa(want) + " " + parts + ", got " + text)
}
