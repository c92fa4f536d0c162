// Package serializer turns Go values into the bytes of a message and back.
//
// A [Serializer] does both. [JSON] is the one that Python's oslo.messaging understands; what it writes for a
// value is what oslo.serialization would write for the corresponding Python value, byte for byte. [Msgpack] is
// for topics that goslo serves alone.
//
// # From Go to JSON
//
//	Go                                JSON
//	nil, nil pointer                  null
//	bool, integers                    as expected; integers of any size (*big.Int) in full
//	float32, float64                  always with the mark of a float: 1.0, 1e-07; NaN, Infinity, -Infinity
//	string                            ASCII, \u escapes; what is not UTF-8 becomes U+FFFD
//	[]byte, [N]byte                   the text that the bytes are; an error where they are not UTF-8
//	[]T, [N]T                         array; a nil slice is [] (Python would fail to iterate over None)
//	map                               object, keys sorted; a nil map is {} (null is not accepted for args)
//	map key                           string, integer and bool kinds, [encoding.TextMarshaler]
//	struct                            object, see below
//	time.Time                         "2024-01-02T03:04:05.678901", six digits, the offset dropped, as oslo does
//	json.Number, json.RawMessage      their text, checked
//	Object                            a versioned object, see there
//	json.Marshaler                    what it returns, checked
//	encoding.TextMarshaler            string
//	error                             string, its text
//	func, chan, complex               an error
//
// A time loses its offset, and is taken for UTC when it comes back: send t.UTC().
//
// An interface stands for the value in it, a pointer for what it points to. Methods declared on the pointer
// are used for values too, whether or not they can be addressed. [fmt.Stringer] is not used.
//
// Fields of structs follow encoding/json: the tag "json" with its name, "-" and the options omitempty,
// omitzero and string; fields of embedded structs are those of the outer one, where the least nested, then
// the tagged one wins and a tie hides all. The exceptions: time.Duration has no form of its own (it is an
// integer of nanoseconds) and HTML is not escaped.
//
// # From JSON to Go
//
// Into an interface: nil, bool, string, [encoding/json.Number], []any and map[string]any. A number keeps its
// text, so that 1 and 1.0 stay apart and nothing is rounded; NaN, Infinity and -Infinity are numbers too.
//
// Everything else is decoded by the type of the target, as strictly as a compiler would: a string is no
// number, 1.0 and 1e3 are no integers, a number that does not fit is an error, an array has as many elements
// as [N]T asks for. A float takes any number. null is the zero value of whatever the target is. A time.Time
// takes oslo's form, which is read as UTC, RFC 3339, and a date alone. A []byte takes a string, whose
// text it gets, or an array of numbers, which is what a Python bytearray becomes. The names of fields must
// match exactly, capitals too; members without a field are ignored.
//
// Maps, slices and interfaces are made anew; fields without a member, and what existing pointers point to,
// keep what they had. Of a repeated key the last one counts. A lone surrogate becomes U+FFFD.
//
// # Versioned objects
//
// [Object] is what oslo.versionedobjects makes of nova's, neutron's and cinder's objects, of any class and with
// any prefix of its keys. It keeps what it does not know, so that a service may pass on what newer ones sent.
// [ObjectType] is the typed form: it checks name and version and reads the fields into a struct.
//
// # Msgpack
//
// One type serves both codecs: msgpack has the same objects, from the same fields and tags, with keys that are
// strings, and is as strict. What differs, because msgpack says more than JSON and less:
//
//	Go                                msgpack
//	integers                          integer; *big.Int and json.Number too, an error beyond 64 bits
//	float32, float64                  float of the same size: 1.0 stays a float, 0.1 of 32 bits does not grow digits
//	[]byte, [N]byte                   binary data, any bytes
//	time.Time                         extension 1, a datetime with microseconds, always in UTC
//	[Date]                            extension 7
//	[UUID]                            extension 0
//	[Count]                           extension 2
//	[Set], [FrozenSet]                extensions 4 and 5
//	netip.Addr                        extension 3 for IPv4; IPv6 is text, for which the extension has no room
//	[Extension]                       the extension value that it says
//	json.RawMessage, json.Marshaler   what their JSON means
//	methods of vmihailenco/msgpack    what they write, checked; they go before those for JSON
//
// The extensions are those of Python's oslo.serialization (msgpackutils.py), which reads and writes all of
// this. Into an interface come nil, bool, int64 or, beyond it, uint64, float64, string, []byte, []any,
// map[string]any and the types of the table: not json.Number, since msgpack tells integers from floats.
// Extension 6 and msgpack's own timestamp are read as time.Time and never written; unknown ones are kept as
// [Extension]. A datetime without a zone is in UTC; a zone is looked up by its name.
//
// A string, or a type with UnmarshalText, takes a date, a time, a UUID and an address as the text that they
// are in JSON, and binary data that is UTF-8. A list takes a set, an array of bytes takes binary data, text or
// numbers. A json.Number has the digits that Python sees. Keys that are integers or booleans are read as their
// text, and of a repeated one the last counts. A string that is not UTF-8 is refused wherever it stands.
//
// # Limits
//
// Arrays and objects nest at most 100 deep, both ways; that also ends what contains itself. A big.Int has at
// most 4300 digits, since Python reads no longer ones.
package serializer
