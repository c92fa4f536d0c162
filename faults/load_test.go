//go:build integration

package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// The load of every row. It is bounded: an operation ends with its deadline, so that no more than deadline times rate
// are under way.
const (
	servers = 3
	clients = 4

	callEvery   = time.Second / 50 // of each client
	castEvery   = time.Second / 25 // of each client: 100 a second
	fanoutEvery = time.Second / 5  // of each client: 20 a second

	// deadline is how long an operation of the load may take.
	deadline = 5 * time.Second
)

// party is a transport and its driver.
type party struct {
	*messaging.Transport
	driver *rabbit.Driver
}

// open makes a party on a URL, which logs to the row's journal.
func (r *run) open(url string) *party {
	r.t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		r.t.Fatal(err)
	}
	log := r.journal.logger()
	driver, err := rabbit.Open(u, rabbit.WithLogger(log))
	if err != nil {
		r.t.Fatal(err)
	}
	p := &party{Transport: messaging.NewTransport(driver, messaging.WithLogger(log)), driver: driver}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened = append(r.opened, p)
	return p
}

// abandon closes what a row has left open that could not go on, so that it does not spoil the next.
func (r *run) abandon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	if r.load != nil {
		r.load.stop()
	}
	for _, p := range r.opened {
		_ = p.Close(ctx) // closed twice is no harm
	}
	if r.load != nil {
		r.load.sending.Wait()
	}
	r.network.close()
}

// load is three servers, four clients, and what the clients send.
type load struct {
	run     *run
	parties []*party // servers first
	servers []*messaging.MessageHandlingServer
	clients []*messaging.Client

	stop    context.CancelFunc
	sending sync.WaitGroup
	running atomic.Int64 // methods
}

// endpoints are the methods of a server, which note in the history what they run.
func (l *load) endpoints(server string) []*messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.Handle(ep, "work", func(ctx context.Context, w work) (string, error) {
		l.running.Add(1)
		defer l.running.Add(-1)
		l.run.history.ran(w.ID, server)
		return w.ID, pause(ctx, time.Duration(w.Milliseconds)*time.Millisecond)
	})
	return []*messaging.Endpoint{ep}
}

// work is what clients ask for.
type work struct {
	ID           string `json:"id"`
	Milliseconds int    `json:"milliseconds"`
	Filler       string `json:"filler,omitempty"`
}

// pause waits, for a context at most.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// target is the row's topic, or one server of it.
func (r *run) target(server string) messaging.Target {
	return messaging.Target{Exchange: r.topic + "-x", Topic: r.topic, Server: server}
}

// startLoad starts servers and clients, sees that each client is answered, and begins to send.
func startLoad(r *run) {
	r.t.Helper()
	l := &load{run: r, stop: func() {}}
	r.load = l
	for i := range servers {
		p := r.open(r.url)
		l.parties = append(l.parties, p)
		l.servers = append(l.servers, l.serve(p, fmt.Sprintf("s%d", i+1)))
	}
	for range clients {
		p := r.open(r.url)
		l.parties = append(l.parties, p)
		c, err := messaging.NewClient(p.Transport, r.target(""), messaging.WithTimeout(deadline))
		if err != nil {
			r.t.Fatal(err)
		}
		l.clients = append(l.clients, c)
		l.call(r.t.Context(), len(l.clients)-1)
	}
	if failed := r.history.failures(); failed != "" {
		r.t.Fatalf("before the fault: %s", failed)
	}
	ctx, cancel := context.WithCancel(r.t.Context()) // by end
	l.stop = cancel
	for i := range l.clients {
		l.every(ctx, callEvery, func() { l.call(r.t.Context(), i) })
		l.every(ctx, castEvery, func() { l.cast(r.t.Context(), i) })
		l.every(ctx, fanoutEvery, func() { l.fanout(r.t.Context(), i) })
	}
}

// serve starts a server of the row's topic.
func (l *load) serve(p *party, name string) *messaging.MessageHandlingServer {
	r := l.run
	r.t.Helper()
	srv, err := messaging.NewRPCServer(p.Transport, r.target(name), l.endpoints(name))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := srv.Start(ctx); err != nil {
		r.t.Fatalf("start server %s: %v", name, err)
	}
	return srv
}

// every begins what do does at a steady rate, without waiting for its end, until ctx ends.
func (l *load) every(ctx context.Context, interval time.Duration, do func()) {
	l.sending.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.sending.Go(do)
			case <-ctx.Done():
				return
			}
		}
	})
}

// call sends one call, and notes what came of it.
func (l *load) call(ctx context.Context, client int) {
	l.note(ctx, call, client, func(ctx context.Context, id string) error { return l.ask(ctx, client, work{ID: id}) })
}

// slowCall is call of what takes so many milliseconds to run.
func (l *load) slowCall(ctx context.Context, client, milliseconds int) {
	l.note(ctx, call, client, func(ctx context.Context, id string) error {
		l.run.history.mark(id)
		return l.ask(ctx, client, work{ID: id, Milliseconds: milliseconds})
	})
}

func (l *load) ask(ctx context.Context, client int, what work) error {
	got, err := messaging.Call[string](ctx, l.clients[client], "work", what)
	if err == nil && got != what.ID {
		return errors.New("the answer of another call") // matches no sentinel
	}
	return err
}

// cast sends one cast, confirmed and taken by a queue where it succeeds.
func (l *load) cast(ctx context.Context, client int) {
	l.note(ctx, cast, client, func(ctx context.Context, id string) error {
		return l.clients[client].Prepare(messaging.WithMandatory()).Cast(ctx, "work", work{ID: id})
	})
}

func (l *load) fanout(ctx context.Context, client int) {
	l.note(ctx, fanout, client, func(ctx context.Context, id string) error {
		return l.clients[client].Fanout(ctx, "work", work{ID: id})
	})
}

func (l *load) note(ctx context.Context, k kind, client int, do func(ctx context.Context, id string) error) {
	sent := time.Now()
	until := sent.Add(deadline)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	id := l.run.history.begin(k, client, sent, until)
	err := do(ctx, id)
	l.run.history.end(id, time.Now(), err)
}

// sessions is how many connections all parties have made.
func (l *load) sessions() (n uint64) {
	for _, p := range l.parties {
		n += p.driver.Stats().Sessions
	}
	return n
}

// end stops sending, lets what was taken run, stops the servers, and closes everything. It returns how long the
// slowest Close took.
func (l *load) end(drained func() bool) (slowest time.Duration) {
	r := l.run
	r.t.Helper()
	l.stop()
	l.sending.Wait() // every operation has a deadline
	r.until(drainTime, drained)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	for _, srv := range l.servers {
		if err := errors.Join(srv.Stop(ctx), srv.Wait(ctx)); err != nil {
			r.t.Errorf("stop a server: %v", err)
		}
	}
	for _, p := range l.parties {
		begun := time.Now()
		if err := p.Close(ctx); err != nil {
			r.t.Errorf("close a transport: %v", err)
		}
		slowest = max(slowest, time.Since(begun))
	}
	return slowest
}
