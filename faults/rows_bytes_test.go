//go:build integration

package faults

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/messaging"
)

// bytesFaults cut each connection after so many bytes, wherever in dial, declaration, publication or confirm that is.
var bytesFaults = []fault{{name: "cut-at-every-byte", short: true, alone: true, inject: cutEverywhere}}

const (
	lastCut  = 4000
	sampled  = 97 // the short form cuts at every so-manieth byte, and starts elsewhere each time
	atOnce   = 16
	cutLimit = 500 * time.Millisecond
	// hang is what nothing may take, from the first call to the end of Close.
	hang = 10 * time.Second
)

// cutEverywhere plays each cut in both directions, several at a time.
func cutEverywhere(r *run) {
	before := baseline()
	step, first := 1, 1
	if r.short {
		step, first = sampled, 1+int(time.Now().UnixNano()%sampled)
	}
	var mu sync.Mutex // protects the sums
	var sum cutOutcome
	cuts, hung := 0, 0
	free := make(chan struct{}, atOnce)
	var playing sync.WaitGroup
	for at := first; at <= lastCut; at += step {
		for _, way := range []string{"upstream", "downstream"} {
			free <- struct{}{} // given back when a cut has been played, which is bounded
			playing.Go(func() {
				defer func() { <-free }()
				o := r.cutAt(at, way)
				mu.Lock()
				defer mu.Unlock()
				cuts++
				if o.took > hang {
					hung++
				}
				sum = cutOutcome{good: sum.good + o.good, untyped: sum.untyped + o.untyped, took: max(sum.took, o.took)}
			})
		}
	}
	playing.Wait()
	r.network.close()
	r.none("hung for more than 10 s", hung, cuts)
	r.none("failed without a typed error", sum.untyped, cuts)
	r.tell("slowest, with deadlines of 0.5 s and Close", sum.took.Round(time.Millisecond).String())
	r.tell("operations that succeeded before the cut", strconv.Itoa(sum.good))
	r.leftovers(before)
}

// cutOutcome is what came of one cut.
type cutOutcome struct {
	good, untyped int
	took          time.Duration
}

// cutAt starts a server, casts, and calls over a network that cuts every connection after so many bytes one way.
func (r *run) cutAt(at int, way string) (o cutOutcome) {
	n := newNetwork(r.t, r.suite.address())
	defer n.close()
	n.add(r.t, way, "limit_data", fmt.Sprintf(`{"bytes": %d}`, at))
	p := r.open(r.suite.url(n.address(), r.fault))
	begun := time.Now()
	defer func() { o.took = time.Since(begun) }()
	ctx, cancel := context.WithTimeout(r.t.Context(), cutLimit)
	defer cancel()
	to := messaging.Target{Exchange: r.topic + "-x", Topic: fmt.Sprintf("%s-%d-%s", r.topic, at, way), Server: "s1"}
	srv, err := messaging.NewRPCServer(p.Transport, to, (&load{run: r}).endpoints("s1"))
	if err != nil {
		r.t.Error(err)
		return o
	}
	c, err := messaging.NewClient(p.Transport, to)
	if err != nil {
		r.t.Error(err)
		return o
	}
	var doing sync.WaitGroup
	var good, untypedErrors atomic.Int64
	note := func(err error) {
		switch {
		case err == nil:
			good.Add(1)
		case !isTyped(err):
			r.t.Logf("cut %s after %d bytes: %v", way, at, err)
			untypedErrors.Add(1)
		}
	}
	started := false
	doing.Go(func() {
		err := srv.Start(ctx)
		started = err == nil
		note(err)
	})
	doing.Go(func() { note(c.Cast(ctx, "work", work{ID: "cut"})) })
	doing.Go(func() { note(c.Call(ctx, "work", work{ID: "cut"}, nil)) })
	doing.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	if started { // else Stop waits for a Start that succeeds
		if err := errors.Join(srv.Stop(end), srv.Wait(end)); err != nil && !isTyped(err) {
			r.t.Logf("cut %s after %d bytes: stop: %v", way, at, err)
		}
	}
	if err := p.Close(end); err != nil {
		r.t.Errorf("cut %s after %d bytes: close: %v", way, at, err)
	}
	return cutOutcome{good: int(good.Load()), untyped: int(untypedErrors.Load())}
}
