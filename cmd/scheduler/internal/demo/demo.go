package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
)

const (
	// startPatience is how long the schedulers may take until they listen and know all hosts.
	startPatience = 30 * time.Second
	// settlePatience is how long they may take, after the last call, until they know all instances.
	settlePatience = 10 * time.Second
	// closePatience is how long the bus may take to be left.
	closePatience = 10 * time.Second
	// reportInterval is how often hosts report what landed on them.
	reportInterval = 50 * time.Millisecond
)

// Config says what to run. All numbers must be positive.
type Config struct {
	// TransportURL is the bus; empty is one of the run's own, inside the process.
	TransportURL string
	// Workers is how many schedulers share the topic.
	Workers int
	// Hosts is how many compute hosts there are.
	Hosts int
	// Calls is how many instances are placed.
	Calls int
	// Concurrency is how many callers place them.
	Concurrency int
	// Terminal shows the progress, if it is one, and takes warnings.
	Terminal io.Writer
}

// run is one demonstration.
type run struct {
	config Config
	screen *screen
	log    *logrus.Logger
	bus    *bus

	schedulers []*scheduler
	hosts      []*host
	byName     map[string]*host
	client     *messaging.Client // of all callers
	reporter   *messaging.Client // of all hosts

	next     atomic.Int64 // the instance that the next free caller places
	answered answers
	took     time.Duration
	tally    tally
}

// Run places instances until all are placed or ctx ends. What went wrong with a call is in the result; the error
// tells that the run could not begin. It returns when everything that it started has ended.
func Run(ctx context.Context, c Config) (*Result, error) {
	r := newRun(c)
	defer r.close()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	stopReports := r.startReports(ctx)
	r.place(ctx)
	stopReports()
	problems := r.audit(ctx)
	return r.result(ctx.Err() != nil, problems), nil
}

func newRun(c Config) *run {
	r := &run{config: c, screen: &screen{out: c.Terminal}, log: logrus.New()}
	r.log.SetOutput(r.screen)
	r.log.SetLevel(logrus.WarnLevel)
	r.makeHosts()
	return r
}

// makeHosts sizes the hosts so that all instances fit, however they are spread. Where no host has room for an
// instance, each has less left than the largest flavor; then more is in use than all instances need.
func (r *run) makeHosts() {
	headroom := r.config.Calls/10 + 1
	share := (totalUnits(r.config.Calls)+headroom)/r.config.Hosts + 1
	r.byName = make(map[string]*host, r.config.Hosts)
	for i := range r.config.Hosts {
		h := newHost(i+1, share+largest().units)
		r.hosts = append(r.hosts, h)
		r.byName[h.name] = h
	}
}

// start brings up the schedulers and tells them of the hosts.
func (r *run) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("not ready after %s", startPatience))
	defer cancel()
	var err error
	if r.bus, err = newBus(r.config.TransportURL, r.log); err != nil {
		return err
	}
	for i := range r.config.Workers {
		s, err := r.startScheduler(ctx, fmt.Sprintf("scheduler-%d", i+1))
		if err != nil {
			return err
		}
		r.schedulers = append(r.schedulers, s)
	}
	if r.client, err = r.bus.client("4.5"); err != nil {
		return err
	}
	if r.reporter, err = r.bus.client("4.2"); err != nil {
		return err
	}
	for _, h := range r.hosts {
		if err := h.reportCapacity(ctx, r.reporter); err != nil {
			return err
		}
	}
	return await(ctx, r.unknownHosts)
}

// startReports has each host report what lands on it until the returned function is called, which waits for the
// last report under way.
func (r *run) startReports(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		each(len(r.hosts), func(i int) { r.hosts[i].keepReporting(ctx, r.reporter, r.log) })
	}()
	return func() {
		cancel()
		<-ended
	}
}

// unknownHosts tells which hosts a scheduler has not heard of; nil if all know all.
func (r *run) unknownHosts() error {
	for _, s := range r.schedulers {
		if n := len(s.worker.Inventory().Snapshot()); n < len(r.hosts) {
			return fmt.Errorf("%s knows %d of %d hosts", s.name, n, len(r.hosts))
		}
	}
	return nil
}

// await waits until problem finds none; when ctx ends first, it returns the last one with ctx's cause.
func await(ctx context.Context, problem func() error) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := problem()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// close ends the schedulers, whose replies need the bus, and then the bus.
func (r *run) close() {
	if r.bus == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	var errs []error
	for _, s := range r.schedulers {
		errs = append(errs, s.worker.Stop(ctx), s.worker.Wait(ctx))
	}
	if err := errors.Join(append(errs, r.bus.close(ctx))...); err != nil {
		r.log.WithError(err).Warn("the bus was not left in order")
	}
}
