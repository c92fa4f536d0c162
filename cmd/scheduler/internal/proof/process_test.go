//go:build integration

package proof

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen; it is no measure of how fast it is.
const patience = 90 * time.Second

// programDir is where build has put the program; empty as long as it has not.
var programDir string

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(programDir) // nothing is there where that is empty
	os.Exit(code)
}

// build makes the program as it is delivered, without the race detector.
var build = sync.OnceValues(func() (path string, err error) {
	if programDir, err = os.MkdirTemp("", "goslo-proof-"); err != nil {
		return "", err
	}
	path = filepath.Join(programDir, "scheduler")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/goslo/goslo/cmd/scheduler").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// process is a running command of the program, with its workers if it has some.
type process struct {
	t      *testing.T
	name   string
	places int // of workers; 0 for a process without any
	cmd    *exec.Cmd
	ledger *ledger        // whose lock is taken with that of the process held
	reader sync.WaitGroup // of both outputs

	mu      sync.Mutex // protects what follows
	changed chan struct{}
	ready   int          // READY on standard output
	workers map[int]bool // its living ones: whether they are ready
	ended   bool
	log     []string // but for level debug
}

// start starts a command with so many workers, and waits until all are ready. A socket is given to it as systemd does, under the
// name api.
func start(t *testing.T, l *ledger, places int, socket *os.File, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: args[0], places: places, ledger: l, changed: make(chan struct{}), workers: make(map[int]bool)}
	p.cmd = exec.Command(program, args...)
	if socket != nil {
		// LISTEN_PID is the process itself, which a shell knows before it becomes it.
		p.cmd = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program}, args...)...)
		p.cmd.ExtraFiles = []*os.File{socket}
		p.cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=api")
	}
	stdout, err := p.cmd.StdoutPipe()
	must(t, err)
	stderr, err := p.cmd.StderrPipe()
	must(t, err)
	must(t, p.cmd.Start())
	p.reader.Go(func() { p.read(stdout, p.heardReady) })
	p.reader.Go(func() { p.read(stderr, p.heard) })
	go func() { // ends with the process, whose end the test waits for
		p.reader.Wait()
		_ = p.cmd.Wait() // its status is in ProcessState
		p.change(func() { p.ended = true })
	}()
	t.Cleanup(p.cleanUp)
	p.await("READY", func() bool { return p.ready > 0 })
	p.replaced() // which its log tells, in another stream
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *process) read(r io.Reader, heard func(line string)) {
	for in := bufio.NewScanner(r); in.Scan(); {
		heard(in.Text())
	}
}

func (p *process) heardReady(line string) {
	if line == "READY" {
		p.change(func() { p.ready++ })
	}
}

var (
	// Lines of the program, which a parent puts the name of its worker before.
	runLine    = regexp.MustCompile(`^(?:\[\S+\] )?\S+ \S+ (\d+) DEBUG \S+ \[\S+ (\S+) [^]]*\] (received|dispatch|replied) `)
	workerLine = regexp.MustCompile(` \[-\] worker (started|ready|exited|killed).* pid=(\d+)`)
)

// heard takes one line of the log.
func (p *process) heard(line string) {
	if found := runLine.FindStringSubmatch(line); found != nil {
		p.change(func() { p.ledger.heard(found[2], number10(found[1]), found[3]) })
		return
	}
	if strings.Contains(line, " DEBUG ") {
		return
	}
	p.change(func() {
		p.log = append(p.log, line)
		found := workerLine.FindStringSubmatch(line)
		if found == nil {
			return
		}
		switch pid := number10(found[2]); found[1] {
		case "exited", "killed":
			delete(p.workers, pid)
		default:
			p.workers[pid] = found[1] == "ready"
		}
	})
}

func number10(text string) int {
	n, _ := strconv.Atoi(text) // the expression takes digits only
	return n
}

func (p *process) change(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until a condition on what is locked holds.
func (p *process) await(what string, condition func() bool) {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		p.mu.Lock()
		done, changed := condition(), p.changed
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			p.t.Fatalf("%s: no %s within %s", p.name, what, patience)
		}
	}
}

// living are its workers that are ready, or itself where it has none.
func (p *process) living() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []int
	for pid, ready := range p.workers {
		if ready {
			pids = append(pids, pid)
		}
	}
	if p.places == 0 {
		return []int{p.cmd.Process.Pid}
	}
	slices.Sort(pids)
	return pids
}

// replaced waits until all that worked before have ended and its places are taken by others that are ready.
func (p *process) replaced(before ...int) {
	p.t.Helper()
	p.await("replacement", func() bool {
		ready := 0
		for pid, is := range p.workers {
			if is && !slices.Contains(before, pid) {
				ready++
			}
		}
		gone := !slices.ContainsFunc(before, func(pid int) bool { _, there := p.workers[pid]; return there })
		return gone && ready == p.places
	})
}

func (p *process) signal(sig syscall.Signal) { kill(p.t, p.cmd.Process.Pid, sig) }

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("signal %s to %d: %v", sig, pid, err)
	}
}

// awaitEnd waits until it has ended, with its workers, and everything that they said was read.
func (p *process) awaitEnd() {
	p.t.Helper()
	p.await("end", func() bool { return p.ended })
}

// terminate ends it in order: with status 0 and with its workers; it was ready once.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.awaitEnd()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with status %d (%s), want 0", p.name, code, p.cmd.ProcessState)
	}
	if p.ready != 1 {
		p.t.Errorf("%s was READY %d times, want once", p.name, p.ready)
	}
	if len(p.workers) > 0 {
		p.t.Errorf("%s has left the workers %v", p.name, p.workers)
	}
}

// cleanUp kills what a test that failed has left, and shows its log.
func (p *process) cleanUp() {
	if p.t.Failed() {
		p.mu.Lock()
		p.t.Logf("%s %d:\n%s", p.name, p.cmd.Process.Pid, strings.Join(p.log[max(0, len(p.log)-40):], "\n"))
		p.mu.Unlock()
	}
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill() // its workers end with it
	}
	p.reader.Wait()
}

// connections are the other ends of the TCP connections that a process has accepted on a port. The kernel's table is read several
// times: while others come and go, one reading may miss some.
func connections(t *testing.T, pid, port int) []string {
	t.Helper()
	own := sockets(t, pid)
	ends := make(map[string]struct{})
	for range 5 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
		must(t, err)
		for row := range strings.Lines(string(text)) {
			fields := strings.Fields(row) // number, local, remote, state, queues, timer, retransmissions, user, timeout, inode
			if len(fields) >= 10 && fields[3] == established && own[fields[9]] && portOf(fields[1]) == port {
				ends[fmt.Sprintf("127.0.0.1:%d", portOf(fields[2]))] = struct{}{}
			}
		}
	}
	return slices.Collect(maps.Keys(ends))
}

// established is that state of a connection in the kernel's table.
const established = "01"

// portOf reads the port of an address as the kernel writes it: 0100007F:1F90.
func portOf(address string) int {
	_, digits, _ := strings.Cut(address, ":")
	port, _ := strconv.ParseUint(digits, 16, 16) // 0 is nobody's
	return int(port)
}

// sockets are the inodes of a process's sockets.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	inodes := make(map[string]bool)
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil {
			continue // closed meanwhile
		}
		if inode, is := strings.CutPrefix(to, "socket:["); is {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes
}
