package messaging

import (
	"fmt"
	"time"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// Options of [DEFAULT], as oslo.messaging has them.
var (
	transportURLOption = &config.Option[string]{
		Name: "transport_url", Type: config.String(), Default: "rabbit://", Secret: true,
		Help: "Where the bus is: driver://user:password@host:port,user:password@host:port/virtual_host?option=value. " +
			"Options of [oslo_messaging_rabbit] may stand in the query, where they win. A change counts for transports that are made " +
			"after a reload, not for those that are open.",
	}
	controlExchangeOption = &config.Option[string]{
		Name: "control_exchange", Type: config.String(), Default: target.DefaultExchange,
		Help: "The exchange of topics, unless a target names another.",
	}
	responseTimeoutOption = &config.Option[time.Duration]{
		Name: "rpc_response_timeout", Type: config.Seconds(config.AtLeast(time.Second)), Default: defaultTimeout,
		Help: "Seconds to wait for a response from a call.",
	}
	poolSizeOption = &config.Option[int]{
		Name: "executor_thread_pool_size", Type: config.Int(config.AtLeast(1), config.AtMost(maxPoolSize)), Default: executor.DefaultSize,
		Help:       "How many methods of a server run at once.",
		Deprecated: []config.Key{{Name: "rpc_thread_pool_size"}},
	}
	pingOption = &config.Option[bool]{
		Name: "rpc_ping_enabled", Type: config.Bool(),
		Help: "Have servers answer the method oslo_rpc_server_ping.",
	}
)

// maxPoolSize is half of what AMQP can count: the broker hands over twice as many messages as methods can run.
const maxPoolSize = 32_767

// ConfigOptions are the options that [TransportFromConfig] reads: those of [DEFAULT] about the bus and all of
// [oslo_messaging_rabbit], with oslo.messaging's names. Register them before the configuration is loaded, so that they have
// flags.
func ConfigOptions() []config.Definition {
	opts := []config.Definition{transportURLOption, controlExchangeOption, responseTimeoutOption, poolSizeOption, pingOption}
	for _, o := range rabbitOptions {
		opts = append(opts, o.option)
	}
	return opts
}

// TransportFromConfig makes a transport as a configuration says, as [Open] does from a URL. It reads, of [DEFAULT],
// transport_url, control_exchange (where it is not given, that of opts counts), rpc_response_timeout, the default timeout
// of clients on the transport, executor_thread_pool_size and rpc_ping_enabled, defaults of its servers, and the options of
// [oslo_messaging_rabbit] that the query of the URL does not have. Options of clients and servers win over it.
//
// The transport keeps what it was made with: a later reload of c counts for transports that are made then. A password that changes
// often is better in the file that rabbit_password_file names, which is read for each connection.
//
// It registers [ConfigOptions] where that has not been done. The error is one line, names options and shows no password; that
// of a wrong URL or option matches [ErrInvalidURL].
func TransportFromConfig(c *config.Config, opts ...TransportOption) (*Transport, error) {
	if err := c.Register(ConfigOptions()...); err != nil {
		return nil, err
	}
	u, err := transport.ParseURL(transportURLOption.Get(c))
	if err != nil {
		return nil, fmt.Errorf("%s: option transport_url: %w", transportURLOption.Source(c), err)
	}
	if isRabbit(u) {
		addRabbitOptions(u.Query, c)
	}
	opts = append([]TransportOption{configDefaults(c)}, opts...)
	if controlExchangeOption.Given(c) {
		opts = append(opts, WithControlExchange(controlExchangeOption.Get(c)))
	}
	t, err := open(u, opts)
	if err != nil {
		return nil, fmt.Errorf("transport_url or [oslo_messaging_rabbit]: %w", err)
	}
	return t, nil
}

func configDefaults(c *config.Config) TransportOption {
	return transportOption(func(t *transportConfig) {
		t.defaults = defaults{
			timeout: responseTimeoutOption.Get(c), poolSize: poolSizeOption.Get(c), ping: pingOption.Get(c),
		}
	})
}

// addRabbitOptions puts the options that are configured where a driver reads them, unless the URL has them under one of
// their names.
func addRabbitOptions(query map[string]string, c *config.Config) {
	for _, o := range rabbitOptions {
		if !o.option.Given(c) || o.inQuery(query) {
			continue
		}
		if text := o.option.Text(c); text != "" { // an empty text is none, as in a query
			query[o.name] = text
		}
	}
}
