package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/config"
)

// daemon is a command that runs services.
type daemon struct {
	use, short, long string
	logs             string // its name in logs, and of its file in log_dir
	options          []config.Definition
	flags            []flag
	run              func(*settings) error
}

func (p *program) daemonCommand(c daemon) *cobra.Command {
	cmd := &cobra.Command{Use: c.use, Short: c.short, Long: c.long, Args: noArguments}
	s, err := newSettings(p.stderr, c.options...)
	if err == nil {
		err = s.addFlags(cmd.Flags(), c.flags...)
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		if err != nil { // a programmer's mistake
			return err
		}
		closer, err := s.load(c.logs)
		if err != nil {
			return err
		}
		return errors.Join(c.run(s), closer.Close())
	}
	return cmd
}

const configHelp = `Write a file with every option of all commands, commented out, with its help and
default, to standard output.`

func (p *program) newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config sample", Short: "Write a sample of a configuration file", Long: configHelp,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "sample" {
				return nil
			}
			return &usageError{err: fmt.Errorf("want config sample, got %d arguments", len(args))}
		},
		RunE: func(*cobra.Command, []string) error {
			s, err := newSettings(p.stderr, allOptions()...)
			if err != nil {
				return err
			}
			return s.Sample(p.stdout)
		},
	}
	return cmd
}
