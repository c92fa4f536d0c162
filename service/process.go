package service

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/goslo/goslo/service/internal/identity"
	"github.com/goslo/goslo/service/listen"
)

// process is a worker process as its parent sees it.
type process interface {
	Pid() int
	// Signal sends a signal. One to a process that has ended is lost.
	Signal(sig syscall.Signal)
	// Heard waits for the next word of the worker, and tells whether it came: false is the end. The first says that the worker
	// is ready, each further one that it makes progress.
	Heard() bool
	// Wait waits for the end.
	Wait() ending
}

// ending is how a worker ended: by a signal, if that is not 0, or with an exit status.
type ending struct {
	signal syscall.Signal
	code   int
}

// clean tells whether the worker left nothing unfinished: one that SIGTERM has killed was not even far enough to heed it.
func (e ending) clean() bool { return e == ending{} || e.signal == syscall.SIGTERM }

// starter starts workers of a pool of that size.
type starter interface {
	start(id identity.Identity, workers int) (process, error)
	// close releases what the starter holds when all workers have ended. It ends those that have not.
	close()
}

// outputGrace is how long the end of a worker waits for its last lines, so that they come before the word of its end. A
// process that the worker has started may keep its output open for longer.
const outputGrace = 50 * time.Millisecond

// executable starts workers: the program itself with the same arguments.
type executable struct {
	conf           Config
	path           string
	stdout, stderr *lines

	// The parent holds the only write end and never writes: what workers see is its end. Both are referred to from here for as
	// long as there are workers, lest they be closed by the garbage collector.
	liveness, alive *os.File

	copying sync.WaitGroup
	mu      sync.Mutex
	open    map[*os.File]struct{} // read ends of output
}

func newExecutable(conf Config) (*executable, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("service: find the program to start workers of: %w", err)
	}
	liveness, alive, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("service: make the liveness pipe: %w", err)
	}
	return &executable{
		conf: conf, path: path, liveness: liveness, alive: alive, open: make(map[*os.File]struct{}),
		stdout: &lines{w: conf.stdout}, stderr: &lines{w: conf.stderr},
	}, nil
}

// pipes are what one worker has of its own.
type pipes struct {
	ready, stdout, stderr       *os.File // the parent's ends
	toReady, toStdout, toStderr *os.File
}

func newPipes() (p pipes, err error) {
	for _, pair := range [][2]**os.File{{&p.ready, &p.toReady}, {&p.stdout, &p.toStdout}, {&p.stderr, &p.toStderr}} {
		if *pair[0], *pair[1], err = os.Pipe(); err != nil {
			p.closeOurs()
			p.closeTheirs()
			return pipes{}, err
		}
	}
	return p, nil
}

func (p pipes) closeOurs()   { closeFiles(p.ready, p.stdout, p.stderr) }
func (p pipes) closeTheirs() { closeFiles(p.toReady, p.toStdout, p.toStderr) }

func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

func (e *executable) start(id identity.Identity, workers int) (process, error) {
	p, err := newPipes()
	if err != nil {
		return nil, err
	}
	defer p.closeTheirs()
	cmd := e.command(&id, p)
	cmd.Env = workerEnvironment(os.Environ(), id, e.conf, workers)
	if err := cmd.Start(); err != nil {
		p.closeOurs()
		return nil, err
	}
	prefix := ""
	if !e.conf.RawOutput {
		prefix = fmt.Sprintf("[%s/%d] ", id.Pool, id.Index)
	}
	return &execProcess{
		cmd: cmd, ready: p.ready,
		output: []<-chan struct{}{e.copy(e.stdout, p.stdout, prefix), e.copy(e.stderr, p.stderr, prefix)},
	}, nil
}

// command is a worker's, with descriptors in the order of [identity.Identity]. To start it asks the listeners' files for theirs,
// which leaves O_NONBLOCK as it is: that flag is one for all processes which share a socket.
func (e *executable) command(id *identity.Identity, p pipes) *exec.Cmd {
	files := []*os.File{e.liveness, p.toReady}
	for _, l := range listen.Inherited() {
		id.Listeners = append(id.Listeners, l.Name)
		files = append(files, l.File)
	}
	return &exec.Cmd{
		Path: e.path, Args: os.Args, Stdin: os.Stdin, Stdout: p.toStdout, Stderr: p.toStderr, ExtraFiles: files,
		SysProcAttr: endsWithParent(),
	}
}

// copy passes on a worker's output, and closes the channel at its end.
func (e *executable) copy(to *lines, from *os.File, prefix string) <-chan struct{} {
	e.mu.Lock()
	e.open[from] = struct{}{}
	e.mu.Unlock()
	ended := make(chan struct{})
	e.copying.Go(func() {
		defer close(ended)
		to.copy(from, prefix)
		e.mu.Lock()
		delete(e.open, from)
		e.mu.Unlock()
		_ = from.Close()
	})
	return ended
}

func (e *executable) close() {
	closeFiles(e.alive, e.liveness)
	e.mu.Lock()
	for f := range e.open {
		_ = f.Close() // held open by a process that a worker has left behind
	}
	e.mu.Unlock()
	briefly(e.copying.Wait) // their reader may have stopped reading
}

// execProcess is a worker that was started.
type execProcess struct {
	cmd    *exec.Cmd
	ready  *os.File
	output []<-chan struct{}
}

func (p *execProcess) Pid() int { return p.cmd.Process.Pid }

func (p *execProcess) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

func (p *execProcess) Heard() bool {
	n, _ := p.ready.Read(make([]byte, 1))
	if n == 0 {
		_ = p.ready.Close()
	}
	return n == 1
}

func (p *execProcess) Wait() ending {
	err := p.cmd.Wait()
	grace := time.NewTimer(outputGrace)
	defer grace.Stop()
	for _, ended := range p.output {
		select {
		case <-ended:
		case <-grace.C:
			return endingOf(p.cmd, err)
		}
	}
	return endingOf(p.cmd, err)
}

func endingOf(cmd *exec.Cmd, err error) ending {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return ending{code: exitUnexpected} // somebody else has waited for it
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return ending{signal: status.Signal()}
	}
	return ending{code: cmd.ProcessState.ExitCode()}
}
