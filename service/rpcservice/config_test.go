package rpcservice_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

func TestWrongConfigurationIsRefusedByName(t *testing.T) {
	t.Parallel()
	m := newManager()
	b := newBus(t, m.journal)
	good := rpcservice.Config{Topic: "t", Host: "h"}
	with := func(change func(*rpcservice.Config)) rpcservice.Config { c := good; change(&c); return c }
	lacking, holed := newManager(), newManager()
	lacking.endpoint = nil
	holed.more = []*messaging.Endpoint{nil}
	for _, tt := range []struct {
		want      string
		transport *messaging.Transport
		manager   rpcservice.Manager
		conf      rpcservice.Config
		opt       messaging.ServerOption
	}{
		{want: "transport is nil", manager: m, conf: good},
		{want: "manager is nil", transport: b.servers, conf: good},
		{want: "endpoint of the manager is nil", transport: b.servers, manager: lacking, conf: good},
		{want: "endpoint of the manager is nil", transport: b.servers, manager: holed, conf: good},
		{want: "Config.Topic", conf: rpcservice.Config{Host: "h"}},
		{want: "Config.Host", conf: rpcservice.Config{Topic: "t"}},
		{want: "Config.ReportInterval", conf: with(func(c *rpcservice.Config) { c.ReportInterval = -1 })},
		{want: "Config.ServiceDownTime", conf: with(func(c *rpcservice.Config) { c.ServiceDownTime = -1 })},
		{want: "Config.PeriodicInterval ", conf: with(func(c *rpcservice.Config) { c.PeriodicInterval = -1 })},
		{want: "Config.PeriodicIntervalMax", conf: with(func(c *rpcservice.Config) { c.PeriodicIntervalMax = -1 })},
		{want: "Config.PeriodicFuzzyDelay", conf: with(func(c *rpcservice.Config) { c.PeriodicFuzzyDelay = -2 })},
		{want: "no effect", conf: with(func(c *rpcservice.Config) { c.PeriodicInterval, c.PeriodicIntervalMax = 1, 1 })},
		{want: "executor", conf: good, opt: messaging.WithExecutor(executor.Type("eventful"))},
	} {
		if tt.transport == nil && tt.manager == nil {
			tt.transport, tt.manager = b.servers, m
		}
		var opts []messaging.ServerOption
		if tt.opt != nil {
			opts = append(opts, tt.opt)
		}
		_, err := rpcservice.New(tt.transport, tt.manager, tt.conf, opts...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "rpcservice: ") {
			t.Errorf("New = %v, want an error about %q", err, tt.want)
		}
	}
}

func TestServiceDownTimeIsRaisedAboveTheReportInterval(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		report, down, want time.Duration
		warned             bool
	}{
		{0, 0, time.Minute, false},
		{10 * time.Second, 11 * time.Second, 11 * time.Second, false},
		{10 * time.Second, 10 * time.Second, 25 * time.Second, true},
		{60 * time.Second, 0, 150 * time.Second, true},
		{7 * time.Second, 1 * time.Second, 17 * time.Second, true}, // 17.5, as an int
		{100 * time.Millisecond, time.Millisecond, 250 * time.Millisecond, true},
	} {
		m := newManager()
		b := newBus(t, m.journal)
		svc := b.newService(t, m, func(c *rpcservice.Config) { c.ReportInterval, c.ServiceDownTime = tt.report, tt.down })
		if got := svc.Config().ServiceDownTime; got != tt.want {
			t.Errorf("report every %s, down after %s: raised to %s, want %s", tt.report, tt.down, got, tt.want)
		}
		var want []logrus.Level
		if tt.warned {
			want = []logrus.Level{logrus.WarnLevel}
		}
		b.wantLogged(t, "service_down_time is raised: it must be longer than report_interval", want...)
	}
}
