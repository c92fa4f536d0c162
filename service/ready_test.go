package service

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnReadyIsCalledOnceHoweverOftenAllIsReady(t *testing.T) {
	t.Parallel()
	t.Run("one process", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &single{}
			s = newSingle(t, func(c *Config) { c.OnReady = func() { s.notes.add("ready") } })
			s.launch(t, &recorder{})
			s.begin()
			s.send(syscall.SIGHUP)
			s.send(syscall.SIGTERM)
			s.expectExit(t, 0)
			expectNotes(t, s.notes,
				"a start", "READY", "ready", "RELOADING", "reload", "a stop", "a reset", "a start", "READY", "STOPPING", "a stop", "a wait")
		})
	})
	t.Run("a parent, when its workers are", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := &family{}
			f = newFamily(t, func(p *fakeProcess) {
				if p.id.Index == 0 {
					beReady(p)
				}
			}, func(c *Config) { c.OnReady = func() { f.notes.add("ready") } })
			f.launch(t, "web", 2)
			f.begin()
			expectNotes(t, f.notes)
			workers := f.starter.processes()
			beReady(workers[1])
			synctest.Wait()
			expectNotes(t, f.notes, "READY", "ready")
			f.send(syscall.SIGTERM)
			for _, w := range workers {
				w.finish(ending{})
			}
			f.expectExit(t, 0)
		})
	})
}

func TestAProcessIsNoWorkerUnlessAParentSaysSo(t *testing.T) {
	worker, err := CurrentWorker()
	if worker != nil || err != nil {
		t.Errorf("CurrentWorker = %v, %v, want none", worker, err)
	}
	if _, set := os.LookupEnv("GOSLO_WORKER"); set {
		t.Error("GOSLO_WORKER is set")
	}
}

func TestAPoolWhoseFirstWorkersCannotBeStartedIsNotThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		none := errors.New("no descriptors left")
		f := &family{}
		f = newFamily(t, func(p *fakeProcess) {
			beReady(p)
			if p.id.Index == 1 {
				f.starter.err = none // the third finds nothing left; the starter holds its lock here
			}
		}, nil)
		err := f.LaunchService(&recorder{}, WithWorkers(3), WithName("web"))
		if !errors.Is(err, none) {
			t.Fatalf("LaunchService = %v, want %v", err, none)
		}
		f.expectAlive(t)
		f.starter.setErr(nil)
		f.launch(t, "rpc", 1)
		f.begin()
		f.expectAlive(t, 4)
		expectNotes(t, f.notes, "READY")
		f.Stop()
		f.expectExit(t, 0)
	})
}

func TestALaunchThatFailsEndsWhatItHasStarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &family{}
		f = newFamily(t, func(p *fakeProcess) {
			p.drain = time.Second
			f.starter.err = errNo // the second finds nothing left; the starter holds its lock here
		}, nil)
		begin := time.Now()
		err := undone(f, f.LaunchService(&recorder{}, WithWorkers(2)))
		if !errors.Is(err, errNo) {
			t.Errorf("the error is %v, want %v", err, errNo)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %s, want 1s, until the first worker had ended", took)
		}
		f.expectAlive(t)
		if !f.starter.closed {
			t.Error("the starter was not closed")
		}
	})
}
