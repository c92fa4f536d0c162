package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

func TestFilesAreReadInOslosDialect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want [][3]string
	}{
		"nothing":                    {"", nil},
		"comments":                   {"# a\n; b\n[a]\n#c = d\n", nil},
		"an equals sign":             {"[a]\nk=v", [][3]string{{"a", "k", "v"}}},
		"a colon":                    {"[a]\nk : v", [][3]string{{"a", "k", "v"}}},
		"the first of both counts":   {"[a]\nk = a:b\nl: a=b", [][3]string{{"a", "k", "a:b"}, {"a", "l", "a=b"}}},
		"an empty value":             {"[a]\nk =", [][3]string{{"a", "k", ""}}},
		"comment signs in a value":   {"[a]\nk = v # w ; x", [][3]string{{"a", "k", "v # w ; x"}}},
		"quotes":                     {"[a]\nk = ' v '\nl = \"w\"\nm = \"x'", [][3]string{{"a", "k", " v "}, {"a", "l", "w"}, {"a", "m", "\"x'"}}},
		"a lone quote":               {"[a]\nk = \"", [][3]string{{"a", "k", ""}}},
		"several lines":              {"[a]\nk = v\n  w\n\tx y \nl = z", [][3]string{{"a", "k", "v\nw\nx y"}, {"a", "l", "z"}}},
		"a comment that is indented": {"[a]\nk = v\n # w", [][3]string{{"a", "k", "v\n# w"}}},
		"a repeated name":            {"[a]\nk = 1\nk = 2", [][3]string{{"a", "k", "1"}, {"a", "k", "2"}}},
		"a repeated section":         {"[a]\nk = 1\n[b]\n[a]\nk = 2", [][3]string{{"a", "k", "1"}, {"a", "k", "2"}}},
		"a section's case":           {"[Ab]\nk = 1\n[DEFAULT]\nk = 2\n[Default]\nk = 3", [][3]string{{"ab", "k", "1"}, {"DEFAULT", "k", "2"}, {"default", "k", "3"}}},
		"spaces in a section":        {"[ a ]\nk = 1", [][3]string{{" a ", "k", "1"}}},
		"a name's case and spaces":   {"[a]\nA k = 1", [][3]string{{"a", "A k", "1"}}},
		"line ends of other systems": {"[a]\r\nk = v\r\n w\rl = x", [][3]string{{"a", "k", "v\nw"}, {"a", "l", "x"}}},
		"other spaces":               {"[a]\x1c\nk\u00a0=\u2003v\x1f", [][3]string{{"a", "k", "v"}}},
		"other languages":            {"[a]\nk = žluťoučký 馬", [][3]string{{"a", "k", "žluťoučký 馬"}}},
	} {
		got, err := config.Entries([]byte(test.text))
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v, or read otherwise (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestWhatIsNotInTheDialectIsAnErrorWithItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[a]\npassword s3cr3t":           "f.conf:2: want name = value",
		"[a]\n\n= s3cr3t":                "f.conf:3: want a name before the =",
		"# c\nk = s3cr3t\n[a]":           "f.conf:2: want a [section] before the first value",
		"[a\nk = v":                      "f.conf:1: want ] at the end of a section's line",
		"[a] # c":                        "f.conf:1: want ] at the end of a section's line",
		"[a]\n[]":                        "f.conf:2: want a section's name between [ and ]",
		"[a]\n k = s3cr3t":               "f.conf:2: a line that begins with a space continues a value, and here is none",
		"[a]\nk = v\n\n w":               "f.conf:4: a line that begins with a space continues a value, and here is none",
		"[a]\nk = v\n# c\n w":            "f.conf:4: a line that begins with a space continues a value, and here is none",
		"\ufeff[a]\nk = v":               "f.conf:1: begins with a byte order mark: want UTF-8 without it",
		"[a]\r\nk = v\r\nl = s3cr3t\xe9": "f.conf:3: want UTF-8",
		"\xff\xfe[\x00":                  "f.conf:1: want UTF-8",
	} {
		_, err := config.Entries([]byte(text))
		var parse *config.ParseError
		if !errors.As(err, &parse) || err.Error() != want {
			t.Errorf("%q: error = %v, want %s", text, err, want)
		}
	}
}

func FuzzReadINI(f *testing.F) {
	f.Add([]byte("[a]\nk = v\n w\n"))
	f.Add([]byte("k: \"\n[]"))
	f.Add([]byte("\xef\xbb\xbf[a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := config.Entries(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("the error %q has two lines", err)
			}
			return
		}
		length := 0
		for _, e := range entries {
			length += len(e[2])
			if e[0] == "" || e[1] == "" {
				t.Fatalf("an option without a group or name: %q", e)
			}
		}
		if length > len(text) {
			t.Fatalf("%d bytes of values in %d bytes of text", length, len(text))
		}
	})
}

func FuzzSubstitute(f *testing.F) {
	f.Add("a $b ${c.d} $$ \\$ ${")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := config.Substitute(text, nil)
		if err != nil || len(got) > len(text) {
			t.Fatalf("Substitute(%q) = %q, %v", text, got, err)
		}
	})
}

func TestReferencesAreResolvedAsPythonsTemplatesAre(t *testing.T) {
	t.Parallel()
	values := map[string]string{"a": "A", "a_1.b": "B", "_x": "X", "g.o": "O", "dollar": "$a"}
	for text, want := range map[string]string{
		"plain": "plain", "$a": "A", "${a}b": "Ab", "$a_1.b/c": "B/c", "$_x-$a": "X-A", "${g.o}": "O",
		"$$a": "$a", `\$a`: "$a", "$$$a": "$A", "$": "$", "$1": "$1", "${a": "${a", "${}": "${}", "${1}": "${1}", "$ a": "$ a",
		"${a }": "${a }", "pa$$word": "pa$word", "$dollar": "$a", `\\$a`: `\$a`, "${$a}": "${A}",
	} {
		if got, err := config.Substitute(text, values); got != want || err != nil {
			t.Errorf("%q = %q, %v, want %q", text, got, err, want)
		}
	}
}
