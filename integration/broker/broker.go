// Package broker gets the RabbitMQ that integration tests and benchmarks talk to, stops it, kills it and
// starts it again.
//
// [Start] looks in this order, and the first that is there wins:
//
//  1. RABBITMQ_URL: a broker that somebody else runs. It is used, never controlled.
//  2. A Docker engine that answers: a container of GOSLO_RABBITMQ_IMAGE, else of [DefaultImage].
//  3. The rabbitmq-server package: a node of our own, run by scripts/rabbitmq-native.sh.
//
// GOSLO_BROKER (url, docker or native) names one of the three and rules out the others. In tests use
// [Shared], or [ForTest] for a broker that the test stops; both skip when none of the three is there, and
// fail instead when GOSLO_REQUIRE_BROKER is 1. [StartCluster] and [ClusterForTest] start three nodes, with an engine only.
//
// What this package starts, it removes: by [Broker.Close], or through a shell that outlives this process and
// waits for its end, or, when even that was killed, by the next Start an hour later.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Where a broker came from, as [Broker.Kind] tells and GOSLO_BROKER takes it.
const (
	KindURL    = "url"
	KindDocker = "docker"
	KindNative = "native"
)

var (
	// ErrNone is what [Start] fails with when the machine offers no broker at all.
	ErrNone = errors.New("no broker: set RABBITMQ_URL, or start a Docker engine, or install rabbitmq-server " +
		"(scripts/test-env.sh prepares the last two)")

	// ErrNoControl is what the methods that stop, start or inspect a broker fail with when it is somebody
	// else's, and what [Start] fails with when an option needs a broker of our own.
	ErrNoControl = errors.New("the broker in RABBITMQ_URL is not ours to control")
)

// startTimeout bounds everything that waits for a node: 10 s is usual, a busy machine takes five times that.
const startTimeout = 3 * time.Minute

// Broker is a running RabbitMQ. Its methods may be called from several goroutines, but those that stop or
// start the broker only one at a time.
type Broker struct {
	kind string
	url  string // amqp://
	node node   // nil for KindURL

	tlsPort int // 0 where it does not listen for TLS

	mu     sync.Mutex // protects what follows
	vhosts int        // that were made
	spare  []string   // of them, which nobody uses yet
}

// vhostsAtOnce is how many virtual hosts are made by one rabbitmqctl, which takes seconds.
const vhostsAtOnce = 8

// node is a broker that this process started.
type node interface {
	start(ctx context.Context) error // again, on the same port
	stop(ctx context.Context) error
	kill(ctx context.Context) error
	pause(ctx context.Context) error
	resume(ctx context.Context) error
	configure(ctx context.Context, settings string) error
	ctl(ctx context.Context, args ...string) (string, error)
	remove(ctx context.Context) error
}

// Option is a wish about the broker that [Start] gets.
type Option func(*config)

type config struct {
	own      bool   // must be ours
	image    string // empty: the environment's choice
	settings string // lines for rabbitmq.conf
	tls      *TLS
	member   *member // nil outside of a cluster
}

// WithControl asks for a broker that can be stopped: Start fails with [ErrNoControl] if RABBITMQ_URL is set.
func WithControl() Option { return func(c *config) { c.own = true } }

// WithImage asks for a container of this image, whatever GOSLO_RABBITMQ_IMAGE says. It implies [WithControl]
// and rules out a native node.
func WithImage(image string) Option { return func(c *config) { c.own, c.image = true, image } }

// WithSettings adds lines in the format of rabbitmq.conf. It implies [WithControl].
func WithSettings(lines ...string) Option {
	return func(c *config) {
		c.own = true
		c.settings += strings.Join(lines, "\n") + "\n"
	}
}

// Start gets a broker and returns when AMQP answers a handshake, after at most three minutes. It fails with
// [ErrNone] when there is none to be had, with [ErrNoControl] when an option rules out the one in
// RABBITMQ_URL, and with what went wrong when one was there and did not start.
func Start(ctx context.Context, opts ...Option) (*Broker, error) {
	var cfg config
	for _, opt := range opts {
		opt(&cfg)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	only := os.Getenv("GOSLO_BROKER")
	try := func(kind string) bool { return only == "" || only == kind }
	switch only {
	case "", KindURL, KindDocker, KindNative:
	default:
		return nil, fmt.Errorf("GOSLO_BROKER is %q, want %s, %s or %s", only, KindURL, KindDocker, KindNative)
	}
	if external := os.Getenv("RABBITMQ_URL"); external != "" && try(KindURL) {
		if cfg.own {
			return nil, ErrNoControl
		}
		return useExternal(ctx, external)
	}
	// An engine without a usable image does not rule out an installed rabbitmq-server: go on, and tell both.
	errs := []error{ErrNone}
	if try(KindDocker) {
		b, err := startDocker(ctx, cfg)
		if err == nil {
			return b, nil
		}
		errs = append(errs, err)
	}
	if try(KindNative) && cfg.image == "" {
		b, err := startNative(ctx, cfg)
		if err == nil {
			return b, nil
		}
		errs = append(errs, err)
	}
	return nil, tellWhy(errs)
}

// errAbsent marks a rung of the ladder that this machine does not have, in contrast to one that broke.
var errAbsent = errors.New("not on this machine")

// tellWhy picks what to report: a rung that broke is an error of its own, rungs that are absent are ErrNone.
func tellWhy(errs []error) error {
	var broken []error
	for _, err := range errs[1:] {
		if !errors.Is(err, errAbsent) {
			broken = append(broken, err)
		}
	}
	if len(broken) > 0 {
		return errors.Join(broken...)
	}
	return errs[0]
}

func useExternal(ctx context.Context, external string) (*Broker, error) {
	b := &Broker{kind: KindURL, url: AMQP(external)}
	// Not wrapped: the parser's error shows the URL, and with it the password.
	if _, err := amqp.ParseURI(b.url); err != nil {
		return nil, errors.New("RABBITMQ_URL is not a URL with a host, or has special characters that are not percent-encoded")
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if _, err := awaitAMQP(ctx, b.url); err != nil {
		return nil, fmt.Errorf("RABBITMQ_URL: %w", err)
	}
	return b, nil
}

// Kind tells where the broker came from: [KindURL], [KindDocker] or [KindNative].
func (b *Broker) Kind() string { return b.kind }

// URL is the broker's transport URL, rabbit://guest:guest@127.0.0.1:PORT/ for a node of our own. It stays the
// same over [Broker.Stop] and [Broker.StartAgain].
func (b *Broker) URL() string { return "rabbit" + strings.TrimPrefix(b.url, "amqp") }

// AMQPURL is [Broker.URL] with the scheme that AMQP libraries expect.
func (b *Broker) AMQPURL() string { return b.url }

// AMQP turns the scheme rabbit of a transport URL into amqp and leaves everything else alone.
func AMQP(transportURL string) string {
	if rest, ok := strings.CutPrefix(transportURL, "rabbit:"); ok {
		return "amqp:" + rest
	}
	return transportURL
}

// CanControl reports whether the broker is ours: whether it can be stopped, started again and asked by Ctl.
func (b *Broker) CanControl() bool { return b.node != nil }

// Stop shuts the broker down cleanly; what is durable stays.
func (b *Broker) Stop(ctx context.Context) error {
	return b.control(ctx, "stop", node.stop)
}

// Kill ends the broker at once, as a crash would.
func (b *Broker) Kill(ctx context.Context) error {
	return b.control(ctx, "kill", node.kill)
}

// StartAgain starts a broker that [Broker.Stop] or [Broker.Kill] ended, on the same port. It returns when
// AMQP answers a handshake, after at most three minutes.
func (b *Broker) StartAgain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := b.control(ctx, "start again", node.start); err != nil {
		return err
	}
	_, err := awaitAMQP(ctx, b.url)
	return err
}

// Pause freezes the broker: connections stay open and nothing answers. [Broker.Resume] ends it.
func (b *Broker) Pause(ctx context.Context) error {
	return b.control(ctx, "pause", node.pause)
}

// Resume lets a paused broker go on.
func (b *Broker) Resume(ctx context.Context) error {
	return b.control(ctx, "resume", node.resume)
}

// Reconfigure sets lines in the format of rabbitmq.conf, which hold beside those of [WithSettings] from the next
// [Broker.StartAgain] on, until other lines are set in their place.
func (b *Broker) Reconfigure(ctx context.Context, lines ...string) error {
	settings := "# for some time\n" + strings.Join(lines, "\n") + "\n"
	return b.control(ctx, "reconfigure", func(n node, ctx context.Context) error { return n.configure(ctx, settings) })
}

// laterSettings is the file that [Broker.Reconfigure] writes.
const laterSettings = "91-later.conf"

// Ctl runs rabbitmqctl -q with args and returns its output without space around it. A command takes a second
// or two.
func (b *Broker) Ctl(ctx context.Context, args ...string) (out string, err error) {
	err = b.control(ctx, "rabbitmqctl", func(n node, ctx context.Context) error {
		out, err = n.ctl(ctx, append([]string{"-q"}, args...)...)
		return err
	})
	return strings.TrimSpace(out), err
}

// NewVHost makes a virtual host that nobody else uses and returns its transport URL. It lives as long as the
// broker. It fails with [ErrNoControl] for the broker in RABBITMQ_URL.
func (b *Broker) NewVHost(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.spare) == 0 {
		if err := b.makeVHosts(ctx); err != nil {
			return "", err
		}
	}
	name := b.spare[0]
	b.spare = b.spare[1:]
	return strings.TrimSuffix(b.URL(), "/") + "/" + url.PathEscape(name), nil
}

// makeVHosts makes some virtual hosts to spare, in which guest may do everything. It is called with the lock held.
func (b *Broker) makeVHosts(ctx context.Context) error {
	var names, quoted []string
	for range vhostsAtOnce {
		b.vhosts++
		name := fmt.Sprintf("v%d-%d", os.Getpid(), b.vhosts)
		names, quoted = append(names, name), append(quoted, "<<\""+name+"\">>")
	}
	_, err := b.Ctl(ctx, "eval", fmt.Sprintf(`[begin ok = rabbit_vhost:add(V, <<"tests">>), `+
		`ok = rabbit_auth_backend_internal:set_permissions(<<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"tests">>) end `+
		`|| V <- [%s]].`, strings.Join(quoted, ", ")))
	if err == nil {
		b.spare = names
	}
	return err
}

// Close removes a broker that this process started, with all it holds. Close twice is harmless.
func (b *Broker) Close() error {
	if b.node == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return b.control(ctx, "remove", node.remove)
}

func (b *Broker) control(ctx context.Context, what string, f func(node, context.Context) error) error {
	if b.node == nil {
		return ErrNoControl
	}
	if err := f(b.node, ctx); err != nil {
		return fmt.Errorf("broker: %s: %w", what, err)
	}
	return nil
}
