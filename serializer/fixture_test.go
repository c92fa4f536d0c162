package serializer_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/acceptance"
	"github.com/goslo/goslo/serializer"
)

// recorded is what an oslo.messaging peer has put on the wire for a Python value.
type recorded struct {
	Producer, Kind string
	JSON           *string `json:"json_on_wire"` // nil where the value is refused
}

func recordedValues(tb testing.TB) []recorded {
	tb.Helper()
	data, err := os.ReadFile("../internal/pyjson/testdata/json_values.json")
	if err != nil {
		tb.Fatal(err)
	}
	var table struct{ Values []recorded }
	if err := json.Unmarshal(data, &table); err != nil || len(table.Values) < 150 {
		tb.Fatalf("the table holds %d values, error %v", len(table.Values), err)
	}
	return table.Values
}

// decodedForms are the values by their kind: what decoding into an interface gives.
var decodedForms = map[string]any{
	"unicode": "příliš žluťoučký 🐎", "ascii_specials": "a\"b\\c/d\n\t\x00\x7f", "str_empty": "", "lone_surrogate": "\ufffd",
	"datetime_naive": "2024-01-02T03:04:05.678901", "datetime_naive_nous": "2024-01-02T03:04:05.000000",
	"datetime_utc": "2024-01-02T03:04:05.000000", "datetime_offset": "2024-01-02T03:04:05.000000", "date": "2024-01-02",
	"bytes_ascii": "abc", "bytes_utf8": "ř",
	"none": nil, "true": true, "false": false,
	"int_small": json.Number("1"), "int_neg": json.Number("-5"), "int_2_53_plus1": json.Number("9007199254740993"), "intenum": json.Number("1"),
	"int_2_63": json.Number("9223372036854775808"), "int_2_70": json.Number("1180591620717411303424"),
	"float": json.Number("1.5"), "float_int": json.Number("1.0"), "float_tiny": json.Number("1e-07"), "float_big": json.Number("1e+100"),
	"float_1e16": json.Number("1e+16"), "float_01": json.Number("0.1"),
	"nan": json.Number("NaN"), "inf": json.Number("Infinity"), "ninf": json.Number("-Infinity"),
	"list": []any{json.Number("1"), "a", nil}, "tuple": []any{json.Number("1"), json.Number("2")}, "namedtuple": []any{json.Number("1"), json.Number("2")},
	"set": []any{json.Number("1")}, "frozenset": []any{json.Number("1")}, "list_empty": []any{},
	"range": []any{json.Number("0"), json.Number("1"), json.Number("2")}, "bytearray": []any{json.Number("97"), json.Number("98")},
	"dict_nested":   map[string]any{"a": map[string]any{"b": []any{map[string]any{"c": nil}}}},
	"dict_int_keys": map[string]any{"1": "d", "2.5": "b", "null": "c"}, "dict_empty": map[string]any{},
	"items_object": map[string]any{"a": json.Number("1")}, "ordereddict": map[string]any{"a": json.Number("2"), "b": json.Number("1")},
	"long_key_dict": map[string]any{strings.Repeat("k", 300): json.Number("1")},
	"uuid":          "12345678-1234-5678-1234-567812345678", "exception": "ValueError('x')",
	"function": "<built-in function len>", "type": "<class 'int'>",
	"ipaddress": "10.0.0.1", "netaddr_ip": "10.0.0.1", "netaddr_net": "10.0.0.0/24",
}

// writtenOtherwise are the values that do not come back byte for byte, by what comes instead.
var writtenOtherwise = map[string]string{
	"lone_surrogate": `"\ufffd"`,
	"ordereddict":    `{"a": 2, "b": 1}`,
}

// differences tell why values are not as in Python. Users read this list in DESIGN.md.
var differences = map[string]string{
	"lone_surrogate": "Go's strings hold no half of a surrogate pair: it is read as U+FFFD",
	"ordereddict":    "Go's maps have no order: they are written sorted by their keys; a struct keeps its order",
	"date":           "a date is a text in Go, which releases before 16.1 could not send",
	"timedelta":      "a time.Duration is sent as its number of nanoseconds",
	"decimal":        "a json.Number is sent as it is written, an exact decimal; Python has no way to send one",
	"enum":           "a constant of a type of its own is sent as what it is, a number or a text",
}

func TestDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	for kind := range writtenOtherwise {
		if differences[kind] == "" {
			t.Errorf("%s is written otherwise without a reason", kind)
		}
	}
	acceptance.CheckDocumented(t, "../DESIGN.md", differences)
}

func TestRecordedValuesSurviveDecodingAndEncoding(t *testing.T) {
	t.Parallel()
	for _, row := range recordedValues(t) {
		if row.JSON == nil {
			continue
		}
		want, ok := decodedForms[row.Kind]
		if !ok {
			t.Errorf("%s, %s: no expectation for the value %s", row.Producer, row.Kind, *row.JSON)
			continue
		}
		var got any
		if err := serializer.JSON.Decode([]byte(*row.JSON), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s, %s: %s decodes to %#v, %v, want %#v", row.Producer, row.Kind, *row.JSON, got, err, want)
		}
		text, ok := writtenOtherwise[row.Kind]
		if !ok {
			text = *row.JSON
		}
		if again, err := serializer.JSON.Append(nil, got); err != nil || string(again) != text {
			t.Errorf("%s, %s: encoded again as %s, %v, want %s", row.Producer, row.Kind, again, err, text)
		}
	}
}

type (
	enumLike int
	textLike string
	point    [2]int
)

// goForms are the Go values that correspond to the Python values of the table.
var goForms = map[string]any{
	"unicode": "příliš žluťoučký 🐎", "ascii_specials": "a\"b\\c/d\n\t\x00\x7f", "str_empty": "",
	"datetime_naive":      time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC),
	"datetime_naive_nous": time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
	"datetime_utc":        time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
	"datetime_offset":     time.Date(2024, 1, 2, 3, 4, 5, 999, time.FixedZone("", 19800)),
	"date":                "2024-01-02",
	"bytes_ascii":         []byte("abc"), "bytes_utf8": []byte("ř"), "none": (*int)(nil), "true": true, "false": false,
	"int_small": uint8(1), "int_neg": int16(-5), "int_2_53_plus1": int64(1<<53 + 1), "int_2_63": uint64(1 << 63), "intenum": enumLike(1),
	"int_2_70": new(big.Int).Lsh(big.NewInt(1), 70), "float": float32(1.5), "float_int": 1.0, "float_tiny": 1e-7, "float_big": 1e100,
	"float_1e16": 1e16, "float_01": float32(0.1), "nan": math.NaN(), "inf": math.Inf(1), "ninf": float32(math.Inf(-1)),
	"list": []any{1, "a", nil}, "tuple": [2]int{1, 2}, "namedtuple": point{1, 2}, "set": []int{1}, "list_empty": []string(nil), "range": []uint16{0, 1, 2},
	"dict_nested": map[string]map[string][]map[string]*int{"a": {"b": {{"c": nil}}}}, "dict_empty": map[string]int(nil),
	"items_object": struct {
		A int `json:"a"`
	}{1},
	"ordereddict": struct {
		B int `json:"b"`
		A int `json:"a"`
	}{1, 2},
	"dict_int_keys": map[string]string{"1": "d", "2.5": "b", "null": "c"}, "long_key_dict": map[string]int8{strings.Repeat("k", 300): 1},
	"frozenset": [1]uint{1}, "bytearray": []int32{97, 98}, "uuid": textLike("12345678-1234-5678-1234-567812345678"),
	"exception": errors.New("ValueError('x')"), "function": textLike("<built-in function len>"), "type": textLike("<class 'int'>"),
	"ipaddress": netip.MustParseAddr("10.0.0.1"), "netaddr_ip": netip.MustParseAddr("10.0.0.1"), "netaddr_net": netip.MustParsePrefix("10.0.0.0/24"),
}

// TestRecordedValuesSurviveGoTypes decodes each value into the type of its Go form and encodes it again.
func TestRecordedValuesSurviveGoTypes(t *testing.T) {
	t.Parallel()
	for _, row := range recordedValues(t) {
		v, ok := goForms[row.Kind]
		switch {
		case row.JSON == nil || row.Kind == "lone_surrogate" || row.Kind == "exception": // an error is written only
			continue
		case !ok:
			t.Errorf("%s, %s: no Go form for the value %s", row.Producer, row.Kind, *row.JSON)
			continue
		}
		to := reflect.New(reflect.TypeOf(v))
		if err := serializer.JSON.Decode([]byte(*row.JSON), to.Interface()); err != nil {
			t.Errorf("%s, %s: Decode(%s) into %T = %v", row.Producer, row.Kind, *row.JSON, v, err)
			continue
		}
		if again, err := serializer.JSON.Append(nil, to.Interface()); err != nil || string(again) != *row.JSON {
			t.Errorf("%s, %s: as %T encoded again as %s, %v, want %s", row.Producer, row.Kind, v, again, err, *row.JSON)
		}
	}
}

func TestGoValuesAreWrittenLikePythonValues(t *testing.T) {
	t.Parallel()
	for _, row := range recordedValues(t) {
		v, ok := goForms[row.Kind]
		if !ok || row.JSON == nil {
			continue
		}
		if got, err := serializer.JSON.Append(nil, v); err != nil || string(got) != *row.JSON {
			t.Errorf("%s, %s: %#v is written %s, %v, want %s", row.Producer, row.Kind, v, got, err, *row.JSON)
		}
	}
}

// refused are the Go values that correspond to Python values which cannot be sent; nil where Go has none.
var refused = map[string]any{
	"bytes_binary": []byte{0xff}, "complex": 1i,
	"time": nil, // of a day
}

// sentNonetheless are the Go values that can be sent though Python refuses what they correspond to, and their texts.
var sentNonetheless = map[string]struct {
	value any
	text  string
}{
	"date":      {"2024-01-02", `"2024-01-02"`}, // Python refuses it before 16.1 only
	"timedelta": {5 * time.Second, `5000000000`},
	"decimal":   {json.Number("1.10"), `1.10`},
	"enum":      {enumLike(1), `1`},
}

func TestValuesThatPythonRefusesAreRefused(t *testing.T) {
	t.Parallel()
	for _, row := range recordedValues(t) {
		if row.JSON != nil {
			continue
		}
		v, ok := refused[row.Kind]
		sent, other := sentNonetheless[row.Kind]
		switch {
		case other:
			got, err := serializer.JSON.Append(nil, sent.value)
			if err != nil || string(got) != sent.text || differences[row.Kind] == "" {
				t.Errorf("%s: %#v is written %s, %v, want %s; reason: %q", row.Kind, sent.value, got, err, sent.text, differences[row.Kind])
			}
		case !ok:
			t.Errorf("%s, %s: no expectation for a value that is refused", row.Producer, row.Kind)
		case v != nil:
			if got, err := serializer.JSON.Append(nil, v); !errors.Is(err, serializer.ErrEncode) || len(got) != 0 {
				t.Errorf("%s: %#v is written %s, %v, want ErrEncode", row.Kind, v, got, err)
			}
		}
	}
}
