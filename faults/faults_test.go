//go:build integration

package faults

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var (
	long = flag.Bool("long", false, "run every row, at full length; else those of the short form, shortened")
	rows = flag.String("rows", "", "run the rows whose names begin with one of these words")
)

// faults are all rows, in the order of the table.
func faults() []fault {
	return slices.Concat(networkFaults, queueFaults, messageFaults, ackFaults, bytesFaults, brokerFaults, deniedFaults, clusterFaults, processFaults)
}

// TestFaults plays the rows one after another, since they measure time, and prints the table.
func TestFaults(t *testing.T) {
	s := newSuite(t)
	defer s.table.print(os.Stdout)
	for _, f := range faults() {
		if !chosen(f) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			if f.missing != nil {
				if why := f.missing(s); why != "" {
					s.table.add(promise{f.name, "", why, skipped})
					t.Skip(why)
				}
			}
			play(t, s, f, !*long)
		})
	}
}

// chosen tells whether a row is to be played: those that are named, else those of the form.
func chosen(f fault) bool {
	words := strings.Fields(*rows)
	if len(words) == 0 {
		return *long || f.short && excuse(f.name, "") == ""
	}
	return slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(f.name, word) })
}
