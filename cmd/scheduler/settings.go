package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/logging"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/backdoor"
	"github.com/goslo/goslo/service/report"
	"github.com/goslo/goslo/service/rpcservice"
	"github.com/goslo/goslo/transport"
)

// settings are what one command is told: by files, the environment and flags.
type settings struct {
	*config.Config
	log    *logrus.Logger
	logs   *logging.Logs // by load
	stderr io.Writer
	level  string            // --log-level
	own    map[string]string // flags of options -> the command's own, where it has another

	states report.State      // of what works in this process
	door   *backdoor.Service // of this process

	busByDefault string // the transport URL where none is given; empty is for a command that must be given one
}

// newSettings makes the settings of a command that has these options, beside those of the bus, of logs and of all services.
// Files are those of nova: there is no warning for what they say to others.
func newSettings(stderr io.Writer, options ...config.Definition) (*settings, error) {
	s := &settings{log: logrus.New(), stderr: stderr, own: make(map[string]string)}
	s.door = backdoor.NewService(s.backdoorConfig)
	logging.Hold(s.log)
	s.Config = config.New("scheduler", config.WithProject("nova"), config.WithLogger(s.log))
	s.Ignore(config.DefaultGroup, novaOptions...)
	s.Ignore(config.DefaultGroup, serviceNames...)
	s.Ignore(schedulerGroup, groupOptions...)
	options = slices.Concat(messaging.ConfigOptions(), serviceOptions(), options)
	return s, errors.Join(logging.Register(s.Config), s.Register(options...))
}

// flag is one that help shows.
type flag struct {
	name   string
	option string // the flag that the option has anyway; empty where that is name
	usage  string
}

// addFlags gives the command its flags: the ones that help shows, and one for each other option.
func (s *settings) addFlags(set *pflag.FlagSet, shown ...flag) error {
	set.SortFlags = false
	set.StringVar(&s.level, "log-level", "", "least `level` logged: error, warn, info, debug or trace")
	if err := s.AddFlags(set); err != nil {
		return err
	}
	for _, f := range shown {
		of := set.Lookup(cmp.Or(f.option, f.name))
		if f.option == "" {
			of.Hidden, of.Usage = false, f.usage
			continue
		}
		s.own[f.option] = f.name
		set.AddFlag(&pflag.Flag{Name: f.name, Usage: f.usage, Value: of.Value})
	}
	pool := set.Lookup("executor-thread-pool-size")
	pool.Value = &orDefault{Value: pool.Value}
	return nil
}

// orDefault takes 0 for the default of executor_thread_pool_size, as servers do.
type orDefault struct{ pflag.Value }

func (v *orDefault) Set(text string) error {
	if text == "0" {
		text = "64"
	}
	return v.Value.Set(text)
}

// The flags of all services on the bus.
var busFlags = []flag{
	{name: "transport-url", usage: "`URL` of the bus, as rabbit://USER:PASSWORD@HOST/"},
	{name: "control-exchange", usage: "`name` of the topic's exchange (default nova)"},
	{name: "topic", option: "scheduler-topic", usage: "`name` of the schedulers' topic (default scheduler)"},
}

// load reads files and the environment, and sets the log up. Errors are those of usage.
func (s *settings) load(name string) (io.Closer, error) {
	worker, err := service.CurrentWorker()
	if err != nil {
		return nil, &usageError{err: err}
	}
	if err := s.Load(); err != nil {
		return nil, s.wrong(err)
	}
	opts := []logging.Option{logging.WithStderr(s.stderr), logging.WithRequest(requestOf)}
	if worker != nil {
		opts = append(opts, logging.WithWorker(worker.Pool, worker.Index))
	}
	logs, err := logging.Setup(s.Config, name, s.log, opts...)
	if err != nil {
		return nil, &usageError{err: err}
	}
	s.logs = logs
	if s.level == "" {
		return logs, nil
	}
	level, err := logrus.ParseLevel(s.level)
	if err != nil {
		return nil, errors.Join(wanted("log-level", "error, warn, info, debug or trace"), logs.Close())
	}
	logs.SetLevel(level)
	return logs, nil
}

// requestOf is what lines of the log show of a request.
func requestOf(ctx context.Context) map[string]any { return messaging.RequestContextFrom(ctx) }

// busLog is the logger of the bus, by the name that default_log_levels has for it.
func (s *settings) busLog() *logrus.Logger { return s.logs.Named("oslo.messaging") }

// wrong is an error about an option as one about the flag with which it was given, if it was.
func (s *settings) wrong(err error) error {
	var value *config.ValueError
	if !errors.As(err, &value) {
		return &usageError{err: err}
	}
	if value.Source.Kind != config.FromFlag {
		return &usageError{err: value}
	}
	problem, _, _ := strings.Cut(value.Err.Error(), ", got ") // what a mistyped command line holds may be a password
	return s.wrongFlag(value.Source.Name, errors.New(problem))
}

// wrongFlag gets the flag of the option, with its dashes.
func (s *settings) wrongFlag(name string, err error) error {
	name = strings.TrimPrefix(name, "--")
	return wrongFlag(cmp.Or(s.own[name], name), err)
}

// sourced is an option of any type.
type sourced interface {
	Source(c *config.Config) config.Source
}

// wrongOption tells of a value that turned out to be wrong when it was used: where it is from, or else the name of its
// option.
func (s *settings) wrongOption(name string, o sourced, err error) error {
	switch from := o.Source(s.Config); from.Kind {
	case config.FromFlag:
		return s.wrongFlag(from.Name, err)
	case config.FromDefault:
		return &usageError{field: "option " + name, err: err}
	default:
		return &usageError{field: from.String() + ": option " + name, err: err}
	}
}

// Options of package messaging, to be read.
var (
	transportURL    = &config.Option[string]{Name: "transport_url"}
	controlExchange = &config.Option[string]{Name: "control_exchange"}
)

// busURL is where the bus is; empty where that is not known.
func (s *settings) busURL() string {
	if url := transportURL.Get(s.Config); transportURL.Given(s.Config) && url != "" {
		return url
	}
	return s.busByDefault
}

// openBus makes the transport. Nothing is dialled yet.
func (s *settings) openBus() (*messaging.Transport, error) {
	if !transportURL.Given(s.Config) {
		return messaging.Open(s.busURL(), messaging.WithControlExchange(controlExchangeOrNova(s.Config)), messaging.WithLogger(s.busLog()))
	}
	t, err := messaging.TransportFromConfig(s.Config, messaging.WithControlExchange(novaExchange), messaging.WithLogger(s.busLog()))
	if err == nil {
		return t, nil
	}
	if transportURL.Source(s.Config).Kind != config.FromFlag || s.rabbitGiven() {
		return nil, &usageError{err: err}
	}
	return nil, wrongFlag("transport-url", urlProblem(err))
}

func controlExchangeOrNova(c *config.Config) string {
	if controlExchange.Given(c) {
		return controlExchange.Get(c)
	}
	return novaExchange
}

// novaExchange is where nova's services are.
const novaExchange = "nova"

// rabbitGiven tells whether something else than the URL may be what is wrong.
func (s *settings) rabbitGiven() bool {
	return slices.ContainsFunc(s.Settings(), func(o config.Setting) bool {
		return o.Key.Group == "oslo_messaging_rabbit" && o.Source.Kind != config.FromDefault
	})
}

// urlProblem is what is wrong with a URL, without the name of its option.
func urlProblem(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.HasPrefix(e.Error(), messaging.ErrInvalidURL.Error()) {
			return e
		}
	}
	return err
}

// checkBus wants a URL and an exchange.
func (s *settings) checkBus() error {
	if s.busURL() == "" {
		return wrongFlag("transport-url", errors.New("missing"))
	}
	if controlExchange.Get(s.Config) == "" {
		return s.wrongOption("control_exchange", controlExchange, errEmpty)
	}
	if topicOption.Get(s.Config) == "" {
		return s.wrongOption("topic", topicOption, errEmpty)
	}
	return nil
}

var errEmpty = errors.New("want a name, got an empty one")

// inProcess tells whether the bus is in this process.
func (s *settings) inProcess() bool {
	driver, _, _ := strings.Cut(s.busURL(), ":")
	return driver == "memory" || driver == "fake"
}

// checkWorkers refuses workers that would each be on a bus of its own.
func (s *settings) checkWorkers(o *config.Option[int]) error {
	if o.Get(s.Config) > 1 && s.inProcess() {
		return s.wrongOption("workers", o, errors.New("want 1: a bus of memory:// is in one process"))
	}
	return nil
}

// host is the name of this server.
func (s *settings) host() (string, error) {
	if hostOption.Given(s.Config) {
		return hostOption.Get(s.Config), nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", wrongFlag("host", err)
	}
	return name, nil
}

// service is what services on the bus are told, beside their topic.
func (s *settings) service() rpcservice.Config {
	return rpcservice.Config{
		Version: version(), BackdoorPort: s.door.Port, ServiceDownTime: downTimeOption.Get(s.Config),
		PeriodicInterval: periodicIntervalOption.Get(s.Config), PeriodicFuzzyDelay: fuzzyDelay(s.Config), Log: s.log,
	}
}

// fuzzyDelay is periodic_fuzzy_delay, of which 0 is none.
func fuzzyDelay(c *config.Config) time.Duration {
	if d := periodicFuzzyDelayOption.Get(c); d > 0 {
		return d
	}
	return rpcservice.NoDelay
}

// executor is that of servers.
func (s *settings) executor() (messaging.ServerOption, error) {
	kind := executor.Type(executorOption.Get(s.Config))
	if err := checkExecutor(kind); err != nil {
		return nil, s.wrongOption("executor", executorOption, err)
	}
	return messaging.WithExecutor(kind), nil
}

// redacted is a transport URL for the log.
func redacted(text string) string {
	u, err := transport.ParseURL(text)
	if err != nil {
		return "invalid"
	}
	return u.String()
}
