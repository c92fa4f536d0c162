package demo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	t.Parallel()
	r := &Result{
		Bus: "in this process", Topic: "scheduler-demo-x", Calls: 3000, Placed: 2999, Retries: 12, Concurrency: 64,
		Hosts:      []HostResult{{"host-01", 1500, 3000, 3300, 12}, {"host-02", 1499, 2998, 3300, 0}},
		Schedulers: []SchedulerResult{{"scheduler-1", 1500, 1506}, {"scheduler-2", 1499, 1505}},
		Took:       2 * time.Second, Answered: 3011, P50: 1500 * time.Microsecond, P99: 20 * time.Millisecond,
		Problems: []error{errors.Join(errors.New("instance x: lost"), errors.New("and gone"))},
	}
	const want = `bus    in this process
topic  scheduler-demo-x

HOST           INSTANCES   VCPUS USED        OF      FULL   REFUSED
host-01             1500         3000      3300       90%        12
host-02             1499         2998      3300       90%         0
all                 2999         5998      6600       90%        12

SCHEDULER      CALLS ANSWERED   INSTANCES PLACED
scheduler-1              1506               1500
scheduler-2              1505               1499
all                      3011               2999

placed     2999 of 3000 instances
retries    12 (the host was full)
errors     1
calls      3011 in 2.00 s, 64 at once: 1506 calls/s
latency    p50 1.50 ms, p99 20.00 ms
error: instance x: lost; and gone
`
	var b bytes.Buffer
	must(t, r.WriteTable(&b))
	if b.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestTableOfNothing(t *testing.T) {
	t.Parallel()
	r := &Result{Calls: 10, Interrupted: true, Hosts: []HostResult{{Name: "host-01"}}}
	for i := range 12 {
		r.Problems = append(r.Problems, fmt.Errorf("problem %d", i+1))
	}
	var b bytes.Buffer
	must(t, r.WriteTable(&b))
	for _, want := range []string{
		"host-01                0            0         0         -         0\n",
		"placed     0 of 10 instances, interrupted\n", "0 in 0.00 s, 0 at once: 0 calls/s\n", "p50 0.00 ms, p99 0.00 ms\n",
		"error: problem 10\nerror: and 2 more\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
	if err := r.WriteTable(closedFile(t)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteTable to a closed file = %v", err)
	}
}

func closedFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/x")
	must(t, err)
	must(t, f.Close())
	return f
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		of   []time.Duration
		p    float64
		want time.Duration
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.5, 1},
		{hundred[:1], 0.99, 1},
		{hundred[:2], 0.5, 1},
		{hundred[:3], 0.5, 2},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
	} {
		if got := percentile(c.of, c.p); got != c.want {
			t.Errorf("percentile(%d values, %v) = %d, want %d", len(c.of), c.p, got, c.want)
		}
	}
}

func TestScreenShowsNoBarWhereNobodyLooks(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, out := range []*screen{{out: &b}, {out: closedFile(t)}} {
		out.begin(2)
		out.step()
		out.step()
		out.end()
	}
	s := &screen{out: &b}
	_, err := s.Write([]byte("a line\n"))
	if err != nil || b.String() != "a line\n" {
		t.Errorf("written = %q, %v, want the line alone", b.String(), err)
	}
}

// The bar itself, on a screen that is told to be one.
func TestScreenKeepsLinesAboveTheBar(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &screen{out: &b}
	s.show(3)
	s.step()
	_, err := s.Write([]byte("a warning\n"))
	must(t, err)
	s.end()
	_, err = s.Write([]byte("the end\n"))
	must(t, err)
	got := b.String()
	if !strings.HasPrefix(got, "a warning\n") || !strings.Contains(got, "placing 1/3 [") || !strings.HasSuffix(got, "\nthe end\n") {
		t.Errorf("written = %q, want a line, the bar, a line", got)
	}
}
