package msgpack

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Valid checks that b holds one value and nothing else, with arrays and maps nested depth levels deep at most.
// What an extension holds is its own affair.
func Valid(b []byte, depth int) error {
	s := NewScanner(b, depth)
	if _, err := s.Value(); err != nil {
		return err
	}
	return s.End()
}

// Scanner walks over one value from its start to its end, for a decoder that knows what it wants: the decoder
// asks what comes next and takes it. Every step is checked, so that each byte is read once. What it returns
// shares the memory of the bytes that it walks over.
type Scanner struct {
	data  []byte
	at    int
	depth int
}

// NewScanner starts on data, in which arrays and maps may nest depth levels deep.
func NewScanner(data []byte, depth int) Scanner {
	return Scanner{data: data, depth: depth}
}

// Depth is how many levels may still follow where the scanner stands.
func (s *Scanner) Depth() int { return s.depth }

// Peek returns the kind of the next value, [None] at the end and where no value begins.
func (s *Scanner) Peek() Kind {
	if s.at >= len(s.data) {
		return None
	}
	return KindOf(s.data[s.at])
}

// Value takes the next value, whatever it is, and returns its bytes.
func (s *Scanner) Value() ([]byte, error) {
	end, err := skip(s.data, s.at, s.depth)
	if err != nil {
		return nil, err
	}
	value := s.data[s.at:end:end]
	s.at = end
	return value, nil
}

func skip(b []byte, i, depth int) (int, error) {
	h, err := headAt(b, i)
	if err != nil {
		return 0, err
	}
	values := h.n
	switch h.kind {
	case Array:
	case Map:
		values *= 2
	case String:
		return h.start + h.n, checkText(b, i, h)
	default:
		return h.start + h.n, nil
	}
	if depth == 0 {
		return 0, ErrDepth
	}
	end := h.start
	for range values {
		if end, err = skip(b, end, depth-1); err != nil {
			return 0, err
		}
	}
	return end, nil
}

func checkText(b []byte, i int, h head) error {
	if !utf8.Valid(b[h.start : h.start+h.n]) {
		return fmt.Errorf("%w: the string at byte %d is not UTF-8", ErrSyntax, i)
	}
	return nil
}

// take takes the next value, which must be of a kind and no array or map, and returns its code and its content.
func (s *Scanner) take(want Kind) (code byte, content []byte, err error) {
	h, err := s.head(want)
	if err != nil {
		return 0, nil, err
	}
	code = s.data[s.at]
	if want == String {
		if err := checkText(s.data, s.at, h); err != nil {
			return 0, nil, err
		}
	}
	s.at = h.start + h.n
	return code, s.data[h.start:s.at:s.at], nil
}

func (s *Scanner) head(want Kind) (head, error) {
	h, err := headAt(s.data, s.at)
	if err == nil && h.kind != want {
		err = fmt.Errorf("%w: want a value of kind %s at byte %d, got %s", ErrSyntax, want, s.at, h.kind)
	}
	return h, err
}

// Bool takes true or false.
func (s *Scanner) Bool() (bool, error) {
	code, _, err := s.take(Bool)
	return code == codeTrue, err
}

// Int takes an integer.
func (s *Scanner) Int() (Int, error) {
	code, content, err := s.take(Integer)
	if err != nil {
		return Int{}, err
	}
	if len(content) == 0 {
		return Int{negative: code >= codeNegativeLow, bits: uint64(int64(int8(code)))}, nil
	}
	var bits uint64
	for _, c := range content {
		bits = bits<<8 | uint64(c)
	}
	if code < codeInt8 {
		return Int{bits: bits}, nil
	}
	unused := 64 - 8*len(content)
	n := int64(bits<<unused) >> unused
	return Int{negative: n < 0, bits: uint64(n)}, nil
}

// Float takes a float of either size.
func (s *Scanner) Float() (float64, error) {
	_, content, err := s.take(Float)
	switch {
	case err != nil:
		return 0, err
	case len(content) == 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(content))), nil
	}
	return math.Float64frombits(binary.BigEndian.Uint64(content)), nil
}

// Text takes a string, which is UTF-8.
func (s *Scanner) Text() ([]byte, error) {
	_, content, err := s.take(String)
	return content, err
}

// Bytes takes binary data.
func (s *Scanner) Bytes() ([]byte, error) {
	_, content, err := s.take(Bytes)
	return content, err
}

// Extension takes an extension value.
func (s *Scanner) Extension() (id int8, data []byte, err error) {
	start := s.at
	code, data, err := s.take(Extension)
	if err != nil {
		return 0, nil, err
	}
	return int8(s.data[start+1+forms[code].width]), data, nil
}

// Enter steps into an array or a map, whichever is wanted, and returns how many elements or members it has.
// The caller takes them, and then calls [Scanner.Leave].
func (s *Scanner) Enter(want Kind) (n int, err error) {
	h, err := s.head(want)
	if err != nil {
		return 0, err
	}
	if s.depth == 0 {
		return 0, ErrDepth
	}
	s.depth--
	s.at = h.start
	return h.n, nil
}

// Leave steps out of an array or a map.
func (s *Scanner) Leave() { s.depth++ }

// End checks that nothing follows.
func (s *Scanner) End() error {
	if s.at != len(s.data) {
		return fmt.Errorf("%w: want the end at byte %d, got %d bytes more", ErrSyntax, s.at, len(s.data)-s.at)
	}
	return nil
}

// Int is an integer from -2^63 to 2^64-1.
type Int struct {
	negative bool
	bits     uint64 // of an int64 where it is negative
}

// Int64 returns the integer; ok is false where it does not fit.
func (n Int) Int64() (value int64, ok bool) {
	return int64(n.bits), n.negative || n.bits <= math.MaxInt64
}

// Uint64 returns the integer; ok is false where it does not fit.
func (n Int) Uint64() (value uint64, ok bool) { return n.bits, !n.negative }

// Float64 returns the nearest float.
func (n Int) Float64() float64 {
	if n.negative {
		return float64(int64(n.bits))
	}
	return float64(n.bits)
}

// Append appends the decimal digits.
func (n Int) Append(dst []byte) []byte {
	if n.negative {
		return strconv.AppendInt(dst, int64(n.bits), 10)
	}
	return strconv.AppendUint(dst, n.bits, 10)
}
