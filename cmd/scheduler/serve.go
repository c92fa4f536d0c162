package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
)

const serveHelp = `Serve the scheduler's topic until a signal comes.

Prints READY on standard output once all workers receive messages; a broker that
is not there yet is waited for. Logs go to standard error.` + signalHelp

// signalHelp ends the help of every service.
const signalHelp = `

SIGTERM: takes nothing new, finishes what runs, and exits with status 0, or 1 if
that takes longer than graceful_shutdown_timeout.
SIGINT, SIGQUIT: exits at once with status 1.
SIGHUP: reads the configuration again and starts anew, one worker after another.
SIGUSR1, SIGUSR2: writes a report of goroutines and options to standard error.

Options of nova's files count, from --config-file, --config-dir or the usual
places, with OS_<GROUP>__<OPTION> in the environment over them and flags over
all: every option has one, as --oslo-messaging-rabbit-ssl. "scheduler config
sample" lists the options.`

var serveFlags = append([]flag{
	{name: "workers", option: "scheduler-workers", usage: "`number` of processes that serve (default 1)"},
	{name: "host", usage: "`name` of this server (default the machine's)"},
	{name: "hosts", option: "scheduler-hosts", usage: "JSON `file` with compute hosts; more come by report_capacity"},
	{name: "executor", option: "scheduler-executor", usage: "`type` of executor: threading, pool or blocking"},
	{name: "executor-thread-pool-size", usage: "`number` of methods that run at once; 0 is 64"},
}, busFlags...)

func (p *program) newServe() *cobra.Command {
	return p.daemonCommand(daemon{
		use: "serve --transport-url URL", short: "Serve the scheduler's topic", long: serveHelp, logs: "scheduler", options: schedulerOptions(), flags: serveFlags,
		run: func(s *settings) error {
			pool, err := s.schedulers()
			if err != nil {
				return err
			}
			return s.launch(p.signals, p.stdout, false, pool)
		},
	})
}

// schedulers checks what is configured of them.
func (s *settings) schedulers() (pool, error) {
	if err := errors.Join(s.checkBus(), s.checkWorkers(workersOption)); err != nil {
		return pool{}, firstOf(err)
	}
	inventory, err := placement.NewInventory(nil)
	if err != nil {
		return pool{}, err
	}
	asked := new(atomic.Bool)
	b := &busService{name: "scheduler", log: s.log, make: func() (life, error) { return s.newScheduler(inventory, asked) }}
	return pool{"scheduler", workersOption.Get(s.Config), b}, b.check()
}

// schedulerPart is a worker that knows hosts before it is asked for some, and that Stop ends.
type schedulerPart struct {
	*worker.Worker
	others *rpcapi.Scheduler
	agents *messaging.Client
	asked  *atomic.Bool // the others, in an earlier life
	log    logrus.FieldLogger
}

// learnTimeout bounds how long a start waits for another scheduler.
const learnTimeout = 2 * time.Second

// Start learns from another scheduler what hosts there are, if there is one: a worker that takes the place of another must not
// answer that there is none. Agents are asked to report in any case, so that it is not long until the first one knows too.
func (p schedulerPart) Start(ctx context.Context) error {
	if !p.asked.Swap(true) {
		if err := p.learn(ctx); err != nil {
			p.log.WithError(err).Debug("no other scheduler told of hosts")
		}
	}
	if err := p.Worker.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	if err := p.agents.Fanout(ctx, "report", nil); err != nil {
		p.log.WithError(err).Warn("agents were not asked to report, and will do so in their time")
	}
	return nil
}

func (p schedulerPart) learn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	known, err := p.others.ExportInventory(ctx)
	if err != nil {
		return err
	}
	return known.Import(p.Inventory())
}

func (p schedulerPart) Stop(ctx context.Context) error {
	return errors.Join(p.Worker.Stop(ctx), p.Worker.Wait(ctx))
}

// newScheduler makes a scheduler that keeps what it knows of hosts in inventory.
func (s *settings) newScheduler(inventory *placement.Inventory, asked *atomic.Bool) (life, error) {
	host, err := s.host()
	if err != nil {
		return life{}, err
	}
	executes, err := s.executor()
	if err != nil {
		return life{}, err
	}
	hosts, err := s.hosts()
	if err != nil {
		return life{}, err
	}
	t, err := s.openBus()
	if err != nil {
		return life{}, err
	}
	on := messaging.Target{Topic: topicOption.Get(s.Config), Server: host}
	w, err := worker.New(t, on, worker.Config{Hosts: hosts, Inventory: inventory, Log: s.log}, executes)
	if err != nil {
		return life{}, errors.Join(err, t.Close(context.Background()))
	}
	others, err := rpcapi.NewScheduler(t, on.Topic)
	if err != nil {
		return life{}, errors.Join(err, t.Close(context.Background()))
	}
	agents, err := messaging.NewClient(t, messaging.Target{Topic: agent.Topic, Namespace: "claims", Version: "1.0"})
	if err != nil {
		return life{}, errors.Join(err, t.Close(context.Background()))
	}
	s.log.WithFields(logrus.Fields{"transport_url": redacted(s.busURL()), "hosts": len(hosts)}).Info("scheduler")
	return life{schedulerPart{w, others, agents, asked, s.log}, t.Close}, nil
}

// hosts are those of the file, if there is one.
func (s *settings) hosts() ([]placement.Host, error) {
	path := hostsOption.Get(s.Config)
	if path == "" {
		return nil, nil
	}
	hosts, err := placement.LoadHosts(path)
	if err != nil {
		return nil, s.wrongOption("hosts", hostsOption, err)
	}
	return hosts, nil
}

func checkExecutor(kind executor.Type) error {
	trial, err := executor.New(kind, 1)
	if err != nil {
		return err
	}
	return trial.Shutdown(context.Background())
}

// firstOf is the first of joined errors: a line names one option.
func firstOf(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()[0]
	}
	return err
}
