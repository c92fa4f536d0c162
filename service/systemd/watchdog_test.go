package systemd_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/service/systemd"
)

var errStuck = errors.New("stuck")

func TestWatchdogInterval(t *testing.T) {
	self, other := strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getppid())
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
		fails     bool
	}{
		{"", "", 0, false},
		{"30000000", "", 30 * time.Second, false},
		{"1500", self, 1500 * time.Microsecond, false},
		{"30000000", other, 0, false},
		{"0", "", 0, true},
		{"-5", "", 0, true},
		{"soon", "", 0, true},
		{"9223372036854775807", "", 0, true},
		{"30000000", "me", 0, true},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		if got, err := systemd.WatchdogInterval(); got != tt.want || (err != nil) != tt.fails {
			t.Errorf("WatchdogInterval with %q, %q = %s, %v, want %s", tt.usec, tt.pid, got, err, tt.want)
		}
	}
}

// beats records when WATCHDOG=1 was sent.
type beats struct {
	begin time.Time
	at    []time.Duration
}

func (b *beats) notify(lines ...string) bool {
	if len(lines) == 1 && lines[0] == "WATCHDOG=1" {
		b.at = append(b.at, time.Since(b.begin))
	}
	return true
}

func TestTheWatchdogIsFedAtHalfTheIntervalWhileThereIsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, hook := test.NewNullLogger()
		b := &beats{begin: time.Now()}
		progress := func() error {
			if since := time.Since(b.begin); since > 20*time.Second && since < 60*time.Second {
				return errStuck
			}
			return nil
		}
		w, err := systemd.NewWatchdog(systemd.WatchdogConfig{
			Interval: 20 * time.Second, Progress: progress, Notify: b.notify, Log: log,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Start()
		w.Start() // harmless
		<-time.After(75 * time.Second)
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := w.Stop(t.Context()); err != nil {
			t.Errorf("the second Stop = %v", err)
		}
		<-time.After(time.Minute)

		s := time.Second
		if diff := cmp.Diff([]time.Duration{0, 10 * s, 20 * s, 60 * s, 70 * s}, b.at); diff != "" {
			t.Errorf("WATCHDOG=1 at (-want +got):\n%s", diff)
		}
		var lines []string
		for _, e := range hook.AllEntries() {
			lines = append(lines, e.Level.String())
		}
		if diff := cmp.Diff([]string{"warning", "info"}, lines); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestACounterThatStandsStillStarvesTheWatchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _ := test.NewNullLogger()
		b := &beats{begin: time.Now()}
		polls := func() uint64 { // a loop that polls each second and hangs from 25 s to 65 s
			s := min(time.Since(b.begin), 25*time.Second)
			if since := time.Since(b.begin); since > 65*time.Second {
				s = since - 40*time.Second
			}
			return uint64(s / time.Second)
		}
		w, err := systemd.NewWatchdog(systemd.WatchdogConfig{
			Interval: 20 * time.Second, Progress: systemd.Moving(polls), Notify: b.notify, Log: log,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Start()
		<-time.After(85 * time.Second)
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		s := time.Second
		if diff := cmp.Diff([]time.Duration{0, 10 * s, 20 * s, 30 * s, 70 * s, 80 * s}, b.at); diff != "" {
			t.Errorf("WATCHDOG=1 at (-want +got):\n%s", diff)
		}
	})
}

func TestAProgressThatHangsStarvesTheWatchdogAndStopIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := &beats{begin: time.Now()}
		w, err := systemd.NewWatchdog(systemd.WatchdogConfig{
			Interval: 20 * time.Second, Notify: b.notify,
			Progress: func() error { <-release; return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Start()
		synctest.Wait() // it asks for progress
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v, want DeadlineExceeded", err)
		}
		w.Start() // harmless: the look still hangs
		if len(b.at) != 0 {
			t.Errorf("WATCHDOG=1 was sent %d times", len(b.at))
		}
		close(release)
		if err := w.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v, want none", err)
		}
	})
}

func TestAWatchdogWithoutIntervalDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &beats{begin: time.Now()}
		w, err := systemd.NewWatchdog(systemd.WatchdogConfig{Notify: b.notify, Progress: func() error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		w.Start()
		<-time.After(time.Hour)
		if err := w.Stop(t.Context()); err != nil || len(b.at) != 0 {
			t.Errorf("Stop = %v after %d beats", err, len(b.at))
		}
	})
}

func TestAWatchdogMustLookAtSomething(t *testing.T) {
	t.Parallel()
	if _, err := systemd.NewWatchdog(systemd.WatchdogConfig{Interval: time.Second}); !errors.Is(err, systemd.ErrNoProgressFunc) {
		t.Errorf("NewWatchdog = %v, want ErrNoProgressFunc", err)
	}
	_, err := systemd.NewWatchdog(systemd.WatchdogConfig{Interval: -1, Progress: func() error { return nil }})
	if err == nil {
		t.Error("NewWatchdog with a negative interval succeeded")
	}
}

func TestTheWatchdogReachesARealSocket(t *testing.T) {
	m := listen(t, socketPath(t))
	w, err := systemd.NewWatchdog(systemd.WatchdogConfig{Interval: time.Minute, Progress: func() error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	w.Start()
	if got := m.read(); got != "WATCHDOG=1" {
		t.Errorf("got %q, want WATCHDOG=1", got)
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
