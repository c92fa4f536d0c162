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
	brokenOff atomic.Bool // by Stop: all that is left is handlers which are deaf to their contexts

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

// over tells whether the run has no connection any more.
func (r *run) over() bool { return r.brokenOff.Load() || r.ended() }

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// longQuiet is how many times as long as the server lingers a connection must have been without a request to be closed at
// once.
const longQuiet = 5

// stop is, in this order: connections that have long been without a request are closed; no more are accepted; each answer
// tells its client that the connection ends; a while for those who have sent a request or are about to; connections without
// one are closed and the others waited for (Shutdown); when the context ends, all are closed.
//
// The first comes first since those who are told that their connection ends look for another, and find such. net/http's
// Shutdown alone would drop requests: those that it reads while it begins, unanswered.
func (r *run) stop(ctx context.Context) error {
	r.pool.closeQuiet(longQuiet * r.linger)
	r.stopping.Store(true)
	_ = r.accepting.Close() // another Stop may have been first
	r.lingerOn(ctx)
	r.closeQuiet(ctx)
	if r.shutdown(ctx); ctx.Err() != nil && !r.ended() {
		r.cancel(errStopped)
		err := errors.Join(context.Cause(ctx), r.http.Close())
		r.brokenOff.Store(true)
		return err
	}
	return r.await(ctx)
}

// lingerTurns is in how many parts the server lingers. A process that has not had its turn for long, and its clients perhaps
// with it, has missed most of them, and lingers for longer.
const lingerTurns = 20

// lingerOn waits for connections to end with a last answer.
func (r *run) lingerOn(ctx context.Context) {
	turn := time.NewTicker(max(r.linger/lingerTurns, 1))
	defer turn.Stop()
	for range lingerTurns {
		select {
		case <-turn.C:
		case <-r.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// unreadTurn is how often a stop looks whether requests that have come have been read by now.
const unreadTurn = time.Millisecond

// closeQuiet closes the connections without a request. It waits for requests that are there to be read, though not for longer
// than the server lingers: Shutdown would drop them.
func (r *run) closeQuiet(ctx context.Context) {
	limit := time.NewTimer(r.linger)
	defer limit.Stop()
	turn := time.NewTicker(unreadTurn)
	defer turn.Stop()
	for r.pool.closeQuiet(0) > 0 {
		select {
		case <-turn.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
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
