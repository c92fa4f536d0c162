package messaging

import (
	"slices"
	"sync"
	"time"
)

// RunningRequest is a request whose endpoint method runs. Its texts are the sender's: see that they are fit for where
// they are shown.
type RunningRequest struct {
	// Method and Namespace are what was asked for.
	Method, Namespace string
	// MsgID is the id of a call; a cast has none.
	MsgID string
	// Since is when the method was called.
	Since time.Time
}

// runningRequests are those of a server. The zero value is ready.
type runningRequests struct {
	mu    sync.Mutex
	since map[*job]time.Time
}

func (r *runningRequests) begin(j *job) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil {
		r.since = make(map[*job]time.Time)
	}
	r.since[j] = now
}

func (r *runningRequests) end(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, j)
}

// Running lists the requests whose methods run at the moment, the one that has run longest first.
func (s *MessageHandlingServer) Running() []RunningRequest {
	s.running.mu.Lock()
	list := make([]RunningRequest, 0, len(s.running.since))
	for j, since := range s.running.since {
		id, _ := j.request.MsgID.Text()
		list = append(list, RunningRequest{
			Method: j.request.Method, Namespace: j.request.Namespace.Text, MsgID: id, Since: since,
		})
	}
	s.running.mu.Unlock()
	slices.SortFunc(list, func(a, b RunningRequest) int { return a.Since.Compare(b.Since) })
	return list
}
