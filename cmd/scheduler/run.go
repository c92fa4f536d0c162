package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
)

// Exit statuses. A command that a signal interrupted before it was done ends with 128 and the signal's number,
// as a shell would say.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitSignal = 128
)

// signalError is the cause with which a command's context ends by a signal.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "stopped by signal: " + e.signal.String() }

// program is one run of the command line.
type program struct {
	stdout, stderr io.Writer
	signals        chan os.Signal
}

// run runs one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, signals chan os.Signal) int {
	p := &program{stdout, stderr, signals}
	root := p.newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "scheduler: "+oneLine(err.Error()))
	}
	return exitStatus(err)
}

// errSecondSignal tells that a command was not waited for.
var errSecondSignal = errors.New("stopped at once by a second signal")

// supervise ends command's context with the first signal and waits for it. With a second signal it returns at
// once: command is left running, and the end of the process is its end.
func supervise(ctx context.Context, signals <-chan os.Signal, command func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- command(ctx) }()
	select {
	case err := <-ended:
		return err
	case sig := <-signals:
		cancel(&signalError{sig})
	}
	select {
	case err := <-ended:
		return err
	case <-signals:
		return errSecondSignal
	}
}

func exitStatus(err error) int {
	var (
		usage  *usageError
		sig    *signalError
		status *statusError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &sig):
		if number, ok := sig.signal.(syscall.Signal); ok {
			return exitSignal + int(number)
		}
	}
	return exitFailed
}

// oneLine keeps a foreign text from breaking the line or moving the cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

func (p *program) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:               "scheduler",
		Short:             "nova's scheduler on goslo",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.AddCommand(p.newAgent(), p.newAll(), p.newAPI(), p.newConfig(), p.newDemo(), p.newServe(), newVersion(p.stdout))
	return root
}
