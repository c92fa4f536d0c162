package service

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A parent is taken through random lives: workers that die, hang, are slow or deaf, starts that the system refuses, a
// configuration that is slow to read or invalid, and SIGHUPs at any moment. What must hold is checked after every event, and
// then in a world that has become well again.

// model is one such life, within a synctest bubble.
type model struct {
	*family
	t       *testing.T
	conf    Config
	random  *rand.Rand // of the test's goroutine
	births  *rand.Rand // of the starter, which holds its lock
	reading *rand.Rand // of Reload
	well    chan struct{}
	pools   map[string]int // their sizes
	waiting bool
}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	source := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) } //nolint:gosec // a life that can be lived again
	m := &model{t: t, random: source(1), births: source(2), reading: source(3), well: make(chan struct{}), pools: map[string]int{}}
	m.family = newFamily(t, m.behave, func(c *Config) {
		c.ReloadStrategy = pick(m.random, AtOnce, Rolling, Rolling)
		c.RestartMethod = pick(m.random, Reload, Reload, Reload, Mutate)
		c.GracefulShutdownTimeout = pick(m.random, 2*time.Second, time.Minute)
		c.ReadyTimeout = pick(m.random, 3*time.Second, time.Minute)
		c.NotifyEarly = m.random.IntN(4) == 0
		c.Reload, c.Mutate = m.read, m.read
		m.conf = *c
	})
	return m
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// upTo is a random time, most often a short one.
func upTo(r *rand.Rand, longest time.Duration) time.Duration {
	return time.Duration(r.Float64() * r.Float64() * r.Float64() * float64(longest))
}

func (m *model) isWell() bool {
	select {
	case <-m.well:
		return true
	default:
		return false
	}
}

// behave is what a new worker does. In a well world it is ready in a second, and heeds TERM.
func (m *model) behave(p *fakeProcess) {
	ready := upTo(m.births, time.Second)
	if m.isWell() {
		time.AfterFunc(ready, func() { beReady(p) })
		return
	}
	switch m.births.IntN(6) {
	case 0: // hangs
	case 1:
		time.AfterFunc(upTo(m.births, 10*time.Second), func() { dieAtOnce(p) })
	case 2:
		time.AfterFunc(upTo(m.births, 100*time.Second), func() { beReady(p) })
	default:
		time.AfterFunc(ready, func() { beReady(p) })
	}
	switch m.births.IntN(4) {
	case 0: // deaf
		p.obeys = false
	case 1:
		p.drain = upTo(m.births, 20*time.Second)
	}
}

// read is Reload and Mutate.
func (m *model) read() error {
	if m.isWell() {
		return nil
	}
	<-time.After(upTo(m.reading, 20*time.Second))
	return pick(m.reading, nil, nil, errNo)
}

// happen makes one random thing happen.
func (m *model) happen() {
	switch m.random.IntN(10) {
	case 0, 1, 2:
		m.send(syscall.SIGHUP)
	case 3, 4:
		if all := m.starter.processes(); len(all) > 0 {
			pick(m.random, all...).finish(ending{signal: syscall.SIGKILL})
		}
	case 5:
		m.starter.setErr(pick(m.random, nil, errors.New("too many open files")))
	case 6:
		if len(m.pools) < 3 {
			m.launchPool()
		}
	case 7:
		m.wait()
	default:
		<-time.After(upTo(m.random, 2*time.Minute))
	}
	synctest.Wait()
}

func (m *model) launchPool() {
	name, workers := fmt.Sprint("pool", len(m.starter.attempts())), 1+m.random.IntN(3)
	err := m.LaunchService(&recorder{}, WithWorkers(workers), WithName(name))
	switch {
	case err == nil:
		m.pools[name] = workers
	case errors.Is(err, ErrDuplicatePool): // that of a launch which failed at this very start
	case !strings.Contains(err.Error(), "too many open files"):
		m.t.Errorf("LaunchService = %v", err)
	}
}

func (m *model) wait() {
	if !m.waiting {
		m.waiting = true
		m.begin()
	}
}

// living are the workers of each pool.
func (m *model) living() map[string][]*fakeProcess {
	of := map[string][]*fakeProcess{}
	for _, p := range m.starter.processes() {
		if p.alive() {
			of[p.id.Pool] = append(of[p.id.Pool], p)
		}
	}
	return of
}

// check is what holds at every moment.
func (m *model) check() {
	m.t.Helper()
	extra := 0
	if m.conf.ReloadStrategy == Rolling {
		extra = 1
	}
	living := m.living()
	for name, workers := range m.pools {
		if n := len(living[name]); n > workers+extra {
			m.t.Errorf("%d workers of %s live, want %d and %d more", n, name, workers, extra)
		}
	}
	for _, p := range m.starter.processes() {
		terms := 0
		for _, sig := range p.got() {
			switch {
			case sig == syscall.SIGTERM:
				terms++
			case sig == syscall.SIGHUP && !p.wasReady():
				m.t.Errorf("worker %d got HUP before it was ready", p.id.Generation)
			}
		}
		if terms > 1 {
			m.t.Errorf("worker %d got TERM %d times", p.id.Generation, terms)
		}
	}
}

// checkWell is what must be so a while after the world has become well: the workers that were started before the latest SIGHUP
// are gone, or have heard of it; each slot has one that is ready, and the notifier knows.
func (m *model) checkWell(before int) {
	m.t.Helper()
	living := m.living()
	for name, workers := range m.pools {
		indexes := map[int]bool{}
		for _, p := range living[name] {
			indexes[p.id.Index] = true
			if !p.wasReady() {
				m.t.Errorf("worker %d of %s is not ready", p.id.Generation, name)
			}
			if m.conf.RestartMethod == Reload && p.id.Generation <= before {
				m.t.Errorf("worker %d of %s has the old configuration", p.id.Generation, name)
			}
		}
		if len(living[name]) != workers || len(indexes) != workers {
			m.t.Errorf("%d workers of %s live, in %d slots, want %d", len(living[name]), name, len(indexes), workers)
		}
	}
	expectReadyAtLast(m.t, m.notes)
}

// expectReadyAtLast wants every RELOADING to be over.
func expectReadyAtLast(t *testing.T, n *notes) {
	t.Helper()
	last := ""
	for _, note := range n.all() {
		if note == "READY" || note == "RELOADING" {
			last = note
		}
	}
	if last != "READY" {
		t.Errorf("the notifier heard %v, want READY at last", n.all())
	}
}

// recover makes the world well, and has the parent reload in it.
func (m *model) recover() {
	m.starter.setErr(nil)
	close(m.well)
	if len(m.pools) == 0 {
		m.launchPool()
	}
	m.wait()
	for _, p := range m.starter.processes() {
		if m.conf.RestartMethod == Mutate && !p.wasReady() {
			p.finish(ending{code: 1}) // nothing else would end what hangs
		}
	}
	synctest.Wait()
	before := len(m.starter.attempts())
	m.send(syscall.SIGHUP)
	<-time.After(time.Hour)
	synctest.Wait()
	m.check()
	m.checkWell(before)
}

// end stops the parent, in time.
func (m *model) end() {
	m.wait()
	synctest.Wait()
	begin := time.Now()
	m.send(pick(m.random, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGHUP))
	m.send(syscall.SIGTERM)
	code := <-m.exited
	if limit := m.conf.GracefulShutdownTimeout + killGrace; time.Since(begin) > limit {
		m.t.Errorf("ended after %s, want %s at most", time.Since(begin), limit)
	}
	if code != exitStopped && code != exitFailed {
		m.t.Errorf("exit status %d", code)
	}
	if left := m.alive(); len(left) != 0 {
		m.t.Errorf("workers %v are left", left)
	}
	<-time.After(time.Hour) // what was read when it stopped
}

func TestParentKeepsItsPromisesWhateverHappens(t *testing.T) {
	t.Parallel()
	lives := 300
	if testing.Short() {
		lives = 30
	}
	for seed := range lives {
		t.Run(fmt.Sprint("life ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, uint64(seed)) //nolint:gosec // not negative
				m.launchPool()
				for range 10 + m.random.IntN(40) {
					m.happen()
					m.check()
				}
				if m.random.IntN(4) > 0 {
					m.recover()
				}
				m.end()
			})
		})
	}
}
