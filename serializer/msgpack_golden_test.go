package serializer_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/serializer"
)

// packedRow is a Python value and what msgpackutils wrote for it; no bytes where it refused.
type packedRow struct {
	Name, Python, Hex, Error string
}

func packedRows(tb testing.TB) []packedRow {
	tb.Helper()
	data, err := os.ReadFile("testdata/msgpack.json")
	if err != nil {
		tb.Fatal(err)
	}
	var table struct{ Values []packedRow }
	if err := json.Unmarshal(data, &table); err != nil || len(table.Values) < 60 {
		tb.Fatalf("%d values, error %v, want at least 60", len(table.Values), err)
	}
	return table.Values
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func uuidOf(last byte) serializer.UUID { return serializer.UUID{15: last} }

// packedForms are the Go values that stand for the recorded Python ones: what decoding gives.
var packedForms = map[string]any{
	"nil": nil, "true": true, "false": false, "zero": int64(0), "fixint": int64(127), "uint8": int64(128), "uint16": int64(65535),
	"uint32": int64(math.MaxUint32), "uint64": uint64(math.MaxUint64), "int64_max": int64(math.MaxInt64), "negative_fixint": int64(-32), "int8": int64(-33),
	"int16": int64(math.MinInt16), "int32": int64(math.MinInt32), "int64": int64(math.MinInt64), "float": 1.0, "float_tiny": 1e-7, "float_big": 1e100,
	"inf": math.Inf(1), "ninf": math.Inf(-1), "minus_zero": math.Copysign(0, -1), "string_empty": "", "string": "příliš žluťoučký 🐎",
	"string_31": strings.Repeat("a", 31), "string_32": strings.Repeat("a", 32), "string_256": strings.Repeat("b", 256), "bytes_empty": []byte{}, "bytes": []byte{0xff, 0},
	"bytes_256": everyByte(), "bytearray": []byte("ab"), "list_empty": []any{}, "list": []any{int64(1), "a", nil, true, 1.5, []byte("x")}, "list_16": upTo(16),
	"tuple": []any{int64(1), int64(2)}, "dict_empty": map[string]any{}, "dict": map[string]any{"a": int64(1), "b": map[string]any{"c": []any{nil}}}, "dict_16": sixteen(),
	"uuid":                    serializer.UUID{0xb7, 0xa3, 0xe2, 0xf4, 0x0c, 0x1d, 0x4e, 0x5f, 0x8a, 0x9b, 0x1c, 0x2d, 0x3e, 0x4f, 0x5a, 0x6b},
	"datetime_utc":            time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC),
	"datetime_naive":          time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC),
	"datetime_prague":         time.Date(2024, 7, 1, 10, 0, 0, 0, time.UTC),
	"datetime_prague_fold":    time.Date(2024, 10, 27, 1, 30, 0, 0, time.UTC),
	"datetime_lord_howe_fold": time.Date(2024, 4, 6, 15, 15, 0, 0, time.UTC),
	"datetime_offset":         time.Date(2024, 1, 1, 21, 34, 5, 0, time.UTC),
	"datetime_first":          time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	"datetime_last":           time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	"count":                   serializer.Count{Start: 5, Step: 3}, "count_default": serializer.Count{Step: 1}, "count_down": serializer.Count{Start: -1, Step: -1},
	"ipv4": netip.MustParseAddr("10.0.0.17"), "ipv4_zero": netip.MustParseAddr("0.0.0.0"), "ipv4_last": netip.MustParseAddr("255.255.255.255"),
	"ipv6_short": netip.MustParseAddr("::a:0:1"),
	"set_empty":  serializer.Set[any]{}, "set": serializer.Set[any]{int64(7)}, "set_of_strings": serializer.Set[any]{"a"}, "frozenset": serializer.FrozenSet[any]{1.5},
	"set_of_frozensets": serializer.Set[any]{serializer.FrozenSet[any]{"x"}}, "set_of_uuids": serializer.Set[any]{uuidOf(1)},
	"xmlrpc_datetime": time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
	"date":            serializer.Date{Year: 2024, Month: 2, Day: 29}, "date_first": serializer.Date{Year: 1, Month: 1, Day: 1},
	"timestamp": time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC), "timestamp_32": time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), "timestamp_96": time.Unix(-1, 5).UTC(),
	"unknown_extension":      serializer.Extension{Type: 33, Data: []byte("abc")},
	"unknown_extension_long": serializer.Extension{Type: 127, Data: []byte(strings.Repeat("z", 300))},
	"nested": map[string]any{
		"ids":  []any{uuidOf(2)},
		"seen": map[string]any{"at": time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC), "day": serializer.Date{Year: 2024, Month: 1, Day: 2}},
		"tags": serializer.Set[any]{"t"},
	},
}

// otherBytes are the recorded values that Go writes otherwise: times are always in UTC and of one kind, and an
// address that is not IPv4 is text.
var otherBytes = map[string]bool{
	"datetime_naive": true, "datetime_prague": true, "datetime_prague_fold": true, "datetime_lord_howe_fold": true, "datetime_offset": true,
	"xmlrpc_datetime": true, "timestamp": true, "timestamp_32": true, "timestamp_96": true, "ipv6_short": true,
}

func everyByte() []byte {
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	return data
}

func upTo(n int64) []any {
	var list []any
	for i := range n {
		list = append(list, i)
	}
	return list
}

func sixteen() map[string]any {
	m := map[string]any{}
	for i := range int64(16) {
		m["k"+string(rune('0'+i/10))+string(rune('0'+i%10))] = i
	}
	return m
}

func TestMsgpackReadsWhatPythonWrites(t *testing.T) {
	t.Parallel()
	for _, row := range packedRows(t) {
		want, ok := packedForms[row.Name]
		if row.Error != "" || row.Name == "nan" {
			continue // below
		}
		if !ok {
			t.Errorf("%s has no Go form", row.Name)
			continue
		}
		var got any
		if err := serializer.Msgpack.Decode(unhex(t, row.Hex), &got); err != nil || !sameValue(got, want) {
			t.Errorf("%s, %s: %s decodes to %#v, %v, want %#v", row.Name, row.Python, row.Hex, got, err, want)
		}
	}
}

// sameValue is equality, but for the zones of times, which need only agree on the moment.
func sameValue(got, want any) bool {
	if a, ok := got.(time.Time); ok {
		b, ok := want.(time.Time)
		return ok && a.Equal(b)
	}
	return reflect.DeepEqual(got, want)
}

func TestMsgpackWritesWhatPythonWrites(t *testing.T) {
	t.Parallel()
	same := 0
	for _, row := range packedRows(t) {
		v, ok := packedForms[row.Name]
		if !ok {
			continue
		}
		got, err := serializer.Msgpack.Append(nil, v)
		if err != nil || (hex.EncodeToString(got) == row.Hex) == otherBytes[row.Name] {
			t.Errorf("%s: %#v is written %x, %v, Python writes %s", row.Name, v, got, err, row.Hex)
		}
		if !otherBytes[row.Name] {
			same++
		}
	}
	if same < 50 {
		t.Errorf("%d values are written as Python writes them, want at least 50", same)
	}
}

func TestNotANumberIsRecorded(t *testing.T) {
	t.Parallel()
	for _, row := range packedRows(t) {
		if row.Name != "nan" {
			continue
		}
		var f float64
		if err := serializer.Msgpack.Decode(unhex(t, row.Hex), &f); err != nil || !math.IsNaN(f) {
			t.Errorf("%s decodes to %v, %v, want NaN", row.Hex, f, err)
		}
		return
	}
	t.Error("no row nan")
}

func TestMsgpackRefusesWhatPythonRefuses(t *testing.T) {
	t.Parallel()
	refused := map[string]any{"int_2_64": bigInt("18446744073709551616")}
	for _, row := range packedRows(t) {
		if v, ok := refused[row.Name]; ok {
			if got, err := serializer.Msgpack.Append(nil, v); row.Error == "" || !errors.Is(err, serializer.ErrEncode) || len(got) != 0 {
				t.Errorf("%s: written %x, %v, want ErrEncode, as Python has %q", row.Name, got, err, row.Error)
			}
			delete(refused, row.Name)
		}
	}
	if len(refused) > 0 {
		t.Errorf("no rows for %v", refused)
	}
}
