package rpcservice

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/loglimit"
)

// State prints what the service does: since when it works, what was received and what became of it, and each method that
// runs, the longest first. It is made for a report or a backdoor:
//
//	state.Register("rpc service "+name, svc.State)
//
// It shows no arguments. What peers have sent is quoted.
func (s *RPCService) State(w io.Writer) {
	now := time.Now()
	fmt.Fprintf(w, "service = %s\nversion = %s\ntopic = %s\nhost = %s\n", s.config.Name, s.config.Version, s.config.Topic, s.config.Host)
	s.writePhase(w, now)
	s.writeBackdoor(w)
	s.writeReports(w, now)
	s.writeTasks(w)
	s.writeMessages(w)
	s.writeRunning(w, now)
}

func (s *RPCService) writePhase(w io.Writer, now time.Time) {
	l := s.current()
	if l == nil {
		fmt.Fprintln(w, "phase = not started")
		return
	}
	s.mu.Lock()
	phase, since := l.phase, l.since
	s.mu.Unlock()
	fmt.Fprintf(w, "phase = %s since %s\n", phase, at(since, now))
}

func (s *RPCService) writeBackdoor(w io.Writer) {
	if port := portOrNull(s.config.BackdoorPort); port != nil {
		fmt.Fprintf(w, "backdoor port = %d\n", *port)
	}
}

func (s *RPCService) writeReports(w io.Writer, now time.Time) {
	if s.config.ReportState == nil {
		return
	}
	made, last, trouble := s.reports.status()
	if made == 0 {
		fmt.Fprintln(w, "reports = 0")
	} else {
		fmt.Fprintf(w, "reports = %d, the last at %s\n", made, at(last, now))
	}
	if trouble != nil {
		fmt.Fprintf(w, "no report now = %s\n", loglimit.Quote(trouble.Error()))
	}
}

func (s *RPCService) writeTasks(w io.Writer) {
	s.mu.Lock()
	tasks := s.tasks
	s.mu.Unlock()
	if tasks != nil {
		fmt.Fprintf(w, "periodic tasks = %s\n", strings.Join(tasks.Names(), ", "))
	}
}

func (s *RPCService) writeMessages(w io.Writer) {
	stats := s.server.Stats()
	fmt.Fprintf(w, "turns of the consume loop = %d\n", s.server.Progress())
	fmt.Fprintf(w, "received = %d\nredelivered = %d\nexpired = %d\nrefused = %d\nfailed = %d\n",
		stats.Received, stats.Redelivered, stats.Expired, stats.Refused, stats.Failed)
	fmt.Fprintf(w, "requeued = %d\nparked = %d\nabandoned = %d\n", stats.Requeued, stats.Parked, stats.Abandoned)
}

func (s *RPCService) writeRunning(w io.Writer, now time.Time) {
	running := s.server.Running()
	fmt.Fprintf(w, "running = %d\n", len(running))
	for _, r := range running {
		fmt.Fprintf(w, "  %s since %s", loglimit.Quote(r.Method), at(r.Since, now))
		if r.Namespace != "" {
			fmt.Fprintf(w, ", namespace %s", loglimit.Quote(r.Namespace))
		}
		if r.MsgID != "" {
			fmt.Fprintf(w, ", message %s", loglimit.Quote(r.MsgID))
		}
		fmt.Fprintln(w)
	}
}

// at tells when something happened, and how long ago that is.
func at(t, now time.Time) string {
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), now.Sub(t).Round(time.Millisecond))
}
