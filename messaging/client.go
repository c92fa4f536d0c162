package messaging

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// defaultTimeout is how long a call may take by default (oslo.messaging option rpc_response_timeout).
const defaultTimeout = 60 * time.Second

// Client sends calls and casts to a target. It holds no resource of its own, is never changed and is safe for
// concurrent use.
type Client struct {
	transport *Transport
	config    clientConfig
}

type clientConfig struct {
	target     Target
	timeout    time.Duration
	monitor    time.Duration
	retry      int
	versionCap string
	mandatory  bool
	serializer serializer.Serializer
	errors     *ErrorRegistry

	interceptors interceptors
}

// NewClient makes a client of a target, which needs a topic. It fails with an [*InvalidTargetError] without
// one, or when an option has an impossible value.
func NewClient(t *Transport, to Target, opts ...ClientOption) (*Client, error) {
	c := &Client{transport: t, config: clientConfig{
		target: to, timeout: cmp.Or(t.defaults.timeout, defaultTimeout), retry: transport.RetryForever, serializer: serializer.JSON,
	}}
	if err := to.CheckCast(); err != nil {
		return nil, err
	}
	c = c.Prepare(opts...)
	if err := c.config.check(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *clientConfig) check() error {
	switch {
	case c.timeout <= 0:
		return fmt.Errorf("the client's timeout must be positive, got %s", c.timeout)
	case c.monitor < 0 || c.monitor > 0 && c.monitor < 2*time.Second:
		return fmt.Errorf("the client's call monitor must be 0 or at least 2s, got %s", c.monitor)
	case c.retry < transport.RetryForever:
		return fmt.Errorf("the client's retry must be -1 or more, got %d", c.retry)
	}
	return checkSerializer(c.serializer)
}

// Prepare returns a client that differs in what the options say. It is a cheap copy; a bad option shows when
// the client sends.
func (c *Client) Prepare(opts ...ClientOption) *Client {
	prepared := *c
	for _, opt := range opts {
		opt.applyClient(&prepared.config)
	}
	return &prepared
}

// Call sends method with args and decodes the reply into reply, which may be nil. args is what encodes as an
// object of keyword arguments: a struct or a map; nil is none. method is sent as it is: what names there may be is the
// server's matter (a Go server has none but those that [dispatcher.CheckName] passes), and one that it does not have is
// a failure that matches [ErrNoSuchMethod].
//
// It waits until the context ends; a context without deadline gets the client's timeout, 60 s by default. The
// deadline travels: the context of a method in Go ends with it, and a Go server neither runs a request whose deadline has
// passed nor answers it with an error. That takes clocks that agree to well within the timeout.
//
// Call fails with a [*TimeoutError], which matches [ErrTimeout], the sentinel of its reason ([ErrNotConnected],
// [ErrUnconfirmed], [ErrUndeliverable], [ErrMonitorTimeout]) and [context.DeadlineExceeded] where the deadline was
// it; with [ErrUndeliverable] at once if the client is mandatory and no queue took the request; with
// [ErrConnectionLost], [ErrNotConnected], [ErrRejected], [ErrTooLarge], [ErrTooManySenders] or [ErrClosed] as their names say; with a
// [*VersionCapError]; or with a [*RemoteError] if the method failed. A cancelled call matches the context's error and
// its cause. Call is safe for concurrent use.
func (c *Client) Call(ctx context.Context, method string, args, reply any) error {
	to := c.transport.resolve(c.config.target)
	if err := to.CheckCall(); err != nil {
		return err
	}
	rpc := &RPC{Call: true, Method: method, Target: to}
	return c.config.interceptors.around(ctx, rpc, func(ctx context.Context) error {
		return c.call(ctx, to, method, args, reply)
	})
}

func (c *Client) call(ctx context.Context, to target.Target, method string, args, reply any) error {
	req, err := c.request(ctx, method, args)
	if err != nil {
		return err
	}
	opts := c.sendOptions()
	opts.Monitor = c.config.monitor
	opts.Expiration = c.expiration(ctx)
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	req.Deadline, _ = ctx.Deadline()
	answer, err := c.transport.driver.Call(ctx, to, req, opts)
	if err != nil {
		return fmt.Errorf("call %s on %s: %w", method, to, err)
	}
	codec := withOwn(c.config.serializer).of(answer.ContentType)
	if answer.Failure != nil {
		return receivedError(answer.Failure, codec, c.config.errors)
	}
	if reply == nil {
		return nil
	}
	result := answer.Result
	if result == nil {
		if result, err = codec.Append(nil, nil); err != nil {
			return fmt.Errorf("decode the result of %s: %w", method, err)
		}
	}
	if err := codec.Decode(result, reply); err != nil {
		return fmt.Errorf("decode the result of %s: %w", method, err)
	}
	return nil
}

// Cast sends method with args to one server of the target and returns when the broker has taken it; what
// the method does or returns is not known. The context and errors are as for [Client.Call], but that no reply is
// waited for, and no deadline travels: Cast fails with [ErrUnconfirmed] if the context ends before the broker has
// confirmed.
func (c *Client) Cast(ctx context.Context, method string, args any) error {
	return c.cast(ctx, c.config.target, method, args)
}

// Fanout sends method with args to every server of the target's topic, as Cast does to one.
func (c *Client) Fanout(ctx context.Context, method string, args any) error {
	to := c.config.target
	to.Fanout = true
	return c.cast(ctx, to, method, args)
}

func (c *Client) cast(ctx context.Context, to target.Target, method string, args any) error {
	to = c.transport.resolve(to)
	if err := to.CheckCast(); err != nil {
		return err
	}
	return c.config.interceptors.around(ctx, &RPC{Method: method, Target: to}, func(ctx context.Context) error {
		return c.send(ctx, to, method, args)
	})
}

func (c *Client) send(ctx context.Context, to target.Target, method string, args any) error {
	req, err := c.request(ctx, method, args)
	if err != nil {
		return err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.transport.driver.Cast(ctx, to, req, c.sendOptions()); err != nil {
		return fmt.Errorf("cast %s on %s: %w", method, to, err)
	}
	return nil
}

// CanSendVersion reports whether the client's version cap lets it ask for version; without a cap it may ask
// for any.
func (c *Client) CanSendVersion(version string) bool {
	if c.config.versionCap == "" {
		return true
	}
	if version == "" {
		return false
	}
	ok, err := target.Compatible(c.config.versionCap, version)
	return ok && err == nil
}

// request encodes the arguments and the request context.
func (c *Client) request(ctx context.Context, method string, args any) (*transport.Request, error) {
	if err := c.config.check(); err != nil {
		return nil, err
	}
	if version := c.config.target.Version; !c.CanSendVersion(version) {
		return nil, &VersionCapError{Version: version, Cap: c.config.versionCap}
	}
	req := &transport.Request{
		ContentType: c.config.serializer.ContentType(),
		Method:      method,
		Namespace:   wire.SomeOrAbsent(c.config.target.Namespace),
		Version:     wire.SomeOrAbsent(c.config.target.Version),
	}
	var err error
	if req.Args, err = c.arguments(method, args); err != nil {
		return nil, err
	}
	if req.Context, err = contextEntries(ctx, c.config.serializer); err != nil {
		return nil, fmt.Errorf("encode the request context of %s: %w", method, err)
	}
	return req, nil
}

// arguments encodes the keyword arguments, which must be an object; nil is none.
func (c *Client) arguments(method string, args any) (wire.Value, error) {
	if args == nil {
		return nil, nil
	}
	encoded, err := c.config.serializer.Append(nil, args)
	if err != nil {
		return nil, fmt.Errorf("encode the arguments of %s: %w", method, err)
	}
	switch wire.KindOf(c.config.serializer.ContentType(), encoded) {
	case wire.Object:
		return encoded, nil
	case wire.Nil: // a nil pointer or map
		return nil, nil
	case wire.Other:
	}
	return nil, fmt.Errorf("the arguments of %s are a %T: want a struct or a map, the keyword arguments", method, args)
}

func (c *Client) sendOptions() transport.SendOptions {
	return transport.SendOptions{Retry: c.config.retry, Mandatory: c.config.mandatory}
}

// bounded gives a context without deadline the client's timeout.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.config.timeout)
}

// expiration is how long a call may take, in whole milliseconds and at least one: the broker drops the request
// when nobody waits for its reply any more.
func (c *Client) expiration(ctx context.Context) time.Duration {
	left := c.config.timeout
	if deadline, has := ctx.Deadline(); has {
		left = time.Until(deadline)
	}
	return max((left + time.Millisecond/2).Truncate(time.Millisecond), time.Millisecond)
}

// Call is [Client.Call] with the type of its result.
func Call[Res any](ctx context.Context, c *Client, method string, args any) (Res, error) {
	var reply Res
	err := c.Call(ctx, method, args, &reply)
	return reply, err
}
