package service

import (
	"errors"
	"io"
	"os"
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
		{"a long line", long[:maxLine-1] + "\n", "[a] " + long[:maxLine-1] + "\n"},
		{"a long last line without an end", long[:3*usualLine/2], "[a] " + long[:3*usualLine/2] + "\n"},
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

// stuckWriter is one whose reader has stopped reading.
type stuckWriter struct{ begun, release chan struct{} }

func (w stuckWriter) Write(p []byte) (int, error) {
	close(w.begun)
	<-w.release
	return len(p), nil
}

func TestAParentEndsThoughNobodyReadsWhatItsWorkersPrint(t *testing.T) {
	t.Parallel()
	stuck := stuckWriter{make(chan struct{}), make(chan struct{})}
	conf := DefaultConfig()
	conf.stdout, conf.stderr = stuck, io.Discard
	e, err := newExecutable(conf)
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	copied := e.copy(e.stdout, out, "")
	if _, err := in.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	<-stuck.begun
	e.close()
	close(stuck.release)
	<-copied
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}
