package service

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen; it is no measure of how fast it is.
const patience = 20 * time.Second

// line is one line of a program's output, and when it came.
type line struct {
	text     string
	at       time.Time
	expected bool // was a result of expect
}

// running program, whose output is read line by line.
type run struct {
	program testProgram
	cmd     *exec.Cmd
	ended   chan struct{}
	at      time.Time // of its end
	reader  sync.WaitGroup

	mu    sync.Mutex
	lines []line
	more  chan struct{} // closed and made anew with each line
}

// start runs a program in a process of its own.
func start(t *testing.T, p testProgram, env ...string) *run {
	t.Helper()
	cmd := command(t, p, self(t))
	cmd.Env = append(cmd.Env, env...)
	r := startCommand(t, cmd)
	r.program = p
	return r
}

// self is the test binary.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// command makes the test binary, or what starts it, that program. The race detector must not delay its end, as it does by a
// second.
func command(t *testing.T, p testProgram, path string, args ...string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), programVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	return cmd
}

func startCommand(t *testing.T, cmd *exec.Cmd) *run {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	return startReading(t, cmd, out, in)
}

// startReading starts a command whose output goes into the one file and comes out of the other.
func startReading(t *testing.T, cmd *exec.Cmd, out, in *os.File) *run {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	r := &run{cmd: cmd, ended: make(chan struct{}), more: make(chan struct{})}
	r.reader.Go(func() { r.scan(out) })
	r.reader.Go(func() {
		_ = cmd.Wait() // the status is in ProcessState
		r.at = time.Now()
		close(r.ended)
	})
	t.Cleanup(func() { r.cleanUp(t) })
	return r
}

// cleanUp sees to it that nothing is left of the program: no process has its output open.
func (r *run) cleanUp(t *testing.T) {
	_ = r.cmd.Process.Kill()
	gone := make(chan struct{})
	go func() {
		r.reader.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("a process of the program is left")
		for _, pid := range r.pids() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-gone
	}
	if t.Failed() {
		for _, l := range r.all() {
			t.Log(l.at.Format("05.000"), l.text)
		}
	}
}

func (r *run) scan(out *os.File) {
	defer out.Close()
	in := bufio.NewScanner(out)
	for in.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, line{text: in.Text(), at: time.Now()})
		close(r.more)
		r.more = make(chan struct{})
		r.mu.Unlock()
	}
}

func (r *run) all() []line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]line(nil), r.lines...)
}

// expect waits for a line that matches, the first that it has not returned before, and returns its submatches and its time.
// Lines of several streams and processes may come in any order.
func (r *run) expect(t *testing.T, pattern string) ([]string, time.Time) {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	limit := time.After(patience)
	for {
		found, at, more := r.find(expression)
		if found != nil {
			return found, at
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("no line matches %q", pattern)
		}
	}
}

func (r *run) find(expression *regexp.Regexp) ([]string, time.Time, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, l := range r.lines {
		if l.expected {
			continue
		}
		if found := expression.FindStringSubmatch(l.text); found != nil {
			r.lines[i].expected = true
			return found, l.at, nil
		}
	}
	return nil, time.Time{}, r.more
}

// expectPids waits for n lines that end in a process id.
func (r *run) expectPids(t *testing.T, n int, pattern string) []int {
	t.Helper()
	var pids []int
	for range n {
		found, _ := r.expect(t, pattern+` (\d+)$`)
		pids = append(pids, atoi(t, found[1]))
	}
	return pids
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// count is how many lines match so far.
func (r *run) count(pattern string) int {
	expression := regexp.MustCompile(pattern)
	n := 0
	for _, l := range r.all() {
		if expression.MatchString(l.text) {
			n++
		}
	}
	return n
}

var pidField = regexp.MustCompile(`worker started.* pid=(\d+)`)

// pids are those of all workers that were ever started.
func (r *run) pids() []int {
	var pids []int
	for _, l := range r.all() {
		if found := pidField.FindStringSubmatch(l.text); found != nil {
			pid, _ := strconv.Atoi(found[1])
			pids = append(pids, pid)
		}
	}
	return pids
}

func (r *run) signal(t *testing.T, sig syscall.Signal) time.Time {
	t.Helper()
	return kill(t, r.cmd.Process.Pid, sig)
}

func kill(t *testing.T, pid int, sig syscall.Signal) time.Time {
	t.Helper()
	now := time.Now()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("kill -%d %d: %v", sig, pid, err)
	}
	return now
}

// wait returns the exit status and when the process ended; a death by signal n is -n.
func (r *run) wait(t *testing.T) (int, time.Time) {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	status := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal()), r.at
	}
	return status.ExitStatus(), r.at
}

// within fails unless one of a few attempts is as fast as it should be: other work on the machine makes some slow, but none
// fast.
func within(t *testing.T, from, to time.Duration, what string, attempt func(t *testing.T) time.Duration) {
	t.Helper()
	const attempts = 4
	var took []time.Duration
	for range attempts {
		d := attempt(t)
		took = append(took, d.Round(time.Millisecond/10))
		if d < from {
			break // which is never right
		}
		if d <= to {
			t.Logf("%s: %v", what, took)
			return
		}
	}
	t.Errorf("%s took %v, want %s to %s", what, took, from, to)
}

// gone waits until the processes have ended, and returns when the last one had.
func gone(t *testing.T, pids []int) time.Time {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		if !anyAlive(pids) {
			return time.Now()
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("of the processes %v some are left", pids)
		}
	}
}

func anyAlive(pids []int) bool {
	for _, pid := range pids {
		if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !isZombie(pid) {
			return true
		}
	}
	return false
}
