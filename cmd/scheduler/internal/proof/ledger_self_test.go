package proof

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// The proof proves nothing unless it notices these.
func TestTheLedgerNoticesWhatShouldNotBe(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	broken := errors.New("broken")
	scheduler := &victim{load: calls, pid: 7, at: at(500)}
	front := &victim{load: requests, pid: 7, at: at(500), conns: []string{"127.0.0.1:1"}}
	for name, test := range map[string]struct {
		operation
		victim *victim
		want   string // part of the fault; empty for none
	}{
		"answered":                                  {operation{load: calls, sent: at(1), ended: at(2), taken: []int{1}, runs: []int{1}}, nil, ""},
		"failed":                                    {operation{load: calls, sent: at(1), ended: at(2), err: broken}, nil, "failed: broken"},
		"under way":                                 {operation{load: calls, sent: at(1), taken: []int{1}, runs: []int{1}}, nil, "has not ended"},
		"run by two":                                {operation{load: calls, sent: at(1), ended: at(2), taken: []int{1, 2}, runs: []int{1, 2}}, nil, "was run by the processes [1 2]"},
		"run twice by one":                          {operation{load: calls, sent: at(1), ended: at(2), taken: []int{1, 1}, runs: []int{1, 1}}, nil, "was run by the processes [1 1]"},
		"answered by nobody":                        {operation{load: calls, sent: at(1), ended: at(2)}, nil, "nobody tells"},
		"failed in the hands of the killed":         {operation{load: calls, sent: at(490), ended: at(900), err: broken, taken: []int{7}, runs: []int{7}}, scheduler, ""},
		"failed before it was run":                  {operation{load: calls, sent: at(490), ended: at(900), err: broken, taken: []int{7}}, scheduler, ""},
		"taken by the killed and run by another":    {operation{load: calls, sent: at(490), ended: at(900), taken: []int{7, 8}, runs: []int{8}}, scheduler, ""},
		"failed in the hands of another":            {operation{load: calls, sent: at(490), ended: at(900), err: broken, taken: []int{8}, runs: []int{8}}, scheduler, "failed: broken"},
		"failed before it was killed":               {operation{load: calls, sent: at(1), ended: at(2), err: broken, taken: []int{7}, runs: []int{7}}, scheduler, "failed: broken"},
		"answered by the dead":                      {operation{load: calls, sent: at(490), ended: at(900), taken: []int{7}, runs: []int{7}}, scheduler, "was answered"},
		"given to another":                          {operation{load: calls, sent: at(490), ended: at(900), taken: []int{7, 8}, runs: []int{7, 8}}, scheduler, ""},
		"given to two others":                       {operation{load: calls, sent: at(490), ended: at(900), taken: []int{7, 8, 9}, runs: []int{7, 8, 9}}, scheduler, "was run by the processes [7 8 9]"},
		"run by another and then the killed":        {operation{load: calls, sent: at(490), ended: at(900), taken: []int{8, 7}, runs: []int{8, 7}}, scheduler, "was run by the processes [8 7]"},
		"failed on a connection of the killed":      {operation{load: requests, sent: at(490), ended: at(501), err: broken, conns: []string{"127.0.0.1:1"}}, front, ""},
		"failed on a connection of another":         {operation{load: requests, sent: at(490), ended: at(501), err: broken, conns: []string{"127.0.0.1:2"}}, front, "failed: broken"},
		"sent again by its sender":                  {operation{load: requests, sent: at(1), ended: at(900), conns: []string{"127.0.0.1:2", "127.0.0.1:3"}, runs: []int{5}}, front, ""},
		"sent again and run twice":                  {operation{load: requests, sent: at(1), ended: at(900), conns: []string{"127.0.0.1:2", "127.0.0.1:3"}, runs: []int{5, 6}}, front, "was run by the processes [5 6]"},
		"the same, held by the killed":              {operation{load: requests, sent: at(490), ended: at(900), conns: []string{"127.0.0.1:1", "127.0.0.1:3"}, runs: []int{5, 6}}, front, ""},
		"answered by the dead front":                {operation{load: requests, sent: at(490), ended: at(900), conns: []string{"127.0.0.1:1"}, runs: []int{5}}, front, "was answered"},
		"failed on a connection after it had ended": {operation{load: requests, sent: at(501), ended: at(502), err: broken, conns: []string{"127.0.0.1:1"}}, front, "failed: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			l.operations["id"] = &test.operation
			got := l.sums([]span{{from: begun, event: begun, until: at(1000), victim: test.victim}})[0][test.load]
			if got.sent != 1 {
				t.Errorf("sent = %d, want 1", got.sent)
			}
			found := slices.ContainsFunc(got.faults, func(f string) bool { return strings.Contains(f, test.want) })
			if len(got.faults) > 0 != (test.want != "") || test.want != "" && !found {
				t.Errorf("faults %q, want %q", got.faults, test.want)
			}
		})
	}
}

func TestTheLedgerMeasuresTheLongestGap(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	for name, test := range map[string]struct {
		answers []int
		want    time.Duration
	}{
		"in between":    {[]int{150, 450, 900}, 450 * time.Millisecond},
		"at the end":    {[]int{150, 200}, 800 * time.Millisecond},
		"at the event":  {[]int{50, 600, 800}, 500 * time.Millisecond},
		"no answer yet": {nil, 900 * time.Millisecond},
	} {
		l := newLedger()
		for _, ms := range test.answers {
			l.end(l.begin(calls, begun, nil), at(ms), nil)
		}
		if len(test.answers) == 0 {
			l.end(l.begin(calls, begun, nil), at(10), nil) // before the event
		}
		got := l.sums([]span{{from: begun, event: at(100), until: at(1000)}})[0][calls].gap
		if got != test.want {
			t.Errorf("%s: the gap is %s, want %s", name, got, test.want)
		}
	}
}

func TestWhatAVictimHeldBelongsToItsSpan(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	spans := []span{{from: at(0), until: at(100)}, {from: at(100), until: at(200), victim: &victim{load: calls, pid: 7, at: at(150)}}}
	for name, test := range map[string]struct {
		operation
		want int
	}{
		"sent before and held":     {operation{sent: at(50), taken: []int{7}}, 1},
		"sent before and not held": {operation{sent: at(50), taken: []int{8}}, 0},
		"sent between the spans":   {operation{sent: at(300)}, -1},
	} {
		if got := test.in(spans); got != test.want {
			t.Errorf("%s: in span %d, want %d", name, got, test.want)
		}
	}
}
