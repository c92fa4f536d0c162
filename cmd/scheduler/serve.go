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
	"github.com/goslo/goslo/service/rpcservice"
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
	return s.newPool(worker.ServiceName, workersOption.Get(s.Config), func() (*rpcservice.RPCService, *messaging.Transport, error) {
		return s.newScheduler(inventory, asked)
	})
}

// newPool is a pool of services on the bus. One is made for trial: what is wrong with the configuration is found before
// anything is launched.
func (s *settings) newPool(name string, workers int, makeOne func() (*rpcservice.RPCService, *messaging.Transport, error)) (pool, error) {
	svc := rpcservice.NewRenewing(name, makeOne)
	return pool{name, workers, svc, svc.State, svc.Progress}, svc.Check(context.Background())
}

// scheduler is a manager that knows hosts before it is asked for some.
type scheduler struct {
	*worker.Manager
	others *rpcapi.Scheduler
	agents *messaging.Client
	asked  *atomic.Bool // the others, in an earlier life
	log    logrus.FieldLogger
}

var _ rpcservice.Manager = (*scheduler)(nil)

// learnTimeout bounds how long a start waits for another scheduler that is there.
const learnTimeout = 2 * time.Second

// InitHost learns from another scheduler what hosts there are, if there is one: a scheduler that takes the place of another
// must not answer that there is none.
func (m *scheduler) InitHost(ctx context.Context) error {
	if !m.asked.Swap(true) {
		m.learn(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // while the broker was waited for
	}
	m.log.WithField("hosts", len(m.Inventory().Snapshot())).Info("the scheduler knows its first hosts")
	return nil
}

// learn waits for the broker, as listening would. Where nobody serves, a question would only wait in a queue that outlives
// schedulers.
func (m *scheduler) learn(ctx context.Context) {
	serving, err := m.others.Serving(ctx)
	if err == nil && serving == 0 {
		return
	}
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		err = m.ask(ctx)
	}
	if err != nil && ctx.Err() == nil {
		m.log.WithError(err).WithField("schedulers", serving).Warn("no other scheduler has told of hosts")
	}
}

func (m *scheduler) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	known, err := m.others.ExportInventory(ctx)
	if err != nil {
		return err
	}
	return known.Import(m.Inventory())
}

// InitHostWithRPC asks agents to report, so that it is not long until the first scheduler knows them too.
func (m *scheduler) InitHostWithRPC(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	if err := m.agents.Fanout(ctx, "report", nil); err != nil {
		m.log.WithError(err).Warn("agents were not asked to report, and will do so in their time")
	}
	return nil
}

// newScheduler makes a scheduler that keeps what it knows of hosts in inventory.
func (s *settings) newScheduler(inventory *placement.Inventory, asked *atomic.Bool) (*rpcservice.RPCService, *messaging.Transport, error) {
	conf := s.service()
	var err error
	if conf.Host, err = s.host(); err != nil {
		return nil, nil, err
	}
	executes, err := s.executor()
	if err != nil {
		return nil, nil, err
	}
	hosts, err := s.hosts()
	if err != nil {
		return nil, nil, err
	}
	known, err := worker.NewManager(worker.Config{Hosts: hosts, Inventory: inventory, Log: s.log})
	if err != nil {
		return nil, nil, err
	}
	conf.Topic = topicOption.Get(s.Config)
	return s.onBus(func(t *messaging.Transport) (*rpcservice.RPCService, error) {
		m, err := newSchedulerManager(t, conf.Topic, known)
		if err != nil {
			return nil, err
		}
		m.asked, m.log = asked, s.log.WithField("transport_url", redacted(s.busURL()))
		return worker.NewService(t, m, conf, executes)
	})
}

// newSchedulerManager makes the clients by which a scheduler learns of hosts.
func newSchedulerManager(t *messaging.Transport, topic string, known *worker.Manager) (*scheduler, error) {
	others, err := rpcapi.NewScheduler(t, topic)
	if err != nil {
		return nil, err
	}
	agents, err := messaging.NewClient(t, messaging.Target{Topic: agent.Topic, Namespace: "claims", Version: "1.0"})
	return &scheduler{Manager: known, others: others, agents: agents}, err
}

// onBus makes a service on a transport of its own.
func (s *settings) onBus(makeOne func(*messaging.Transport) (*rpcservice.RPCService, error)) (*rpcservice.RPCService, *messaging.Transport, error) {
	t, err := s.openBus()
	if err != nil {
		return nil, nil, err
	}
	svc, err := makeOne(t)
	if err != nil {
		return nil, nil, errors.Join(err, t.Close(context.Background()))
	}
	return svc, t, nil
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
