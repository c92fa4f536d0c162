//go:build integration

package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goslo/goslo/messaging"
)

// brokerFaults are what happens to the broker itself.
var brokerFaults = []fault{
	{
		name: "frozen-broker", short: true,
		inject: freeze,
		hold:   held(20*time.Second, 3*time.Second),
		heal:   func(r *run) { r.must(r.suite.broker.Resume(context.WithoutCancel(r.t.Context()))) },
		back:   3 * time.Second,
	},
	{
		name:   "stop-broker",
		inject: func(r *run) { r.must(r.suite.broker.Stop(r.t.Context())) },
		heal:   startAgain,
		back:   5 * time.Second,
	},
	{
		name: "kill-broker", short: true,
		inject: func(r *run) { r.must(r.suite.broker.Kill(r.t.Context())) },
		heal:   startAgain,
		back:   5 * time.Second,
	},
	alarm("memory-alarm", []string{"set_vm_memory_high_watermark", "0.00001"}, []string{"set_vm_memory_high_watermark", "0.6"}),
	alarm("disk-alarm", []string{"set_disk_free_limit", "1000000000000000"}, []string{"set_disk_free_limit", "50000000"}),
	refusal("password", "user", []string{"change_password", suiteUser, "another"}, []string{"change_password", suiteUser, secretHere}),
	refusal("permissions", "virtual host", []string{"clear_permissions", "-p", "/", suiteUser},
		[]string{"set_permissions", "-p", "/", suiteUser, ".*", ".*", ".*"}),
	refusal("connection-limit", "user", []string{"set_user_limits", suiteUser, `{"max-connections": 0}`},
		[]string{"clear_user_limits", suiteUser, "max-connections"}),
	virtualHost(),
}

// must ends a row whose fault cannot be made.
func (r *run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func startAgain(r *run) { r.must(r.suite.broker.StartAgain(context.WithoutCancel(r.t.Context()))) }

// freeze stops the broker's processes, and sees what that does to a transport that has just connected and to one
// that connects now.
func freeze(r *run) {
	fresh, late := r.open(r.url), r.open(r.url)
	r.must(fresh.Ping(r.t.Context()))
	r.must(r.suite.broker.Pause(r.t.Context()))
	r.injected = time.Now()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
	defer cancel()
	if err := late.Ping(ctx); err == nil {
		r.t.Error("a frozen broker answers")
	}
	r.atMost("an attempt to connect, frozen, deadline 1 s", time.Since(r.injected), time.Second+lateness)
	for what, p := range map[string]*party{"frozen right after the dial": fresh, "frozen during the dial": late} {
		begun := time.Now()
		if err := p.Close(context.WithoutCancel(r.t.Context())); err != nil {
			r.t.Errorf("close, %s: %v", what, err)
		}
		r.atMost("Close, "+what, time.Since(begun), closeTime)
	}
}

// alarm is a broker without memory, or disk: it stops reading from who publishes.
func alarm(name string, raise, lower []string) fault {
	const waiting, each = 40, 100 * time.Millisecond
	var one *bystander
	return fault{
		name: name,
		inject: func(r *run) {
			one = r.startBystander(1)
			for range waiting {
				one.cast(r, each)
			}
			r.ctl(raise...)
			r.injected = time.Now()
			one.ranBefore = one.ran()
			one.cast(r, 0) // the broker does not read it
		},
		hold: held(8*time.Second, 6*time.Second),
		heal: func(r *run) {
			consumed := one.ran() - one.ranBefore
			r.promise("consumers keep running", fmt.Sprintf("%d more were run, of %d that waited", consumed, waiting-one.ranBefore),
				consumed == waiting-one.ranBefore)
			failed := r.history.count(func(o *operation) bool { return o.failed() && o.sent.After(r.injected) })
			r.promise("publish fails at its deadline", fmt.Sprintf("%d failed", failed), failed > 0)
			r.ctl(lower...)
		},
		back: 2 * time.Second,
		check: func(r *run) {
			r.none("connections lost in the alarm", len(r.journal.times(saysLost, r.injected)), 2*clients+2*servers)
		},
	}
}

// bystander is a server of its own that runs one method at a time, and a client of it. Both end with the load.
type bystander struct {
	client *messaging.Client
	ids    []string

	ranBefore int
	history   *history
}

// startBystander starts a server that runs so many methods at once.
func (r *run) startBystander(places int) *bystander {
	r.t.Helper()
	p := r.open(r.url)
	r.load.parties = append(r.load.parties, p)
	on := r.target("slow")
	on.Topic += "-slow"
	srv, err := messaging.NewRPCServer(p.Transport, on, r.load.endpoints("slow"), messaging.WithExecutorThreadPoolSize(places))
	r.must(err)
	r.must(srv.Start(r.t.Context()))
	r.load.servers = append(r.load.servers, srv)
	c, err := messaging.NewClient(p.Transport, messaging.Target{Exchange: on.Exchange, Topic: on.Topic, Server: on.Server})
	r.must(err)
	return &bystander{client: c, history: r.history}
}

// cast sends the bystander something to do.
func (b *bystander) cast(r *run, takes time.Duration) {
	r.t.Helper()
	sent := time.Now()
	ctx, cancel := context.WithDeadline(r.t.Context(), sent.Add(time.Second))
	defer cancel()
	id := b.history.begin(cast, -1, sent, sent.Add(time.Second))
	err := b.client.Cast(ctx, "work", work{ID: id, Milliseconds: int(takes.Milliseconds())})
	b.history.end(id, time.Now(), err)
	b.ids = append(b.ids, id)
}

// ran is how many of the casts have begun to run.
func (b *bystander) ran() int {
	return b.history.count(func(o *operation) bool { return o.client == -1 && len(o.runs) > 0 })
}

// What rabbitmqctl's arguments hold in place of the user and password of the suite, which it makes later.
const (
	suiteUser  = "faults"
	secretHere = "{secret}"
)

// refusal is a broker that refuses what it granted before, and grants it again.
func refusal(name, entity string, take, give []string) fault {
	with := func(r *run, args []string) []string {
		filled := make([]string, len(args))
		for i, arg := range args {
			filled[i] = strings.ReplaceAll(arg, secretHere, r.suite.secret)
		}
		return filled
	}
	return fault{
		name: name + "-taken",
		inject: func(r *run) {
			r.ctl(with(r, take)...)
			r.ctl("close_all_connections", "for a test")
			r.injected = time.Now()
		},
		hold: held(15*time.Second, 3*time.Second),
		heal: func(r *run) {
			name := suiteUser
			if entity == "virtual host" {
				name = "'/'"
			}
			r.clearError(entity, name)
			r.ctl(with(r, give)...)
		},
		back: 30 * time.Second,
	}
}

// clearError promises that an operation that cannot be done now says why: with the broker's reason, and which user or
// virtual host it is about.
func (r *run) clearError(entity, name string) {
	r.t.Helper()
	var reason string
	var err error
	told := r.until(10*time.Second, func() bool { // the first attempts may still hear why the connection was closed
		ctx, cancel := context.WithTimeout(r.t.Context(), 100*time.Millisecond)
		defer cancel()
		err = r.load.clients[0].Cast(ctx, "work", work{ID: "refused"})
		if err == nil {
			return false
		}
		_, reason, _ = strings.Cut(err.Error(), "last attempt: ")
		return isTyped(err) && reason != "" && !strings.Contains(reason, "CONNECTION_FORCED")
	})
	if err == nil {
		reason = "no error"
	}
	r.promise("a clear error that names the "+entity, reason, told && strings.Contains(reason, name))
}

// virtualHost is one that is deleted and made again, with all in it.
func virtualHost() fault {
	const name = "faults-vhost"
	grant := func(r *run) {
		r.ctl("add_vhost", name)
		r.ctl("set_permissions", "-p", name, suiteUser, ".*", ".*", ".*")
	}
	return fault{
		name: "vhost-taken", losesQueue: true, vhost: name,
		prepare: grant,
		inject: func(r *run) {
			r.ctl("delete_vhost", name)
			r.injected = time.Now()
		},
		hold: held(15*time.Second, 3*time.Second),
		heal: func(r *run) {
			r.clearError("virtual host", name)
			grant(r)
		},
		back: 30 * time.Second,
	}
}
