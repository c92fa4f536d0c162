package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"
)

// measurement lets contenders play scenes in turns.
type measurement struct {
	dir        string
	rounds     int
	contenders []contender // the one that is compared with, and ours
	progress   io.Writer
	versions   []string // of contenders
}

// run plays all scenes and then prints a table, as Markdown.
func (m *measurement) run(ctx context.Context, out io.Writer) error {
	m.versions = make([]string, len(m.contenders))
	var lines []string
	for _, s := range scenes() {
		fmt.Fprintln(m.progress, s.rows[0].what)
		figures, err := m.play(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.rows[0].what, err)
		}
		for i, r := range s.rows {
			lines = append(lines, r.line(figures[0][i], figures[1][i]))
		}
	}
	fmt.Fprintf(out, "%s, beside %s; %d CPUs, %d rounds in turns; %s.\n\n",
		m.versions[1], m.versions[0], runtime.NumCPU(), m.rounds, time.Now().Format(time.DateOnly))
	fmt.Fprintf(out, "| | %s | %s | ratio |\n|---|---|---|---|\n", m.contenders[0].name, m.contenders[1].name)
	_, err := io.WriteString(out, strings.Join(lines, ""))
	return err
}

// play gives the figures of a scene by contender, row and round.
func (m *measurement) play(ctx context.Context, s scene) ([][][]float64, error) {
	figures := make([][][]float64, len(m.contenders))
	for i := range figures {
		figures[i] = make([][]float64, len(s.rows))
	}
	for range m.rounds {
		for i, c := range m.contenders {
			round, err := m.playOnce(ctx, s, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			for r, figure := range round {
				figures[i][r] = append(figures[i][r], figure)
			}
		}
	}
	return figures, nil
}

func (m *measurement) playOnce(ctx context.Context, s scene, i int) (round []float64, err error) {
	p, err := m.contenders[i].start(ctx, m.dir, s.settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	versions, _ := p.told(eventVersion)
	m.versions[i] = versions[0].what
	return s.play(ctx, p)
}

// line is a row of the table: medians, from the least to the most in brackets, and the median of the ratios round by
// round.
func (r row) line(reference, ours []float64) string {
	ratio := "–"
	if r.unit == milliseconds || r.unit == megabytes {
		ratio = medianRatio(reference, ours)
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", r.what, r.unit.all(reference), r.unit.all(ours), ratio)
}

func medianRatio(reference, ours []float64) string {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / reference[i]
	}
	if m := median(ratios); !math.IsNaN(m) && !math.IsInf(m, 0) {
		return fmt.Sprintf("%.2f", m)
	}
	return "–"
}

func (u unit) all(values []float64) string {
	least, most := u.one(slices.Min(values)), u.one(slices.Max(values))
	if least == most {
		return least
	}
	return fmt.Sprintf("%s (%s to %s)", u.one(median(values)), least, most)
}

func (u unit) one(value float64) string {
	switch u {
	case milliseconds:
		return fmt.Sprintf("%.0f ms", value)
	case megabytes:
		return fmt.Sprintf("%.0f MiB", value)
	case status:
		if value < 0 {
			return fmt.Sprintf("signal %.0f", -value)
		}
		fallthrough
	default:
		return fmt.Sprintf("%.0f", value)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
