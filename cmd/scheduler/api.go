package main

import (
	"errors"

	"github.com/spf13/cobra"
)

const apiHelp = `Serve HTTP for the schedulers on the bus until a signal comes.

POST /v1/select_destinations asks one for hosts, GET /v1/hosts for what it knows,
POST /v1/hosts/{host}/report tells all what a host has; GET /healthz says whether
the bus is there, GET /v1/openapi.json describes it all.

Prints READY on standard output once all workers serve. Logs go to standard error.` + signalHelp

var apiFlags = append([]flag{
	{name: "listen", option: "scheduler-api-listen", usage: "`address` to serve on: host:port or the path of a unix socket (default 127.0.0.1:8780)"},
	{name: "workers", option: "scheduler-api-workers", usage: "`number` of processes that serve (default 1)"},
	{name: "ssl-cert-file", usage: "`file` with the certificate to serve HTTPS with"},
	{name: "ssl-key-file", usage: "`file` with its key"},
	{name: "ssl-ca-file", usage: "`file` with the authorities that clients need a certificate of"},
}, busFlags...)

func (p *program) newAPI() *cobra.Command {
	return p.daemonCommand(daemon{
		use: "api --transport-url URL", short: "Serve HTTP for the schedulers", long: apiHelp, logs: "scheduler-api",
		options: apiOptions(), flags: apiFlags,
		run: func(s *settings) error {
			if err := errors.Join(s.checkBus(), s.checkWorkers(apiWorkersOption)); err != nil {
				return firstOf(err)
			}
			front, err := s.newFront()
			if err != nil {
				return err
			}
			defer front.Close()
			return s.launch(p.signals, p.stdout, false, front.pool())
		},
	})
}
