package pyjson_test

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/pyjson"
)

// stringTests hold what Python's json.dumps writes for a string, and for that text again.
var stringTests = []struct{ text, once, twice string }{
	{"", `""`, `"\"\""`},
	{"abc", `"abc"`, `"\"abc\""`},
	{`"\/`, `"\"\\/"`, `"\"\\\"\\\\/\""`},
	{"\x00\x01\x1f ~\x7f\u0080", `"\u0000\u0001\u001f ~\u007f\u0080"`, `"\"\\u0000\\u0001\\u001f ~\\u007f\\u0080\""`},
	{"\b\f\n\r\t", `"\b\f\n\r\t"`, `"\"\\b\\f\\n\\r\\t\""`},
	{"ř", `"\u0159"`, `"\"\\u0159\""`},
	{"\u2028\u2029<>&", `"\u2028\u2029<>&"`, `"\"\\u2028\\u2029<>&\""`},
	{"🐎", `"\ud83d\udc0e"`, `"\"\\ud83d\\udc0e\""`},
	{"\ufffd\uffff", `"\ufffd\uffff"`, `"\"\\ufffd\\uffff\""`},
	{"a\xffb\xc5", `"a\ufffdb\ufffd"`, `"\"a\\ufffdb\\ufffd\""`}, // no text for Python; U+FFFD for each byte
}

func TestStringsAreWrittenAsPythonDoes(t *testing.T) {
	t.Parallel()
	for _, test := range stringTests {
		if got := string(pyjson.AppendString(nil, test.text)); got != test.once {
			t.Errorf("AppendString(%q) = %s, want %s", test.text, got, test.once)
		}
		if got := string(pyjson.AppendString([]byte("x"), []byte(test.text))); got != "x"+test.once {
			t.Errorf("AppendString(x, bytes of %q) = %s, want x%s", test.text, got, test.once)
		}
		nested := string(pyjson.AppendNestedString(nil, test.text))
		if got := `"` + nested + `"`; got != test.twice {
			t.Errorf("AppendNestedString(%q) = %s, want %s", test.text, got, test.twice)
		}
		if got := `"` + string(pyjson.AppendNested(nil, []byte(test.once))) + `"`; got != test.twice {
			t.Errorf("AppendNested(%s) = %s, want %s", test.once, got, test.twice)
		}
	}
}

func TestNestedTextIsASCIIWhateverItHolds(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`{"a": [1, "b\n"]}`, `{\"a\": [1, \"b\\n\"]}`},
		{`"ř🐎"`, `\"\\u0159\\ud83d\\udc0e\"`}, // raw in the inner text: escaped there, as Python would have
		{"\"\x7f\"", `\"\\u007f\"`},
		{"[\n\t1]", `[\n\t1]`}, // blanks around values
		{"\x01", `\u0001`},     // no JSON, but the outer string stays whole
		{"\"\xff\"", `\"\\ufffd\"`},
	}
	for _, test := range tests {
		if got := string(pyjson.AppendNested(nil, []byte(test.text))); got != test.want {
			t.Errorf("AppendNested(%q) = %s, want %s", test.text, got, test.want)
		}
	}
}

// reprs are floats as Python's json.dumps writes them.
const reprs = `0.0 -0.0 1.0 -1.0 0.1 0.3333333333333333 0.6666666666666666 100.0 1000000000000000.0 1e+16 1e+17
1.2345678901234568e+17 9999999999999998.0 0.0001 0.00012 9.999e-05 1e-05 1e-07 1e+22 1e+23 1e+100 5e-324
2.2250738585072014e-308 1.7976931348623157e+308 9007199254740992.0 9007199254740994.0 9.223372036854776e+18
3.141592653589793 1.5 2.5 1234567.125 0.30000000000000004 1e-10 12345678.9 4.35 1000.0 65504.0
-1.989032661366619e+244 7.761117632285041e+178 3.980498358697587e-249 -1.5432835417340557e+88
1.3647584518757569e-192 -1.3701135617873088e-206 6.294675241195386e-44 6.387016158513563e-12
NaN Infinity -Infinity`

func TestFloatsAreWrittenAsPythonDoes(t *testing.T) {
	t.Parallel()
	for _, want := range append(strings.Fields(reprs), recordedFloats(t)...) {
		f, err := strconv.ParseFloat(want, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(pyjson.AppendFloat([]byte("x"), f, 64)); got != "x"+want {
			t.Errorf("AppendFloat(x, %v) = %s, want x%s", f, got, want)
		}
	}
}

// recordedFloats are those that oslo.messaging has put on the wire.
func recordedFloats(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/json_values.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Values []struct {
			Kind string
			JSON *string `json:"json_on_wire"`
		}
	}
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	var floats []string
	for _, v := range table.Values {
		if strings.HasPrefix(v.Kind, "float") || strings.HasSuffix(v.Kind, "inf") || v.Kind == "nan" {
			floats = append(floats, *v.JSON)
		}
	}
	if len(floats) < 27 {
		t.Fatalf("the table holds %d floats, want 9 of each of 3 producers", len(floats))
	}
	return floats
}

func TestShortFloatsKeepTheirDigits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		f    float32
		want string
	}{
		{0.1, "0.1"},
		{1, "1.0"},
		{16777216, "16777216.0"},
		{1e-4, "0.0001"},
		{1e-5, "1e-05"},
		{1e15, "1000000000000000.0"},
		{1e16, "1e+16"},
		{math.MaxFloat32, "3.4028235e+38"},
		{float32(math.Inf(-1)), "-Infinity"},
	}
	for _, test := range tests {
		if got := string(pyjson.AppendFloat(nil, float64(test.f), 32)); got != test.want {
			t.Errorf("AppendFloat(%v, 32) = %s, want %s", test.f, got, test.want)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, test := range stringTests {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := pyjson.AppendString(nil, s)
		for _, c := range quoted {
			if c < ' ' || c > '~' {
				t.Fatalf("AppendString(%q) = %q, which is not printable ASCII", s, quoted)
			}
		}
		var std string
		if err := json.Unmarshal(quoted, &std); err != nil {
			t.Fatalf("encoding/json does not read %s: %v", quoted, err)
		}
		want := string([]rune(s)) // each wrong byte becomes U+FFFD
		if got, ok := pyjson.Text(quoted); !ok || got != want || got != std {
			t.Fatalf("Text(%s) = %q, %t, want %q; encoding/json reads %q", quoted, got, ok, want, std)
		}
		nested := pyjson.AppendNestedString(nil, s)
		if again := pyjson.AppendNested(nil, quoted); string(nested) != string(again) {
			t.Fatalf("AppendNestedString(%q) = %s, but AppendNested of its JSON text = %s", s, nested, again)
		}
		if got := pyjson.Unquote(nested); string(got) != string(quoted) {
			t.Fatalf("Unquote(%s) = %s, want %s", nested, got, quoted)
		}
	})
}

// FuzzNested checks that JSON text comes out of a string with the meaning it went in.
func FuzzNested(f *testing.F) {
	for _, text := range validTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		outer := append(pyjson.AppendNested([]byte{'"'}, text), '"')
		if err := pyjson.Valid(outer); err != nil {
			t.Fatalf("AppendNested(%q) = %s: %v", text, outer, err)
		}
		inner := pyjson.Unquote(outer[1 : len(outer)-1])
		if !utf8.Valid(text) || pyjson.Valid(text) != nil {
			return
		}
		if err := pyjson.Valid(inner); err != nil {
			t.Fatalf("%s came out as %s: %v", text, inner, err)
		}
		if got, want := canonical(t, inner), canonical(t, text); got != want {
			t.Fatalf("%s came out as %s, which means %s, want %s", text, inner, got, want)
		}
	})
}
