package messaging

import (
	"context"
	"time"

	"github.com/goslo/goslo/transport"
)

// heartbeats tell a caller that its method still runs, for as long as they are not stopped.
type heartbeats struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// startHeartbeats begins to send signs of life where the caller wants them: every half of its monitor timeout,
// the first after one interval (oslo_messaging/rpc/dispatcher.py, _watchdog).
func (s *MessageHandlingServer) startHeartbeats(r *run, in transport.Incoming) *heartbeats {
	interval, ok := in.Request().HeartbeatInterval()
	if !ok {
		s.warnOfMonitor(in.Request())
	}
	if interval == 0 || !in.Request().Call() {
		return nil
	}
	ctx, cancel := context.WithCancel(r.handling)
	h := &heartbeats{cancel: cancel, done: make(chan struct{})}
	go h.beat(ctx, interval, func() error { return in.Heartbeat(ctx) })
	return h
}

// warnOfMonitor logs, once a minute, that a caller asks for heartbeats that cannot be sent.
func (s *MessageHandlingServer) warnOfMonitor(req *transport.Request) {
	if held, pass := s.limit.Pass("monitor timeout"); pass {
		s.requestLog(req).WithField("held_back", held).Warn("the caller's monitor timeout cannot be served: no heartbeats")
	}
}

// beat ends with ctx or with the first heartbeat that cannot be sent; the call goes on then.
func (h *heartbeats) beat(ctx context.Context, interval time.Duration, send func() error) {
	defer close(h.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if send() != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// stop returns when no heartbeat is under way any more. A nil h has none.
func (h *heartbeats) stop() {
	if h == nil {
		return
	}
	h.cancel()
	<-h.done
}
