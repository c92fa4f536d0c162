package messaging

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/serializer"
)

// TransportOption is a choice about a transport.
type TransportOption interface{ applyTransport(*transportConfig) }

// ServerOption is a choice about a server.
type ServerOption interface{ applyServer(*serverConfig) }

// ClientOption is a choice about a client, when it is made or by Prepare.
type ClientOption interface{ applyClient(*clientConfig) }

// Option is a choice that servers and clients share.
type Option interface {
	ServerOption
	ClientOption
}

type transportConfig struct {
	controlExchange string
	log             logrus.FieldLogger
	defaults        defaults
}

type transportOption func(*transportConfig)

func (o transportOption) applyTransport(c *transportConfig) { o(c) }

type serverOption func(*serverConfig)

func (o serverOption) applyServer(c *serverConfig) { o(c) }

type clientOption func(*clientConfig)

func (o clientOption) applyClient(c *clientConfig) { o(c) }

// WithControlExchange names the exchange of targets that name none; the default is "openstack"
// (oslo.messaging option control_exchange).
func WithControlExchange(exchange string) TransportOption {
	return transportOption(func(c *transportConfig) { c.controlExchange = exchange })
}

// WithLogger takes the logger of a transport, and of the servers made on it; the default is
// logrus.StandardLogger().
func WithLogger(log logrus.FieldLogger) TransportOption {
	return transportOption(func(c *transportConfig) { c.log = log })
}

// WithExecutor chooses how handlers run; the default is [executor.Threading].
func WithExecutor(kind executor.Type) ServerOption {
	return serverOption(func(c *serverConfig) { c.executor = kind })
}

// WithExecutorThreadPoolSize bounds how many handlers run at once; the default is 64 (oslo.messaging option
// executor_thread_pool_size), and so is 0.
func WithExecutorThreadPoolSize(size int) ServerOption {
	return serverOption(func(c *serverConfig) { c.poolSize = size })
}

// WithPrefetch sets how many messages the broker may hand over unacknowledged on each queue of the server. The
// default, also for 0, is twice the number of handlers that run at once and at least 16 (256 on a server with a
// limited method, see [Limit]); it cannot be unlimited, which is oslo.messaging's default (rabbit_qos_prefetch_count = 0).
func WithPrefetch(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.prefetch = n })
}

// WithLogAfter sets after how long a lifecycle call that waits for another warns of a possible hang; the
// default is 30 s, 0 is never.
func WithLogAfter(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.logAfter = d })
}

// ToServer sends to one server of the topic.
func ToServer(server string) ClientOption {
	return clientOption(func(c *clientConfig) { c.target.Server = server })
}

// ToNamespace asks for the interface of that name.
func ToNamespace(namespace string) ClientOption {
	return clientOption(func(c *clientConfig) { c.target.Namespace = namespace })
}

// ToVersion asks for that version of the interface. Empty sends none, which is "1.0" to a server.
func ToVersion(version string) ClientOption {
	return clientOption(func(c *clientConfig) { c.target.Version = version })
}

// WithTimeout is how long a call or a cast may take whose context has no deadline; the default is 60 s
// (oslo.messaging option rpc_response_timeout).
func WithTimeout(d time.Duration) ClientOption {
	return clientOption(func(c *clientConfig) { c.timeout = d })
}

// WithCallMonitor makes calls fail when the server gives no sign of life for d, while the whole call may take
// longer. At least 2 s: servers answer nothing shorter. The default, 0, is no monitoring.
func WithCallMonitor(d time.Duration) ClientOption {
	return clientOption(func(c *clientConfig) { c.monitor = d })
}

// WithRetry is how many further attempts to reach the broker a send makes; the default, -1, goes on for as long
// as the context lasts.
func WithRetry(n int) ClientOption {
	return clientOption(func(c *clientConfig) { c.retry = n })
}

// WithVersionCap refuses to send requests for a version that the cap is not compatible with, by a
// [*VersionCapError].
func WithVersionCap(version string) ClientOption {
	return clientOption(func(c *clientConfig) { c.versionCap = version })
}

// WithMandatory makes sends fail with [ErrUndeliverable] at once when no queue takes the message (oslo.messaging's
// transport option at_least_once); by default a cast is dropped in silence, and a call times out. A fanout ignores
// it.
func WithMandatory() ClientOption {
	return clientOption(func(c *clientConfig) { c.mandatory = true })
}

type serializerOption struct{ s serializer.Serializer }

func (o serializerOption) applyServer(c *serverConfig) { c.serializer = o.s }
func (o serializerOption) applyClient(c *clientConfig) { c.serializer = o.s }

// WithSerializer chooses how a client encodes arguments and request contexts, and thereby the content type of its
// messages; the default is [serializer.JSON], the only one that Python peers read. A server reads every content
// type and answers in the caller's: here the option replaces the serializer of one.
func WithSerializer(s serializer.Serializer) Option { return serializerOption{s} }
