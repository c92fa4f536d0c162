package periodic

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/goslo/goslo/service/loopcall"
)

// Schedule says when a timer runs the tasks. The zero value runs them whenever one is due.
type Schedule struct {
	// Interval, if it is positive, runs the tasks at that fixed interval (Karbor: periodic_interval, 60 s). 0 means
	// whenever a task is due, as [Tasks.RunPeriodicTasks] tells (nova).
	Interval time.Duration
	// IntervalMax caps the time between two runs when Interval is 0 (nova: periodic_interval_max). 0 means no cap but
	// the 60 s of RunPeriodicTasks.
	IntervalMax time.Duration
	// FuzzyDelay is the longest random wait before the first run, in whole seconds, so that services started together
	// do not work together (nova: periodic_fuzzy_delay, 60 s). 0 means no wait.
	FuzzyDelay time.Duration
	// Delay draws the initial wait in seconds, from 0 to n-1. nil means a random one.
	Delay func(n int64) int64
}

// NewTimer makes the loop that runs the tasks; its owner starts it, stops it and waits for it. Errors of tasks are
// logged and do not end it. The initial wait is drawn here, once.
func NewTimer(t *Tasks, s Schedule) *loopcall.Loop {
	name, log := loopcall.WithName("periodic_tasks"), loopcall.WithLog(t.log())
	delay := loopcall.WithInitialDelay(s.initialDelay())
	if s.Interval > 0 {
		run := func(ctx context.Context) error {
			_, err := t.RunPeriodicTasks(ctx)
			return err
		}
		return loopcall.Fixed(s.Interval, run, name, log, delay)
	}
	opts := []loopcall.DynamicOption{name, log, delay}
	if s.IntervalMax > 0 {
		opts = append(opts, loopcall.WithPeriodicIntervalMax(s.IntervalMax))
	}
	return loopcall.Dynamic(func(ctx context.Context) (time.Duration, error) { return t.RunPeriodicTasks(ctx) }, opts...)
}

func (s Schedule) initialDelay() time.Duration {
	n := int64(s.FuzzyDelay / time.Second)
	if n <= 0 {
		return 0
	}
	draw := s.Delay
	if draw == nil {
		draw = rand.Int64N
	}
	return time.Duration(draw(n+1)) * time.Second
}
