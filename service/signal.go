package service

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// queuedSignals is how many signals may wait for their handlers.
const queuedSignals = 32

// SignalMux calls handlers of signals, one signal after the other, in a goroutine of its own (oslo.service: SignalHandler).
// A handler may block: signals that come meanwhile are queued. Several muxes do not know of each other; each gets every
// signal. It is safe for concurrent use, and handlers may call its methods, except Close.
type SignalMux struct {
	signals chan os.Signal
	closing chan struct{}
	closed  sync.WaitGroup

	mu       sync.Mutex
	handlers map[os.Signal][]func(os.Signal)
	shut     bool
}

// NewSignalMux makes a mux without handlers. Close ends it.
func NewSignalMux() *SignalMux {
	m := &SignalMux{
		signals: make(chan os.Signal, queuedSignals), closing: make(chan struct{}),
		handlers: make(map[os.Signal][]func(os.Signal)),
	}
	m.closed.Go(m.dispatch)
	return m
}

// Supported tells whether the platform has a signal of that name, as in SIGHUP.
func (m *SignalMux) Supported(name string) bool { return unix.SignalNum(name) != 0 }

// Handle adds a handler of the signal with that name. The last that was added is called first; one that was added twice is
// called twice. A name that the platform does not know is ignored.
func (m *SignalMux) Handle(name string, handler func(os.Signal)) {
	sig := unix.SignalNum(name)
	if sig == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shut {
		return
	}
	m.handlers[sig] = append(m.handlers[sig], handler)
	signal.Notify(m.signals, sig)
}

// Clear forgets all handlers. Signals that no one else in the process is notified of get back what they do by default.
func (m *SignalMux) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	signal.Stop(m.signals)
	clear(m.handlers)
}

// Close is Clear and ends the goroutine; it waits for a handler that runs. No handler can be added afterwards.
func (m *SignalMux) Close() {
	m.Clear()
	m.mu.Lock()
	if !m.shut {
		m.shut = true
		close(m.closing)
	}
	m.mu.Unlock()
	m.closed.Wait()
}

func (m *SignalMux) dispatch() {
	for {
		select {
		case sig := <-m.signals:
			m.call(sig)
		case <-m.closing:
			return
		}
	}
}

func (m *SignalMux) call(sig os.Signal) {
	m.mu.Lock()
	handlers := slices.Clone(m.handlers[sig])
	m.mu.Unlock()
	for _, handler := range slices.Backward(handlers) {
		handler(sig)
	}
}

// ignoreBrokenPipe makes it an error, and not the end of the process, to log to a reader that is gone: a journal that was
// restarted, or the dead parent of a worker that has work to finish. It stays so when the launcher has ended: its program may
// have a last word. Processes that this one starts are not concerned.
var ignoreBrokenPipe = sync.OnceFunc(func() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) })

// signalName is the name of a signal, as in SIGTERM.
func signalName(sig os.Signal) string {
	if s, ok := sig.(syscall.Signal); ok {
		return unix.SignalName(s)
	}
	return sig.String()
}
