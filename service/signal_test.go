package service

import (
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// The tests of muxes send real signals to this process, to themselves: one at a time.

func TestSignalHandlersRunLastAddedFirst(t *testing.T) {
	m := NewSignalMux()
	defer m.Close()
	var n notes
	done := make(chan struct{}, 1)
	m.Handle("SIGWINCH", func(os.Signal) {
		n.add("first")
		done <- struct{}{}
	})
	m.Handle("SIGWINCH", func(os.Signal) { n.add("second") })
	twice := func(os.Signal) { n.add("twice") }
	m.Handle("SIGWINCH", twice)
	m.Handle("SIGWINCH", twice)
	raise(t, syscall.SIGWINCH)
	<-done
	expectNotes(t, &n, "twice", "twice", "second", "first")
}

func raise(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

func TestSignalMuxIgnoresNamesThatThePlatformDoesNotKnow(t *testing.T) {
	m := NewSignalMux()
	defer m.Close()
	m.Handle("SIGNOWHERE", func(os.Signal) { t.Error("called") })
	m.Handle("", func(os.Signal) { t.Error("called") })
	for name, want := range map[string]bool{"SIGHUP": true, "SIGTERM": true, "SIGNOWHERE": false, "TERM": false, "": false} {
		if got := m.Supported(name); got != want {
			t.Errorf("Supported(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestSignalMuxClearForgetsHandlers(t *testing.T) {
	m, other := NewSignalMux(), NewSignalMux()
	defer m.Close()
	defer other.Close()
	done := make(chan struct{}, 1)
	m.Handle("SIGWINCH", func(os.Signal) { t.Error("a handler was called that was cleared") })
	other.Handle("SIGWINCH", func(os.Signal) { done <- struct{}{} })
	m.Clear()
	raise(t, syscall.SIGWINCH)
	<-done // that of another mux stays

	m.Handle("SIGWINCH", func(os.Signal) { done <- struct{}{} })
	other.Clear()
	raise(t, syscall.SIGWINCH)
	<-done // and the mux can be used again
}

func TestSignalsThatComeWhileAHandlerBlocksAreServedAfterIt(t *testing.T) {
	m := NewSignalMux()
	defer m.Close()
	entered, release := make(chan struct{}), make(chan struct{})
	served := make(chan struct{}, 1)
	m.Handle("SIGWINCH", func(os.Signal) {
		close(entered)
		<-release
	})
	m.Handle("SIGCONT", func(os.Signal) { served <- struct{}{} })
	raise(t, syscall.SIGWINCH)
	<-entered
	raise(t, syscall.SIGCONT)
	close(release)
	<-served
}

func TestBrokenPipesDoNotCrowdOutASignal(t *testing.T) {
	terminated, entered, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	l := newProcessLauncher(Config{Log: silentLog()}.withDefaults(), &fakeStarter{})
	l.signals.Handle("SIGWINCH", func(os.Signal) {
		close(entered)
		<-release
	})
	l.signals.Handle("SIGTERM", func(os.Signal) { close(terminated) })
	raise(t, syscall.SIGWINCH)
	<-entered
	for range 3 * queuedSignals { // one for each line that is logged to a reader which is gone
		raise(t, syscall.SIGPIPE)
		<-time.After(time.Millisecond) // the runtime takes those for one that come at once
	}
	raise(t, syscall.SIGTERM)
	<-time.After(10 * time.Millisecond) // it is in the queue, or lost
	close(release)
	select {
	case <-terminated:
	case <-time.After(20 * time.Second):
		t.Error("SIGTERM was lost")
	}
	l.Stop()
	if code := l.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestHandlersMayComeAndGoWhileSignalsArrive(t *testing.T) {
	m := NewSignalMux()
	defer m.Close()
	var served atomic.Int64
	stop := make(chan struct{})
	var busy sync.WaitGroup
	keepOn := func(f func()) {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	other := NewSignalMux() // for the signal, which would do nothing by default anyway
	defer other.Close()
	other.Handle("SIGWINCH", func(os.Signal) {})
	keepOn(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGWINCH); runtime.Gosched() })
	keepOn(func() { m.Handle("SIGWINCH", func(os.Signal) { served.Add(1) }) })
	keepOn(func() { m.Clear(); runtime.Gosched() })
	deadline := time.After(20 * time.Second)
	for served.Load() < 100 {
		select {
		case <-deadline:
			t.Fatal("no handler is called")
		case <-time.After(time.Millisecond):
		}
	}
	close(stop)
	busy.Wait()
	m.Clear()
	done := make(chan struct{}, 1)
	m.Handle("SIGWINCH", func(os.Signal) {
		select {
		case done <- struct{}{}:
		default:
		}
	})
	raise(t, syscall.SIGWINCH)
	<-done
}

func TestAReportThatPanicsIsLogged(t *testing.T) {
	log := &buffer{}
	conf := Config{Log: silentLog(), Report: func(io.Writer) { panic("out of cheese") }}.withDefaults()
	conf.Log.(*logrus.Logger).SetOutput(log)
	m := NewSignalMux()
	handleReports(m, conf)
	raise(t, syscall.SIGUSR2)
	deadline := time.After(20 * time.Second)
	for !strings.Contains(log.String(), "out of cheese") {
		select {
		case <-deadline:
			t.Fatalf("logged: %s", log.String())
		case <-time.After(time.Millisecond):
		}
	}
	m.Close()
}

func TestSignalNames(t *testing.T) {
	t.Parallel()
	for sig, want := range map[os.Signal]string{syscall.SIGHUP: "SIGHUP", syscall.SIGTERM: "SIGTERM", syscall.SIGKILL: "SIGKILL"} {
		if got := signalName(sig); got != want {
			t.Errorf("the name of %d is %q, want %q", sig, got, want)
		}
	}
}
