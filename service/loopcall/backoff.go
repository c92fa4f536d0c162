package loopcall

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// BackoffOptions say how a [Backoff] loop waits. The zero value means oslo.service's defaults.
type BackoffOptions struct {
	// StartingInterval is the interval after a success, and the first one after which a failure counts. 0 means 1 s.
	StartingInterval time.Duration
	// Timeout is how long the loop may wait in all between failures that follow each other. 0 means 300 s; negative
	// means no limit, which is 0 in oslo.service.
	Timeout time.Duration
	// MaxInterval caps a wait after a failure. 0 means 300 s.
	MaxInterval time.Duration
	// MinInterval is the least wait after a failure. 0 means 1 ms.
	MinInterval time.Duration
	// Jitter is the mean of the factor a wait is multiplied with, whose standard deviation is 0.1. The interval grows
	// by twice this factor with each failure. 0 means 0.75, with which it grows by 1.5.
	Jitter float64
	// Rand is the source of jitter, used by the loop alone while it runs. nil means the global one.
	Rand *rand.Rand
}

// jitterDeviation is oslo.service's standard deviation of the jitter (loopingcall.py, BackOffLoopingCall).
const jitterDeviation = 0.1

// farInterval bounds how far an interval grows, in seconds: oslo.service lets it grow without bound and caps only
// the waits. It is about thirty years, beyond every wait and far from the end of a float's exactness.
const farInterval = 1e9

// Backoff makes a loop that calls f while it works at StartingInterval times the jitter, and with growing waits
// while it fails; f reports whether it succeeded. It ends with a [*TimeoutError], without waiting, when the next
// wait would make all waits since the last success longer than Timeout.
//
// An error of f ends the loop, as in every other; with [ContinueOnError] it counts as a failure.
func Backoff(f func(ctx context.Context) (success bool, err error), o BackoffOptions, opts ...Option) *Loop {
	l := &Loop{kind: "backoff", config: newConfig("backoff")}
	for _, opt := range opts {
		opt.apply(&l.config)
	}
	l.check = func() error {
		if f == nil {
			return errNoFunction
		}
		if err := o.check(); err != nil {
			return err
		}
		return l.config.checkDelay()
	}
	l.begin = func() step {
		b := &backoff{options: o.withDefaults()}
		b.reset()
		return steps(&l.config, f, false, b.delay)
	}
	return l
}

func (o BackoffOptions) check() error {
	switch {
	case o.StartingInterval < 0:
		return fmt.Errorf("starting interval %s is negative", o.StartingInterval)
	case o.MaxInterval < 0:
		return fmt.Errorf("max interval %s is negative", o.MaxInterval)
	case o.MinInterval < 0:
		return fmt.Errorf("min interval %s is negative", o.MinInterval)
	case o.Jitter < 0, math.IsNaN(o.Jitter), math.IsInf(o.Jitter, 0):
		return fmt.Errorf("jitter %v is not a factor", o.Jitter)
	}
	if o = o.withDefaults(); o.MinInterval > o.MaxInterval {
		return fmt.Errorf("min interval %s is longer than max interval %s", o.MinInterval, o.MaxInterval)
	}
	return nil
}

func (o BackoffOptions) withDefaults() BackoffOptions {
	setDefault(&o.StartingInterval, time.Second)
	setDefault(&o.Timeout, 300*time.Second)
	setDefault(&o.MaxInterval, 300*time.Second)
	setDefault(&o.MinInterval, time.Millisecond)
	if o.Jitter == 0 {
		o.Jitter = 0.75
	}
	return o
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// backoff is the state of one run.
type backoff struct {
	options   BackoffOptions
	interval  float64       // seconds: it may grow beyond what a Duration holds
	errorTime time.Duration // waited since the last success
}

func (b *backoff) reset() { b.interval, b.errorTime = b.options.StartingInterval.Seconds(), 0 }

// delay is oslo.service's formula (loopingcall.py, BackOffLoopingCall.start).
func (b *backoff) delay(success bool, _ time.Duration) (time.Duration, error) {
	r := b.jitter()
	if success {
		b.reset()
		return seconds(b.interval * r), nil
	}
	o := b.options
	wait := min(max(seconds(b.interval*2*r), o.MinInterval), o.MaxInterval)
	b.interval = min(max(b.interval*2*o.Jitter, o.MinInterval.Seconds()), farInterval)
	if o.Timeout > 0 && b.errorTime+wait > o.Timeout {
		return 0, &TimeoutError{Elapsed: b.errorTime + wait}
	}
	b.errorTime += wait
	return wait, nil
}

func (b *backoff) jitter() float64 {
	normal := rand.NormFloat64
	if b.options.Rand != nil {
		normal = b.options.Rand.NormFloat64
	}
	return math.Abs(normal()*jitterDeviation + b.options.Jitter)
}

// seconds makes a Duration, the longest one of what does not fit.
func seconds(s float64) time.Duration {
	if s >= farInterval {
		return farInterval * time.Second
	}
	return time.Duration(s * float64(time.Second))
}
