package msgpack

// The bytes that values begin with.
const (
	codeFixMap      = 0x80 // and the number of members, below 16
	codeFixArray    = 0x90 // and the number of elements, below 16
	codeFixStr      = 0xa0 // and the number of bytes, below 32
	codeNil         = 0xc0
	codeFalse       = 0xc2
	codeTrue        = 0xc3
	codeBin8        = 0xc4
	codeBin16       = 0xc5
	codeBin32       = 0xc6
	codeExt8        = 0xc7
	codeExt16       = 0xc8
	codeExt32       = 0xc9
	codeFloat32     = 0xca
	codeFloat64     = 0xcb
	codeUint8       = 0xcc
	codeUint16      = 0xcd
	codeUint32      = 0xce
	codeUint64      = 0xcf
	codeInt8        = 0xd0
	codeInt16       = 0xd1
	codeInt32       = 0xd2
	codeInt64       = 0xd3
	codeFixExt1     = 0xd4
	codeFixExt2     = 0xd5
	codeFixExt4     = 0xd6
	codeFixExt8     = 0xd7
	codeFixExt16    = 0xd8
	codeStr8        = 0xd9
	codeStr16       = 0xda
	codeStr32       = 0xdb
	codeArray16     = 0xdc
	codeArray32     = 0xdd
	codeMap16       = 0xde
	codeMap32       = 0xdf
	codeNegativeLow = 0xe0 // from here on a negative integer from -32 to -1
)
