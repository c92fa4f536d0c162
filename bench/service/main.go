// Command service measures daemons of package service beside the same on Python's oslo.service, in one run.
//
// Both run the same small program, program.go and program.py: a parent with two workers whose service is idle, has a job
// to finish, or answers HTTP. They take turns, round by round, so that what else happens on the machine hits both. It
// runs on Linux, and oslo.service must be installed for the Python that --python names.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

//go:embed program.py
var programPython []byte

func main() {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		os.Exit(serve(os.Args[2:], os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/service:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("bench/service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	python := flags.String("python", "/usr/bin/python3", "Python with oslo.service (Debian: python3-oslo.service)")
	rounds := flags.Int("rounds", 5, "how many rounds of each scene, in which both take turns")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("--rounds must be positive, got %d", *rounds)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "service")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	script := filepath.Join(dir, "program.py")
	if err := os.WriteFile(script, programPython, 0o600); err != nil {
		return err
	}
	m := measurement{dir: dir, rounds: *rounds, contenders: newContenders(*python, script, self), progress: stderr}
	return m.run(ctx, stdout)
}
