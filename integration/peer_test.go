//go:build integration

package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is a Python process that speaks lines of JSON.
type peer struct {
	run   *run
	stdin io.WriteCloser
	notes chan note
	ready chan string   // gets the version of oslo.messaging, with the line READY
	ended chan struct{} // closed when the process is gone

	mu      sync.Mutex // protects what follows
	last    int
	waiting map[int]chan outcome
}

// note is the trace of a cast: method note of a server was run.
type note struct {
	Server  string         `json:"server"`
	Args    map[string]any `json:"args"`
	Context map[string]any `json:"context"`
}

// command asks the Python client to send something; see testdata/peer_client.py.
type command struct {
	ID        int          `json:"id"`
	Op        string       `json:"op"`
	Target    pythonTarget `json:"target"`
	Method    string       `json:"method"`
	Args      string       `json:"args,omitempty"` // JSON as Python reads it, NaN and all
	Code      string       `json:"code,omitempty"` // arguments as an expression in Python, in place of Args
	Context   any          `json:"context,omitempty"`
	Timeout   float64      `json:"timeout,omitempty"`
	Monitor   int          `json:"monitor,omitempty"`
	Mandatory bool         `json:"mandatory,omitempty"`
	Count     int          `json:"count,omitempty"`
}

type pythonTarget struct {
	Exchange  string `json:"exchange"`
	Topic     string `json:"topic"`
	Server    string `json:"server,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Version   string `json:"version,omitempty"`
	Fanout    bool   `json:"fanout,omitempty"`
}

// outcome is how a command ended: in a result and its repr, which tells 1 from 1.0, or an exception.
type outcome struct {
	ID     int        `json:"id"`
	Result string     `json:"result"` // JSON as Python writes it
	Repr   string     `json:"repr"`
	Error  *exception `json:"error"`

	elapsed time.Duration
}

// exception is what a Python caller gets to see of one.
type exception struct {
	Class         string          `json:"class"`
	Module        string          `json:"module"`
	Text          string          `json:"text"`
	Bases         []string        `json:"bases"`
	Args          []any           `json:"args"`
	Kwargs        map[string]any  `json:"kwargs"`
	RemoteClass   string          `json:"remote_class"`
	RemoteMessage string          `json:"remote_message"`
	Traceback     json.RawMessage `json:"traceback"`
}

// startPeer runs a script of testdata until the test ends, and returns when it says READY.
func startPeer(tb testing.TB, py *python, script string, args ...string) *peer {
	tb.Helper()
	p := runPeer(tb, py, script, args...)
	select {
	case version := <-p.ready:
		if !strings.HasPrefix(version, py.version+".") {
			tb.Fatalf("%s runs with oslo.messaging %s, want %s", script, version, py.version)
		}
	case <-p.ended:
		tb.Fatalf("%s ended before it was ready", script)
	case <-time.After(3 * patience):
		tb.Fatalf("%s is not ready", script)
	}
	return p
}

// runPeer is startPeer without the wait.
func runPeer(tb testing.TB, py *python, script string, args ...string) *peer {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // kills it; not the test's own, which ends before Cleanup
	run, err := py.start(ctx, append([]string{script}, args...)...)
	if err != nil {
		cancel()
		tb.Fatal(err)
	}
	tb.Cleanup(run.end)
	run.Cancel, run.WaitDelay = run.kill, 5*time.Second
	var stderr lockedBuffer
	run.Stderr = &stderr
	stdin, err := run.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := run.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := run.Start(); err != nil {
		tb.Fatalf("start %s: %v", script, err)
	}
	p := &peer{
		run: run, stdin: stdin, notes: make(chan note, 1000), ready: make(chan string, 1), ended: make(chan struct{}),
		waiting: make(map[int]chan outcome),
	}
	go func() { // ends with the process, which Cleanup waits for
		defer close(p.ended)
		p.read(stdout)
		_ = run.Wait() // after cancel it is an error by nature, before that nobody waits for its status
	}()
	tb.Cleanup(func() {
		defer cancel()
		_ = stdin.Close()
		select {
		case <-p.ended:
		case <-time.After(patience):
			tb.Errorf("%s does not end with its input: killed", script)
			cancel()
			<-p.ended
		}
		if tb.Failed() {
			tb.Logf("%s wrote to standard error:\n%s", script, stderr.String())
		}
	})
	return p
}

func (p *peer) read(stdout io.Reader) {
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		line = bytes.TrimSpace(line)
		if version, ok := bytes.CutPrefix(line, []byte("READY ")); ok {
			p.ready <- string(version)
			continue
		}
		var said struct {
			outcome
			note
			Event string `json:"event"`
		}
		if err := json.Unmarshal(line, &said); err != nil {
			continue // something that the interpreter prints
		}
		if said.Event == "note" {
			p.notes <- said.note
			continue
		}
		p.mu.Lock()
		c := p.waiting[said.outcome.ID]
		delete(p.waiting, said.outcome.ID)
		p.mu.Unlock()
		if c != nil {
			c <- said.outcome
		}
	}
}

// kill ends the process as a crash would, and returns when it is gone.
func (p *peer) kill(tb testing.TB) {
	tb.Helper()
	if err := p.run.kill(); err != nil {
		tb.Fatalf("kill the peer: %v", err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		tb.Fatal("the peer lives on after it was killed")
	}
}

// send gives a command to the Python client; its outcome comes on the channel.
func (p *peer) send(tb testing.TB, cmd command) <-chan outcome {
	tb.Helper()
	c := make(chan outcome, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	cmd.ID = p.last
	p.waiting[cmd.ID] = c
	line, err := json.Marshal(cmd)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		tb.Fatalf("tell the peer: %v", err)
	}
	return c
}

// do is send and the wait for the outcome.
func (p *peer) do(tb testing.TB, cmd command) outcome {
	tb.Helper()
	begun := time.Now()
	c := p.send(tb, cmd)
	select {
	case o := <-c:
		o.elapsed = time.Since(begun)
		return o
	case <-p.ended:
		tb.Fatalf("the peer ended during %s %s", cmd.Op, cmd.Method)
	case <-time.After(2 * patience):
		tb.Fatalf("the peer does not come back from %s %s", cmd.Op, cmd.Method)
	}
	return outcome{}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
