package rpcservice_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/periodic"
	"github.com/goslo/goslo/service/rpcservice"
)

func TestReportsComeOnceInAnInterval(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		j := &journal{}
		s := newScene(t, func(c *rpcservice.Config) { c.ReportState = j.moments("report", nil) })
		s.start(t)
		pass(35 * time.Second)
		j.want(t, "every 10 s, the first after one interval", "report@10s", "report@20s", "report@30s")
		s.stop(t)
		pass(time.Minute)
		j.want(t, "after the stop")
		s.start(t)
		pass(10 * time.Second)
		j.want(t, "10 s after a new start", "report@1m45s")
		s.stop(t)
	})
}

// contextKey is of a value that callers of Start give.
type contextKey struct{}

func TestContextOfStartBoundsNothingButTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		j := &journal{}
		s := newScene(t, func(c *rpcservice.Config) {
			c.ReportState = func(ctx context.Context) error {
				j.note(fmt.Sprintf("report for %v", ctx.Value(contextKey{})))
				return nil
			}
		})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "the caller"))
		if err := s.svc.Start(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		pass(25 * time.Second)
		j.want(t, "after the end of Start's context", "report for the caller", "report for the caller")
		if err := s.newClient(t).Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err != nil {
			t.Errorf("Call = %v, want an answer", err)
		}
		s.stop(t)
	})
}

func TestServiceThatDoesNotWorkIsNotReported(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		j := &journal{}
		s := newScene(t, func(c *rpcservice.Config) { c.ReportState = j.moments("report", nil) })
		s.manager.idle.Store(true)
		s.start(t)
		defer s.stop(t)
		pass(35 * time.Second)
		j.want(t, "while the manager is not working")
		s.wantLogged(t, "the manager is not working: the service's state is not reported", logrus.ErrorLevel)
		s.manager.idle.Store(false)
		pass(10 * time.Second)
		j.want(t, "when it works again", "report@40s")
		s.wantLogged(t, "the service's state is reported again", logrus.InfoLevel)
	})
}

func TestReportsThatFailAreLoggedOnceAndGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const failure, recovery = "cannot report the service's state", "the service's state is reported again"
		n := 0
		s := newScene(t, func(c *rpcservice.Config) {
			c.ReportState = func(context.Context) error {
				n++
				switch n {
				case 3, 4, 5, 7:
					return fmt.Errorf("attempt %d: %w", n, errBoom)
				case 9:
					panic(errBoom)
				}
				return nil
			}
		})
		s.start(t)
		defer s.stop(t)
		pass(55 * time.Second) // 3 to 5 fail
		s.wantLogged(t, failure, logrus.ErrorLevel)
		s.wantLogged(t, recovery)
		pass(10 * time.Second) // 6 does not
		s.wantLogged(t, recovery, logrus.InfoLevel)
		pass(20 * time.Second) // 7 fails, 8 does not
		s.wantLogged(t, failure, logrus.ErrorLevel, logrus.ErrorLevel)
		s.wantLogged(t, recovery, logrus.InfoLevel, logrus.InfoLevel)
		pass(time.Minute) // 9 panics
		if n != 14 {
			t.Errorf("%d reports in 145 s, want 14: nothing ends them", n)
		}
	})
}

func TestReportThatHangsIsGivenUpWhenTheServiceCountsAsDown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var took []time.Duration
		s := newScene(t, func(c *rpcservice.Config) {
			c.ServiceDownTime = 25 * time.Second
			c.ReportState = func(ctx context.Context) error {
				begun := time.Now()
				<-ctx.Done()
				took = append(took, time.Since(begun))
				return ctx.Err()
			}
		})
		s.start(t)
		pass(time.Minute)
		begun := time.Now()
		s.stop(t)
		if got := time.Since(begun); got != 0 {
			t.Errorf("Stop waits %s for a report, want that it ends it", got)
		}
		if want := []time.Duration{25 * time.Second, 25 * time.Second, 0}; !slices.Equal(took, want) {
			t.Errorf("reports took %v, want %v: the last had just begun", took, want)
		}
		s.wantLogged(t, "cannot report the service's state", logrus.ErrorLevel)
	})
}

// newTasks are one task of that spacing.
func (s *scene) newTasks(t *testing.T, spacing time.Duration, f periodic.Func) {
	t.Helper()
	s.manager.tasks = &periodic.Tasks{Log: s.log, Jitter: func() float64 { return 0 }}
	if err := s.manager.tasks.Periodic("task", spacing, f, periodic.RunImmediately()); err != nil {
		t.Fatal(err)
	}
}

func TestPeriodicTasksRunAsTheScheduleSays(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*rpcservice.Config)
		want   []string
	}{
		"whenever they are due": {nil, []string{"task@0s", "task@25s", "task@50s", "task@1m15s"}},
		"at a fixed interval": {
			func(c *rpcservice.Config) { c.PeriodicInterval = 10 * time.Second },
			[]string{"task@0s", "task@30s", "task@50s", "task@1m20s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := newScene(t, tt.change)
				j := &journal{}
				s.newTasks(t, 25*time.Second, j.moments("task", errBoom))
				s.start(t)
				pass(80 * time.Second)
				j.want(t, "in 80 s", tt.want...)
				s.stop(t)
				pass(time.Minute)
				j.want(t, "after the stop")
			})
		})
	}
}

func TestPeriodicTasksBeginAfterARandomWait(t *testing.T) {
	t.Parallel()
	var latest time.Duration
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			var first time.Duration
			s := newScene(t, func(c *rpcservice.Config) { c.PeriodicFuzzyDelay = 0 }) // the default
			begun := time.Now()
			s.newTasks(t, 10*time.Minute, func(context.Context) error { first = time.Since(begun); return nil })
			s.start(t)
			pass(61 * time.Second)
			s.stop(t)
			if first > time.Minute || first%time.Second != 0 {
				t.Errorf("the first run was after %s, want whole seconds up to 60", first)
			}
			latest = max(latest, first)
		})
	}
	if latest < 10*time.Second {
		t.Errorf("the latest of 50 first runs was after %s: not at random up to a minute", latest)
	}
}

func TestStopEndsTheContextOfATaskThatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		var cause error
		s.newTasks(t, time.Minute, func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(2 * time.Second) // it cleans up
			cause = context.Cause(ctx)
			return cause
		})
		s.start(t)
		pass(time.Second)
		s.manager.journal.take()
		begun := time.Now()
		s.stop(t)
		if got := time.Since(begun); got != 2*time.Second {
			t.Errorf("Stop took %s, want what the task needed, 2s", got)
		}
		if !errors.Is(cause, rpcservice.ErrStopped) {
			t.Errorf("the task's context ended with %v, want ErrStopped", cause)
		}
		s.manager.journal.want(t, "stop", "stop listening", "close listener", "clean up host")
	})
}

func TestTaskThatDoesNotEndKeepsStopUntilItsTimeIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		release := make(chan struct{})
		s.newTasks(t, time.Minute, func(context.Context) error { <-release; return nil })
		s.start(t)
		pass(time.Second)
		s.manager.journal.take()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.svc.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v, want that its time was over", err)
		}
		s.manager.journal.want(t, "everything else", "stop listening", "close listener", "clean up host")
		close(release)
		s.stop(t)
	})
}
