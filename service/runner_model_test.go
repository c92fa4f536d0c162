package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// One process is taken through random lives too: services that are slow to start, stop and reset, or fail, and SIGHUPs and
// launches at any moment.

// lived is a service that checks what the launcher does with it.
type lived struct {
	t       *testing.T
	mu      sync.Mutex
	random  *rand.Rand
	running bool
	busy    bool // in Stop or Reset
	starts  int
}

func (l *lived) pause(longest time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return upTo(l.random, longest)
}

func (l *lived) Start(ctx context.Context) error {
	l.mu.Lock()
	if l.running {
		l.t.Error("Start of a service that runs")
	}
	l.running, l.starts = true, l.starts+1
	l.mu.Unlock()
	select {
	case <-time.After(l.pause(5 * time.Second)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lived) Stop(context.Context) error {
	defer l.alone("Stop")()
	<-time.After(l.pause(5 * time.Second))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	return pick(l.random, nil, nil, errNo)
}

func (l *lived) Reset(context.Context) error {
	defer l.alone("Reset")()
	<-time.After(l.pause(5 * time.Second))
	return nil
}

func (l *lived) Wait(context.Context) error { return nil }

// alone is for methods that the launcher calls one at a time.
func (l *lived) alone(name string) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		l.t.Errorf("%s during another", name)
	}
	l.busy = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.busy = false
	}
}

func (l *lived) runs() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

func TestOneProcessKeepsItsPromisesWhateverHappens(t *testing.T) {
	t.Parallel()
	const lives = 200
	for seed := range uint64(lives) {
		t.Run(fmt.Sprint("life ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { liveOnce(t, seed) })
		})
	}
}

// singleModel is one such life, within a synctest bubble.
type singleModel struct {
	*single
	t        *testing.T
	seed     uint64
	services []*lived
}

// chance is a source of randomness of its own for each who asks, so that a life can be lived again.
func (m *singleModel) chance(n int) *rand.Rand {
	return rand.New(rand.NewPCG(m.seed, uint64(n))) //nolint:gosec // a test's
}

func (m *singleModel) launchAnother() {
	l := &lived{t: m.t, random: m.chance(2 + len(m.services))}
	m.services = append(m.services, l)
	if err := m.LaunchService(l); err != nil {
		m.t.Error(err)
	}
}

func liveOnce(t *testing.T, seed uint64) {
	t.Helper()
	m := &singleModel{t: t, seed: seed}
	random, reading := m.chance(0), m.chance(1)
	m.single = newSingle(t, func(c *Config) {
		c.RestartMethod = pick(random, Reload, Mutate)
		c.Reload = func() error { <-time.After(upTo(reading, 10*time.Second)); return pick(reading, nil, nil, errNo) }
		c.Mutate = c.Reload
	})
	m.launchAnother()
	m.begin()
	for range random.IntN(30) {
		switch random.IntN(4) {
		case 0:
			m.send(syscall.SIGHUP)
		case 1:
			m.launchAnother()
		default:
			<-time.After(upTo(random, 30*time.Second))
		}
		synctest.Wait()
	}
	if random.IntN(2) == 0 {
		m.expectSettled()
	}
	m.end()
}

func (m *singleModel) end() {
	m.send(syscall.SIGTERM)
	m.launchAnother() // which starts nothing, or what is stopped
	code := <-m.exited
	if code != exitStopped && code != exitFailed {
		m.t.Errorf("exit status %d", code)
	}
	<-time.After(time.Hour) // what still comes
	for i, l := range m.services {
		if code == exitStopped && l.runs() {
			m.t.Errorf("service %d runs on", i)
		}
	}
}

// expectSettled wants everything to run in the end, and the notifier to know.
func (m *singleModel) expectSettled() {
	m.t.Helper()
	<-time.After(time.Hour)
	synctest.Wait()
	for i, l := range m.services {
		if !l.runs() {
			m.t.Errorf("service %d does not run", i)
		}
	}
	expectReadyAtLast(m.t, m.notes)
}
