package pyjson_test

import (
	"testing"

	"github.com/goslo/goslo/internal/pyjson"
)

func TestUnquoteResolvesEscapes(t *testing.T) {
	t.Parallel()
	tests := []struct{ content, want string }{
		{``, ""},
		{`plain ř`, "plain ř"},
		{`\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t"},
		{`a\u0000b`, "a\x00b"},
		{`\u0159\u017E\u017e`, "řžž"},
		{`\ud83d\udc0e`, "🐎"},
		{`\ud800`, "\ufffd"},
		{`\udc00`, "\ufffd"},
		{`\ud800x`, "\ufffdx"},
		{`\ud800\n`, "\ufffd\n"},
		{`\ud800\u0041`, "\ufffdA"},
		{`\ud800\ud83d\udc0e`, "\ufffd🐎"},
		{`\udc0e\ud83d`, "\ufffd\ufffd"},
		{`\\u0041`, `\u0041`},
	}
	for _, test := range tests {
		if got := string(pyjson.Unquote([]byte(test.content))); got != test.want {
			t.Errorf("Unquote(%s) = %q, want %q", test.content, got, test.want)
		}
		if got := string(pyjson.UnquoteInPlace([]byte(test.content))); got != test.want {
			t.Errorf("UnquoteInPlace(%s) = %q, want %q", test.content, got, test.want)
		}
		if got, ok := pyjson.Text([]byte(`"` + test.content + `"`)); !ok || got != test.want {
			t.Errorf("Text of it = %q, %t, want %q", got, ok, test.want)
		}
		if got := string(pyjson.AppendUnquoted([]byte("x"), []byte(test.content))); got != "x"+test.want {
			t.Errorf("AppendUnquoted(x, %s) = %q, want x%q", test.content, got, test.want)
		}
	}
}

func TestUnquoteSharesWhatHasNoEscapes(t *testing.T) {
	t.Parallel()
	content := []byte("plain")
	if got := pyjson.Unquote(content); &got[0] != &content[0] {
		t.Error("Unquote copied a text without escapes")
	}
	if pyjson.Escaped(content) || !pyjson.Escaped([]byte(`a\n`)) {
		t.Error("Escaped is wrong about plain or a\\n")
	}
}

func TestOnlyStringsHaveText(t *testing.T) {
	t.Parallel()
	for _, value := range []string{``, `"`, `1`, `null`, `{"a":1}`} {
		if got, ok := pyjson.Text([]byte(value)); ok {
			t.Errorf("Text(%s) = %q, true, want false", value, got)
		}
	}
}
