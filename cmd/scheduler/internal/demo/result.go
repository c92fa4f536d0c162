package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Result is what a run came to.
type Result struct {
	Bus, Topic  string
	Calls       int // instances that were to be placed
	Placed      int // instances that run on a host
	Retries     int // further calls, because a host was full
	Interrupted bool
	Concurrency int
	Hosts       []HostResult
	Schedulers  []SchedulerResult
	Took        time.Duration // from the first call to the last answer
	Answered    int           // calls that were answered
	P50, P99    time.Duration // of these
	// Problems are what was not right, one for each instance or book; empty for a good run.
	Problems []error
}

// HostResult is one host's own book.
type HostResult struct {
	Name        string
	Instances   int
	Used, VCPUs int64 // vcpus in use, and all
	Refused     int   // instances, since it was full
}

// SchedulerResult is what one scheduler did. It answered more calls than it placed instances: some were refused.
type SchedulerResult struct {
	Name             string
	Placed, Answered int64
}

func (r *run) result(interrupted bool, problems []error) *Result {
	res := &Result{
		Bus: r.bus.name, Topic: r.bus.target.Topic, Calls: r.config.Calls, Placed: r.tally.placed,
		Retries: r.tally.retries, Interrupted: interrupted, Concurrency: r.config.Concurrency, Took: r.took, Answered: len(r.tally.latencies),
		P50: percentile(r.tally.latencies, 0.50), P99: percentile(r.tally.latencies, 0.99),
		Problems: append(r.tally.problems, problems...),
	}
	for _, h := range r.hosts {
		res.Hosts = append(res.Hosts, HostResult{
			Name: h.name, Instances: len(h.book), Refused: h.refused,
			Used: resources(h.used).VCPUs, VCPUs: resources(h.units).VCPUs,
		})
	}
	for _, s := range r.schedulers {
		res.Schedulers = append(res.Schedulers, SchedulerResult{s.name, s.placed.Load(), s.answered.Load()})
	}
	return res
}

// maxShownProblems keeps a broken run from scrolling its own figures away.
const maxShownProblems = 10

// WriteTable writes the result for a reader, at most 80 columns wide but for problems.
func (r *Result) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "bus    %s\ntopic  %s\n\n", r.Bus, r.Topic)
	r.writeHosts(&b)
	b.WriteByte('\n')
	r.writeSchedulers(&b)
	b.WriteByte('\n')
	r.writeFigures(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) writeHosts(w io.Writer) {
	t := newTable(w, "HOST", "INSTANCES", "VCPUS USED", "OF", "FULL", "REFUSED")
	all := HostResult{Name: "all"}
	for _, h := range r.Hosts {
		t.row(h.Name, h.Instances, h.Used, h.VCPUs, percent(h.Used, h.VCPUs), h.Refused)
		all.Instances += h.Instances
		all.Used += h.Used
		all.VCPUs += h.VCPUs
		all.Refused += h.Refused
	}
	t.row(all.Name, all.Instances, all.Used, all.VCPUs, percent(all.Used, all.VCPUs), all.Refused)
}

func (r *Result) writeSchedulers(w io.Writer) {
	t := newTable(w, "SCHEDULER", "CALLS ANSWERED", "INSTANCES PLACED")
	all := SchedulerResult{Name: "all"}
	for _, s := range r.Schedulers {
		t.row(s.Name, s.Answered, s.Placed)
		all.Answered += s.Answered
		all.Placed += s.Placed
	}
	t.row(all.Name, all.Answered, all.Placed)
}

func (r *Result) writeFigures(w io.Writer) {
	interrupted := ""
	if r.Interrupted {
		interrupted = ", interrupted"
	}
	fmt.Fprintf(w, "placed     %d of %d instances%s\n", r.Placed, r.Calls, interrupted)
	fmt.Fprintf(w, "retries    %d (the host was full)\n", r.Retries)
	fmt.Fprintf(w, "errors     %d\n", len(r.Problems))
	fmt.Fprintf(w, "calls      %d in %.2f s, %d at once: %.0f calls/s\n", r.Answered, r.Took.Seconds(), r.Concurrency, r.rate())
	fmt.Fprintf(w, "latency    p50 %s, p99 %s\n", milliseconds(r.P50), milliseconds(r.P99))
	for i, problem := range r.Problems {
		if i == maxShownProblems {
			fmt.Fprintf(w, "error: and %d more\n", len(r.Problems)-i)
			break
		}
		fmt.Fprintf(w, "error: %s\n", strings.ReplaceAll(problem.Error(), "\n", "; "))
	}
}

func (r *Result) rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Took.Seconds()
}

func percent(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", part*100/whole)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// table is columns of text, the first one to the left, the others to the right, each as wide as its head and at
// least as wide as large numbers are.
type table struct {
	w      io.Writer
	widths []int
}

func newTable(w io.Writer, heads ...string) *table {
	t := &table{w: w, widths: []int{-12}}
	cells := []any{heads[0]}
	for _, head := range heads[1:] {
		t.widths = append(t.widths, max(len(head), 7)+3)
		cells = append(cells, head)
	}
	t.row(cells...)
	return t
}

func (t *table) row(cells ...any) {
	for i, cell := range cells {
		fmt.Fprintf(t.w, "%*v", t.widths[i], cell)
	}
	fmt.Fprintln(t.w)
}
