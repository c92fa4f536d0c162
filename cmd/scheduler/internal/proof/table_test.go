package proof

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table is what the proof prints: lines in the order in which they came first, those of the same event and load added up.
type table struct{ lines []*line }

func (t *table) add(event string, kind load, s sum) {
	for _, l := range t.lines {
		if l.event == event && l.load == kind {
			l.sum.add(s)
			return
		}
	}
	t.lines = append(t.lines, &line{event, kind, s})
}

// print writes the table as Markdown that can be read as it is, each event's name once.
func (t *table) print(w io.Writer) {
	columns := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(columns, "\n| event\t| load\t| sent\t| answered\t| failed\t| held by the killed\t| sent again\t| run twice\t| longest gap\t|")
	fmt.Fprintln(columns, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	last := ""
	for _, l := range t.lines {
		event := l.event
		if event == last {
			event = ""
		}
		last = l.event
		fmt.Fprintf(columns, "| %s\t| %s\t| %d\t| %d\t| %d\t| %d\t| %d\t| %d\t| %s\t|\n",
			event, l.load, l.sent, l.answered, l.failed, l.held, l.again, l.doubled, l.gap.Round(time.Millisecond))
	}
	_ = columns.Flush() // its error is the writer's, who is a test's output
}
