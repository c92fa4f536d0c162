package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// unit is how a figure is printed.
type unit int

const (
	milliseconds unit = iota
	megabytes
	count
	status // -n is a death by signal n
)

// row is one line of the table.
type row struct {
	what string
	unit unit
}

// scene is something that happens to a program, with the figures that it gives, one a row.
type scene struct {
	rows []row
	settings
	play func(ctx context.Context, p *program) ([]float64, error)
}

const (
	// settled is longer than the window of the fork throttle, a second for each worker: after it a reload is not slowed down.
	settled = workers*time.Second + 200*time.Millisecond
	// longJob is what a worker has still to do when something happens to it.
	longJob = 3 * time.Second
	// longIdle is more than five times wsgi.Config.StopLinger, after which goslo closes connections at once.
	longIdle = 2 * time.Second
	// orphansAfter is how long after the parent's end orphans are counted.
	orphansAfter = time.Second
)

func scenes() []scene {
	return []scene{
		{
			[]row{
				{"start of the program to both workers started", milliseconds},
				{"memory of parent and 2 workers, resident sets added up", megabytes},
				{"the same, shared pages counted once", megabytes},
			},
			settings{},
			measureMemory,
		},
		{[]row{{"`kill -9` of a worker to its replacement started", milliseconds}}, settings{}, respawn},
		{[]row{{"SIGTERM to the end of the parent, idle", milliseconds}}, settings{}, stopIdle},
		{
			[]row{{fmt.Sprintf("the same, HTTP with %d connections that had a request just before", clients), milliseconds}},
			settings{http: true},
			stopConnections(0),
		},
		{
			[]row{{fmt.Sprintf("the same, HTTP with %d connections idle for %d s", clients, longIdle/time.Second), milliseconds}},
			settings{http: true},
			stopConnections(longIdle),
		},
		{[]row{{"`kill -9` of the parent, idle: processes left 1 s later", count}}, settings{}, killParent},
		{[]row{{"the same, each worker with a job of 3 s", count}}, settings{job: longJob}, killParent},
		{[]row{{"the same, with a graceful timeout of 1 s: left 2 s later", count}}, settings{job: 2 * longJob, timeout: time.Second}, killParentLate},
		{
			[]row{
				{"SIGTERM, jobs of 3 s, graceful timeout 1 s: exit status", status},
				{"processes left 1 s after that exit", count},
			},
			settings{job: longJob, timeout: time.Second},
			exceedTimeout,
		},
		{[]row{{"SIGHUP, idle: time without a worker", milliseconds}}, settings{}, reload},
		{[]row{{"SIGHUP, jobs of 3 s: time without a worker", milliseconds}}, settings{job: settled + longJob}, reload},
		{[]row{{"the same, goslo with a rolling reload", milliseconds}}, settings{job: settled + longJob, rolling: true}, reload},
		{
			[]row{
				{"SIGTERM to the parent: slow HTTP requests lost, of 1", count},
				{fmt.Sprintf("short HTTP requests lost, of %d clients' last ones", clients), count},
			},
			settings{http: true},
			loseAtStop,
		},
		{
			[]row{
				{"SIGTERM to one worker: slow HTTP requests lost, of 1", count},
				{"short HTTP requests lost", count},
				{"short HTTP requests answered", count},
			},
			settings{http: true},
			loseAtWorkerStop,
		},
	}
}

func measureMemory(ctx context.Context, p *program) ([]float64, error) {
	started, err := p.await(ctx, eventStarted, workers)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return nil, err
	}
	figures := []float64{inMilliseconds(started[workers-1].at.Sub(p.startedAt)), 0, 0}
	for _, pid := range append(p.living(), p.parent()) {
		resident, proportional, err := memory(pid)
		if err != nil {
			return nil, err
		}
		figures[1] += resident
		figures[2] += proportional
	}
	return figures, nil
}

// memory gives two figures of a process in megabytes: its resident set, and that with each shared page divided by the
// processes that share it.
func memory(pid int) (resident, proportional float64, err error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	of := func(key string) float64 {
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == key {
				kilobytes, _ := strconv.ParseFloat(fields[1], 64) // 0 is noticed below
				return kilobytes / 1024
			}
		}
		return 0
	}
	if resident, proportional = of("Rss:"), of("Pss:"); resident == 0 || proportional == 0 {
		return 0, 0, fmt.Errorf("%s has no Rss or no Pss: %q", name, text)
	}
	return resident, proportional, nil
}

func respawn(ctx context.Context, p *program) ([]float64, error) {
	victim := p.living()[0]
	killed := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("kill worker %d: %w", victim, err)
	}
	started, err := p.await(ctx, eventStarted, workers+1)
	if err != nil {
		return nil, err
	}
	return []float64{inMilliseconds(started[workers].at.Sub(killed))}, nil
}

func stopIdle(ctx context.Context, p *program) ([]float64, error) {
	if err := pause(ctx, 200*time.Millisecond); err != nil { // for what follows the start
		return nil, err
	}
	begun := time.Now()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	code, err := p.awaitEnd(ctx)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("the parent ended with status %d, want 0%s", code, p.lastLog())
	}
	return []float64{inMilliseconds(p.endedAt.Sub(begun))}, nil
}

// stopConnections is stopIdle while clients keep connections on which they have had an answer, so long ago.
func stopConnections(idle time.Duration) func(context.Context, *program) ([]float64, error) {
	return func(ctx context.Context, p *program) ([]float64, error) {
		address, err := p.address(ctx)
		if err != nil {
			return nil, err
		}
		for range clients {
			c, err := dial(address)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			if _, err := c.request("/"); err != nil {
				return nil, err
			}
		}
		if err := pause(ctx, idle); err != nil {
			return nil, err
		}
		return stopIdle(ctx, p)
	}
}

func killParent(ctx context.Context, p *program) ([]float64, error) {
	return killParentAndCount(ctx, p, orphansAfter)
}

func killParentLate(ctx context.Context, p *program) ([]float64, error) {
	return killParentAndCount(ctx, p, 2*orphansAfter)
}

func killParentAndCount(ctx context.Context, p *program, after time.Duration) ([]float64, error) {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return nil, err
	}
	if _, err := p.awaitEnd(ctx); err != nil {
		return nil, err
	}
	if err := pause(ctx, after); err != nil {
		return nil, err
	}
	return []float64{float64(len(p.living()))}, nil
}

func exceedTimeout(ctx context.Context, p *program) ([]float64, error) {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	code, err := p.awaitEnd(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, orphansAfter); err != nil {
		return nil, err
	}
	return []float64{float64(code), float64(len(p.living()))}, nil
}

// reload has all workers replaced and returns for how long there was none that had started and was not asked to stop.
func reload(ctx context.Context, p *program) ([]float64, error) {
	if err := pause(ctx, settled); err != nil {
		return nil, err
	}
	if err := p.signal(syscall.SIGHUP); err != nil {
		return nil, err
	}
	started, err := p.await(ctx, eventStarted, 2*workers)
	if err != nil {
		return nil, err
	}
	stopping, _ := p.told(eventStopping)
	return []float64{inMilliseconds(gap(started, stopping))}, nil
}

// gap adds up the time in which no worker works, from the first start to the last.
func gap(started, stopping []event) time.Duration {
	changes := slices.Concat(started, stopping)
	slices.SortStableFunc(changes, func(a, b event) int { return a.at.Compare(b.at) })
	working := make(map[string]bool)
	var total time.Duration
	var none time.Time
	for _, e := range changes {
		if e.word == eventStarted {
			if len(working) == 0 && !none.IsZero() {
				total += e.at.Sub(none)
			}
			working[e.what] = true
			continue
		}
		before := len(working)
		delete(working, e.what) // a parent stops a service, too, that it has not started
		if before > 0 && len(working) == 0 {
			none = e.at
		}
	}
	return total
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
