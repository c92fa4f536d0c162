package messaging

import "context"

// backlog bounds the requests that are acknowledged and not begun: each holds one of its places. It is nil unless a
// server acknowledges what it receives.
type backlog chan struct{}

// enter waits for a place. It fails with ctx's cause where ctx ends first.
func (b backlog) enter(ctx context.Context) error {
	select {
	case b <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b backlog) leave() { <-b }

// close waits until all places are free, and takes them: nothing may enter any more. It reports false where ctx
// ends first.
func (b backlog) close(ctx context.Context) bool {
	for range cap(b) {
		if b.enter(ctx) != nil {
			return false
		}
	}
	return true
}

// receive is poll where requests are acknowledged at once: they wait in limits, for their method and for a place.
func (s *MessageHandlingServer) receive(r *run) error {
	for r.turns.wait(r.backlog.enter) == nil {
		in, err := r.next()
		if err != nil {
			r.backlog.leave()
			return pollError(err)
		}
		j := s.newJob(in)
		if !s.acknowledge(r, j) {
			r.backlog.leave()
			continue
		}
		r.limits.enqueue(j)
	}
	return nil
}

// beginAll waits until everything is begun that was acknowledged when it was received. What ctx leaves no time for
// is not run any more.
func (s *MessageHandlingServer) beginAll(ctx context.Context, r *run) {
	if r.begunAll || r.backlog.close(ctx) {
		r.begunAll = true
		return
	}
	r.begunAll = true // a second Wait has nothing to wait for here
	r.stopHandling(errStopped)
	for _, j := range r.limits.drain() {
		s.abandon(r, j)
	}
}

// abandon tells the caller of a request that is off its queue and cannot be run.
func (s *MessageHandlingServer) abandon(r *run, j *job) {
	r.backlog.leave()
	s.abandoned.Add(1)
	s.requestLog(j.request).WithField("call", j.request.Call()).Error("lost: acknowledged and not run")
	s.answerFailure(r, j.in, errAbandoned)
}
