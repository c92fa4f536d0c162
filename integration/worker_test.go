//go:build integration

package integration_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scheduler is the scheduler, built once for all tests; TestMain removes it.
var scheduler = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "goslo-scheduler-")
	if err != nil {
		return "", err
	}
	schedulerDir = dir
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	path := filepath.Join(dir, "scheduler")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/scheduler")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/scheduler: %w: %s", err, out)
	}
	return path, nil
})

// schedulerDir is what to remove in the end.
var schedulerDir string

// worker is a process of scheduler serve.
type worker struct {
	cmd    *exec.Cmd
	stderr *lockedBuffer
	ready  chan struct{} // closed by the line READY
	ended  chan struct{} // closed when the process is gone
}

// startWorker runs scheduler serve until the test ends, and returns when it says READY.
func startWorker(tb testing.TB, transportURL string, flags ...string) *worker {
	tb.Helper()
	w := runWorker(tb, transportURL, flags...)
	w.awaitReady(tb, patience)
	return w
}

// runWorker is startWorker without the wait.
func runWorker(tb testing.TB, transportURL string, flags ...string) *worker {
	tb.Helper()
	path, err := scheduler()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // kills it; not the test's own, which ends before Cleanup
	w := &worker{
		cmd:    exec.CommandContext(ctx, path, append([]string{"serve", "--transport-url", transportURL}, flags...)...),
		stderr: &lockedBuffer{}, ready: make(chan struct{}), ended: make(chan struct{}),
	}
	w.cmd.Stderr = w.stderr
	w.cmd.WaitDelay = time.Second
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		tb.Fatalf("start the worker: %v", err)
	}
	go func() { // ends with the process, which Cleanup waits for
		defer close(w.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if lines.Text() == "READY" {
				close(w.ready)
			}
		}
		_ = w.cmd.Wait() // its status is in ProcessState
	}()
	tb.Cleanup(func() {
		defer cancel()
		_ = w.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-w.ended:
		case <-time.After(patience):
			tb.Error("the worker does not end by SIGTERM: killed")
			cancel()
			<-w.ended
		}
		if tb.Failed() {
			tb.Logf("the worker %v wrote to standard error:\n%s", flags, w.stderr)
		}
	})
	return w
}

func (w *worker) awaitReady(tb testing.TB, within time.Duration) {
	tb.Helper()
	select {
	case <-w.ready:
	case <-w.ended:
		tb.Fatalf("the worker ended with status %d before it was ready", w.cmd.ProcessState.ExitCode())
	case <-time.After(within):
		tb.Fatalf("the worker is not ready within %s", within)
	}
}

func (w *worker) signal(tb testing.TB, sig os.Signal) {
	tb.Helper()
	if err := w.cmd.Process.Signal(sig); err != nil {
		tb.Fatalf("signal the worker: %v", err)
	}
}

// status waits for the end of the process.
func (w *worker) status(tb testing.TB) int {
	tb.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		tb.Fatal("the worker does not end")
	}
	return w.cmd.ProcessState.ExitCode()
}
