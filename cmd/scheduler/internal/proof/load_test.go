//go:build integration

package proof

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
	"github.com/goslo/goslo/messaging"
)

// Operations that are begun in a second, whatever becomes of those before them.
var rates = map[load]int{calls: 200, requests: 200, claims: 50}

const (
	// deadline is how long an operation may take: longer than any restart, on a machine that has a lot of other work.
	deadline = time.Minute
	// mostUnderway is how many operations of each kind are under way at once. A machine that cannot keep up with the rates
	// sends less, rather than more and more that waits.
	mostUnderway = 800
	// keepers is how many clients keep connections: one would use the same few of them, and might have none with a front.
	keepers = 8
)

// callers send the loads until they are stopped.
type callers struct {
	t          *testing.T
	ledger     *ledger
	schedulers *rpcapi.Scheduler
	agents     []*messaging.Client // one for each host
	url        string              // of the fronts
	keep       []*http.Client      // each keeps its connections
	connects   *http.Client        // makes a new one for each request

	reused    atomic.Int64 // requests on kept connections
	transport *messaging.Transport
	stopped   chan struct{}
	sending   sync.WaitGroup
}

// startLoads begins to send.
func startLoads(t *testing.T, l *ledger, s *scene) *callers {
	t.Helper()
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	transport, err := messaging.Open(s.bus, messaging.WithControlExchange(s.name), messaging.WithLogger(log))
	must(t, err)
	schedulers, err := rpcapi.NewScheduler(transport, s.name)
	must(t, err)
	c := &callers{
		t: t, ledger: l, schedulers: schedulers, url: s.url, transport: transport, stopped: make(chan struct{}),
		connects: &http.Client{Timeout: deadline, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	for range keepers {
		c.keep = append(c.keep, &http.Client{Timeout: deadline, Transport: &http.Transport{MaxIdleConnsPerHost: 64}})
	}
	for _, host := range s.hosts {
		target := messaging.Target{Topic: agent.Topic, Server: host, Namespace: "claims", Version: "1.0"}
		client, err := messaging.NewClient(transport, target)
		must(t, err)
		c.agents = append(c.agents, client)
	}
	for kind, do := range map[load]func(context.Context, string, int) error{calls: c.call, requests: c.request, claims: c.claim} {
		c.sending.Go(func() { c.send(kind, do) })
	}
	return c
}

// send begins operations of a kind at its rate.
func (c *callers) send(kind load, do func(ctx context.Context, id string, n int) error) {
	ticker := time.NewTicker(time.Second / time.Duration(rates[kind]))
	defer ticker.Stop()
	begun := time.Now()
	places := make(chan struct{}, mostUnderway)
	for sent := 0; ; {
		select {
		case <-ticker.C:
		case <-c.stopped:
			return
		}
		for due := int(time.Since(begun).Seconds() * float64(rates[kind])); sent < due; sent++ { // a ticker drops what comes late
			select {
			case places <- struct{}{}:
			case <-c.stopped:
				return
			}
			c.sending.Go(func() {
				defer func() { <-places }()
				ctx, cancel := context.WithTimeout(c.t.Context(), deadline)
				defer cancel()
				id := c.ledger.begin(kind, time.Now(), cancel)
				err := do(ctx, id, sent)
				c.ledger.end(id, time.Now(), err)
			})
		}
	}
}

// stop sends no more, waits for what was sent, but for what the dead will not answer, and closes everything.
func (c *callers) stop(spans []span) {
	close(c.stopped)
	until(func() bool { return c.ledger.abandon(spans) }, deadline)
	c.sending.Wait() // each has a deadline
	for _, client := range c.keep {
		client.CloseIdleConnections()
	}
	if c.reused.Load() == 0 {
		c.t.Error("no request was sent on a connection that was kept, which shows nothing of those")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.transport.Close(ctx); err != nil {
		c.t.Errorf("close the callers' transport: %v", err)
	}
}

func (c *callers) call(ctx context.Context, id string, _ int) error {
	spec := map[string]any{"flavor": map[string]any{"vcpus": 1, "memory_mb": 1}}
	_, err := c.schedulers.SelectDestinations(withRequestID(ctx, id), nova.SelectDestinationsArgs{SpecObj: spec})
	return err
}

// claim builds an instance on one host after the other.
func (c *callers) claim(ctx context.Context, id string, n int) error {
	args := agent.ClaimArgs{InstanceUUID: strings.TrimPrefix(id, "req-"), Flavor: map[string]any{"vcpus": 1, "memory_mb": 1}}
	_, err := messaging.Call[agent.Claim](withRequestID(ctx, id), c.agents[n%len(c.agents)], "build", args)
	return err
}

func withRequestID(ctx context.Context, id string) context.Context {
	return messaging.WithRequestContext(ctx, messaging.Identity{RequestID: id}.RequestContext())
}

// request asks a front, every other time on a new connection. A front that stops closes the connections that are kept after a
// moment (wsgi.Config.StopLinger), and a question that comes later is lost. So clients of HTTP send it again, package net/http
// too, where that does no harm, as the Idempotency-Key says: if the connection was kept, and has ended before the first byte of
// the answer. On a new connection it fails.
func (c *callers) request(ctx context.Context, id string, n int) error {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		c.ledger.connected(id, info.Conn.LocalAddr().String())
		if info.Reused {
			c.reused.Add(1)
		}
	}}
	const question = `{"flavor": {"vcpus": 1, "memory_mb": 1}}`
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, c.url+"/v1/select_destinations", strings.NewReader(question))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Openstack-Request-Id", id)
	req.Header.Set("Idempotency-Key", id)
	client := c.connects
	if n%2 == 0 {
		client = c.keep[n/2%keepers]
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body) // an answer that is not read to its end costs the connection
	switch err := errors.Join(err, resp.Body.Close()); {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	case resp.Header.Get("X-Openstack-Request-Id") != id:
		return fmt.Errorf("the answer of request %q", resp.Header.Get("X-Openstack-Request-Id"))
	}
	return nil
}
