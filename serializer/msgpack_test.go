package serializer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/serializer"
)

func pack(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := serializer.Msgpack.Append(nil, v)
	if err != nil {
		tb.Fatalf("%#v: %v", v, err)
	}
	return data
}

// pair writes and reads itself with the library's encoder and decoder, as an array of two.
type pair struct{ A, B int }

func (p pair) EncodeMsgpack(e *vmihailenco.Encoder) error { return e.Encode([]int{p.A, p.B}) }

func (p *pair) DecodeMsgpack(d *vmihailenco.Decoder) error {
	var list []int
	if err := d.Decode(&list); err != nil || len(list) != 2 {
		return errBroken
	}
	p.A, p.B = list[0], list[1]
	return nil
}

// packed writes and reads itself as bytes.
type packed struct{ raw string }

func (p packed) MarshalMsgpack() ([]byte, error) {
	if p.raw == "" {
		return nil, errBroken
	}
	return []byte(p.raw), nil
}

func (p *packed) UnmarshalMsgpack(data []byte) error {
	if data[0] == 0xc2 {
		return errBroken
	}
	p.raw = string(data)
	return nil
}

// packTests hold what is written for a Go value.
var packTests = []struct {
	v    any
	want string
}{
	{nil, "c0"},
	{(*int)(nil), "c0"},
	{any(nil), "c0"},
	{7, "07"},
	{int8(-1), "ff"},
	{uint16(300), "cd 012c"},
	{uintptr(1), "01"},
	{number(5), "05"},
	{float32(1), "ca 3f800000"},
	{1.0, "cb 3ff0000000000000"},
	{"a\xff", "a4 61efbfbd"},
	{upper("x"), "a1 78"},
	{[]byte("ab"), "c4 02 6162"},
	{[]byte(nil), "c4 00"},
	{[2]byte{1, 2}, "c4 02 0102"},
	{[]octet{1}, "c4 01 01"},
	{[]int(nil), "90"},
	{[]string{"a"}, "91 a161"},
	{[2]any{1, nil}, "92 01 c0"},
	{map[string]int(nil), "80"},
	{map[string]string{"b": "", "a": "x"}, "82 a161 a178 a162 a0"},
	{map[int]bool{-1: true}, "81 a22d31 c3"},
	{map[bool]int{true: 1}, "81 a474727565 01"},
	{map[netip.Addr]int{netip.MustParseAddr("::1"): 1}, "81 a33a3a31 01"},
	{flavor{"m", 4}, "82 a46e616d65 a16d a5766370 7573 04"},
	{&flavor{"m", 4}, "82 a46e616d65 a16d a5766370 7573 04"},
	{struct {
		A int `json:",omitempty"`
		B int `json:"b,string"`
		C int `json:"-"`
		D *int
		E int `json:",omitzero"`
	}{B: 5}, "82 a162 a135 a144 c0"},
	{struct {
		*Plain
		Z int
	}{Z: 1}, "81 a15a 01"},
	{struct{ *Plain }{&Plain{1, 2}}, "82 a141 01 a142 02"},
	{json.Number("1"), "01"},
	{json.Number("1.0"), "cb 3ff0000000000000"},
	{json.Number("-Infinity"), "cb fff0000000000000"},
	{json.Number("18446744073709551615"), "cf ffffffffffffffff"},
	{json.RawMessage(`{"a": [1, 1.0]}`), "81 a161 92 01 cb3ff0000000000000"},
	{json.RawMessage(nil), "c0"},
	{celsius(3), "81 a763656c73697573 03"},
	{vmihailenco.RawMessage("\x91\x01"), "91 01"},
	{vmihailenco.RawMessage(nil), "c0"},
	{pair{1, 2}, "92 01 02"},
	{&pair{1, 2}, "92 01 02"},
	{[]packed{{"\xc3"}}, "91 c3"},
	{big.NewInt(-5), "fb"},
	{*big.NewInt(5), "05"},
	{new(big.Int).SetUint64(math.MaxUint64), "cf ffffffffffffffff"},
	{errBroken, "b3 62726f6b656e0a6f6e2074776f206c696e6573"},
	{netip.MustParsePrefix("10.0.0.0/8"), "aa 31302e302e302e302f38"},
	{netip.MustParseAddr("::ffff:1.2.3.4"), "ae 3a3a666666663a312e322e332e34"},
	{netip.Addr{}, "a0"},
	{time.Date(2024, 1, 2, 4, 4, 5, 678901999, time.FixedZone("", 3600)), "c7 43 01 88 a3646179 02 a56d6f6e7468 01 a479656172 cd07e8 a4686f7572 03 a66d696e757465 04 a67365636f6e64 05 ab6d6963726f7365636f6e64 ce000a5bf5 a2747a a3555443"},
	{time.Second, "ce 3b9aca00"},
	{serializer.Set[int]{1, 2}, "c7 03 04 92 01 02"},
	{&serializer.FrozenSet[string]{}, "d4 05 90"},
	{struct{ serializer.Set[int] }{serializer.Set[int]{1}}, "81 a3536574 d5 04 91 01"},
	{serializer.Extension{Type: -2, Data: []byte{1}}, "d4 fe 01"},
}

func TestMsgpackWritesGoValues(t *testing.T) {
	t.Parallel()
	for _, test := range packTests {
		want := "x" + string(unhex(t, test.want))
		if got, err := serializer.Msgpack.Append([]byte("x"), test.v); err != nil || string(got) != want {
			t.Errorf("%T %+v is written %x, %v, want %x", test.v, test.v, got, err, want)
		}
	}
	if got := serializer.Msgpack.ContentType(); got != "application/msgpack" {
		t.Errorf("ContentType = %s", got)
	}
}

func TestMsgpackRefusesToWriteByPath(t *testing.T) {
	t.Parallel()
	itself := map[string]any{}
	itself["a"] = itself
	pointer := loopPtr(nil)
	pointer = &pointer
	tests := []struct {
		v    any
		want string
	}{
		{map[string]any{"hosts": []any{1, func() {}}}, `hosts[1]: cannot encode a func()`},
		{struct{ C chan int }{}, `C: cannot encode a chan int`},
		{[]*big.Int{bigInt("18446744073709551616")}, `[0]: an integer of more than 64 bits`},
		{[]json.Number{"-9223372036854775809"}, `[0]: an integer of more than 64 bits`},
		{json.Number("x"), `a json.Number must be a number, not "x"`},
		{json.Number(""), `a json.Number must be a number, not ""`},
		{json.RawMessage(`[1`), `not JSON: ends where a comma or ] should stand`},
		{json.RawMessage(`[18446744073709551616]`), `an integer of more than 64 bits`},
		{struct{ R vmihailenco.RawMessage }{vmihailenco.RawMessage("\x92\x01")}, `R: not msgpack: the array at byte 0 claims a length of 2, 1 bytes are left`},
		{[]packed{{""}}, `[0]: broken on two lines`},
		{packed{"\xc0\xc0"}, `not msgpack: want the end at byte 1, got 1 bytes more`},
		{broken{}, `broken on two lines`},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), `the year 10000 is none that Python knows`},
		{time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), `the year 0 is none that Python knows`},
		{struct{ D serializer.Date }{}, `D: no date that Python knows`},
		{serializer.Date{Year: 2023, Month: 2, Day: 29}, `no date that Python knows`},
		{map[float64]int{1: 1}, `cannot encode keys of type float64`},
		{serializer.Set[any]{func() {}}, `[0]: cannot encode a func()`},
		{itself, strings.Repeat("a.", 12)[:23] + `...: nested deeper than 100, or contains itself`},
		{pointer, `points to itself`},
	}
	for _, test := range tests {
		got, err := serializer.Msgpack.Append([]byte("kept"), test.v)
		if err == nil || err.Error() != test.want || !errors.Is(err, serializer.ErrEncode) || errors.Is(err, serializer.ErrDecode) {
			t.Errorf("%T: error %v, want %s, matching ErrEncode alone", test.v, err, test.want)
		}
		if string(got) != "kept" {
			t.Errorf("%T: dst is now %q, want it as it was", test.v, got)
		}
	}
}

// unpackTests decode bytes into a new value of the type of want.
var unpackTests = []struct {
	data string
	want any
}{
	{"c3", true},
	{"d0 80", int8(-128)},
	{"cc ff", uint8(255)},
	{"d3 0000000000000007", number(7)},
	{"cf ffffffffffffffff", uint64(math.MaxUint64)},
	{"07", 7.0},
	{"cf ffffffffffffffff", 18446744073709551615.0},
	{"ff", float32(-1)},
	{"ca 3f000000", 0.5},
	{"cb 3fb999999999999a", float32(0.1)},
	{"cb 7ff0000000000000", float32(math.Inf(1))},
	{"a2 c599", "ř"},
	{"c4 02 c599", "ř"}, // as []byte is text in JSON
	{"01", json.Number("1")},
	{"cb 3ff0000000000000", json.Number("1.0")},
	{"fb", *big.NewInt(-5)},
	{"92 cf ffffffffffffffff c0", []*big.Int{bigInt("18446744073709551615"), nil}},
	{"82 a161 01 a162 92 c0 cb3ff0000000000000", json.RawMessage(`{"a": 1, "b": [null, 1.0]}`)},
	{"c0", json.RawMessage(`null`)},
	{"91 d802" + strings.Repeat("00", 16), []vmihailenco.RawMessage{vmihailenco.RawMessage("\xd8\x02" + strings.Repeat("\x00", 16))}},
	{"c4 02 6162", []byte("ab")},
	{"a2 6162", []byte("ab")},
	{"92 61 62", []byte("ab")},
	{"c4 00", []byte{}},
	{"c4 03 616263", [3]byte{'a', 'b', 'c'}},
	{"a3 616263", [3]octet{'a', 'b', 'c'}},
	{"92 01 02", [2]byte{1, 2}},
	{"90", []int{}},
	{"93 91 01 c0 90", [][]int{{1}, nil, {}}},
	{"92 01 02", [2]float64{1, 2}},
	{"c7 03 04 92 01 02", []int{1, 2}},
	{"c7 03 05 92 01 02", [2]int{1, 2}},
	{"92 01 02", serializer.Set[int]{1, 2}},
	{"d5 05 91 01", serializer.Set[int8]{1}},
	{"91 d5 04 91 01", []any{serializer.Set[any]{int64(1)}}},
	{"83 a161 01 a161 02 a161 03", map[string]int{"a": 3}},
	{"82 a161 81 a178 01 a161 81 a179 02", map[string]any{"a": map[string]any{"y": int64(2)}}},
	{"82 ff a161 a23130 a162", map[int8]string{-1: "a", 10: "b"}},
	{"82 c3 01 a566616c7365 00", map[bool]int{true: 1, false: 0}},
	{"82 c4 01 61 01 05 02", map[string]int{"a": 1, "5": 2}},
	{"81 05 c0", map[string]any{"5": nil}},
	{"81 a83130 2e302e302e31 01", map[netip.Addr]int{netip.MustParseAddr("10.0.0.1"): 1}},
	{"c7 05 03 ce 0a000001", netip.MustParseAddr("10.0.0.1")},
	{"c7 05 03 ce 0a000001", "10.0.0.1"},
	{"a3 3a3a31", netip.MustParseAddr("::1")},
	{"c7 20 00 " + strings.Repeat("30", 31) + "31", uuidOf(1)},
	{"c7 20 00 " + strings.Repeat("30", 31) + "31", "00000000-0000-0000-0000-000000000001"},
	{"d9 24 30303030303030302d303030302d303030302d303030302d303030303030303030303031", uuidOf(1)},
	{"c7 15 07 83 a479656172 cd07e8 a56d6f6e7468 01 a3646179 02", serializer.Date{Year: 2024, Month: 1, Day: 2}},
	{"c7 15 07 83 a479656172 cd07e8 a56d6f6e7468 01 a3646179 02", time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)},
	{"c7 15 07 83 a479656172 cd07e8 a56d6f6e7468 01 a3646179 02", "2024-01-02"},
	{"c7 18 07 83 c40479656172 cd07e8 c4056d6f6e7468 01 c403646179 02", serializer.Date{Year: 2024, Month: 1, Day: 2}}, // as Python 2 wrote it
	{"aa 323032342d30312d3032", serializer.Date{Year: 2024, Month: 1, Day: 2}},
	{"aa 323032342d30312d3032", time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)},
	{"c7 3c 01 87 a3646179 02 a56d6f6e7468 01 a479656172 cd07e8 a4686f7572 03 a66d696e757465 04 a67365636f6e64 05 ab6d6963726f7365636f6e64 ce000a5bf5", "2024-01-02T03:04:05.678901"},
	{"d6 ff 00000001", time.Unix(1, 0).UTC()},
	{"c7 03 02 92 05 03", serializer.Count{Start: 5, Step: 3}},
	{"82 a57374617274 05 a473746570 03", serializer.Count{Start: 5, Step: 3}},
	{"d4 21 ff", serializer.Extension{Type: 33, Data: []byte{0xff}}},
	{"c7 03 02 92 05 03", serializer.Extension{Type: 2, Data: []byte{0x92, 5, 3}}},
	{"a3 616263", upper("ABC")},
	{"92 01 c0", []option{{true, 1}, {true, 0}}},
	{"92 01 c0", []*option{{true, 1}, nil}},
	{"81 a763656c73697573 03", celsius(3)},
	{"92 05 06", pair{5, 6}},
	{"92 91 01 c0", []packed{{"\x91\x01"}, {"\xc0"}}},
	{"80", spec{}},
	{"83 a7756e6b6e6f776e 93 01 81 a161 02 c403ffffff a6466c61766f72 05 07 08", spec{}},
	{"82 a6666c61766f72 81 a46e616d65 a26d31 a6666c61766f72 81 a57663707573 04", spec{Flavor: &flavor{VCPUs: 4}}}, // the last one, not a mixture
	{"86 a161 a131 a162 a474727565 a163 a3227822 a164 a3312e30 a165 c0 a166 a132", quoted{1, true, "x", 1, nil, pointerTo(uint8(2))}},
}

func TestMsgpackFillsValues(t *testing.T) {
	t.Parallel()
	for _, test := range unpackTests {
		target := reflect.New(reflect.TypeOf(test.want))
		if err := serializer.Msgpack.Decode(unhex(t, test.data), target.Interface()); err != nil {
			t.Errorf("%s into a %T: %v", test.data, test.want, err)
			continue
		}
		if got := target.Elem().Interface(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s decodes to %#v, want %#v", test.data, got, test.want)
		}
	}
}

func TestMsgpackRefusesToReadByPath(t *testing.T) {
	t.Parallel()
	type inner struct {
		N int8
		T time.Time
		L []string
		F func()
		E error
		Z [2]int
		B [2]byte
		Q int `json:",string"`
		U serializer.UUID
		C serializer.Count
	}
	parts := func(keys string) string { // a datetime of the 30th of February, or with a zone of the given bytes
		data := unhex(t, keys)
		return fmt.Sprintf("c7 %02x 01 %x", len(data), data)
	}
	day := "a3646179 02 a56d6f6e7468 01 a479656172 cd07e8 a4686f7572 03 a66d696e757465 04 a67365636f6e64 05 ab6d6963726f7365636f6e64 00"
	var nilSpec *spec
	tests := []struct {
		data   string
		target any
		want   string
	}{
		{"81 a14e a134", &inner{}, `N: want an integer, got a string`},
		{"81 a14e cb3ff0000000000000", &inner{}, `N: want an integer, got 1.0`},
		{"81 a14e cc80", &inner{}, `N: 128 does not fit int8`},
		{"81 a14e d2ffffff7f", &inner{}, `N: -129 does not fit int8`},
		{"81 a14e c3", &inner{}, `N: want an integer, got a boolean`},
		{"81 a14e c400", &inner{}, `N: want an integer, got binary data`},
		{"81 a14e d40100", &inner{}, `N: want an integer, got an extension`},
		{"cf ffffffffffffffff", new(int64), `18446744073709551615 does not fit int64`},
		{"ff", new(uint), `-1 does not fit uint`},
		{"a178", new(float64), `want a number, got a string`},
		{"cb 47f0000000000000", new(float32), `3.402823669209385e+38 does not fit float32`},
		{"01", new(bool), `want a boolean, got a number`},
		{"01", new(string), `want a string, got a number`},
		{"c4 01 ff", new(string), `bytes must be UTF-8 text`},
		{"d4 04 90", new(string), `want a string, got an extension`},
		{"a1 78", new(json.Number), `want a number, got a string`},
		{"cb 3ff8000000000000", new(big.Int), `want an integer, got 1.5`},
		{"81 a14c 93 a0 c0 c2", &inner{}, `L[2]: want a string, got a boolean`},
		{"81 a14c 80", &inner{}, `L: want an array, got an object`},
		{"81 a14c d40090", &inner{}, `L: want an array, got an extension`},
		{"81 a14c d40480", &inner{}, `L: want an array, got an object`},
		{"81 a14c d5049000", &inner{}, `L: not msgpack: want the end at byte 1, got 1 bytes more`},
		{"90", &inner{}, `want an object, got an array`},
		{"81 a146 01", &inner{}, `F: cannot decode into func()`},
		{"81 a145 a0", &inner{}, `E: cannot decode into error`},
		{"81 a15a 91 01", &inner{}, `Z: want 2 elements, got 1`},
		{"81 a15a 93 010203", &inner{}, `Z: want 2 elements, got 3`},
		{"81 a15a 92 01 a0", &inner{}, `Z[1]: want an integer, got a string`},
		{"81 a142 c403 010203", &inner{}, `B: want 2 bytes, got 3`},
		{"81 a142 92 01 cd0100", &inner{}, `B[1]: 256 does not fit uint8`},
		{"81 a142 01", &inner{}, `B: want a string, got a number`},
		{"81 a151 01", &inner{}, `Q: want a string, got a number`},
		{"81 a151 a178", &inner{}, `Q: not JSON: want a value at byte 0, got 'x'`},
		{"81 a155 d50030 31", &inner{}, `U: want a UUID, got "01"`},
		{"81 a155 a130", &inner{}, `U: want a UUID, got "0"`},
		{"81 a143 d40490", &inner{}, `C: want a count, got an extension`},
		{"81 a143 d5029101", &inner{}, `C: want 2 elements, got 1`},
		{"81 a143 01", &inner{}, `C: want an object, got a number`},
		{"01", new(serializer.Extension), `want an extension, got a number`},
		{"81 a154 a178", &inner{}, `T: want a time, got "x"`},
		{"81 a154 05", &inner{}, `T: want a string, got a number`},
		{"81 a154 d40490", &inner{}, `T: want a time, got an extension`},
		{"81 a154 d5ff0000", &inner{}, `T: want a timestamp of 4, 8 or 12 bytes, got 2`},
		{"c7 0c ff 3b9aca00 0000000000000000", new(any), `a timestamp out of range`},
		{"c7 0c ff 00000000 7fffffffffffffff", new(any), `a timestamp out of range`},
		{parts("87" + strings.Replace(day, "6d6f6e7468 01", "6d6f6e7468 0d", 1)), new(any), `no time that Python knows`},
		{parts("87" + strings.Replace(day, "646179 02", "646179 20", 1)), new(any), `no time that Python knows`},
		{parts("87" + strings.Replace(day, "646179 02", "646179 a0", 1)), new(any), `day: want an integer, got a string`},
		{parts("88" + day + "a2747a c0"), new(any), `tz: the zone of a time must have a name`},
		{parts("88" + day + "a2747a a54c6f63616c"), new(any), `tz: unknown time zone "Local"`},
		{parts("88" + day + "a2747a ad2e2e2f6574632f706173737764"), new(any), `tz: unknown time zone "../etc/passwd"`},
		{parts("88" + day + "a2747a d946" + strings.Repeat("61", 70)), new(any), `tz: unknown time zone "` + strings.Repeat("a", 64) + `..."`},
		{"c7 15 07 83 a479656172 cd07e7 a56d6f6e7468 02 a3646179 1d", new(any), `no date that Python knows`},
		{"81 a3612062 81 a1 78 a178", new(map[string]map[string]int), `["a b"].x: want an integer, got a string`},
		{"81 cd012c 01", new(map[uint8]int), `300: the key is no uint8`},
		{"81 c0 01", new(map[string]any), `want a key that is a string, got null`},
		{"81 90 01", new(any), `want a key that is a string, got an array`},
		{"81 c401ff 01", new(any), `bytes must be UTF-8 text`},
		{"81 a161 92 81 a162 01 81 a162 c1", new(any), `a[1].b: not msgpack: 0xc1 at byte 11 begins no value`},
		{"81 a178 c1", &inner{}, `x: not msgpack: 0xc1 at byte 3 begins no value`},
		{"a1 ff", new(string), `not msgpack: the string at byte 0 is not UTF-8`},
		{"91 a1 ff", new(any), `[0]: not msgpack: the string at byte 1 is not UTF-8`},
		{"81 a178 a1ff", &inner{}, `x: not msgpack: the string at byte 3 is not UTF-8`}, // although nobody asks for it
		{"01 02", new(int), `not msgpack: want the end at byte 1, got 1 bytes more`},
		{"c0 00", new(any), `not msgpack: want the end at byte 1, got 1 bytes more`},
		{"", new(any), `not msgpack: ends where a value should stand`},
		{"", new(inner), `not msgpack: ends where a value should stand`},
		{"dd ffffffff", new(any), `not msgpack: the array at byte 0 claims a length of 4294967295, 0 bytes are left`},
		{"df ffffffff", new(map[string]int), `not msgpack: the map at byte 0 claims a length of 4294967295, 0 bytes are left`},
		{"91 c3", new(pair), `broken on two lines`},
		{"c2", new(packed), `broken on two lines`},
		{"c1", new(pair), `not msgpack: 0xc1 at byte 0 begins no value`},
		{"91 c401ff", new(json.RawMessage), `[0]: bytes must be UTF-8 text`},
		{"a0", new(upper), `broken on two lines`},
		{"05", new(loopPtr), `cannot decode into serializer_test.loopPtr`},
		{"05", nil, `want a pointer to decode into, got nil`},
		{"05", spec{}, `want a pointer to decode into, got serializer_test.spec`},
		{"05", nilSpec, `want a pointer to decode into, got a nil *serializer_test.spec`},
		{"05", (*any)(nil), `want a pointer to decode into, got a nil *interface {}`},
	}
	for _, test := range tests {
		err := serializer.Msgpack.Decode(unhex(t, test.data), test.target)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s into a %T: error %v, want %s", test.data, test.target, err, test.want)
		}
		if !errors.Is(err, serializer.ErrDecode) || errors.Is(err, serializer.ErrEncode) {
			t.Errorf("%s: error %v must match ErrDecode alone", test.data, err)
		}
	}
}

func TestMsgpackNullIsTheZeroValue(t *testing.T) {
	t.Parallel()
	got := everything{Int: 1, String: "x", Bytes: []byte{1}, Time: time.Unix(1, 0), Big: big.NewInt(1), Any: 1, List: []everything{}, ByName: map[string]int{}, Quoted: 1}
	null := map[string]any{}
	for i := range reflect.TypeFor[everything]().NumField() {
		null[reflect.TypeFor[everything]().Field(i).Name] = nil
	}
	null["quoted"] = nil
	delete(null, "Option") // which sees null
	if err := serializer.Msgpack.Decode(pack(t, null), &got); err != nil || !reflect.DeepEqual(got, everything{}) {
		t.Errorf("decoded %+v, %v, want the zero value", got, err)
	}
}

func TestMsgpackDepthIsExact(t *testing.T) {
	t.Parallel()
	nest := func(v any, n int, set bool) any {
		for range n {
			if v = []any{v}; set {
				v = serializer.Set[any](v.([]any))
			}
		}
		return v
	}
	for _, set := range []bool{false, true} {
		for _, v := range []any{1, time.Unix(0, 0), serializer.Count{}} {
			var back any
			if err := serializer.Msgpack.Decode(pack(t, nest(v, 100, set)), &back); err != nil {
				t.Errorf("what is written at the limit must be read: %v", err)
			}
			if _, err := serializer.Msgpack.Append(nil, nest(v, 101, set)); !errors.Is(err, serializer.ErrEncode) {
				t.Errorf("101 levels: error %v, want ErrEncode", err)
			}
		}
	}
	deep := []byte{0x90}
	for range 101 {
		deep = msgpack.AppendExtension(nil, 4, append([]byte{0x91}, deep...))
	}
	for _, data := range [][]byte{append(bytes.Repeat([]byte{0x91}, 1<<20), 0xc0), deep} {
		if err := serializer.Msgpack.Decode(data, new(any)); !errors.Is(err, serializer.ErrDecode) || !errors.Is(err, msgpack.ErrDepth) {
			t.Errorf("error %v, want ErrDecode and ErrDepth", err)
		}
	}
}

// TestMsgpackLiesCostNothing counts what bodies allocate that claim more than they hold, or hold what the
// target does not take.
func TestMsgpackLiesCostNothing(t *testing.T) {
	type large [1 << 10]int
	million := append(unhex(t, "dd 00100000"), bytes.Repeat([]byte{0xc3}, 1<<20)...)
	for _, test := range []struct {
		data   []byte
		target any
	}{
		{unhex(t, "dd ffffffff"), new(any)},
		{unhex(t, "df ffffffff"), new(map[string]any)},
		{unhex(t, "dd ffffffff"), new([]large)},
		{unhex(t, "db ffffffff"), new(string)},
		{unhex(t, "c6 ffffffff"), new([]byte)},
		{unhex(t, "c9 ffffffff 04"), new(any)},
		{unhex(t, "c7 05 04 dd ffffffff"), new(any)},
		{million, new([]large)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := serializer.Msgpack.Decode(test.data, test.target)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, serializer.ErrDecode) || n > 16<<20 {
			t.Errorf("%.10x into a %T: %v and %d bytes allocated, want ErrDecode and few", test.data, test.target, err, n)
		}
	}
}

func TestMsgpackKeepsNoPartOfItsInput(t *testing.T) {
	t.Parallel()
	in := map[string]any{"s": "abc", "b": []byte("xyz"), "e": serializer.Extension{Type: 40, Data: []byte("ext")}, "p": vmihailenco.RawMessage("\xa1r"), "q": packed{"\xa1m"}}
	data := pack(t, in)
	want := string(data)
	var typed struct {
		B []byte                 `json:"b"`
		E serializer.Extension   `json:"e"`
		P vmihailenco.RawMessage `json:"p"`
		Q packed                 `json:"q"`
		S string                 `json:"s"`
	}
	var untyped any
	if err := errors.Join(serializer.Msgpack.Decode(data, &typed), serializer.Msgpack.Decode(data, &untyped)); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if got := string(pack(t, untyped)); got != want {
		t.Errorf("after the input is gone the value is %q, want %q", got, want)
	}
	if got := string(pack(t, typed)); got != want {
		t.Errorf("after the input is gone the struct is %q, want %q", got, want)
	}
}

func TestZonesOfTimesAreUnderstood(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]time.Time{
		"":              time.Date(2024, 10, 27, 2, 30, 0, 0, time.UTC),
		"UTC":           time.Date(2024, 10, 27, 2, 30, 0, 0, time.UTC),
		"Europe/Prague": time.Date(2024, 10, 27, 1, 30, 0, 0, time.UTC), // the second half past two of that night
		"UTC+05:30":     time.Date(2024, 10, 26, 21, 0, 0, 0, time.UTC),
		"-03:00":        time.Date(2024, 10, 27, 5, 30, 0, 0, time.UTC),
	} {
		parts := map[string]any{"year": 2024, "month": 10, "day": 27, "hour": 2, "minute": 30, "second": 0, "microsecond": 0}
		if zone != "" {
			parts["tz"] = zone
		}
		var got time.Time
		err := serializer.Msgpack.Decode(msgpack.AppendExtension(nil, 1, pack(t, parts)), &got)
		if err != nil || !got.Equal(want) {
			t.Errorf("zone %q: %v, %v, want %v", zone, got, err, want)
		}
	}
}

func TestTypesOfExtensionsAreTextInJSON(t *testing.T) {
	t.Parallel()
	type all struct {
		U serializer.UUID           `json:"u"`
		D serializer.Date           `json:"d"`
		C serializer.Count          `json:"c"`
		S serializer.Set[int]       `json:"s"`
		F serializer.FrozenSet[int] `json:"f"`
	}
	in := all{uuidOf(0xab), serializer.Date{Year: 2024, Month: 2, Day: 29}, serializer.Count{Start: 1, Step: 2}, serializer.Set[int]{1}, serializer.FrozenSet[int]{2}}
	const want = `{"u": "00000000-0000-0000-0000-0000000000ab", "d": "2024-02-29", "c": {"start": 1, "step": 2}, "s": [1], "f": [2]}`
	text := encode(t, in)
	if text != want {
		t.Errorf("written %s, want %s", text, want)
	}
	for _, codec := range []serializer.Serializer{serializer.JSON, serializer.Msgpack} {
		var out all
		data, err := codec.Append(nil, in)
		if err = errors.Join(err, codec.Decode(data, &out)); err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%s: %+v comes back as %+v, %v", codec.ContentType(), in, out, err)
		}
	}
	for _, text := range []string{`"2024-02-30"`, `"0000-01-01"`, `"2024-02-29T00:00:00"`, `""`} {
		if err := serializer.JSON.Decode([]byte(text), new(serializer.Date)); !errors.Is(err, serializer.ErrDecode) {
			t.Errorf("%s is read as a date: %v", text, err)
		}
	}
	var id serializer.UUID
	for _, text := range []string{"", "0", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("g", 32), "00000000-0000-0000-0000_000000000001", "0000000000-00-0000-0000-000000000001"} {
		if err := id.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, id)
		}
	}
	if _, err := (serializer.Date{}).MarshalText(); err == nil {
		t.Error("the zero Date has a text")
	}
}
