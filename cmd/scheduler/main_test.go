package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childMode is the environment variable that makes the test binary run as a command.
const childMode = "GOSLO_SCHEDULER_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "main":
		main()
	case "stuck":
		os.Exit(stuck())
	}
	goleak.VerifyTestMain(m)
}

// stuck runs a command that never ends, under the signals of main.
func stuck() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	err := supervise(context.Background(), signals, func(ctx context.Context) error {
		fmt.Println("READY")
		<-ctx.Done()
		fmt.Println("STOPPING")
		select {}
	})
	fmt.Fprintln(os.Stderr, err)
	return exitStatus(err)
}

// patience is how long a process may take for one step.
const patience = 30 * time.Second

// child is the test binary as a command.
type child struct {
	cmd            *exec.Cmd
	stdout, stderr transcript
}

// testBinary is this program.
var testBinary = os.Args[0]

func startChild(t *testing.T, mode string, args ...string) *child {
	t.Helper()
	return startChildWith(t, nil, mode, args...)
}

// startChildWith has more in its environment.
func startChildWith(t *testing.T, env []string, mode string, args ...string) *child {
	t.Helper()
	return newChild(t, exec.Command(testBinary, args...), mode, env...)
}

func newChild(t *testing.T, cmd *exec.Cmd, mode string, env ...string) *child {
	t.Helper()
	c := &child{cmd: cmd}
	c.cmd.Env = append(append(os.Environ(), childMode+"="+mode), env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	return c
}

func (c *child) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// anyStatus is for an end whose status the caller looks at.
const anyStatus = -1

// end waits for the process and wants a status.
func (c *child) end(t *testing.T, status int) {
	t.Helper()
	kill := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	_ = c.cmd.Wait() // the status says more
	if got := c.cmd.ProcessState.ExitCode(); got != status && status != anyStatus {
		t.Errorf("exit status = %d (%s), want %d; standard error:\n%s", got, c.cmd.ProcessState, status, c.stderr.String())
	}
}

// transcript keeps what is written and wakes who waits for it. The zero value is ready.
type transcript struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *transcript) state() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.text.String(), s.changed
}

// await waits until part has been written.
func (s *transcript) await(t *testing.T, part string) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		text, changed := s.state()
		if strings.Contains(text, part) {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("no %q within %s, but:\n%s", part, patience, text)
		}
	}
}
