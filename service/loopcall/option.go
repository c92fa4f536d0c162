package loopcall

import (
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
)

// Option says more about a loop than its constructor must know.
type Option interface{ apply(c *config) }

// DynamicOption is an option that only [Dynamic] understands, besides every [Option].
type DynamicOption interface{ applyDynamic(c *config) }

type config struct {
	name            string
	initialDelay    time.Duration
	continueOnError bool
	intervalMax     time.Duration
	hasIntervalMax  bool
	log             logrus.FieldLogger
}

func newConfig(name string) config {
	return config{name: name, log: logrus.StandardLogger()}
}

func (c *config) checkDelay() error {
	if c.initialDelay < 0 {
		return fmt.Errorf("initial delay %s is negative", c.initialDelay)
	}
	if c.hasIntervalMax && c.intervalMax <= 0 {
		return fmt.Errorf("periodic interval max %s is not positive", c.intervalMax)
	}
	return nil
}

var errNoFunction = errors.New("the function is nil")

type option func(*config)

func (o option) apply(c *config)        { o(c) }
func (o option) applyDynamic(c *config) { o(c) }

// CommonOption is an option that every kind of loop understands.
type CommonOption interface {
	Option
	DynamicOption
}

// WithInitialDelay makes the loop wait before the first call. Default: none, the first call happens at once.
func WithInitialDelay(d time.Duration) CommonOption {
	return option(func(c *config) { c.initialDelay = d })
}

// ContinueOnError makes an error or panic of the function a line in the log, after which the loop goes on
// (oslo.service: stop_on_exception=False). Default: the first error ends the loop for good. A [Backoff] loop
// takes the error as a failure and backs off.
func ContinueOnError() CommonOption {
	return option(func(c *config) { c.continueOnError = true })
}

// WithName names the loop in log lines and errors. Default: the kind of the loop.
func WithName(name string) CommonOption {
	return option(func(c *config) { c.name = name })
}

// WithLog sets the logger. Default: logrus.StandardLogger().
func WithLog(log logrus.FieldLogger) CommonOption {
	return option(func(c *config) { c.log = log })
}

type dynamicOption func(*config)

func (o dynamicOption) applyDynamic(c *config) { o(c) }

// WithPeriodicIntervalMax caps the interval the function asks for, and is the interval if it asks for none
// (oslo.service: periodic_interval_max). Default: no cap.
func WithPeriodicIntervalMax(d time.Duration) DynamicOption {
	return dynamicOption(func(c *config) { c.intervalMax, c.hasIntervalMax = d, true })
}
