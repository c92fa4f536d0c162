package serializer_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/serializer"
)

// FuzzDecodeMsgpack checks that whatever can be read is written in a form that reads the same, and that no
// struct takes what is no msgpack.
func FuzzDecodeMsgpack(f *testing.F) {
	for _, row := range packedRows(f) {
		f.Add(unhex(f, row.Hex))
	}
	for _, test := range unpackTests {
		f.Add(unhex(f, test.data))
	}
	for _, row := range decodeTests {
		if data, err := msgpack.AppendFromJSON(nil, []byte(row.text), msgpack.MaxDepth); err == nil {
			f.Add(data)
		}
	}
	for _, lie := range []string{"dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", "c9 ffffffff 04", "c7 05 04 dd ffffffff", "81 a0 dd 7fffffff", "c1"} {
		f.Add(unhex(f, lie))
	}
	f.Add(bytes.Repeat([]byte{0x91}, 1000))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		err := serializer.Msgpack.Decode(data, &v)
		valid := msgpack.Valid(data, msgpack.MaxDepth)
		if err == nil && valid != nil || err != nil && !errors.Is(err, serializer.ErrDecode) {
			t.Fatalf("%x decodes with %v, Valid says %v", data, err, valid)
		}
		var typed everything
		if err := serializer.Msgpack.Decode(data, &typed); err == nil {
			if valid != nil {
				t.Fatalf("%x decodes into a struct, but is not valid: %v", data, valid)
			}
			checkPacked(t, &typed, new(everything), new(everything))
		}
		if err == nil {
			checkPacked(t, v, new(any), new(any))
		}
	})
}

// checkPacked checks that what has been decoded is written in a form that reads the same.
func checkPacked(t *testing.T, v, again, thrice any) {
	t.Helper()
	once := pack(t, v)
	if err := serializer.Msgpack.Decode(once, again); err != nil {
		t.Fatalf("%#v is written %x, which does not decode: %v", v, once, err)
	}
	twice := pack(t, again)
	if err := serializer.Msgpack.Decode(twice, thrice); err != nil || !bytes.Equal(pack(t, thrice), twice) {
		t.Fatalf("%x is written again as %x: %v", once, twice, err)
	}
	if !bytes.Equal(once, twice) {
		t.Fatalf("%#v is written %x, then %x", v, once, twice)
	}
}
