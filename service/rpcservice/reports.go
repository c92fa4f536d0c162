package rpcservice

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// errNotWorking is why no report is made.
var errNotWorking = errors.New("the manager is not working")

// reports tell that a service is alive, one at each beat.
type reports struct {
	report    func(ctx context.Context) error
	isWorking func() bool
	timeout   time.Duration // of one report
	log       logrus.FieldLogger

	mu      sync.Mutex
	made    uint64
	last    time.Time // when the latest was made
	trouble error     // why there is none since
}

// beat makes a report. It never fails: the next beat is another chance.
func (r *reports) beat(ctx context.Context) error {
	err := r.try(ctx)
	if ctx.Err() == nil { // else the service is being stopped, which is no trouble
		r.note(err)
	}
	return nil
}

func (r *reports) try(ctx context.Context) error {
	if !r.isWorking() {
		return errNotWorking
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.report(ctx)
}

// note logs a change: trouble that lasts, be it for hours, is one line, and its end another.
func (r *reports) note(err error) {
	r.mu.Lock()
	before := r.trouble
	r.trouble = err
	if err == nil {
		r.made++
		r.last = time.Now()
	}
	r.mu.Unlock()

	switch {
	case err == nil && before != nil:
		r.log.Info("the service's state is reported again")
	case err == nil:
	case errors.Is(err, errNotWorking) && !errors.Is(before, errNotWorking):
		r.log.Error("the manager is not working: the service's state is not reported")
	case !errors.Is(err, errNotWorking) && (before == nil || errors.Is(before, errNotWorking)):
		r.log.WithError(err).Error("cannot report the service's state")
	}
}

func (r *reports) status() (made uint64, last time.Time, trouble error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made, r.last, r.trouble
}
