package loglimit_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/internal/loglimit"
)

func TestOrdinaryTextStaysAsItIs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "a", "select_destinations", "reply_4f2a", "compute.host-1", "1.10", "größe", "主机", "a.b c",
		`NOT_FOUND - no queue 'q' in vhost "/"`, `C:\temp`, strings.Repeat("x", 256), strings.Repeat("ü", 128),
	} {
		if got := loglimit.Quote(text); got != text {
			t.Errorf("Quote(%q) = %s, want it unchanged", text, got)
		}
	}
}

func TestTextThatIsNoPrintableLineIsQuoted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\nlevel=error msg=forged": `"a\nlevel=error msg=forged"`,
		"a\r":                       `"a\r"`,
		"\x00":                      `"\x00"`,
		"\x1b[31mred":               `"\x1b[31mred"`,
		"a\xffb":                    `"a\xffb"`,
		"a\u0085b":                  `"a\u0085b"`, // a line end
		"a\u2028b":                  `"a\u2028b"`, // another one
		"a\u202eb":                  `"a\u202eb"`, // turns the direction of writing
		"a\u00a0b":                  `"a\u00a0b"`,
		"\"quoted\"\t":              `"\"quoted\"\t"`,
		`a\b` + "\n":                `"a\\b\n"`,
	} {
		if got := loglimit.Quote(text); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"by one byte":               {strings.Repeat("x", 257), strings.Repeat("x", 253) + "..."},
		"of two bytes a character":  {strings.Repeat("ü", 200), strings.Repeat("ü", 126) + "..."},
		"of four bytes a character": {"x" + strings.Repeat("\U0001f600", 100), "x" + strings.Repeat("\U0001f600", 63) + "..."},
		"with a line end where it is cut away": {
			strings.Repeat("x", 300) + "\n", strings.Repeat("x", 253) + "...",
		},
		"with a line end before that": {"\n" + strings.Repeat("x", 300), `"\n` + strings.Repeat("x", 249) + `"...`},
		"that grows when escaped":     {strings.Repeat("\x00", 64), `"` + strings.Repeat(`\x00`, 62) + `"...`},
		"that is as long as it can be when escaped": {
			strings.Repeat("\x00", 62) + "xxx", `"` + strings.Repeat(`\x00`, 62) + `xxx"`,
		},
		"with no beginning of a character": {strings.Repeat("\x80", 1000), `"` + strings.Repeat(`\x80`, 62) + `"...`},
		"that is huge":                     {strings.Repeat("y", 16<<20), strings.Repeat("y", 253) + "..."},
	} {
		if got := loglimit.Quote(c.text); got != c.want {
			t.Errorf("a text %s: %d bytes %s, want %d bytes %s", name, len(got), got, len(c.want), c.want)
		}
	}
}

// checkQuoted holds for every text there is.
func checkQuoted(tb interface{ Errorf(string, ...any) }, text string) {
	got := loglimit.Quote(text)
	if len(got) > 256 || !utf8.ValidString(got) {
		tb.Errorf("Quote(%q) = %q, of %d bytes: want at most 256, and UTF-8", text, got, len(got))
	}
	for _, r := range got {
		if !strconv.IsPrint(r) {
			tb.Errorf("Quote(%q) = %q, where %q is not printable", text, got, r)
		}
	}
	quoted := strings.TrimSuffix(got, "...")
	read, err := strconv.Unquote(quoted)
	switch {
	case got == text, strings.HasPrefix(text, quoted): // as it is, or its beginning
	case err != nil || read != text && (got == quoted || !strings.HasPrefix(text, read)):
		tb.Errorf("Quote(%q) = %s says something else", text, got)
	}
	if loglimit.Quote(got) != got {
		tb.Errorf("Quote(%q) = %s is quoted once more", text, got)
	}
}

func TestWhatIsQuotedIsAShortPrintableLineThatSaysTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.String(),
			rapid.StringN(200, 300, -1),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) string { return string(b) }),
			rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"x", `"`, `\`, "\n", "ü", "\xff", "\u202e", "\U0001f600", "."}), 0, 300),
				func(parts []string) string { return strings.Join(parts, "") }),
		).Draw(t, "text")
		checkQuoted(t, text)
	})
}

func FuzzQuote(f *testing.F) {
	for _, text := range []string{"", "name", "a\nb", "\xff\xfe", "\"\\", strings.Repeat("\x00", 300), strings.Repeat("ü", 300)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkQuoted(t, text) })
}
