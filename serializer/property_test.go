package serializer_test

import (
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/serializer"
)

// Generators of the values that decoding into an interface gives.

func integers() *rapid.Generator[any] {
	digits := rapid.StringMatching(`-?(0|[1-9][0-9]{0,60})`)
	return rapid.Map(digits, func(text string) any { return json.Number(text) })
}

func floats() *rapid.Generator[any] {
	fraction := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?`)
	word := rapid.SampledFrom([]string{"NaN", "Infinity", "-Infinity", "-0", "1.0", "-0.0", "1e999"})
	return rapid.Map(rapid.OneOf(fraction, word), func(text string) any { return json.Number(text) })
}

// texts have more of what is special in JSON, and to Python, than chance would give.
func texts() *rapid.Generator[string] {
	special := rapid.RuneFrom([]rune("\u2028\u2029\x7f\x00\x1f\u0080\ufffd\ufffe\U0001f40e\U0010ffff\"\\/\n<&"))
	return rapid.StringOf(rapid.OneOf(special, rapid.Rune()))
}

// values nest at most depth deep; others adds kinds of values to those of JSON.
func values(depth int, others ...*rapid.Generator[any]) *rapid.Generator[any] {
	kinds := append([]*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), integers(), floats(), texts().AsAny(),
	}, others...)
	if depth > 0 {
		inner := values(depth-1, others...)
		kinds = append(kinds, rapid.SliceOfN(inner, 0, 4).AsAny(), rapid.MapOfN(texts(), inner, 0, 4).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func TestAnyValueSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := values(4).Draw(t, "value")
		text, err := serializer.JSON.Append(nil, sent)
		if err != nil {
			t.Fatal(err)
		}
		checkASCII(t, text)
		var got any
		if err := serializer.JSON.Decode(text, &got); err != nil || !reflect.DeepEqual(got, sent) {
			t.Fatalf("%s comes back as %#v, %v", text, got, err)
		}
	})
}

func checkASCII(t *rapid.T, text []byte) {
	for _, c := range text {
		if c < ' ' || c > '~' {
			t.Fatalf("%q holds the byte %q, want printable ASCII", text, c)
		}
	}
}

// TestTypedValuesSurviveJSON sends Go values into fields of their own types.
func TestTypedValuesSurviveJSON(t *testing.T) {
	t.Parallel()
	type all struct {
		Int    int64
		Uint   uint64
		Double float64
		Single float32
		Big    *big.Int
		Text   string
		Flags  []bool
		ByName map[string]float64
	}
	rapid.Check(t, func(t *rapid.T) {
		sent := all{
			Int: rapid.Int64().Draw(t, "int"), Uint: rapid.Uint64().Draw(t, "uint"),
			Double: rapid.Float64().Draw(t, "double"), Single: rapid.Float32().Draw(t, "single"),
			Big:  new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "big")),
			Text: texts().Draw(t, "text"), Flags: rapid.SliceOf(rapid.Bool()).Draw(t, "flags"),
			ByName: rapid.MapOf(texts(), rapid.Float64()).Draw(t, "byName"),
		}
		text, err := serializer.JSON.Append(nil, sent)
		if err != nil {
			t.Fatal(err)
		}
		var got all
		if err := serializer.JSON.Decode(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got.Big.Cmp(sent.Big) != 0 || math.Signbit(got.Double) != math.Signbit(sent.Double) {
			t.Fatalf("%s comes back as %+v", text, got)
		}
		got.Big = sent.Big // equal numbers need not be equally stored
		if !reflect.DeepEqual(got, sent) {
			t.Fatalf("%s comes back as %+v", text, got)
		}
	})
}

// TestSpecialTypesSurviveJSON sends what has a form of its own.
func TestSpecialTypesSurviveJSON(t *testing.T) {
	t.Parallel()
	type special struct {
		Time  time.Time
		Value big.Int
		Addr  netip.Addr
		Bytes []byte
		Raw   json.RawMessage
		ID    [4]byte
	}
	rapid.Check(t, func(t *rapid.T) {
		sent := special{
			Time:  time.UnixMicro(rapid.Int64Range(0, 250_000_000_000_000_000).Draw(t, "time")).UTC(),
			Value: *big.NewInt(rapid.Int64().Draw(t, "value")),
			Addr:  netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr"))),
			Bytes: []byte(texts().Draw(t, "bytes")),
			ID:    [4]byte(rapid.SliceOfN(rapid.ByteMax(0x7f), 4, 4).Draw(t, "id")),
		}
		raw, err := serializer.JSON.Append(nil, values(2).Draw(t, "raw"))
		if err != nil {
			t.Fatal(err)
		}
		sent.Raw = raw
		text, err := serializer.JSON.Append(nil, sent)
		if err != nil {
			t.Fatal(err)
		}
		var got special
		if err := serializer.JSON.Decode(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got.Value.Cmp(&sent.Value) != 0 {
			t.Fatalf("%s comes back as %+v", text, got)
		}
		got.Value = sent.Value // equal numbers need not be equally stored
		if !reflect.DeepEqual(got, sent) {
			t.Fatalf("%s comes back as %+v", text, got)
		}
	})
}

// TestAnyBytesBecomeText writes strings that need not be UTF-8, as no Python string could be.
func TestAnyBytesBecomeText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		text, err := serializer.JSON.Append(nil, raw)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := serializer.JSON.Decode(text, &got); err != nil || !utf8.ValidString(got) || got != string([]rune(raw)) {
			t.Fatalf("%q comes back as %q, %v", raw, got, err)
		}
	})
}

// objects have names and fields that make nothing else look like an object.
func objects(depth int) *rapid.Generator[*serializer.Object] {
	return rapid.Custom(func(t *rapid.T) *serializer.Object {
		others := []*rapid.Generator[any]{}
		if depth > 0 {
			others = append(others, objects(depth-1).AsAny())
		}
		name := rapid.StringMatching(`[a-zA-Z_:]{0,8}`)
		o := &serializer.Object{
			Prefix:    rapid.SampledFrom([]string{"nova_object", serializer.DefaultPrefix, "a.b", "ř \n"}).Draw(t, "prefix"),
			Namespace: texts().Draw(t, "namespace"), Name: texts().Draw(t, "name"), Version: texts().Draw(t, "version"),
			Data: rapid.MapOfN(name, values(2, others...), 0, 4).Draw(t, "data"),
		}
		if rapid.Bool().Draw(t, "changed") {
			o.Changes = rapid.SliceOfN(texts(), 0, 3).Draw(t, "changes")
		}
		if extra := rapid.MapOfN(name, values(1), 0, 2).Draw(t, "extra"); len(extra) > 0 {
			o.Extra = extra
		}
		return o
	})
}

func TestAnyObjectSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := objects(2).Draw(t, "object")
		fromMap, err := serializer.ObjectFrom(sent.Primitive())
		if err != nil || !reflect.DeepEqual(fromMap, sent) {
			t.Fatalf("the map %v is read as %+v, %v", sent.Primitive(), fromMap, err)
		}
		text, err := serializer.JSON.Append(nil, sent)
		if err != nil {
			t.Fatal(err)
		}
		var got *serializer.Object
		if err := serializer.JSON.Decode(text, &got); err != nil || !reflect.DeepEqual(got, sent) {
			t.Fatalf("%s comes back as %+v, %v", text, got, err)
		}
		plain, err := serializer.JSON.Append(nil, sent.Primitive())
		if err != nil {
			t.Fatal(err)
		}
		var fromText, fromPlain any
		if serializer.JSON.Decode(text, &fromText) != nil || serializer.JSON.Decode(plain, &fromPlain) != nil || !reflect.DeepEqual(fromText, fromPlain) {
			t.Fatalf("the object is %s, its map %s", text, plain)
		}
	})
}
