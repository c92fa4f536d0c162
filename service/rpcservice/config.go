package rpcservice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/periodic"
)

// Defaults of a [Config] (nova and Karbor, options of service.py).
const (
	DefaultReportInterval     = 10 * time.Second
	DefaultServiceDownTime    = 60 * time.Second
	DefaultPeriodicFuzzyDelay = 60 * time.Second
)

// NoDelay as [Config.PeriodicFuzzyDelay] makes the periodic tasks begin at once.
const NoDelay time.Duration = -1

// Config is what a service is told, beside its manager and the choices about its RPC server.
type Config struct {
	// Topic is what the service listens on. Required.
	Topic string
	// Host names the service on its topic: what is sent to topic.host is for it. Required.
	Host string
	// Exchange of the topic. Empty means the transport's control exchange.
	Exchange string
	// Name is the service's own, for logs, for its state and for who pings it. Empty means Topic.
	Name string
	// Version is the program's, for the state.
	Version string

	// BackdoorPort tells the port of the service's backdoor to peers that ask for it ([BaseAPI]); 0 is none. It must be safe
	// for concurrent use. nil means that there is none.
	BackdoorPort func() int

	// ReportState tells whoever keeps the records of services that this one is alive, and creates the record where there is
	// none. Its context ends after ServiceDownTime, and when the service stops. nil means that nobody is told.
	ReportState func(ctx context.Context) error
	// ReportInterval is the time between two reports; the first is made after one interval. 0 means 10 s (report_interval).
	ReportInterval time.Duration
	// ServiceDownTime is after how long without a report a service counts as down. 0 means 60 s (service_down_time). One that
	// is not longer than ReportInterval is raised to two and a half times that, with a warning; see [RPCService.Config].
	ServiceDownTime time.Duration

	// PeriodicInterval is how often the manager's periodic tasks are looked at (Karbor: periodic_interval, 60 s). 0 means
	// whenever one is due, as nova does.
	PeriodicInterval time.Duration
	// PeriodicIntervalMax is the longest time between two looks where PeriodicInterval is 0 (nova: periodic_interval_max).
	// 0 means 60 s, or less where a task's spacing is less.
	PeriodicIntervalMax time.Duration
	// PeriodicFuzzyDelay is the longest random wait before the first look, in whole seconds, so that services which start
	// together do not work together. 0 means 60 s (periodic_fuzzy_delay), [NoDelay] none.
	PeriodicFuzzyDelay time.Duration

	// Log is where the service logs. nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

func (c Config) check() error {
	switch {
	case c.Topic == "":
		return errors.New("rpcservice: Config.Topic is empty")
	case c.Host == "":
		return errors.New("rpcservice: Config.Host is empty")
	case c.PeriodicFuzzyDelay < 0 && c.PeriodicFuzzyDelay != NoDelay:
		return fmt.Errorf("rpcservice: Config.PeriodicFuzzyDelay must not be negative, got %s", c.PeriodicFuzzyDelay)
	case c.PeriodicInterval > 0 && c.PeriodicIntervalMax > 0:
		return errors.New("rpcservice: Config.PeriodicIntervalMax has no effect beside PeriodicInterval")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"ReportInterval", c.ReportInterval},
		{"ServiceDownTime", c.ServiceDownTime},
		{"PeriodicInterval", c.PeriodicInterval},
		{"PeriodicIntervalMax", c.PeriodicIntervalMax},
	} {
		if d.value < 0 {
			return fmt.Errorf("rpcservice: Config.%s must not be negative, got %s", d.field, d.value)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, c.Topic)
	c.ReportInterval = cmp.Or(c.ReportInterval, DefaultReportInterval)
	c.ServiceDownTime = cmp.Or(c.ServiceDownTime, DefaultServiceDownTime)
	c.PeriodicFuzzyDelay = cmp.Or(c.PeriodicFuzzyDelay, DefaultPeriodicFuzzyDelay)
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	c.Log = c.Log.WithFields(logrus.Fields{"service": c.Name, "topic": c.Topic, "host": c.Host})
	c.ServiceDownTime = c.downTime()
	return c
}

// downTime raises a ServiceDownTime with which the service would seem to be down between two reports (nova, service.py,
// basic_config_check).
func (c Config) downTime() time.Duration {
	if c.ServiceDownTime > c.ReportInterval {
		return c.ServiceDownTime
	}
	raised := c.ReportInterval * 5 / 2
	if raised >= time.Second {
		raised = raised.Truncate(time.Second)
	}
	c.Log.WithFields(logrus.Fields{
		"service_down_time": c.ServiceDownTime, "report_interval": c.ReportInterval, "raised_to": raised,
	}).Warn("service_down_time is raised: it must be longer than report_interval")
	return raised
}

func (c Config) target() messaging.Target {
	return messaging.Target{Exchange: c.Exchange, Topic: c.Topic, Server: c.Host}
}

func (c Config) schedule() periodic.Schedule {
	return periodic.Schedule{
		Interval: c.PeriodicInterval, IntervalMax: c.PeriodicIntervalMax, FuzzyDelay: max(c.PeriodicFuzzyDelay, 0),
	}
}
