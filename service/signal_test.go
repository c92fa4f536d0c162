package service

import (
	"os"
	"syscall"
	"testing"
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

func TestSignalNames(t *testing.T) {
	t.Parallel()
	for sig, want := range map[os.Signal]string{syscall.SIGHUP: "SIGHUP", syscall.SIGTERM: "SIGTERM", syscall.SIGKILL: "SIGKILL"} {
		if got := signalName(sig); got != want {
			t.Errorf("the name of %d is %q, want %q", sig, got, want)
		}
	}
}
