package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError tells what is wrong with the command line: a flag or argument and why. It never shows text that
// could be a password, which a mistyped command line may hold anywhere.
type usageError struct {
	field string // --workers
	err   error
}

func (e *usageError) Error() string {
	if e.field == "" {
		return e.err.Error()
	}
	return e.field + ": " + e.err.Error()
}

func (e *usageError) Unwrap() error { return e.err }

func wrongFlag(name string, err error) error { return &usageError{field: "--" + name, err: err} }

// wanted is the error of a flag's value.
func wanted(name, format string, args ...any) error {
	return wrongFlag(name, fmt.Errorf("want "+format, args...))
}

// plainName is what a mistyped flag or command looks like, and hardly a password.
var plainName = regexp.MustCompile(`^[a-z][a-z-]{0,39}$`)

// flagError words the errors of pflag anew: its own show values.
func flagError(err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(unknown.GetSpecifiedName(), unknown.GetSpecifiedShortnames() != "")
	case errors.As(err, &missing):
		return wrongFlag(missing.GetFlag().Name, errors.New("needs a value"))
	case errors.As(err, &invalid) && strings.HasPrefix(invalid.GetFlag().Value.Type(), "int"):
		return wanted(invalid.GetFlag().Name, "a whole number")
	case errors.As(err, &invalid):
		return wrongFlag(invalid.GetFlag().Name, errors.New("wrong value"))
	}
	return &usageError{err: errors.New("a flag is malformed")}
}

// unknownFlag gets the name alone; that of a flag with one dash is its first letter.
func unknownFlag(name string, oneDash bool) error {
	switch {
	case !plainName.MatchString(name):
		return &usageError{err: errors.New("unknown flag")}
	case oneDash:
		return &usageError{field: "-" + name, err: errors.New("unknown flag: all begin with two dashes")}
	}
	return wrongFlag(name, errors.New("unknown flag"))
}

// noArguments refuses arguments without showing them.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{err: fmt.Errorf("want flags only, got %d other arguments", len(args))}
	}
	return nil
}

// knownCommand refuses what is no command.
func knownCommand(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if plainName.MatchString(args[0]) {
		return &usageError{err: fmt.Errorf("unknown command %q: want agent, all, api, config, demo, serve or version", args[0])}
	}
	return &usageError{err: errors.New("unknown command: want agent, all, api, config, demo, serve or version")}
}
