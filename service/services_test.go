package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errNo = errors.New("no")

func fail(context.Context) error { return errNo }

// untilEnd returns when its context ends.
func untilEnd(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func expectNotes(t *testing.T, n *notes, want ...string) {
	t.Helper()
	if got := n.take(); !slices.Equal(got, want) {
		t.Errorf("happened: %s; want %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

func TestServicesStopInTheOrderOfTheirRegistrationAndThenWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notes
		s := NewServices(silentLog())
		for _, name := range []string{"a", "b", "c"} {
			s.Add(&recorder{name: name, notes: &n, stop: func(context.Context) error {
				<-time.After(time.Second) // a slow one delays the next
				n.add(name + " stopped")
				return nil
			}})
			synctest.Wait()
		}
		if err := s.Started(t.Context()); err != nil {
			t.Fatalf("Started = %v", err)
		}
		expectNotes(t, &n, "a start", "b start", "c start")

		waited := make(chan error, 1)
		go func() { waited <- s.Wait(t.Context()) }()
		synctest.Wait()
		expectNotes(t, &n, "a wait", "b wait", "c wait")
		select {
		case err := <-waited:
			t.Errorf("Wait = %v before Stop, since the services have nothing left to do", err)
		default:
		}

		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v", err)
		}
		expectNotes(t, &n, "a stop", "a stopped", "b stop", "b stopped", "c stop", "c stopped")
		if err := <-waited; err != nil {
			t.Errorf("Wait = %v", err)
		}
	})
}

func TestServicesThatFailToStopDoNotKeepTheOthersFromIt(t *testing.T) {
	t.Parallel()
	var n notes
	s := NewServices(silentLog())
	s.Add(&recorder{name: "a", notes: &n, stop: fail})
	s.Add(&recorder{name: "b", notes: &n, stop: func(context.Context) error { panic("b") }})
	s.Add(&recorder{name: "c", notes: &n})
	err := s.Stop(t.Context())
	var unexpected *PanicError
	if !errors.Is(err, errNo) || !errors.As(err, &unexpected) {
		t.Errorf("Stop = %v, want both errors", err)
	}
	if n.count("c stop") != 1 {
		t.Error("the last service was not stopped")
	}
}

func TestServicesReloadRestartsTheSameObjectsAndMutateOnlyResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n notes
		s := NewServices(silentLog())
		s.Add(&recorder{name: "a", notes: &n})
		synctest.Wait()
		s.Add(&recorder{name: "b", notes: &n})
		synctest.Wait()
		n.take()

		if err := s.Restart(t.Context(), Mutate); err != nil {
			t.Errorf("Restart = %v", err)
		}
		expectNotes(t, &n, "a reset", "b reset")

		if err := s.Restart(t.Context(), Reload); err != nil {
			t.Errorf("Restart = %v", err)
		}
		synctest.Wait()
		got := n.take()
		want := []string{"a stop", "b stop", "a reset", "a start", "b reset", "b start"}
		slices.Sort(got[2:])
		slices.Sort(want[2:])
		if !slices.Equal(got, want) {
			t.Errorf("happened: %v, want %v", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v, want it to wait again after a reload", err)
		}
		_ = s.Stop(t.Context())
	})
}

func TestServicesStopEndsAStartThatHangs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		start func(context.Context) error
		took  time.Duration
	}{
		{"which heeds its context", untilEnd, 0},
		{"which does not", func(context.Context) error { <-time.After(time.Minute); return nil }, startGrace},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n notes
				s := NewServices(silentLog())
				s.Add(&recorder{name: "a", notes: &n, start: test.start})
				synctest.Wait()
				begin := time.Now()
				if err := s.Stop(t.Context()); err != nil {
					t.Errorf("Stop = %v", err)
				}
				if took := time.Since(begin); took != test.took {
					t.Errorf("Stop took %s, want %s", took, test.took)
				}
				expectNotes(t, &n, "a start", "a stop")
				if err := s.Wait(t.Context()); err != nil {
					t.Errorf("Wait = %v", err)
				}
				select {
				case err := <-s.Failed():
					t.Errorf("Failed got %v of a start that was stopped", err)
				default:
				}
			})
		})
	}
}

func TestServicesTellTheFirstStartThatFailed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		start func(context.Context) error
		code  int
	}{
		{"an error", fail, 1},
		{"an error with a status", func(context.Context) error { return &ExitError{Code: 7, Err: errNo} }, 7},
		{"a panic", func(context.Context) error { panic("no") }, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var n notes
			s := NewServices(silentLog())
			s.Add(&recorder{name: "a", notes: &n})
			s.Add(&recorder{name: "b", notes: &n, start: test.start})
			if code := exitCode(<-s.Failed()); code != test.code {
				t.Errorf("exit status %d, want %d", code, test.code)
			}
			if err := s.Started(t.Context()); err == nil {
				t.Error("Started = nil, want the error")
			}
			_ = s.Stop(t.Context())
			_ = s.Wait(t.Context())
		})
	}
}

func TestAServiceAddedDuringAStopIsStartedByTheRestartOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  func(context.Context, *Services) error
		want []string
	}{
		{"a stop", func(ctx context.Context, s *Services) error { return s.Stop(ctx) }, []string{"a start", "a stop", "a stopped"}},
		{
			"a reload", func(ctx context.Context, s *Services) error { return s.Restart(ctx, Reload) },
			[]string{"a reset", "a start", "a start", "a stop", "a stopped", "b reset", "b start"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n notes
				s := NewServices(silentLog())
				s.Add(&recorder{name: "a", notes: &n, stop: func(context.Context) error {
					s.Add(&recorder{name: "b", notes: &n})
					n.add("a stopped")
					return nil
				}})
				synctest.Wait()
				if err := test.end(t.Context(), s); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				got := n.take()
				slices.Sort(got)
				if !slices.Equal(got, test.want) {
					t.Errorf("happened: %v, want %v", got, test.want)
				}
				if err := s.Started(t.Context()); err != nil {
					t.Errorf("Started = %v", err)
				}
			})
		})
	}
}
