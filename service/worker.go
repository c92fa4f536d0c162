package service

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/internal/identity"
)

// workerRunner runs one service of the program in a worker process.
type workerRunner struct {
	*runner
	id       identity.Identity
	launched atomic.Bool // the service of this worker's pool
}

// newWorkerRunner makes the process heed its signals and its parent.
func newWorkerRunner(conf Config, id identity.Identity) *workerRunner {
	conf.Notifier, conf.OnReady, conf.NotifyEarly, conf.WatchdogInterval, conf.LogOptions = silent{}, nil, false, 0, nil // the parent's
	w := &workerRunner{runner: newRunner(conf), id: id}
	w.hangup = w.onHangup
	w.again = logrus.DebugLevel // who signals a whole group, as a terminal does, signals each worker, and so does its parent
	words := &words{pipe: os.NewFile(identity.Ready, "ready")}
	w.ready, w.beat, w.beatEvery = words.ready, words.progress, id.Progress
	w.listen()
	identity.OnParentsEnd(func() { w.terminate(exitFailed, "the parent has died") })
	return w
}

// onHangup: the parent sends HUP to have the service reset. At a reload it replaces workers, so one that gets HUP from
// somebody else ends and is replaced.
func (w *workerRunner) onHangup() hangup {
	if w.conf.RestartMethod == Mutate {
		return hangupRestarts
	}
	return hangupStops
}

// words are what a worker says to its parent: first that it is ready, and from then on that it makes progress. They are one
// byte each. A parent that is gone is heard of elsewhere.
type words struct {
	mu    sync.Mutex
	pipe  *os.File
	begun bool
}

// ready is said once, however often the services are reset.
func (w *words) ready() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun {
		w.begun = true
		_, _ = w.pipe.Write([]byte{1})
	}
}

func (w *words) progress() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		_, _ = w.pipe.Write([]byte{1})
	}
}

// launch runs the service if it is that of this worker's pool.
func (w *workerRunner) launch(pool string, svc Service) {
	if pool != w.id.Pool {
		return
	}
	w.launched.Store(true)
	w.runner.launch(svc)
}

// wait ends the process when its service has ended.
func (w *workerRunner) wait() int {
	code := exitFailed
	if w.launched.Load() {
		code = w.runner.wait()
	} else {
		w.log.WithError(errNoPool).WithField("pool", w.id.Pool).Error("the worker has nothing to do")
	}
	w.conf.exit(code)
	return code
}
