// Package goslo has no code: the bus is package messaging. Its test keeps README.md true.
package goslo

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeShowsWhatCompiles compares the Go code of README.md with the programs in examples/, which the
// compiler checks.
func TestReadmeShowsWhatCompiles(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	programs := read(t, "examples/server/main.go") + read(t, "examples/client/main.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme, -1)
	if len(blocks) < 2 {
		t.Fatalf("README.md has %d blocks of Go, want a server and a client", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.SplitSeq(block[1], "\n") {
			if !strings.Contains(programs, strings.TrimSpace(line)) {
				t.Errorf("README.md shows %q, which is in no example", line)
			}
		}
	}
}

// TestServiceDocumentShowsWhatRuns compares the Go code of docs/service.md with examples, which the compiler checks.
func TestServiceDocumentShowsWhatRuns(t *testing.T) {
	t.Parallel()
	examples := read(t, "service/example_daemon_test.go") + read(t, "service/rpcservice/example_launch_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "docs/service.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("docs/service.md has no Go code, want the examples")
	}
	for _, block := range blocks {
		if !strings.Contains(examples, block[1]) {
			t.Errorf("docs/service.md shows what is in no example:\n%s", block[1])
		}
	}
}

// TestReadmePointsToWhatExists checks the files that README.md links to.
func TestReadmePointsToWhatExists(t *testing.T) {
	t.Parallel()
	for _, link := range regexp.MustCompile(`\]\(([a-zA-Z_./]+)\)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Errorf("README.md links to %s: %v", link[1], err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
