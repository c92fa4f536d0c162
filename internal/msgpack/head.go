package msgpack

import (
	"errors"
	"fmt"
)

// MaxDepth is how deep arrays and maps may nest, as in JSON.
const MaxDepth = 100

// ErrSyntax is what every error about malformed bytes matches.
var ErrSyntax = errors.New("not msgpack")

// ErrDepth tells that arrays and maps nest too deep.
var ErrDepth = fmt.Errorf("%w: nested deeper than %d", ErrSyntax, MaxDepth)

// Kind is what a value is.
type Kind uint8

// The kinds of values. None is no value: the end of the bytes, or a byte that begins no value.
const (
	None Kind = iota
	Nil
	Bool
	Integer
	Float
	String
	Bytes
	Array
	Map
	Extension
)

var kindNames = [...]string{"value", "nil", "boolean", "integer", "float", "string", "binary value", "array", "map", "extension"}

// String is the word for a kind.
func (k Kind) String() string { return kindNames[k] }

// KindOf tells what a value is that begins with a byte.
func KindOf(first byte) Kind { return forms[first].kind }

// form is how the head of a value that begins with one byte goes on.
type form struct {
	kind   Kind
	width  int // of the length that follows, in bytes; 0 where the code tells it
	length int // where the code tells it: bytes of a scalar, elements, members
}

// forms has the form for every byte that can begin a value.
var forms = func() [256]form {
	table := [256]form{
		codeNil:      {kind: Nil},
		codeFalse:    {kind: Bool},
		codeTrue:     {kind: Bool},
		codeBin8:     {kind: Bytes, width: 1},
		codeBin16:    {kind: Bytes, width: 2},
		codeBin32:    {kind: Bytes, width: 4},
		codeExt8:     {kind: Extension, width: 1},
		codeExt16:    {kind: Extension, width: 2},
		codeExt32:    {kind: Extension, width: 4},
		codeFloat32:  {kind: Float, length: 4},
		codeFloat64:  {kind: Float, length: 8},
		codeUint8:    {kind: Integer, length: 1},
		codeUint16:   {kind: Integer, length: 2},
		codeUint32:   {kind: Integer, length: 4},
		codeUint64:   {kind: Integer, length: 8},
		codeInt8:     {kind: Integer, length: 1},
		codeInt16:    {kind: Integer, length: 2},
		codeInt32:    {kind: Integer, length: 4},
		codeInt64:    {kind: Integer, length: 8},
		codeFixExt1:  {kind: Extension, length: 1},
		codeFixExt2:  {kind: Extension, length: 2},
		codeFixExt4:  {kind: Extension, length: 4},
		codeFixExt8:  {kind: Extension, length: 8},
		codeFixExt16: {kind: Extension, length: 16},
		codeStr8:     {kind: String, width: 1},
		codeStr16:    {kind: String, width: 2},
		codeStr32:    {kind: String, width: 4},
		codeArray16:  {kind: Array, width: 2},
		codeArray32:  {kind: Array, width: 4},
		codeMap16:    {kind: Map, width: 2},
		codeMap32:    {kind: Map, width: 4},
	}
	for c := range 16 {
		table[codeFixMap|c] = form{kind: Map, length: c}
		table[codeFixArray|c] = form{kind: Array, length: c}
	}
	for c := range 32 {
		table[codeFixStr|c] = form{kind: String, length: c}
		table[codeNegativeLow|c] = form{kind: Integer}
	}
	for c := range 128 {
		table[c] = form{kind: Integer}
	}
	return table
}()

// head is the beginning of a value.
type head struct {
	kind  Kind
	start int // where the content begins: behind the code, the length and the type of an extension
	n     int // bytes of the content; elements of an array, members of a map
}

// headAt reads the head of the value at i, and makes sure that as many bytes follow as its length needs at
// least: a length that lies is found out before anyone believes it.
func headAt(b []byte, i int) (head, error) {
	if i >= len(b) {
		return head{}, fmt.Errorf("%w: ends where a value should stand", ErrSyntax)
	}
	f := forms[b[i]]
	if f.kind == None {
		return head{}, fmt.Errorf("%w: %#x at byte %d begins no value", ErrSyntax, b[i], i)
	}
	h := head{kind: f.kind, start: i + 1 + f.width}
	if f.kind == Extension {
		h.start++
	}
	if h.start > len(b) {
		return head{}, fmt.Errorf("%w: ends within the head of the %s at byte %d", ErrSyntax, f.kind, i)
	}
	length := uint64(f.length)
	for _, c := range b[i+1 : i+1+f.width] {
		length = length<<8 | uint64(c)
	}
	needs := length
	if f.kind == Map {
		needs *= 2
	}
	if left := uint64(len(b) - h.start); needs > left {
		return head{}, fmt.Errorf("%w: the %s at byte %d claims a length of %d, %d bytes are left", ErrSyntax, f.kind, i, length, left)
	}
	h.n = int(length)
	return h, nil
}
