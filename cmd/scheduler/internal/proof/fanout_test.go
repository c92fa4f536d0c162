//go:build integration

package proof

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
)

// Four worker processes of one host: each has a fanout, and one of them anything else. So it is when one was killed and
// replaced, too.
func TestFanoutRunsInEachWorkerProcessAndEverythingElseInOne(t *testing.T) {
	l := newLedger()
	s := newScene(t, l)
	p := s.startSchedulers(4)
	client := s.newClient()
	all := messaging.ToNamespace("capacity")
	const times = 100
	var ids []string
	for _, when := range []string{"from the start", "after kill -9 of one"} {
		fanout := l.begin(calls, time.Now(), nil)
		must(t, client.Prepare(all).Fanout(withRequestID(t.Context(), fanout), "report_capacity", nil)) // is refused where it runs
		for range times {
			ids = append(ids, l.begin(calls, time.Now(), nil), l.begin(calls, time.Now(), nil), l.begin(calls, time.Now(), nil))
			topic, server, call := ids[len(ids)-3], ids[len(ids)-2], ids[len(ids)-1]
			must(t, client.Cast(withRequestID(t.Context(), topic), "sync_instance_info", nil))
			must(t, client.Prepare(messaging.ToServer(host)).Cast(withRequestID(t.Context(), server), "sync_instance_info", nil))
			must(t, client.Prepare(all).Call(withRequestID(t.Context(), call), "list_hosts", nil, nil))
		}
		p.await("run of everything "+when, func() bool {
			missing := slices.ContainsFunc(ids, func(id string) bool { return len(l.runsOf(id)) == 0 })
			return !missing && len(l.runsOf(fanout)) >= p.places
		})
		ran := slices.Sorted(slices.Values(l.runsOf(fanout)))
		if want := p.living(); !slices.Equal(ran, want) {
			t.Errorf("%s: a fanout ran in the processes %v, want each of %v once", when, ran, want)
		}
		shares := make(map[int]int)
		for _, id := range ids[len(ids)-3*times:] {
			shares[l.runsOf(id)[0]]++
		}
		if len(shares) != p.places {
			t.Errorf("%s: shares %v, want one for each of %v", when, shares, p.living())
		}
		t.Logf("%s: shares %v", when, shares)
		one := p.living()[0]
		kill(t, one, syscall.SIGKILL)
		p.replaced(one)
	}
	p.terminate() // what a second process would run has run by now
	for _, id := range ids {
		if runs := l.runsOf(id); len(runs) != 1 {
			t.Errorf("%s ran in the processes %v, want one", id, runs)
		}
	}
}

// newClient is one of the schedulers' topic, on a transport of its own.
func (s *scene) newClient() *messaging.Client {
	s.t.Helper()
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	transport, err := messaging.Open(s.bus, messaging.WithControlExchange(s.name), messaging.WithLogger(log))
	must(s.t, err)
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := transport.Close(ctx); err != nil {
			s.t.Error(fmt.Errorf("close the client's transport: %w", err))
		}
	})
	client, err := messaging.NewClient(transport, messaging.Target{Topic: s.name}, messaging.WithMandatory())
	must(s.t, err)
	return client
}
