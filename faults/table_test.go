package faults

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
)

// verdict is what came of a promise.
type verdict string

const (
	kept     verdict = "kept"
	broken   verdict = "BROKEN"
	expected verdict = "known" // broken, as is known
	skipped  verdict = "skipped"
	told     verdict = "-" // a number that nothing is promised about
)

// promise is one line of the table.
type promise struct {
	fault, promised, seen string
	verdict               verdict
}

// table collects what was seen. It is safe for concurrent use.
type table struct {
	mu    sync.Mutex // protects what follows
	lines []promise
}

func (t *table) add(lines ...promise) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, lines...)
}

// print writes the table: each fault's name once, its promises below each other.
func (t *table) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "\nfault\tpromised\tseen\tverdict")
	counts, last := map[verdict]int{}, ""
	for _, line := range t.lines {
		name := line.fault
		if name == last {
			name = ""
		}
		last = line.fault
		counts[line.verdict]++
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\n", name, line.promised, strings.ReplaceAll(line.seen, "\n", " "), line.verdict)
	}
	_ = columns.Flush() // its error is the writer's, who is a test's output
	fmt.Fprintf(w, "\n%d promises kept, %d broken, %d known to be broken, %d faults skipped\n",
		counts[kept], counts[broken], counts[expected], counts[skipped])
}
