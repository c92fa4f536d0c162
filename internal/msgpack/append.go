package msgpack

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// AppendNil appends nil.
func AppendNil(dst []byte) []byte { return append(dst, codeNil) }

// AppendBool appends true or false.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

// AppendInt appends an integer in its shortest form.
func AppendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return AppendUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, codeInt8, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, codeInt16), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, codeInt32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeInt64), uint64(n))
}

// AppendUint appends an integer in its shortest form.
func AppendUint(dst []byte, n uint64) []byte {
	switch {
	case n <= math.MaxInt8:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, codeUint8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, codeUint16), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, codeUint32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeUint64), n)
}

// AppendFloat appends a float of 64 bits, whatever its value: 1.0 stays a float.
func AppendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, codeFloat64), math.Float64bits(f))
}

// AppendFloat32 appends a float of 32 bits.
func AppendFloat32(dst []byte, f float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, codeFloat32), math.Float32bits(f))
}

// AppendString appends a string. Every byte that is not UTF-8 becomes U+FFFD.
func AppendString[T []byte | string](dst []byte, s T) []byte {
	text := string(s)
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	n := len(text)
	if n < 32 {
		dst = append(dst, codeFixStr|byte(n))
	} else {
		dst = appendLength(dst, n, codeStr8, codeStr16, codeStr32)
	}
	return append(dst, text...)
}

// AppendBytes appends binary data.
func AppendBytes(dst, data []byte) []byte {
	dst = appendLength(dst, len(data), codeBin8, codeBin16, codeBin32)
	return append(dst, data...)
}

// AppendArrayLen appends the head of an array of n elements, which the caller appends.
func AppendArrayLen(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, codeFixArray|byte(n))
	}
	return appendLength(dst, n, 0, codeArray16, codeArray32)
}

// AppendMapLen appends the head of a map of n members, which the caller appends: key, value, key, value.
func AppendMapLen(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, codeFixMap|byte(n))
	}
	return appendLength(dst, n, 0, codeMap16, codeMap32)
}

// AppendExtensionLen appends the head of an extension value of n bytes, which the caller appends.
func AppendExtensionLen(dst []byte, id int8, n int) []byte {
	switch n {
	case 1:
		dst = append(dst, codeFixExt1)
	case 2:
		dst = append(dst, codeFixExt2)
	case 4:
		dst = append(dst, codeFixExt4)
	case 8:
		dst = append(dst, codeFixExt8)
	case 16:
		dst = append(dst, codeFixExt16)
	default:
		dst = appendLength(dst, n, codeExt8, codeExt16, codeExt32)
	}
	return append(dst, byte(id))
}

// AppendExtension appends an extension value.
func AppendExtension(dst []byte, id int8, data []byte) []byte {
	return append(AppendExtensionLen(dst, id, len(data)), data...)
}

// appendLength appends a length behind the code for its width; code8 is 0 where there is no form of one byte.
func appendLength(dst []byte, n int, code8, code16, code32 byte) []byte {
	switch {
	case n <= math.MaxUint8 && code8 != 0:
		return append(dst, code8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code32), uint32(n))
}
