package backdoor

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/goslo/goslo/service/report"
)

// maxProfile is the longest profile one can ask for.
const maxProfile = 60 * time.Second

var (
	errUnknown   = errors.New(`unknown command; "help" lists them`)
	errNoOptions = errors.New("this service shows no configuration")
	errSeconds   = fmt.Errorf("say for how many seconds, 1 to %d", int(maxProfile.Seconds()))
	errPanic     = errors.New("panic")
)

// command is what an operator can ask for. Its argument is what follows the name.
type command struct {
	name, argument, help string
	run                  func(s *Server, w io.Writer, argument string) error
}

// commands returns all but exit, which needs no answer.
func commands() []command {
	return []command{
		{"goroutines", "", "the stack of every goroutine", plain(report.WriteGoroutines)},
		{"heap", "", "memory in use, and by whom", (*Server).heap},
		{"cpu", "N", "a CPU profile of N seconds for go tool pprof, in base64", (*Server).cpu},
		{"config", "", "the configuration, without what is secret", (*Server).options},
		{"gc", "", "collect garbage now", plain(collect)},
		{"state", "", "what the parts of the service say about themselves", (*Server).state},
		{"help", "", "this list", plain(help)},
	}
}

func plain(f func(io.Writer)) func(*Server, io.Writer, string) error {
	return func(_ *Server, w io.Writer, _ string) error { f(w); return nil }
}

// execute runs a command. A panic, as of the function that prints the configuration, is its error.
func (s *Server) execute(w io.Writer, name, argument string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	for _, c := range commands() {
		if c.name == name {
			return c.run(s, w, argument)
		}
	}
	return errUnknown
}

func help(w io.Writer) {
	for _, c := range commands() {
		fmt.Fprintf(w, "%-12s%s\n", c.name+" "+c.argument, c.help)
	}
	fmt.Fprintf(w, "%-12s%s\n", "exit", "close this connection; the service goes on")
}

func (s *Server) heap(w io.Writer, _ string) error {
	const text = 1 // see the doc of pprof.Profile.WriteTo
	report.WriteMemory(w)
	fmt.Fprintln(w)
	return pprof.Lookup("heap").WriteTo(w, text)
}

func collect(w io.Writer) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Fprintf(w, "heap in use before = %d\nheap in use after = %d\n", before.HeapInuse, after.HeapInuse)
}

func (s *Server) options(w io.Writer, _ string) error {
	if s.config.Options == nil {
		return errNoOptions
	}
	s.config.Options(w)
	return nil
}

func (s *Server) state(w io.Writer, _ string) error {
	s.config.State.Write(w)
	return nil
}

func (s *Server) cpu(w io.Writer, argument string) error {
	d, err := profileTime(argument)
	if err != nil {
		return err
	}
	lines := &lineBreaker{w: w}
	encoder := base64.NewEncoder(base64.StdEncoding, lines)
	if err := s.cpuProfile(encoder, d); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	return lines.end()
}

func profileTime(text string) (time.Duration, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > int(maxProfile.Seconds()) {
		return 0, errSeconds
	}
	return time.Duration(n) * time.Second, nil
}

// cpuProfile fails at once when somebody else takes a profile: there is one at a time.
func (s *Server) cpuProfile(w io.Writer, d time.Duration) error {
	if err := pprof.StartCPUProfile(w); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	if !s.pause(d) {
		return errClosed
	}
	return nil
}

// lineBreaker breaks base64 into lines that base64 -d and people can take.
type lineBreaker struct {
	w      io.Writer
	column int
}

const lineWidth = 76

func (l *lineBreaker) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), lineWidth-l.column)]
		if _, err := l.w.Write(part); err != nil {
			return n, err
		}
		n, p = n+len(part), p[len(part):]
		if l.column += len(part); l.column == lineWidth {
			if err := l.end(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (l *lineBreaker) end() error {
	if l.column == 0 {
		return nil
	}
	l.column = 0
	_, err := io.WriteString(l.w, "\n")
	return err
}
