package main

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestGapIsTheTimeWithoutAWorker(t *testing.T) {
	t.Parallel()
	at := func(word, pid string, seconds int) event {
		return event{word, pid, time.Time{}.Add(time.Duration(seconds) * time.Second)}
	}
	for _, c := range []struct {
		name              string
		started, stopping []event
		want              time.Duration
	}{
		{"nobody stops", []event{at(eventStarted, "1", 1), at(eventStarted, "2", 2)}, nil, 0},
		{
			"both stop before one starts",
			[]event{at(eventStarted, "1", 1), at(eventStarted, "2", 2), at(eventStarted, "3", 8), at(eventStarted, "4", 9)},
			[]event{at(eventStopping, "1", 4), at(eventStopping, "2", 5)},
			3 * time.Second,
		},
		{
			"one after the other",
			[]event{at(eventStarted, "1", 1), at(eventStarted, "2", 1), at(eventStarted, "3", 4), at(eventStarted, "4", 6)},
			[]event{at(eventStopping, "1", 5), at(eventStopping, "2", 7)},
			0,
		},
		{
			"the parent stops what it has not started",
			[]event{at(eventStarted, "1", 1), at(eventStarted, "2", 3)},
			[]event{at(eventStopping, "9", 2)},
			0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := gap(c.started, c.stopping); got != c.want {
				t.Errorf("the gap is %s, want %s", got, c.want)
			}
		})
	}
}

func TestLineHasMediansRangesAndRatios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row             row
		reference, ours []float64
		want            string
	}{
		{row{"time", milliseconds}, []float64{10, 40, 20}, []float64{5, 10, 40}, "| time | 20 ms (10 ms to 40 ms) | 10 ms (5 ms to 40 ms) | 0.50 |\n"},
		{row{"nothing to compare with", milliseconds}, []float64{0, 0, 0}, []float64{0, 0, 0}, "| nothing to compare with | 0 ms | 0 ms | – |\n"},
		{row{"lost", count}, []float64{1, 1, 1}, []float64{0, 0, 0}, "| lost | 1 | 0 | – |\n"},
		{row{"status", status}, []float64{-14, -14, -14}, []float64{1, 1, 1}, "| status | signal 14 | 1 | – |\n"},
	} {
		if got := c.row.line(c.reference, c.ours); got != c.want {
			t.Errorf("the line is %q, want %q", got, c.want)
		}
	}
}

func TestMemoryOfThisProcessIsKnown(t *testing.T) {
	t.Parallel()
	resident, proportional, err := memory(os.Getpid())
	if err != nil || math.IsNaN(resident) || proportional > resident {
		t.Errorf("memory is %v resident and %v proportional (%v), want the second not above the first", resident, proportional, err)
	}
}

// TestDocumentHasEveryRow keeps the table of docs/service.md the one that this program prints.
func TestDocumentHasEveryRow(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/service.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenes() {
		for _, r := range s.rows {
			if !strings.Contains(string(document), "\n| "+r.what+" | ") {
				t.Errorf("docs/service.md has no row %q", r.what)
			}
		}
	}
}
