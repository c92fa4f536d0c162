package main

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/goslo/goslo/service/systemd"
)

func TestOneServiceThatHangsIsEnoughForTheWatchdog(t *testing.T) {
	t.Parallel()
	s := loaded(t, "")
	var moving, hanging uint64
	conf, err := s.launchConfig(io.Discard, []pool{
		{name: "scheduler", workers: 2, progress: func() uint64 { moving++; return moving }},
		{name: "agent", workers: 1, progress: func() uint64 { return hanging }},
		{name: "api", workers: 1}, // has no loop
	})
	if err != nil {
		t.Fatal(err)
	}
	if conf.TotalWorkers != 4 {
		t.Errorf("there are %d workers, want 4", conf.TotalWorkers)
	}
	if _, ok := conf.Notifier.(systemd.Notifier); !ok {
		t.Errorf("the notifier is a %T, want systemd's", conf.Notifier)
	}
	if err := conf.Progress(); err != nil {
		t.Errorf("the first look: %v", err)
	}
	if err := conf.Progress(); !errors.Is(err, systemd.ErrNoProgress) || err.Error() != "agent: systemd: no progress since the last look: the counter stands at 0" {
		t.Errorf("the agent hangs: %v", err)
	}
	hanging++
	if err := conf.Progress(); err != nil {
		t.Errorf("it moves again: %v", err)
	}
}

func TestReadyIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	conf, err := loaded(t, "").launchConfig(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	conf.OnReady()
	if out.String() != "READY\n" {
		t.Errorf("printed %q, want READY", out.String())
	}
}

func TestAWrongWatchdogIntervalIsOneLine(t *testing.T) {
	t.Parallel()
	c := startChildWith(t, []string{"WATCHDOG_USEC=x"}, "main", "serve", noBroker)
	c.end(t, exitUsage)
	if got, want := c.stderr.String(), "scheduler: systemd: WATCHDOG_USEC \"x\" is not a number of microseconds\n"; got != want {
		t.Errorf("standard error = %q, want %q", got, want)
	}
}
