package rpcservice_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/service/periodic"
	"github.com/goslo/goslo/service/rpcservice"
)

func TestServiceStartsStepByStepAndStopsTheOtherWayRound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.start(t)
		s.manager.journal.want(t, "start", "init host", "listen", "init host with RPC")
		if got, err := messaging.Call[string](t.Context(), s.newClient(t), "echo", map[string]any{"value": "here"}); err != nil || got != "here" {
			t.Errorf("echo = %q, %v", got, err)
		}
		s.stop(t)
		s.manager.journal.want(t, "stop", "stop listening", "close listener", "clean up host")
		s.stop(t)
		s.manager.journal.want(t, "a second stop")
	})
}

func TestServiceCanBeStartedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		client := s.newClient(t, messaging.WithMandatory())
		for range 3 {
			s.start(t)
			s.start(t) // does nothing
			s.manager.journal.want(t, "start", "init host", "listen", "init host with RPC")
			if err := client.Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err != nil {
				t.Errorf("Call = %v", err)
			}
			if err := s.svc.Reset(t.Context()); err != nil {
				t.Errorf("Reset = %v", err)
			}
			s.manager.journal.want(t, "reset", "reset")
			s.stop(t)
			s.manager.journal.want(t, "stop", "stop listening", "close listener", "clean up host")
		}
	})
}

func TestServiceThatWasNeverStartedStopsWaitsAndResets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.stop(t)
		if err := s.svc.Reset(t.Context()); err != nil {
			t.Errorf("Reset = %v", err)
		}
		s.manager.fails("reset", errBoom)
		if err := s.svc.Reset(t.Context()); !errors.Is(err, errBoom) {
			t.Errorf("Reset = %v, want the manager's error", err)
		}
		s.manager.journal.want(t, "in all", "reset", "reset")
	})
}

func TestStepThatFailsUndoesThoseBeforeIt(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]struct {
		fail func(s *scene)
		want []string
		says string
	}{
		"init host": {
			func(s *scene) { s.manager.fails("init host", errBoom) },
			[]string{"init host"}, // above all: no listener was ever made
			"init host: boom",
		},
		"listen": {
			func(s *scene) { s.driver.listenErr = errBoom },
			[]string{"init host", "clean up host"},
			"listen: ",
		},
		"init host with RPC": {
			func(s *scene) { s.manager.fails("init host with RPC", errBoom) },
			[]string{"init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host"},
			"init host with RPC: boom",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := newScene(t, nil)
				step.fail(s)
				err := s.svc.Start(t.Context())
				if !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "start compute: "+step.says) {
					t.Errorf("Start = %v, want boom of %q", err, name)
				}
				s.manager.journal.want(t, "a start that failed", step.want...)
				s.stop(t)
				s.manager.journal.want(t, "the stop after it")

				clear(s.manager.fail)
				s.driver.listenErr = nil
				s.start(t)
				s.stop(t)
			})
		})
	}
}

func TestStepThatPanicsOrExitsUndoesThoseBeforeIt(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *scene){
		"panic":            func(s *scene) { s.manager.does("init host with RPC", func(context.Context) error { panic(errBoom) }) },
		"panic of a timer": func(s *scene) { s.manager.tasksAsked = func() { panic(errBoom) } },
		"end of a goroutine": func(s *scene) {
			s.manager.does("init host with RPC", func(context.Context) error { runtime.Goexit(); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := newScene(t, nil)
				end(s)
				reason := make(chan any, 1)
				go func() {
					defer func() { reason <- recover() }()
					_ = s.svc.Start(t.Context())
				}()
				got := <-reason
				if err, _ := got.(error); strings.HasPrefix(name, "panic") && !errors.Is(err, errBoom) {
					t.Errorf("Start panics with %v, want what the hook panicked with", got)
				}
				s.manager.journal.want(t, "what was begun is undone",
					"init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host")
				s.stop(t)
			})
		})
	}
}

func TestContextThatEndsBetweenStepsUndoesThoseDone(t *testing.T) {
	t.Parallel()
	for next, cut := range map[string]struct {
		in   func(s *scene, cancel func(context.Context) error)
		want []string
	}{
		"init host": {
			func(_ *scene, cancel func(context.Context) error) { _ = cancel(context.Background()) },
			nil,
		},
		"listen": {
			func(s *scene, cancel func(context.Context) error) { s.manager.does("init host", cancel) },
			[]string{"init host", "clean up host"},
		},
		"start periodic tasks": {
			func(s *scene, cancel func(context.Context) error) { s.manager.does("init host with RPC", cancel) },
			[]string{"init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host"},
		},
		"start reports": {
			func(s *scene, cancel func(context.Context) error) {
				s.manager.tasksAsked = func() { _ = cancel(context.Background()) }
			},
			[]string{"init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host"},
		},
	} {
		t.Run(next, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := newScene(t, nil)
				s.manager.tasks = &periodic.Tasks{Log: s.log}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				cut.in(s, func(context.Context) error { cancel(errBoom); return nil })
				if err := s.svc.Start(ctx); !errors.Is(err, errBoom) || !strings.Contains(err.Error(), next+": ") {
					t.Errorf("Start = %v, want boom before %q", err, next)
				}
				s.manager.journal.want(t, "what was begun is undone", cut.want...)
			})
		})
	}
}

func TestUndoneStartAnswersWhatItHasTaken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		called := make(chan error, 1)
		s.manager.does("init host with RPC", func(context.Context) error {
			go func() { called <- s.newClient(t).Call(t.Context(), "work", map[string]int{"seconds": 30}, nil) }()
			pass(time.Second)
			return errBoom
		})
		begun := time.Now()
		if err := s.svc.Start(t.Context()); !errors.Is(err, errBoom) {
			t.Errorf("Start = %v, want boom", err)
		}
		if got := time.Since(begun); got != 30*time.Second {
			t.Errorf("Start took %s, want as long as the method that ran", got)
		}
		if err := <-called; err != nil {
			t.Errorf("Call = %v, want an answer", err)
		}
	})
}

func TestUndoneStartCleansUpWithTheValuesOfItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.manager.fails("init host with RPC", errBoom)
		var value any
		s.manager.does("clean up host", func(ctx context.Context) error { value = ctx.Value(contextKey{}); return ctx.Err() })
		if err := s.svc.Start(context.WithValue(t.Context(), contextKey{}, "the caller")); !errors.Is(err, errBoom) {
			t.Errorf("Start = %v, want boom", err)
		}
		if value != "the caller" {
			t.Errorf("the value in CleanupHost's context is %v, want that of Start's", value)
		}
	})
}

func TestUndoingAStartTakesAMinuteAtMost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.manager.does("init host with RPC", func(context.Context) error {
			go func() { _ = s.newClient(t).Cast(t.Context(), "work", map[string]int{"seconds": 3600}) }()
			pass(0)
			return errBoom
		})
		begun := time.Now()
		if err := s.svc.Start(t.Context()); !errors.Is(err, errBoom) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start = %v, want boom, and that the undoing was cut short", err)
		}
		if got := time.Since(begun); got != time.Minute {
			t.Errorf("Start took %s, want 1m", got)
		}
		s.stop(t)
		if lines := s.manager.journal.take(); !slices.Contains(lines, "work cancelled") || !slices.Contains(lines, "clean up host") {
			t.Errorf("journal %q, want the method cancelled and the host cleaned up", lines)
		}
	})
}

func TestStopEndsAStartThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.manager.does("init host with RPC", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		started := make(chan error, 1)
		go func() { started <- s.svc.Start(t.Context()) }()
		pass(time.Hour)
		waited := make(chan error, 1)
		go func() { waited <- s.svc.Wait(t.Context()) }()
		synctest.Wait()
		if err := s.svc.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v", err)
		}
		if err := <-started; !errors.Is(err, rpcservice.ErrStopped) || !errors.Is(err, context.Canceled) {
			t.Errorf("Start = %v, want ErrStopped and the hook's own error", err)
		}
		if err := <-waited; err != nil {
			t.Errorf("Wait = %v", err)
		}
		s.manager.journal.want(t, "in all",
			"init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host")
	})
}

func TestCallsThatWaitForAStartEndWithTheirContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.manager.does("init host", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		started := make(chan error, 1)
		go func() { started <- s.svc.Start(t.Context()) }()
		pass(0)
		for name, call := range map[string]func(context.Context) error{"Start": s.svc.Start, "Reset": s.svc.Reset} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), strings.ToLower(name)) {
				t.Errorf("%s = %v, want that of its context", name, err)
			}
			cancel()
		}
		s.stop(t)
		if err := <-started; !errors.Is(err, rpcservice.ErrStopped) {
			t.Errorf("the first Start = %v, want ErrStopped", err)
		}
		s.manager.journal.want(t, "one start, no reset", "init host")
	})
}

// TestStopEndsTheLifeThatBeganWhileItWaited has a second Start before Stop in the queue.
func TestStopEndsTheLifeThatBeganWhileItWaited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		hang := true
		s.manager.does("init host", func(ctx context.Context) error {
			if !hang {
				return nil
			}
			hang = false
			<-ctx.Done()
			return context.Cause(ctx)
		})
		first, second := make(chan error, 1), make(chan error, 1)
		for _, started := range []chan error{first, second} {
			go func() { started <- s.svc.Start(t.Context()) }()
			pass(0)
		}
		if err := s.svc.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v", err)
		}
		if err := <-first; !errors.Is(err, rpcservice.ErrStopped) {
			t.Errorf("the Start that hung = %v, want ErrStopped", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the Start that waited = %v", err)
		}
		s.manager.journal.want(t, "both lives", "init host", "init host", "listen", "init host with RPC",
			"stop listening", "close listener", "clean up host")
		s.stop(t)
	})
}

func TestStopLetsMethodsFinishBeforeItCleansUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.start(t)
		called := make(chan error, 1)
		go func() { called <- s.newClient(t).Call(t.Context(), "work", map[string]int{"seconds": 30}, nil) }()
		pass(10 * time.Second)
		s.manager.journal.take()
		waited := make(chan time.Time, 1)
		go func() {
			if err := s.svc.Wait(t.Context()); err != nil {
				t.Errorf("Wait = %v", err)
			}
			waited <- time.Now()
		}()
		begun := time.Now()
		if err := s.svc.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v", err)
		}
		if got := time.Since(begun); got != 20*time.Second {
			t.Errorf("Stop took %s, want what the method had left, 20s", got)
		}
		if got := (<-waited).Sub(begun); got != 20*time.Second {
			t.Errorf("Wait took %s, want as long as Stop", got)
		}
		if err := <-called; err != nil {
			t.Errorf("Call = %v, want an answer", err)
		}
		s.manager.journal.want(t, "stop", "stop listening", "work done", "close listener", "clean up host")
	})
}

func TestStopThatRunsOutOfTimeCancelsMethodsAndCleansUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		release := make(chan struct{})
		messaging.HandleCast(s.manager.endpoint, "deaf", func(context.Context, struct{}) error {
			<-release
			s.manager.journal.note("deaf method done")
			return nil
		})
		s.start(t)
		for method, args := range map[string]any{"work": map[string]int{"seconds": 3600}, "deaf": nil} {
			if err := s.newClient(t).Cast(t.Context(), method, args); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s.manager.journal.take()
		s.manager.does("clean up host", func(ctx context.Context) error {
			if ctx.Err() == nil {
				t.Error("CleanupHost has time left")
			}
			return nil
		})

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		if err := s.svc.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v, want that its time was over", err)
		}
		if got := time.Since(begun); got != 10*time.Second {
			t.Errorf("Stop took %s, want 10s", got)
		}
		synctest.Wait()
		lines := s.manager.journal.take()
		slices.Sort(lines)
		if want := []string{"clean up host", "stop listening", "work cancelled"}; !slices.Equal(lines, want) {
			t.Errorf("a stop without time: %q, want %q", lines, want)
		}

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.svc.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want that its time was over", err)
		}
		again, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.svc.Start(again); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start = %v, want that it waits for the earlier life", err)
		}
		begun = time.Now()
		if err := s.svc.Start(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start without a deadline = %v, want that its time was over", err)
		}
		if got := time.Since(begun); got != time.Minute {
			t.Errorf("Start waited for %s, want 1m", got)
		}
		close(release)
		s.stop(t)
		s.manager.journal.want(t, "the rest", "deaf method done", "close listener")
		s.start(t)
		s.manager.does("clean up host", func(context.Context) error { return nil })
		s.stop(t)
	})
}

func TestStopDoesNotWaitForACleanUpThatHeedsNoContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		release := make(chan struct{})
		s.manager.does("clean up host", func(context.Context) error { <-release; return errBoom })
		s.start(t)
		ended := func(name string, end func(context.Context) error, limit time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			begun := time.Now()
			if err := end(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %v, want that its time was over", name, err)
			}
			if got := time.Since(begun); got > limit {
				t.Errorf("%s took %s, want %s at most", name, got, limit)
			}
		}
		ended("Stop", s.svc.Stop, 11*time.Second)
		ended("Wait", s.svc.Wait, 10*time.Second)
		ended("Start again", s.svc.Start, 10*time.Second)
		s.manager.journal.want(t, "one life", "init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host")
		close(release)
		s.stop(t)
		s.wantLogged(t, "the service has stopped", logrus.InfoLevel)
		s.wantLogged(t, "a part of the service did not end as it should", logrus.ErrorLevel)
		s.manager.journal.want(t, "the rest")
	})
}

func TestStopWithoutAnyTimeStopsAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // nothing is left to chance
			s := newScene(t, nil)
			s.manager.tasks = &periodic.Tasks{Log: s.log}
			s.start(t)
			_ = s.svc.Stop(ctx) // it may or may not see that nothing ran
			s.manager.journal.take()
			if err := s.newClient(t, messaging.WithMandatory()).Call(t.Context(), "echo", map[string]any{"value": 1}, nil); err == nil {
				t.Error("the service answers after Stop")
			}
			if err := s.svc.Wait(t.Context()); err != nil {
				t.Errorf("Wait = %v", err)
			}
			if err := s.svc.Wait(ctx); err != nil {
				t.Errorf("Wait at the end = %v", err)
			}
		}
	})
}

func TestWaitBeforeStopEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.start(t)
		defer s.stop(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.svc.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want that its time was over", err)
		}
	})
}

func TestErrorsOfAStopAreLoggedAndKeepNothingFromEnding(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.driver.stopErr, s.driver.closeErr = errBoom, errBoom
		s.manager.does("clean up host", func(context.Context) error { panic("at the disco") })
		s.start(t)
		if err := s.svc.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v, want the errors in the log alone", err)
		}
		s.manager.journal.want(t, "in all",
			"init host", "listen", "init host with RPC", "stop listening", "close listener", "clean up host")
		s.wantLogged(t, "a part of the service did not stop as it should", logrus.ErrorLevel)
		s.wantLogged(t, "a part of the service did not end as it should", logrus.ErrorLevel)
		s.wantLogged(t, "a part of the service was not undone", logrus.ErrorLevel)
	})
}

func TestEveryServiceAnswersTheBaseAPI(t *testing.T) {
	t.Parallel()
	for _, codec := range []serializer.Serializer{serializer.JSON, serializer.Msgpack} {
		t.Run(codec.ContentType(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				port := 0
				s := newScene(t, func(c *rpcservice.Config) { c.BackdoorPort = func() int { return port } },
					messaging.WithAccessPolicy(messaging.ExplicitAccessPolicy))
				s.start(t)
				defer s.stop(t)
				client := s.newClient(t, messaging.ToNamespace("baseapi"), messaging.ToVersion("1.1"), messaging.WithSerializer(codec))
				type pong struct {
					Service string         `json:"service"`
					Arg     map[string]int `json:"arg"`
				}
				got, err := messaging.Call[pong](t.Context(), client, "ping", map[string]any{"arg": map[string]int{"n": 7}})
				if err != nil || got.Service != "compute" || got.Arg["n"] != 7 {
					t.Errorf("ping = %+v, %v; want the service's name and the argument", got, err)
				}
				for _, want := range []int{0, 4444} {
					port = want
					got, err := messaging.Call[*int](t.Context(), client, "get_backdoor_port", nil)
					if err != nil || (got == nil) != (want == 0) || got != nil && *got != want {
						t.Errorf("get_backdoor_port = %v, %v; want %d", got, err, want)
					}
				}
			})
		})
	}
}

func TestEndpointsAreTheManagersTheBaseAPIAndTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newManager()
		for _, namespace := range []string{"first", "second"} {
			ep := messaging.NewEndpoint(messaging.WithNamespace(namespace))
			messaging.Handle(ep, "whoami", func(context.Context, struct{}) (string, error) { return namespace, nil })
			m.more = append(m.more, ep)
		}
		b := newBus(t, m.journal)
		svc := b.newService(t, m, nil, messaging.WithDescribe(), messaging.WithExecutor(executor.Pool))
		if err := svc.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer stop(t, svc)
		got, err := messaging.Call[messaging.Description](t.Context(), b.newClient(t, messaging.ToNamespace(messaging.DescribeNamespace)),
			messaging.DescribeMethod, nil)
		if err != nil {
			t.Fatal(err)
		}
		var namespaces []string
		for _, ep := range got.Endpoints {
			if ep.Namespace == nil {
				namespaces = append(namespaces, "")
				continue
			}
			namespaces = append(namespaces, *ep.Namespace)
		}
		if want := []string{"", "baseapi", "first", "second", "goslo"}; !slices.Equal(namespaces, want) {
			t.Errorf("endpoints %q, want %q", namespaces, want)
		}
		if got.Topic != "compute" || got.Server != "host1" {
			t.Errorf("listens as %s.%s, want compute.host1", got.Topic, got.Server)
		}
	})
}
