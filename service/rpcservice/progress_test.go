package rpcservice_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/report"
	"github.com/goslo/goslo/service/rpcservice"
	"github.com/goslo/goslo/service/systemd"
)

// watched runs a watchdog of 30 s over a service for a minute and returns how often it said that the service is alive.
func (s *scene) watched(t *testing.T) (alive int) {
	t.Helper()
	dog, err := systemd.NewWatchdog(systemd.WatchdogConfig{
		Interval: 30 * time.Second, Progress: systemd.Moving(s.svc.Progress), Log: s.log,
		Notify: func(lines ...string) bool {
			if slices.Contains(lines, systemd.Alive) {
				alive++
			}
			return true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	dog.Start()
	pass(61 * time.Second)
	if err := dog.Stop(t.Context()); err != nil {
		t.Errorf("Stop = %v", err)
	}
	return alive
}

func TestWatchdogSeesThatTheConsumeLoopIsAlive(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		if got := s.watched(t); got != 5 {
			t.Errorf("before the start: alive %d times in a minute, want 5: nothing can hang", got)
		}
		s.start(t)
		if got := s.watched(t); got != 5 {
			t.Errorf("with nothing to do: alive %d times in a minute, want 5", got)
		}
		if err := s.newClient(t).Cast(t.Context(), "work", map[string]int{"seconds": 100}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- s.svc.Stop(t.Context()) }()
		if got := s.watched(t); got != 5 {
			t.Errorf("while it drains: alive %d times in a minute, want 5", got)
		}
		if err := <-stopped; err != nil {
			t.Errorf("Stop = %v", err)
		}
	})
}

func TestWatchdogSeesThatTheConsumeLoopHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil, messaging.WithExecutor(executor.Blocking))
		s.start(t)
		defer s.stop(t)
		if err := s.newClient(t).Cast(t.Context(), "work", map[string]int{"seconds": 300}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.watched(t); got != 1 {
			t.Errorf("alive %d times in a minute, want 1: the first look has nothing to compare", got)
		}
		pass(5 * time.Minute)
		if got := s.watched(t); got != 5 {
			t.Errorf("alive %d times in a minute, want 5: it is free again", got)
		}
	})
}

func TestStateTellsWhatRunsAndSinceWhen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, func(c *rpcservice.Config) {
			c.Name, c.Version = "nova-compute", "1.2.3"
			c.BackdoorPort = func() int { return 4444 }
			n := 0
			c.ReportState = func(context.Context) error {
				if n++; n == 1 {
					return nil
				}
				return errors.New("no\ndatabase")
			}
		})
		s.newTasks(t, time.Minute, func(context.Context) error { return nil })
		var state report.State
		state.Register("rpc service", s.svc.State)
		show := func() []string {
			var text strings.Builder
			state.Write(&text)
			return strings.Split(strings.TrimSpace(text.String()), "\n")
		}
		if lines := show(); !slices.Contains(lines, "phase = not started") {
			t.Errorf("before the start: %q", lines)
		}
		s.start(t)
		client := s.newClient(t)
		if err := client.Call(t.Context(), "echo", map[string]any{"value": "secret"}, nil); err != nil {
			t.Fatal(err)
		}
		pass(20 * time.Second)
		for _, seconds := range []int{300, 100} {
			if err := client.Cast(t.Context(), "work", map[string]int{"seconds": seconds}); err != nil {
				t.Fatal(err)
			}
			pass(1500 * time.Millisecond)
		}
		want := []string{
			"-- rpc service --",
			"service = nova-compute",
			"version = 1.2.3",
			"topic = compute",
			"host = host1",
			"phase = working since 2000-01-01T00:00:00Z (23s ago)",
			"backdoor port = 4444",
			"reports = 1, the last at 2000-01-01T00:00:10Z (13s ago)",
			`no report now = "no\ndatabase"`,
			"periodic tasks = task",
			"turns of the consume loop = 29", // 23 s and three messages, each polled for and placed
			"received = 3",
			"redelivered = 0",
			"expired = 0",
			"refused = 0",
			"failed = 0",
			"requeued = 0",
			"parked = 0",
			"abandoned = 0",
			"running = 2",
			"  work since 2000-01-01T00:00:20Z (3s ago)",
			"  work since 2000-01-01T00:00:21Z (1.5s ago)",
		}
		if diff := cmp.Diff(want, show()); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		stopped := make(chan struct{})
		go func() { s.stop(t); close(stopped) }()
		pass(time.Second)
		if lines := show(); !slices.Contains(lines, "phase = stopping since 2000-01-01T00:00:23Z (1s ago)") {
			t.Errorf("while it drains: %q", lines)
		}
		<-stopped
		if lines := show(); !slices.Contains(lines, "running = 0") {
			t.Errorf("in the end: %q", lines)
		}
	})
}
