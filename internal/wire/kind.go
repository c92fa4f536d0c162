package wire

// Kind is what an encoded value is, as far as messages care.
type Kind uint8

// The kinds of values.
const (
	Other Kind = iota
	Object
	Nil
)

// KindOf tells what a whole encoded value is by its first byte.
func KindOf(contentType string, value []byte) Kind {
	if len(value) == 0 {
		return Other
	}
	first := value[0]
	if contentType != ContentTypeMsgpack {
		switch first {
		case '{':
			return Object
		case 'n':
			return Nil
		}
		return Other
	}
	switch {
	case first&0xf0 == 0x80, first == 0xde, first == 0xdf: // fixmap, map 16, map 32
		return Object
	case first == 0xc0:
		return Nil
	}
	return Other
}
