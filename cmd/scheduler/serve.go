package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/cmd/scheduler/internal/worker"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// maxPoolSize is half of what AMQP can count: the broker hands over twice as many messages as methods can run.
const maxPoolSize = 32_767

// drainTimeout bounds an orderly end (oslo.service option graceful_shutdown_timeout).
const drainTimeout = 60 * time.Second

const serveHelp = `Serve the scheduler's topic until a signal comes.

Prints READY on standard output once it receives messages; a broker that is not
there yet is waited for. Logs go to standard error.

SIGTERM or SIGINT: takes no new message, answers what runs, and exits with
status 0, or 1 if that takes over 60 seconds.
A second signal: exits at once with status 1.`

// serveFlags are the flags of serve.
type serveFlags struct {
	transportURL, controlExchange, topic, host string
	hosts                                      string
	executor                                   string
	poolSize                                   int
	logLevel                                   string
}

func newServe(stdout, stderr io.Writer) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve --transport-url URL",
		Short: "Serve the scheduler's topic",
		Long:  serveHelp,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.build(stderr, cmd.Flags().Changed("host"))
			if err != nil {
				return err
			}
			return s.run(cmd.Context(), stdout)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.transportURL, "transport-url", "", "`URL` of the bus, as rabbit://USER:PASSWORD@HOST/; required")
	flags.StringVar(&f.controlExchange, "control-exchange", "nova", "`name` of the topic's exchange")
	flags.StringVar(&f.topic, "topic", "scheduler", "`name` of the topic")
	flags.StringVar(&f.host, "host", "", "`name` of this server (default the machine's)")
	flags.StringVar(&f.hosts, "hosts", "", "JSON `file` with compute hosts; more come by report_capacity")
	flags.StringVar(&f.executor, "executor", string(executor.Threading), "`type` of executor: threading, pool or blocking")
	flags.IntVar(&f.poolSize, "executor-thread-pool-size", executor.DefaultSize, "`number` of methods that run at once; 0 is 64")
	flags.StringVar(&f.logLevel, "log-level", "info", "least `level` logged: error, warn, info, debug or trace")
	return cmd
}

// service is a worker with its way to the bus.
type service struct {
	transport *messaging.Transport
	worker    *worker.Worker
	log       *logrus.Entry
}

// build checks the flags and makes the service; nothing touches the network yet.
func (f *serveFlags) build(stderr io.Writer, hostGiven bool) (*service, error) {
	log, err := newLogger(stderr, f.logLevel)
	if err != nil {
		return nil, err
	}
	if err := f.check(hostGiven); err != nil {
		return nil, err
	}
	var hosts []placement.Host
	if f.hosts != "" {
		if hosts, err = placement.LoadHosts(f.hosts); err != nil {
			return nil, wrongFlag("hosts", err)
		}
	}
	s := &service{}
	s.transport, err = messaging.Open(f.transportURL, messaging.WithControlExchange(f.controlExchange), messaging.WithLogger(log))
	if err != nil {
		return nil, wrongFlag("transport-url", err)
	}
	on := messaging.Target{Topic: f.topic, Server: f.host}
	s.worker, err = worker.New(s.transport, on, worker.Config{Hosts: hosts, Log: log},
		messaging.WithExecutor(executor.Type(f.executor)), messaging.WithExecutorThreadPoolSize(f.poolSize))
	if err != nil {
		return nil, errors.Join(err, s.transport.Close(context.Background()))
	}
	s.log = log.WithFields(logrus.Fields{"transport_url": redacted(f.transportURL), "hosts": len(hosts)})
	return s, nil
}

// check finds a wrong flag and fills in the host name.
func (f *serveFlags) check(hostGiven bool) error {
	if f.transportURL == "" {
		return wrongFlag("transport-url", errors.New("missing"))
	}
	if f.host == "" && !hostGiven {
		name, err := os.Hostname()
		if err != nil {
			return wrongFlag("host", err)
		}
		f.host = name
	}
	for _, required := range []struct{ name, value string }{
		{"control-exchange", f.controlExchange},
		{"topic", f.topic},
		{"host", f.host},
	} {
		if required.value == "" {
			return wanted(required.name, "a name, got an empty one")
		}
	}
	if f.poolSize < 0 || f.poolSize > maxPoolSize {
		return wanted("executor-thread-pool-size", "0 to %d, got %d", maxPoolSize, f.poolSize)
	}
	return f.checkExecutor()
}

func (f *serveFlags) checkExecutor() error {
	trial, err := executor.New(executor.Type(f.executor), 1)
	if err != nil {
		return wrongFlag("executor", err)
	}
	return trial.Shutdown(context.Background())
}

// run serves until ctx ends.
func (s *service) run(ctx context.Context, stdout io.Writer) error {
	s.log.Info("starting")
	if err := s.worker.Start(ctx); err != nil {
		closed := s.transport.Close(context.Background())
		if ctx.Err() != nil { // a signal came first: as good an end as any
			s.log.WithField("reason", context.Cause(ctx)).Info("stopped before the start")
			return closed
		}
		return errors.Join(err, closed)
	}
	_, err := fmt.Fprintln(stdout, "READY")
	if err == nil {
		<-ctx.Done()
		s.log.WithField("reason", context.Cause(ctx)).Info("stopping")
	}
	return errors.Join(err, s.drain())
}

// drain takes no new message, answers what runs and closes the transport.
func (s *service) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := errors.Join(s.worker.Stop(ctx), s.worker.Wait(ctx), s.transport.Close(ctx))
	if err == nil {
		s.log.Info("stopped")
	}
	return err
}

func newLogger(stderr io.Writer, level string) (*logrus.Logger, error) {
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, wanted("log-level", "error, warn, info, debug or trace")
	}
	log := logrus.New()
	log.SetOutput(stderr)
	log.SetLevel(parsed)
	log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true})
	return log, nil
}

// redacted is a transport URL for the log.
func redacted(text string) string {
	u, err := transport.ParseURL(text)
	if err != nil {
		return "invalid"
	}
	return u.String()
}
