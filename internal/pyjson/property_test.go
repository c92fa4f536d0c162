package pyjson_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/internal/pyjson"
)

// texts have more of what is special in JSON, and to Python, than chance would give.
func texts() *rapid.Generator[string] {
	special := rapid.RuneFrom([]rune("\u2028\u2029\x7f\x00\x1f\u0080\ufffd\ufffe\U0001f40e\U0010ffff\"\\/\n<&"))
	return rapid.StringOf(rapid.OneOf(special, rapid.Rune()))
}

// contents are what may stand between the quotes of a JSON string: text, escapes of every kind, pairs of
// surrogates and lone ones.
func contents() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.StringMatching(`[^"\\\x00-\x1f]{0,4}`),
		rapid.SampledFrom([]string{`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`}),
		rapid.StringMatching(`\\u[0-9a-fA-F]{4}`),
		rapid.StringMatching(`\\u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?`),
		rapid.StringMatching(`\\u[dD][c-fC-F][0-9a-fA-F]{2}`),
	)
	return rapid.Map(rapid.SliceOfN(part, 0, 6), func(parts []string) string { return strings.Join(parts, "") })
}

// documents are JSON text, with blanks and raw characters as a foreign peer may send them.
func documents(depth int) *rapid.Generator[string] {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?`)
	word := rapid.SampledFrom([]string{"null", "true", "false", "NaN", "Infinity", "-Infinity"})
	quoted := rapid.Map(contents(), func(s string) string { return `"` + s + `"` })
	kinds := []*rapid.Generator[string]{number, word, quoted}
	if depth > 0 {
		list := rapid.SliceOfN(documents(depth-1), 0, 4)
		kinds = append(kinds,
			rapid.Map(list, func(values []string) string { return "[ " + strings.Join(values, "\t,") + "\r]" }),
			rapid.Custom(func(t *rapid.T) string {
				var members []string
				for _, value := range list.Draw(t, "values") {
					members = append(members, quoted.Draw(t, "key")+" :\n"+value)
				}
				return "{" + strings.Join(members, ",") + " }"
			}),
		)
	}
	return rapid.OneOf(kinds...)
}

// printable fails for what needs more than ASCII.
func printable(t *rapid.T, text []byte) {
	for _, c := range text {
		if c < ' ' || c > '~' {
			t.Fatalf("%q holds the byte %q, want printable ASCII", text, c)
		}
	}
}

func TestAnyTextSurvivesQuoting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := texts().Draw(t, "text")
		once := pyjson.AppendString(nil, text)
		printable(t, once)
		if got, ok := pyjson.Text(once); !ok || got != text {
			t.Fatalf("%q is written %s and comes back as %q, %t", text, once, got, ok)
		}
		twice := append(pyjson.AppendNestedString([]byte{'"'}, text), '"')
		printable(t, twice)
		if outer, ok := pyjson.Text(twice); !ok || outer != string(once) {
			t.Fatalf("%q is nested as %s, which holds %s, want %s", text, twice, outer, once)
		}
		if nested := append(pyjson.AppendNested([]byte{'"'}, once), '"'); string(nested) != string(twice) {
			t.Fatalf("%s is nested as %s, want %s", once, nested, twice)
		}
	})
}

func TestAnyEscapesAreResolved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := contents().Draw(t, "content")
		if err := pyjson.Valid([]byte(`"` + content + `"`)); err != nil {
			t.Fatalf("Valid(%q) = %v", content, err)
		}
		got := string(pyjson.Unquote([]byte(content)))
		if !utf8.ValidString(got) {
			t.Fatalf("Unquote(%q) = %q, want UTF-8", content, got)
		}
		if inPlace := string(pyjson.UnquoteInPlace([]byte(content))); inPlace != got {
			t.Fatalf("UnquoteInPlace(%q) = %q, Unquote = %q", content, inPlace, got)
		}
		if again, ok := pyjson.Text(pyjson.AppendString(nil, got)); !ok || again != got {
			t.Fatalf("%q is %q, which comes back as %q", content, got, again)
		}
	})
}

func TestAnyDocumentKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		document := documents(4).Draw(t, "document")
		if err := pyjson.Valid([]byte(document)); err != nil {
			t.Fatalf("Valid(%q) = %v", document, err)
		}
		nested := append(pyjson.AppendNested([]byte{'"'}, []byte(document)), '"')
		inner, ok := pyjson.Text(nested)
		if !ok {
			t.Fatalf("%q is nested as %s, which is no string", document, nested)
		}
		if got, want := canonical(t, []byte(inner)), canonical(t, []byte(document)); got != want {
			t.Fatalf("%q is nested as %s, which means %s, want %s", document, nested, got, want)
		}
	})
}

// TestAnyDocumentCutShortIsRefused cuts off at least the bracket around it.
func TestAnyDocumentCutShortIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		document := "[" + documents(3).Draw(t, "document") + "]"
		short := document[:rapid.IntRange(0, len(document)-1).Draw(t, "length")]
		if err := pyjson.Valid([]byte(short)); err == nil {
			t.Fatalf("Valid(%q) = nil", short)
		}
	})
}

func TestAnyFloatComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		checkFloat(t, f, 64)
		single := math.Float32frombits(rapid.Uint32().Draw(t, "single"))
		checkFloat(t, float64(single), 32)
		checkFloat(t, rapid.Float64().Draw(t, "float"), 64)
	})
}

func checkFloat(t *rapid.T, f float64, bits int) {
	text := string(pyjson.AppendFloat(nil, f, bits))
	got, err := strconv.ParseFloat(text, bits)
	if err != nil || got != f && !(math.IsNaN(got) && math.IsNaN(f)) || math.Signbit(got) != math.Signbit(f) && !math.IsNaN(f) {
		t.Fatalf("%b is written %s and comes back as %b, %v", f, text, got, err)
	}
	if !strings.ContainsAny(text, ".eNI") {
		t.Fatalf("%b is written %s, which Python takes for an int", f, text)
	}
	if err := pyjson.Valid([]byte(text)); err != nil {
		t.Fatalf("%b is written %s: %v", f, text, err)
	}
}
