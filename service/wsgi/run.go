package wsgi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// run is one life of a server, from Start until all its connections are closed. Its one goroutine, serve, ends with it;
// those of the connections are net/http's, and are waited for through the pool.
type run struct {
	http      *http.Server
	accepting net.Listener
	pool      *pool
	linger    time.Duration
	stopping  atomic.Bool

	ctx    context.Context //nolint:containedctx // what requests' contexts are made of; ends with the run
	cancel context.CancelCauseFunc

	done chan struct{} // closed by serve at its end
	err  error         // why serving failed; to be read after done
}

func newRun(ctx context.Context, accepting net.Listener, poolSize int) *run {
	r := &run{pool: newPool(poolSize), done: make(chan struct{})}
	r.accepting = r.pool.limit(accepting)
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

func (r *run) serve(l net.Listener, log logrus.FieldLogger) {
	defer close(r.done)
	defer r.cancel(errStopped)
	err := r.http.Serve(l)
	if !r.stopping.Load() {
		log.WithError(err).Error("serving failed")
		r.err = errors.Join(err, r.accepting.Close())
	}
	r.pool.wait()
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// stop is, in this order: no more connections are accepted; each answer tells its client that the connection ends; a
// while for those who have sent a request or are about to; connections without one are closed and the others waited
// for (Shutdown); when the context ends, all are closed.
//
// net/http's Shutdown alone would drop requests: those that it reads while it begins, unanswered.
func (r *run) stop(ctx context.Context) error {
	r.stopping.Store(true)
	_ = r.accepting.Close() // another Stop may have been first
	timer := time.NewTimer(r.linger)
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	r.pool.closeFresh()
	if r.shutdown(ctx); ctx.Err() != nil && !r.ended() {
		r.cancel(errStopped)
		return errors.Join(context.Cause(ctx), r.http.Close())
	}
	return r.await(ctx)
}

// shutdown is net/http's, which polls for the last connection in growing steps; the run itself knows at once.
func (r *run) shutdown(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	_ = r.http.Shutdown(ctx) // fails with the context, or where the accepting listener is closed already
}

func (r *run) await(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) wait(ctx context.Context) error {
	if err := r.await(ctx); err != nil {
		return err
	}
	return r.err
}
