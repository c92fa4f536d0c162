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

// run runs one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	return supervise(ctx, stderr, signals, func(ctx context.Context) int {
		return execute(ctx, args, stdout, stderr)
	})
}

// supervise ends command's context with the first signal and waits for it. With a second signal it returns at
// once: command is left running, and the end of the process is its end.
func supervise(ctx context.Context, stderr io.Writer, signals <-chan os.Signal, command func(context.Context) int) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	status := make(chan int, 1)
	go func() { status <- command(ctx) }()
	select {
	case s := <-status:
		return s
	case sig := <-signals:
		cancel(&signalError{sig})
	}
	select {
	case s := <-status:
		return s
	case <-signals:
		_, _ = fmt.Fprintln(stderr, "scheduler: stopped at once by a second signal")
		return exitFailed
	}
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "scheduler: "+oneLine(err.Error()))
	}
	return exitStatus(err)
}

func exitStatus(err error) int {
	var (
		usage *usageError
		sig   *signalError
	)
	switch {
	case err == nil:
		return exitOK
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

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:               "scheduler",
		Short:             "nova's scheduler on goslo",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.AddCommand(newDemo(stdout, stderr), newServe(stdout, stderr), newVersion(stdout))
	return root
}
