package faults

import (
	"strings"
	"testing"
)

func TestTableShowsEachFaultOnceAndCounts(t *testing.T) {
	t.Parallel()
	var lines table
	lines.add(promise{"reset", "lost 0", "0 of 9", kept}, promise{"reset", "back <= 1 s", "2 s", broken})
	lines.add(promise{"cluster", "lost 0", "one node only", skipped})
	var text strings.Builder
	lines.print(&text)
	const want = `
fault    promised     seen           verdict
reset    lost 0       0 of 9         kept
         back <= 1 s  2 s            BROKEN
cluster  lost 0       one node only  skipped

1 promises kept, 1 broken, 0 known to be broken, 1 faults skipped
`
	if got := text.String(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
