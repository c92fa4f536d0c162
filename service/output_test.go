package service

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestOutputOfWorkersComesInLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"lines", "one\ntwo\n", "[a] one\n[a] two\n"},
		{"an empty line", "\n", "[a] \n"},
		{"a last line without an end", "one\ntwo", "[a] one\n[a] two\n"},
		{"a line that is too long", long + "tail\nnext\n", "[a] " + long + "\n[a] tail\n[a] next\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out buffer
			(&lines{w: &out}).copy(strings.NewReader(test.in), "[a] ")
			if got := out.String(); got != test.want {
				t.Errorf("out came %.80q, want %.80q", got, test.want)
			}
		})
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestOutputIsReadToItsEndWhereItCannotBeWritten(t *testing.T) {
	t.Parallel()
	in := strings.NewReader(strings.Repeat("line\n", 100_000))
	(&lines{w: brokenWriter{}}).copy(in, "")
	if rest, _ := io.ReadAll(in); len(rest) != 0 {
		t.Errorf("%d bytes were not read: their writer would block", len(rest))
	}
}
