package wsgi

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzAccessLogHasNoVerbThatFails(f *testing.F) {
	for _, template := range []string{
		DefaultLogFormat, "%(date_time)s %%", "%(status_code)05d|%(body_length)-4s|", "%(wall_seconds)+.3f", "%(client_ip)9999999s",
	} {
		f.Add(template)
	}
	f.Fuzz(func(t *testing.T, template string) {
		format, err := parseAccessFormat(template)
		if err != nil || format == nil || strings.Contains(template, "!") {
			return
		}
		if line := format.line(access{clientIP: "::1", requestLine: "GET / HTTP/1.1"}); strings.Contains(line, "%!") {
			t.Errorf("%q makes %q", template, line)
		}
	})
}

func FuzzTheLogHasPrintableCharactersOnly(f *testing.F) {
	for _, text := range []string{"GET / HTTP/1.1", "\x1b[31m\xff\u009b\u2028\n", "é日本 \\ \"'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := visible(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("visible(%q) = %q", text, got)
		}
		if visible(got) != got {
			t.Errorf("visible(%q) = %q", got, visible(got))
		}
	})
}
