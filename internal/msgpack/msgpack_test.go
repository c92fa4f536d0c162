package msgpack_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/internal/pyjson"
)

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// oracle is what another library writes.
func oracle(tb testing.TB, v any) []byte {
	tb.Helper()
	var b bytes.Buffer
	e := vmihailenco.NewEncoder(&b)
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

var borders = []uint64{
	0, 1, 31, 32, 33, 127, 128, 129, 255, 256, 32767, 32768, 65535, 65536, math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32, math.MaxUint32 + 1,
	math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64,
}

func TestIntegersAreWrittenAsOthersWriteThemAndComeBack(t *testing.T) {
	t.Parallel()
	for _, n := range borders {
		data := msgpack.AppendUint([]byte("x"), n)[1:]
		if want := oracle(t, n); !bytes.Equal(data, want) {
			t.Errorf("%d is written %x, want %x", n, data, want)
		}
		s := msgpack.NewScanner(data, 0)
		got, err := s.Int()
		back, ok := got.Uint64()
		if _, small := got.Int64(); err != nil || !ok || back != n || s.End() != nil || small != (n <= math.MaxInt64) {
			t.Errorf("%x is read as %d, %v, want %d", data, back, err, n)
		}
		for _, n := range []int64{int64(n), -int64(n)} {
			data := msgpack.AppendInt(nil, n)
			if want := oracle(t, n); !bytes.Equal(data, want) {
				t.Errorf("%d is written %x, want %x", n, data, want)
			}
			s := msgpack.NewScanner(data, 0)
			got, err := s.Int()
			back, ok := got.Int64()
			if _, positive := got.Uint64(); err != nil || !ok || back != n || positive != (n >= 0) || got.Float64() != float64(n) {
				t.Errorf("%x is read as %d, %v, want %d", data, back, err, n)
			}
		}
	}
}

// TestEveryFormOfAnIntegerIsRead has forms that are longer than need be.
func TestEveryFormOfAnIntegerIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"7f": "127", "e0": "-32", "ff": "-1", "cc 05": "5", "cd 0005": "5", "ce 00000005": "5", "cf 0000000000000005": "5", "cf ffffffffffffffff": "18446744073709551615",
		"d0 05": "5", "d0 80": "-128", "d1 ffff": "-1", "d1 0005": "5", "d2 fffffffe": "-2", "d3 fffffffffffffffd": "-3", "d3 8000000000000000": "-9223372036854775808",
	} {
		s := msgpack.NewScanner(unhex(t, text), 0)
		n, err := s.Int()
		if got := string(n.Append(nil)); err != nil || got != want || s.End() != nil {
			t.Errorf("%s is read as %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestLengthsTakeTheirShortestForm(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536} {
		text := strings.Repeat("a", n)
		for _, test := range []struct{ got, want []byte }{
			{msgpack.AppendString(nil, text), oracle(t, text)},
			{msgpack.AppendString(nil, []byte(text)), oracle(t, text)},
			{msgpack.AppendBytes(nil, []byte(text)), oracle(t, []byte(text))},
			{append(msgpack.AppendArrayLen(nil, n), bytes.Repeat([]byte{0xc0}, n)...), oracle(t, make([]any, n))},
		} {
			if !bytes.Equal(test.got, test.want) {
				t.Errorf("length %d: written %.20x, want %.20x", n, test.got, test.want)
			}
			if err := msgpack.Valid(test.got, 1); err != nil {
				t.Errorf("length %d: %.20x: %v", n, test.got, err)
			}
		}
		var b bytes.Buffer
		e := vmihailenco.NewEncoder(&b)
		if err := errors.Join(e.EncodeMapLen(n), e.EncodeExtHeader(-5, n)); err != nil {
			t.Fatal(err)
		}
		if got := msgpack.AppendExtensionLen(msgpack.AppendMapLen(nil, n), -5, n); !bytes.Equal(got, b.Bytes()) {
			t.Errorf("length %d of map and extension: written %x, want %x", n, got, b.Bytes())
		}
		s := msgpack.NewScanner(msgpack.AppendExtension(nil, -5, []byte(text)), 0)
		if id, data, err := s.Extension(); err != nil || id != -5 || string(data) != text || s.End() != nil {
			t.Errorf("an extension of %d bytes is read as %d, %d bytes, %v", n, id, len(data), err)
		}
	}
}

func TestScalarsComeBack(t *testing.T) {
	t.Parallel()
	data := msgpack.AppendNil(nil)
	data = msgpack.AppendBool(msgpack.AppendBool(data, true), false)
	data = msgpack.AppendFloat32(msgpack.AppendFloat(data, 1), 0.5)
	data = msgpack.AppendString(data, "a\xffř")
	if want := unhex(t, "c0 c3 c2 cb3ff0000000000000 ca3f000000 a6 61efbfbdc599"); !bytes.Equal(data, want) {
		t.Fatalf("written %x, want %x", data, want)
	}
	s := msgpack.NewScanner(data, 0)
	null, err0 := s.Value()
	yes, err1 := s.Bool()
	no, err2 := s.Bool()
	one, err3 := s.Float()
	half, err4 := s.Float()
	text, err5 := s.Text()
	if err := errors.Join(err0, err1, err2, err3, err4, err5, s.End()); err != nil || string(null) != "\xc0" || !yes || no || one != 1 || half != 0.5 || string(text) != "a\ufffdř" {
		t.Errorf("read %x, %t, %t, %v, %v, %q, %v", null, yes, no, one, half, text, err)
	}
	if s.Peek() != msgpack.None {
		t.Errorf("Peek at the end = %s, want none", s.Peek())
	}
}

// brokenTests are bytes that hold no value.
var brokenTests = []struct{ data, want string }{
	{"", "ends where a value should stand"},
	{"c1", "0xc1 at byte 0 begins no value"},
	{"92 01", "the array at byte 0 claims a length of 2, 1 bytes are left"},
	{"dd ffffffff", "the array at byte 0 claims a length of 4294967295, 0 bytes are left"},
	{"df ffffffff", "the map at byte 0 claims a length of 4294967295, 0 bytes are left"},
	{"df 80000000", "the map at byte 0 claims a length of 2147483648, 0 bytes are left"},
	{"db ffffffff", "the string at byte 0 claims a length of 4294967295, 0 bytes are left"},
	{"c6 ffffffff", "the binary value at byte 0 claims a length of 4294967295, 0 bytes are left"},
	{"c9 ffffffff 00", "the extension at byte 0 claims a length of 4294967295, 0 bytes are left"},
	{"c9 ffffffff", "ends within the head of the extension at byte 0"},
	{"c7 01", "ends within the head of the extension at byte 0"},
	{"d8 00 00", "the extension at byte 0 claims a length of 16, 1 bytes are left"},
	{"81 01", "the map at byte 0 claims a length of 1, 1 bytes are left"},
	{"82 01 02 03", "the map at byte 0 claims a length of 2, 3 bytes are left"},
	{"93 01 92 01", "the array at byte 2 claims a length of 2, 1 bytes are left"},
	{"92 01 92 01 02 03 c1", "want the end at byte 5, got 2 bytes more"},
	{"92 01 c1", "0xc1 at byte 2 begins no value"},
	{"91 dc ff", "ends within the head of the array at byte 1"},
	{"cd 00", "the integer at byte 0 claims a length of 2, 1 bytes are left"},
	{"cb 00", "the float at byte 0 claims a length of 8, 1 bytes are left"},
	{"a2 c5", "the string at byte 0 claims a length of 2, 1 bytes are left"},
	{"a1 ff", "the string at byte 0 is not UTF-8"},
	{"81 a1 ff 01", "the string at byte 1 is not UTF-8"},
	{"a3 eda080", "the string at byte 0 is not UTF-8"}, // a lone surrogate
	{"c0 c0", "want the end at byte 1, got 1 bytes more"},
}

func TestBrokenBytesAreFoundOut(t *testing.T) {
	t.Parallel()
	for _, test := range brokenTests {
		err := msgpack.Valid(unhex(t, test.data), msgpack.MaxDepth)
		if !errors.Is(err, msgpack.ErrSyntax) || err.Error() != "not msgpack: "+test.want {
			t.Errorf("%s: error %v, want %s", test.data, err, test.want)
		}
	}
}

func TestNestingIsLimited(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		open  string
		depth int
		ok    bool
	}{{"91", 100, true}, {"91", 101, false}, {"81c0", 100, true}, {"81c0", 101, false}, {"91", 1 << 20, false}} {
		data := append(bytes.Repeat(unhex(t, test.open), test.depth), 0xc0)
		err := msgpack.Valid(data, msgpack.MaxDepth)
		if (err == nil) != test.ok || !test.ok && !errors.Is(err, msgpack.ErrDepth) {
			t.Errorf("%d times %s: error %v, want ok %t", test.depth, test.open, err, test.ok)
		}
	}
	s := msgpack.NewScanner([]byte{0x91, 0x91, 0xc0}, 1)
	if _, err := s.Enter(msgpack.Array); err != nil || s.Depth() != 0 {
		t.Fatalf("Enter: %v, %d levels left, want 0", err, s.Depth())
	}
	if _, err := s.Enter(msgpack.Array); !errors.Is(err, msgpack.ErrDepth) {
		t.Errorf("Enter below the limit: %v, want ErrDepth", err)
	}
}

func TestWrongKindIsRefused(t *testing.T) {
	t.Parallel()
	s := msgpack.NewScanner([]byte{0x01}, 1)
	const want = "not msgpack: want a value of kind string at byte 0, got integer"
	if _, err := s.Text(); err == nil || err.Error() != want {
		t.Errorf("Text of 1: %v, want %s", err, want)
	}
	_, errBool := s.Bool()
	_, errFloat := s.Float()
	_, errBytes := s.Bytes()
	_, _, errExt := s.Extension()
	_, errMap := s.Enter(msgpack.Map)
	for i, err := range []error{errBool, errFloat, errBytes, errExt, errMap} {
		if !errors.Is(err, msgpack.ErrSyntax) {
			t.Errorf("%d: error %v, want ErrSyntax", i, err)
		}
	}
	if n, err := s.Int(); err != nil || n.Float64() != 1 {
		t.Errorf("after the refusals the value is %v, %v, want 1", n, err)
	}
}

// TestLyingLengthCostsNothing counts the bytes that a claim of 4 GiB allocates: those of the error.
func TestLyingLengthCostsNothing(t *testing.T) {
	for _, body := range []string{"dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", "c9 ffffffff 00"} {
		data := unhex(t, body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := msgpack.Valid(data, msgpack.MaxDepth)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 64<<10 {
			t.Errorf("%s: %v and %d bytes allocated, want an error and next to none", body, err, n)
		}
	}
}

var jsonTests = []struct{ json, data string }{
	{`null`, "c0"},
	{`true`, "c3"},
	{`false`, "c2"},
	{`-1`, "ff"},
	{`18446744073709551615`, "cf ffffffffffffffff"},
	{`1.0`, "cb 3ff0000000000000"},
	{`Infinity`, "cb 7ff0000000000000"},
	{`NaN`, "cb 7ff8000000000001"},
	{`"\u0159"`, "a2 c599"},
	{`[]`, "90"},
	{`{}`, "80"},
	{`[1, [2], {"a": null}]`, "93 01 91 02 81 a1 61 c0"},
	{`{"a": 1, "b": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]}`, "82 a161 01 a162 dc0010 000102030405060708090a0b0c0d0e0f"},
}

func TestJSONIsTranslatedBothWays(t *testing.T) {
	t.Parallel()
	for _, test := range jsonTests {
		want := unhex(t, test.data)
		if got, err := msgpack.AppendFromJSON([]byte("x"), []byte(test.json), 100); err != nil || string(got) != "x"+string(want) {
			t.Errorf("%s becomes %x, %v, want %x behind x", test.json, got, err, want)
		}
		if got, err := msgpack.AppendJSON([]byte("x"), want); err != nil || string(got) != "x"+test.json {
			t.Errorf("%x becomes %s, %v, want %s behind x", want, got, err, test.json)
		}
	}
	if got, err := msgpack.AppendFromJSON(nil, []byte(` {"a" : 1e400} `), 1); err != nil || hex.EncodeToString(got) != "81a161cb7ff0000000000000" {
		t.Errorf("1e400 becomes %x, %v, want infinity", got, err)
	}
}

func TestWhatHasNoTranslationIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`18446744073709551616`: msgpack.ErrRange, `[-9223372036854775809]`: msgpack.ErrRange, `{"a": 1e}`: pyjson.ErrSyntax, `[[1]]`: pyjson.ErrDepth, `[1`: pyjson.ErrSyntax,
		`{"a"`: pyjson.ErrSyntax, `{"a": 1`: pyjson.ErrSyntax, `1 2`: pyjson.ErrSyntax, `"\q"`: pyjson.ErrSyntax, ``: pyjson.ErrSyntax, `{"a": {}}`: pyjson.ErrDepth,
	} {
		if _, err := msgpack.AppendFromJSON(nil, []byte(text), 1); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", text, err, want)
		}
	}
	for data, want := range map[string]error{
		"c4 00": msgpack.ErrNoJSON, "91 d4 01 00": msgpack.ErrNoJSON, "81 01 02": msgpack.ErrNoJSON, "81 a0 c400": msgpack.ErrNoJSON, "92 01": msgpack.ErrSyntax, "": msgpack.ErrSyntax,
		"01 02": msgpack.ErrSyntax, "81 a1 61 c1": msgpack.ErrSyntax, "91 c1": msgpack.ErrSyntax,
	} {
		if _, err := msgpack.AppendJSON(nil, unhex(t, data)); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", data, err, want)
		}
	}
}

// FuzzValid holds Valid against another library, which reads strings that are not UTF-8 too, and nests
// without a limit.
func FuzzValid(f *testing.F) {
	for _, test := range brokenTests {
		f.Add(unhex(f, test.data))
	}
	for _, test := range jsonTests {
		f.Add(unhex(f, test.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := msgpack.Valid(data, msgpack.MaxDepth)
		switch {
		case errors.Is(err, msgpack.ErrDepth) || err != nil && strings.Contains(err.Error(), "UTF-8"):
			return
		case err != nil && !errors.Is(err, msgpack.ErrSyntax):
			t.Fatalf("%x: error %v, want ErrSyntax", data, err)
		}
		rest := bytes.NewReader(data)
		errOther := vmihailenco.NewDecoder(rest).Skip()
		if ok := errOther == nil && rest.Len() == 0; ok != (err == nil) {
			t.Fatalf("%x: %v, another library: %v with %d bytes left", data, err, errOther, rest.Len())
		}
		if text, err := msgpack.AppendJSON(nil, data); err == nil {
			checkTranslation(t, text)
		}
	})
}

// checkTranslation checks that JSON text comes back from msgpack as it went.
func checkTranslation(t *testing.T, text []byte) {
	t.Helper()
	packed, err := msgpack.AppendFromJSON(nil, text, msgpack.MaxDepth)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if again, err := msgpack.AppendJSON(nil, packed); err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%s comes back as %s, %v", text, again, err)
	}
}
