//go:build integration

package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
)

// Environment of a child: its URL, topic and server name.
const (
	childURL    = "GOSLO_FAULTS_URL"
	childTopic  = "GOSLO_FAULTS_TOPIC"
	childServer = "GOSLO_FAULTS_SERVER"
)

// grace is how long a child that was told to end lets its methods run.
const grace = 5 * time.Second

// TestMain runs the tests, or in a child a server.
func TestMain(m *testing.M) {
	if os.Getenv(childURL) == "" {
		os.Exit(m.Run()) //nolint:forbidigo // TestMain may
	}
	if err := serveAsChild(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // the child's exit status
	}
}

// serveAsChild serves until SIGTERM, and tells on its standard output when it is READY and what it runs.
func serveAsChild() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := logrus.New() // to the standard error
	t, err := messaging.Open(os.Getenv(childURL), messaging.WithLogger(log))
	if err != nil {
		return err
	}
	topic, name := os.Getenv(childTopic), os.Getenv(childServer)
	out := &lines{w: os.Stdout}
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "work", func(ctx context.Context, w work) (string, error) {
		out.print("run " + w.ID)
		return w.ID, pause(ctx, time.Duration(w.Milliseconds)*time.Millisecond)
	})
	srv, err := messaging.NewRPCServer(t, messaging.Target{Exchange: topic + "-x", Topic: topic, Server: name}, []*messaging.Endpoint{ep})
	if err != nil {
		return err
	}
	if err := srv.Start(ctx); err != nil {
		return err
	}
	out.print("READY")
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return errors.Join(srv.Stop(end), srv.Wait(end), t.Close(end))
}

// lines writes whole lines.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.w, text)
}

// child is a server in a process of its own.
type child struct {
	run    *run
	cmd    *exec.Cmd
	stderr bytes.Buffer // to be read after ended
	ready  chan struct{}
	ended  chan struct{}
}

// startChild starts a server of a topic. It is killed at the latest when the test ends.
func (r *run) startChild(name, topic string) *child {
	r.t.Helper()
	self, err := os.Executable()
	r.must(err)
	c := &child{run: r, cmd: exec.CommandContext(r.t.Context(), self), ready: make(chan struct{}), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childURL+"="+r.url, childTopic+"="+topic, childServer+"="+name)
	c.cmd.Stderr = &c.stderr
	c.cmd.WaitDelay = time.Second
	stdout, err := c.cmd.StdoutPipe()
	r.must(err)
	r.must(c.cmd.Start())
	go c.read(stdout, name) // ends with the process
	return c
}

// read notes what a child says until it ends.
func (c *child) read(stdout io.Reader, name string) {
	defer close(c.ended)
	for said := bufio.NewScanner(stdout); said.Scan(); {
		if id, isRun := strings.CutPrefix(said.Text(), "run "); isRun {
			c.run.history.ran(id, name)
		} else if said.Text() == "READY" {
			close(c.ready)
		}
	}
	_ = c.cmd.Wait() // its status is in ProcessState
}

// awaitReady waits until a child serves.
func (c *child) awaitReady() {
	c.run.t.Helper()
	select {
	case <-c.ready:
	case <-c.ended:
		c.run.t.Fatalf("the child ended: %s", clip(c.stderr.String(), 2000))
	case <-time.After(patience):
		c.run.t.Fatal("the child is not ready")
	}
}

// signal sends a child a signal.
func (c *child) signal(s os.Signal) {
	c.run.t.Helper()
	c.run.must(c.cmd.Process.Signal(s))
}

// terminate tells a child to end, and returns how long that took.
func (c *child) terminate() time.Duration {
	c.run.t.Helper()
	begun := time.Now()
	c.signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill() // it has had its time
		<-c.ended
	}
	took := time.Since(begun)
	c.run.none("credentials in the child's log", strings.Count(c.stderr.String(), c.run.suite.secret), strings.Count(c.stderr.String(), "\n"))
	c.run.none("panics of the child", strings.Count(c.stderr.String(), "panic"), strings.Count(c.stderr.String(), "\n"))
	return took
}

// memory is the child's resident set, in bytes; 0 where the system does not tell.
func (c *child) memory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
