package report

import (
	"bufio"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

// Section is a part of a report.
type Section struct {
	Title string
	// Write prints the section. A panic becomes a line of the report.
	Write func(w io.Writer)
}

// width is that of oslo.reports' text headings.
const width = 72

// Write writes the sections in their order, each under its heading, after the heading of the report itself. It
// returns the writer's error. Nothing is said twice and nothing is held: it is safe for concurrent use as far as
// the sections and the writer are.
func Write(w io.Writer, sections ...Section) error {
	buf := bufio.NewWriter(w)
	heading(buf, "Guru Meditation")
	fmt.Fprintln(buf, strings.Repeat("|", width))
	for _, s := range sections {
		fmt.Fprint(buf, "\n\n")
		heading(buf, s.Title)
		body(buf, s.Write)
	}
	fmt.Fprintln(buf)
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("report: write: %w", err)
	}
	return nil
}

// heading is three lines: ruler, title, ruler.
func heading(w io.Writer, title string) {
	const edge = "===="
	inner := width - 2*len(edge)
	left := max((inner-len(title))/2, 0)
	right := max(inner-len(title)-left, 0)
	ruler := strings.Repeat("=", width)
	fmt.Fprintf(w, "%s\n%s%s%s%s%s\n%s\n", ruler,
		edge, strings.Repeat(" ", left), title, strings.Repeat(" ", right), edge, ruler)
}

// body keeps a section that panics, as one may that looks at a broken service, from taking the rest with it.
func body(w io.Writer, write func(io.Writer)) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(w, "\npanic: %v\n%s\n", v, debug.Stack())
		}
	}()
	write(w)
}
