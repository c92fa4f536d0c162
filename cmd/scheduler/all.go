package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/config"
)

const allHelp = `Run the schedulers, their HTTP front and one compute agent on this machine.

Without a transport URL, or with one of memory://, all is in one process with the bus.
With one of RabbitMQ each has worker processes of its own under one parent.

Prints READY on standard output once everything serves. Logs go to standard error,
each line behind its worker.` + signalHelp

var allFlags = append([]flag{
	{name: "listen", option: "scheduler-api-listen", usage: "`address` of the HTTP front (default 127.0.0.1:8780)"},
	{name: "workers", option: "scheduler-workers", usage: "`number` of scheduler processes (default 1)"},
	{name: "api-workers", option: "scheduler-api-workers", usage: "`number` of processes of the HTTP front (default 1)"},
	{name: "host", usage: "`name` of the server and of its compute host (default the machine's)"},
	{name: "hosts", option: "scheduler-hosts", usage: "JSON `file` with further compute hosts"},
}, busFlags...)

// allOptions are those of all commands.
func allOptions() []config.Definition {
	return slices.Concat(schedulerOptions(), apiOptions(), agentOptions())
}

func (p *program) newAll() *cobra.Command {
	return p.daemonCommand(daemon{
		use: "all", short: "Run schedulers, HTTP front and an agent", long: allHelp, logs: "scheduler",
		options: allOptions(), flags: allFlags,
		run: func(s *settings) error {
			s.busByDefault = "memory://"
			pools, err := s.busPools()
			if err != nil {
				return err
			}
			front, err := s.newFront()
			if err != nil {
				return err
			}
			defer front.Close()
			pools = append(pools, front.pool()) // who is asked starts before who asks
			return s.launch(p.signals, p.stdout, s.inProcess(), pools...)
		},
	})
}

// busPools are those on the bus.
func (s *settings) busPools() ([]pool, error) {
	if err := errors.Join(s.checkBus(), s.checkWorkers(workersOption), s.checkWorkers(apiWorkersOption)); err != nil {
		return nil, firstOf(err)
	}
	schedulers, err := s.schedulers()
	if err != nil {
		return nil, err
	}
	agents, err := s.agents()
	if err != nil {
		return nil, err
	}
	return []pool{schedulers, agents}, nil
}
