package loopcall_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/service/loopcall"
)

// recording is what oslo.service did, by testdata/record.py. All times are in seconds.
type recording struct {
	Normals []float64
	Cases   []recordedCase
}

// recordedCase is one loop: how it was started, what its function did call by call, and what came of it.
type recordedCase struct {
	Name, Kind string
	Start      startArguments
	Steps      []recordedStep
	StopAt     *float64 `json:"stop_at"`

	Calls   []float64
	Outcome string
	Ended   float64
}

type recordedStep struct {
	Took  float64
	Gives any // null, a number, true or false, "error" or "other error"
}

// startArguments are those of oslo.service's start methods and of its RetryDecorator, with their names.
type startArguments struct {
	Interval            float64
	Timeout             *float64
	InitialDelay        float64  `json:"initial_delay"`
	PeriodicIntervalMax *float64 `json:"periodic_interval_max"`
	StopOnException     *bool    `json:"stop_on_exception"`

	StartingInterval float64 `json:"starting_interval"`
	MaxInterval      float64 `json:"max_interval"`
	MinInterval      float64 `json:"min_interval"`
	Jitter           float64

	Exceptions    bool
	MaxRetryCount *int     `json:"max_retry_count"`
	IncSleepTime  *float64 `json:"inc_sleep_time"`
	MaxSleepTime  *float64 `json:"max_sleep_time"`
}

func inSeconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

// near allows for what Python's floats and Go's nanoseconds round away, wait by wait.
var near = cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= 2*time.Microsecond })

func TestCallsComeWhenThoseOfOsloDo(t *testing.T) {
	t.Parallel()
	r := readRecording(t)
	source := seeded(7)
	for i, want := range r.Normals {
		if got := source.NormFloat64(); got != want {
			t.Fatalf("deviate %d of the source is %v, want %v as in the recording", i, got, want)
		}
	}
	for _, c := range r.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, c.replay)
		})
	}
}

func readRecording(t *testing.T) recording {
	t.Helper()
	text, err := os.ReadFile("testdata/oslo.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) == 0 {
		t.Fatal("the recording is empty")
	}
	return r
}

func (c recordedCase) replay(t *testing.T) {
	begin := time.Now()
	var calls []time.Duration
	function := func() (any, error) {
		calls = append(calls, time.Since(begin))
		return c.step(len(calls) - 1)
	}
	outcome, ended := c.run(t, function), time.Since(begin)
	want := make([]time.Duration, len(c.Calls))
	for i, at := range c.Calls {
		want[i] = inSeconds(at)
	}
	if len(calls) == 0 {
		calls = []time.Duration{}
	}
	if diff := cmp.Diff(want, calls, near); diff != "" {
		t.Errorf("times of calls (-oslo +goslo):\n%s", diff)
	}
	if outcome != c.Outcome || !cmp.Equal(ended, inSeconds(c.Ended), near) {
		t.Errorf("ended with %q after %s, want %q after %s", outcome, ended, c.Outcome, inSeconds(c.Ended))
	}
}

// step is what the function does when it is called for the n-th time, from 0.
func (c recordedCase) step(n int) (any, error) {
	if n == len(c.Steps) {
		if c.Kind == "retry" {
			return "enough", nil
		}
		return nil, loopcall.Done("enough")
	}
	take(inSeconds(c.Steps[n].Took))
	switch gives := c.Steps[n].Gives; gives {
	case "error":
		return nil, errBoom
	case "other error":
		return nil, errOther
	default:
		return gives, nil
	}
}

// run gives the outcome in the recording's words.
func (c recordedCase) run(t *testing.T, function func() (any, error)) string {
	t.Helper()
	if c.Kind == "retry" {
		return outcome(loopcall.Retry(t.Context(), c.policy(), func(context.Context) (any, error) { return function() }))
	}
	l := c.loop(t, function)
	if c.StopAt != nil {
		time.AfterFunc(inSeconds(*c.StopAt), l.Stop)
	}
	return outcome(finish(t, l))
}

func outcome(value any, err error) string {
	var timeout *loopcall.TimeoutError
	switch {
	case errors.As(err, &timeout):
		return "L" + timeout.Error()[1:] // as Python begins a sentence
	case errors.Is(err, errBoom):
		return "error"
	case errors.Is(err, errOther):
		return "other error"
	case errors.Is(err, loopcall.ErrNoInterval):
		return "no interval"
	case err != nil:
		return err.Error()
	case value == true:
		return "stopped"
	default:
		return fmt.Sprint(value)
	}
}

func (c recordedCase) loop(t *testing.T, function func() (any, error)) *loopcall.Loop {
	t.Helper()
	log, _ := quiet()
	common := []loopcall.CommonOption{log, loopcall.WithInitialDelay(inSeconds(c.Start.InitialDelay))}
	if c.Start.StopOnException != nil && !*c.Start.StopOnException {
		common = append(common, loopcall.ContinueOnError())
	}
	options := make([]loopcall.Option, len(common))
	for i, o := range common {
		options[i] = o
	}
	switch c.Kind {
	case "fixed", "timed":
		f := func(context.Context) error { _, err := function(); return err }
		return loopcall.FixedWithTimeout(inSeconds(c.Start.Interval), inSeconds(or(c.Start.Timeout, 0)), f, options...)
	case "dynamic":
		return c.dynamic(function, common)
	case "backoff":
		f := func(context.Context) (bool, error) { v, err := function(); return v == true, err }
		return loopcall.Backoff(f, c.backoff(), options...)
	default:
		t.Fatalf("the recording has a loop of kind %q", c.Kind)
		return nil
	}
}

func (c recordedCase) dynamic(function func() (any, error), common []loopcall.CommonOption) *loopcall.Loop {
	var options []loopcall.DynamicOption
	for _, o := range common {
		options = append(options, o)
	}
	if c.Start.PeriodicIntervalMax != nil {
		options = append(options, loopcall.WithPeriodicIntervalMax(inSeconds(*c.Start.PeriodicIntervalMax)))
	}
	return loopcall.Dynamic(func(context.Context) (time.Duration, error) {
		v, err := function()
		if wish, given := v.(float64); given {
			return inSeconds(wish), err
		}
		return loopcall.NoInterval, err
	}, options...)
}

func (c recordedCase) backoff() loopcall.BackoffOptions {
	o := loopcall.BackoffOptions{
		StartingInterval: inSeconds(c.Start.StartingInterval), MaxInterval: inSeconds(c.Start.MaxInterval),
		MinInterval: inSeconds(c.Start.MinInterval), Jitter: c.Start.Jitter, Rand: seeded(7),
	}
	if c.Start.Timeout != nil {
		if o.Timeout = inSeconds(*c.Start.Timeout); o.Timeout == 0 {
			o.Timeout = -1 // no limit
		}
	}
	return o
}

func (c recordedCase) policy() loopcall.RetryPolicy {
	p := loopcall.DefaultRetry()
	if c.Start.Exceptions {
		p = loopcall.DefaultRetry(errBoom)
	}
	p.MaxRetries = or(c.Start.MaxRetryCount, p.MaxRetries)
	p.IncSleepTime = inSeconds(or(c.Start.IncSleepTime, p.IncSleepTime.Seconds()))
	p.MaxSleepTime = inSeconds(or(c.Start.MaxSleepTime, p.MaxSleepTime.Seconds()))
	return p
}

func or[T any](given *T, other T) T {
	if given == nil {
		return other
	}
	return *given
}
