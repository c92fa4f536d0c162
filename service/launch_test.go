package service

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLaunchChecksEverythingBeforeItStartsAnything(t *testing.T) {
	t.Parallel()
	conf := func(change func(*Config)) Config {
		c := DefaultConfig()
		c.Log = silentLog()
		if change != nil {
			change(&c)
		}
		return c
	}
	var n notes
	svc := &recorder{name: "a", notes: &n}
	for _, test := range []struct {
		name string
		conf Config
		svc  Service
		opts []Option
		want error  // or else
		says string // what the error says
	}{
		{"no workers", conf(nil), svc, []Option{WithWorkers(0)}, ErrWorkersNotPositive, "got 0"},
		{"negative workers", conf(nil), svc, []Option{WithWorkers(-3)}, ErrWorkersNotPositive, "must be positive, got -3"},
		{"no service", conf(nil), nil, nil, ErrNilService, "nil"},
		{"no service for workers", conf(nil), nil, []Option{WithWorkers(2)}, ErrNilService, "nil"},
		{"a bad restart method", conf(nil), svc, []Option{WithRestartMethod("restart")}, ErrBadRestartMethod, `"restart"`},
		{
			"a bad restart method for workers", conf(func(c *Config) { c.RestartMethod = "x" }), svc,
			[]Option{WithWorkers(2)},
			ErrBadRestartMethod, `"x"`,
		},
		{"a bad strategy", conf(func(c *Config) { c.ReloadStrategy = "x" }), svc, nil, ErrBadReloadStrategy, `"x"`},
		{
			"a negative timeout", conf(func(c *Config) { c.GracefulShutdownTimeout = -time.Second }), svc, nil,
			nil, "GracefulShutdownTimeout must not be negative, got -1s",
		},
		{"a negative wait", conf(func(c *Config) { c.ReadyTimeout = -1 }), svc, nil, nil, "ReadyTimeout"},
		{"a negative watchdog", conf(func(c *Config) { c.WatchdogInterval = -1 }), svc, nil, nil, "WatchdogInterval"},
		{"negative processors", conf(func(c *Config) { c.WorkerGOMAXPROCS = -1 }), svc, nil, nil, "WorkerGOMAXPROCS"},
		{"a negative total", conf(func(c *Config) { c.TotalWorkers = -1 }), svc, nil, nil, "TotalWorkers"},
	} {
		l, err := Launch(test.conf, test.svc, test.opts...)
		if l != nil || err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: Launch = %v, %v; want %v", test.name, l, err, test.want)
			continue
		}
		if text := err.Error(); !strings.Contains(text, test.says) || strings.Contains(text, "\n") {
			t.Errorf("%s: the error is %q, want one line with %q", test.name, text, test.says)
		}
	}
	expectNotes(t, &n)
}

func TestLaunchRunsOneWorkerInThisProcess(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]Option{
		"by default":      nil,
		"one":             {WithWorkers(1)},
		"several no fork": {WithWorkers(3), WithNoFork()},
	} {
		var n notes
		conf := DefaultConfig()
		conf.Log = silentLog()
		l, err := Launch(conf, &recorder{name: "a", notes: &n}, opts...)
		if err != nil {
			t.Fatalf("%s: Launch = %v", name, err)
		}
		if _, ok := l.(*ServiceLauncher); !ok {
			t.Errorf("%s: Launch = %T, want a ServiceLauncher", name, l)
		}
		l.Stop()
		if code := l.Wait(); code != 0 {
			t.Errorf("%s: exit status %d, want 0", name, code)
		}
		if n.count("a stop") != 1 {
			t.Errorf("%s: happened: %v, want one stop", name, n.all())
		}
	}
}

func TestServiceLauncherRefusesSeveralWorkers(t *testing.T) {
	t.Parallel()
	conf := DefaultConfig()
	conf.Log = silentLog()
	l, err := NewServiceLauncher(conf)
	if err != nil {
		t.Fatal(err)
	}
	var n notes
	svc := &recorder{name: "a", notes: &n}
	for _, test := range []struct {
		name string
		svc  Service
		opt  Option
		want error
	}{
		{"several workers", svc, WithWorkers(2), ErrMultipleWorkers},
		{"no workers", svc, WithWorkers(0), ErrWorkersNotPositive},
		{"no service", nil, WithWorkers(1), ErrNilService},
		{"a restart method", svc, WithRestartMethod(Mutate), ErrNotHere},
		{"a reload strategy", svc, WithRollingReload(), ErrNotHere},
		{"no fork", svc, WithNoFork(), ErrNotHere},
	} {
		if err := l.LaunchService(test.svc, test.opt); !errors.Is(err, test.want) {
			t.Errorf("%s: LaunchService = %v, want %v", test.name, err, test.want)
		}
	}
	l.Stop()
	if code := l.Wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	expectNotes(t, &n)
}

// Not parallel: there is one launcher in a program.
func TestServeOnlyOnce(t *testing.T) {
	t.Cleanup(func() { program.launcher = nil }) // for another round
	if code := Wait(); code != 1 {
		t.Errorf("Wait without Serve = %d, want 1", code)
	}
	conf := DefaultConfig()
	conf.Log = silentLog()
	var n notes
	svc := &recorder{name: "a", notes: &n}
	if err := Serve(conf, svc, WithWorkers(0)); !errors.Is(err, ErrWorkersNotPositive) {
		t.Errorf("Serve = %v, want ErrWorkersNotPositive", err)
	}
	if err := Serve(conf, svc); err != nil {
		t.Fatalf("Serve = %v", err)
	}
	if err := Serve(conf, svc); !errors.Is(err, ErrServeTwice) {
		t.Errorf("Serve = %v, want ErrServeTwice", err)
	}
	program.launcher.Stop()
	if code := Wait(); code != 0 {
		t.Errorf("Wait = %d, want 0", code)
	}
	if err := Serve(conf, svc); !errors.Is(err, ErrServeTwice) {
		t.Errorf("Serve after the end = %v, want ErrServeTwice", err)
	}
}
