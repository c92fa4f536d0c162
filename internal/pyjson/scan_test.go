package pyjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/pyjson"
)

// validTexts are what Python's json.loads reads.
var validTexts = []string{
	`null`, `true`, `false`, `NaN`, `Infinity`, `-Infinity`, `0`, `-0`, `7`, `-12`, `0.5`, `1e5`, `1E+5`, `1.25e-7`, `-0.0`,
	`123456789012345678901234567890`, `""`, `"a"`, `"\"\\\/\b\f\n\r\t\u0000\uABCD\uabcd"`, `"\ud800"`, `"\udc00\ud800"`,
	"\"\x7fř🐎\"", `[]`, `[ ]`, `{}`, "{\t}", ` [1 , "a" ,null, [ ] ,{}] `, `{"a":1 , "b" : {"c":[]}}`, `{"a":1,"a":2}`,
	"\r\n\t [\n1\n]\n", `{"":0}`, `{"\u0061":NaN}`,
	strings.Repeat("[", pyjson.MaxDepth) + strings.Repeat("]", pyjson.MaxDepth),
	strings.Repeat(`{"a":`, pyjson.MaxDepth) + "1" + strings.Repeat("}", pyjson.MaxDepth),
}

// invalidTexts are what it does not.
var invalidTexts = []string{
	``, ` `, `nul`, `nulll`, `True`, `None`, `nan`, `-NaN`, `+1`, `-`, `- 1`, `01`, `-01`, `1.`, `.5`, `1e`, `1e+`, `1.e5`, `0x10`, `1_000`,
	`inf`, `-Inf`, `-Infinityy`, `+Infinity`, `"`, `"a`, `"\`, `"\"`, `"\x00"`, `"\u12"`, `"\u12G4"`, `"\u123`, `"\U0041"`, "\"\n\"", "\"\x00\"",
	"\"\x1f\"", "\"\xff\"", "\xef\xbb\xbf1", `'a'`, `[`, `]`, `[,]`, `[1,]`, `[1 2]`, `[1`, `[1,`, `[}`, `{`, `}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`,
	`{"a":1 "b":2}`, `{a:1}`, `{1:2}`, `{"a":1`, `{"a":1,`, `{"a`, `{]`, `{"a":1]`, `1 2`, `null null`, `{} {}`, `[]]`, "1\f", "1\v", "1\x00",
	"\u00a01", `// comment`, `1 /* */`, `undefined`, `{"a":nope}`, `["a",nope]`, `{"a":1,2}`,
}

func TestValidFollowsPython(t *testing.T) {
	t.Parallel()
	for _, text := range validTexts {
		if err := pyjson.Valid([]byte(text)); err != nil {
			t.Errorf("Valid(%q) = %v, want nil", text, err)
		}
	}
	for _, text := range invalidTexts {
		if err := pyjson.Valid([]byte(text)); !errors.Is(err, pyjson.ErrSyntax) {
			t.Errorf("Valid(%q) = %v, want ErrSyntax", text, err)
		}
	}
}

func TestNestingIsLimited(t *testing.T) {
	t.Parallel()
	for _, open := range []string{`[`, `{"a":`, `[{"a":`} {
		text := strings.Repeat(open, 20_000)
		if err := pyjson.Valid([]byte(text)); !errors.Is(err, pyjson.ErrDepth) {
			t.Errorf("Valid of 20,000 times %s = %v, want ErrDepth", open, err)
		}
	}
	for _, test := range []struct {
		text  string
		depth int
		ok    bool
	}{{`1`, 0, true}, {`[]`, 0, false}, {`[]`, 1, true}, {`[{}]`, 1, false}, {`{"a":[1]}`, 2, true}, {`{"a":[{}]}`, 2, false}} {
		if err := pyjson.ValidWithin([]byte(test.text), test.depth); (err == nil) != test.ok || !test.ok && !errors.Is(err, pyjson.ErrDepth) {
			t.Errorf("ValidWithin(%s, %d) = %v, want ok %t", test.text, test.depth, err, test.ok)
		}
	}
}

func TestErrorsTellWhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                       `not JSON: ends where a value should stand`,
		`[1,`:                    `not JSON: ends where a value should stand`,
		`{"a" 1}`:                `not JSON: want a colon at byte 5, got '1'`,
		`{"a":1 2}`:              `not JSON: want a comma or } at byte 7, got '2'`,
		`[1 2]`:                  `not JSON: want a comma or ] at byte 3, got '2'`,
		`{1:2}`:                  `not JSON: want a key at byte 1, got '1'`,
		"\"a\nb\"":               `not JSON: want no control character at byte 2, got '\n'`,
		`"\q"`:                   `not JSON: want an escape at byte 2, got 'q'`,
		`"\u12x4"`:               `not JSON: want four hexadecimal digits at byte 2, got 'u'`,
		`-x`:                     `not JSON: want a digit at byte 1, got 'x'`,
		`1 x`:                    `not JSON: want the end at byte 2, got 'x'`,
		"\"\xff\"":               `not JSON: not UTF-8`,
		`nope`:                   `not JSON: want a value at byte 0, got 'n'`,
		`"a`:                     `not JSON: ends where the end of a string should stand`,
		strings.Repeat("[", 101): `not JSON: nested deeper than 100`,
	} {
		if err := pyjson.Valid([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("Valid(%q) = %v, want %s", text, err, want)
		}
	}
}

// FuzzValid holds Valid against encoding/json, which differs in knowing no NaN and Infinity, in
// its depth and in passing what is not UTF-8.
func FuzzValid(f *testing.F) {
	for _, text := range append(validTexts, invalidTexts...) {
		f.Add([]byte(text))
	}
	words := strings.NewReplacer("-Infinity", "-1", "Infinity", "1", "NaN", "1")
	f.Fuzz(func(t *testing.T, text []byte) {
		err := pyjson.Valid(text)
		switch {
		case err != nil && !errors.Is(err, pyjson.ErrSyntax):
			t.Fatalf("Valid(%q) = %v, want ErrSyntax", text, err)
		case err == nil && !json.Valid([]byte(words.Replace(string(text)))):
			t.Fatalf("Valid(%q) = nil, encoding/json disagrees", text)
		case err != nil && json.Valid(text) && utf8.Valid(text) && !errors.Is(err, pyjson.ErrDepth):
			t.Fatalf("Valid(%q) = %v, encoding/json disagrees", text, err)
		}
	})
}
