package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
)

// serveCommand is the word by which the program starts itself as the server.
const serveCommand = "serve"

// Words that the server understands on its standard input, one a line; each is answered with a line.
const (
	askAllocations = "allocations"
	startProfile   = "profile " // and the name of a file
	stopProfile    = "stop"
)

// serve runs both servers and answers questions until its input ends.
func serve(ctx context.Context, setup string, in io.Reader, out io.Writer) error {
	size, url, _ := strings.Cut(setup, ",")
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	stopRaw, err := serveRaw(ctx, url, n)
	if err != nil {
		return err
	}
	stopGoslo, err := serveGoslo(ctx, rabbitURL(url))
	if err != nil {
		return errors.Join(err, stopRaw())
	}
	fmt.Fprintln(out, "READY")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		fmt.Fprintln(out, answer(lines.Text()))
	}
	return errors.Join(stopGoslo(), stopRaw())
}

func answer(line string) string {
	switch name, isProfile := strings.CutPrefix(line, startProfile); {
	case line == askAllocations:
		return strconv.FormatUint(allocations(), 10)
	case line == stopProfile:
		pprof.StopCPUProfile()
	case isProfile:
		if err := profileTo(name); err != nil {
			return err.Error()
		}
	}
	return "done"
}

func profileTo(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(file)
}

// allocations is how many objects this process has allocated so far.
func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// server is the other process.
type server struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

func startServer(ctx context.Context, url string, size int) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{command: exec.CommandContext(ctx, self, serveCommand, strconv.Itoa(size)+","+url)}
	s.command.Stderr = os.Stderr
	if s.in, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewScanner(out)
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	if !s.out.Scan() || s.out.Text() != "READY" {
		return nil, errors.Join(errors.New("the server did not start"), s.stop())
	}
	return s, nil
}

func (s *server) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		return "", err
	}
	if !s.out.Scan() {
		return "", errors.New("the server has ended")
	}
	return s.out.Text(), nil
}

func (s *server) allocations() (uint64, error) {
	text, err := s.ask(askAllocations)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

func (s *server) stop() error { return errors.Join(s.in.Close(), s.command.Wait()) }
