package service

import (
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

// pool is a number of workers of one service.
type pool struct {
	name     string
	throttle throttle
	slots    []slot
}

// slot is the place of one worker. Its index is that of whichever worker is in it.
type slot struct {
	current *worker // nil if it must be filled
	next    *worker // a replacement that is not ready yet
}

func newPool(name string, workers int) *pool {
	return &pool{name: name, throttle: throttle{workers: workers}, slots: make([]slot, workers)}
}

// remove takes out a worker that has ended. The replacement of one that should have stayed until then moves up.
func (p *pool) remove(w *worker) {
	s := &p.slots[w.index]
	switch w {
	case s.current:
		s.current, s.next = s.next, nil
	case s.next:
		s.next = nil
	}
}

// ready tells whether every slot has a worker that serves.
func (p *pool) ready() bool {
	for _, s := range p.slots {
		if s.current == nil || s.current.state != workerReady || s.next != nil {
			return false
		}
	}
	return true
}

// workerState is how far a worker has come.
type workerState int

const (
	workerStarting workerState = iota
	workerReady
	workerStopping
)

// worker is one worker process.
type worker struct {
	process
	pool       *pool
	index      int
	generation int
	state      workerState
	heard      time.Time // of it, most recently
	mutate     bool      // has to reset when it is ready
	killAt     time.Time // if it has not ended by then; zero is never
	ending     ending    // once it has
}

// stop asks the worker to end, once: a program may not have prepared for a second time.
func (w *worker) stop() {
	if w.state != workerStopping {
		w.state = workerStopping
		w.Signal(syscall.SIGTERM)
	}
}

func (w *worker) fields() logrus.Fields {
	return logrus.Fields{"pool": w.pool.name, "worker": w.index, "generation": w.generation, "pid": w.Pid()}
}
