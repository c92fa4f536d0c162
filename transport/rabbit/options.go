package rabbit

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// Options are those of oslo.messaging's group [oslo_messaging_rabbit] that this driver knows, with the same
// names and defaults where nothing else is said. They are given in the query of the transport URL.
type Options struct {
	// DurableQueues makes the control exchange and the queues of topics durable (amqp_durable_queues).
	DurableQueues bool
	// AutoDelete makes them auto-delete (amqp_auto_delete).
	AutoDelete bool
	// QuorumQueue makes queues of topics quorum queues, and them and the exchange durable (rabbit_quorum_queue).
	QuorumQueue bool
	// TransientQuorumQueue makes reply and fanout queues durable quorum queues
	// (rabbit_transient_quorum_queue).
	TransientQuorumQueue bool
	// TransientQueuesTTL is after how long without use reply and fanout queues are deleted, in whole seconds;
	// 0 is never, the default 1800 s (rabbit_transient_queues_ttl).
	TransientQueuesTTL time.Duration
	// Prefetch, where it is not 0, overrides how many messages a listener is handed unacknowledged on each queue
	// (rabbit_qos_prefetch_count). oslo.messaging reads 0, its default, as no limit; here it is the server's own
	// default, since without a limit the client takes the whole queue into memory.
	Prefetch int
	// Heartbeat is the AMQP heartbeat asked for, default 60 s (heartbeat_timeout_threshold). 0 leaves it to the
	// broker, which asks for 60 s unless it is told otherwise; to oslo.messaging it is off, which the AMQP library
	// does not offer.
	Heartbeat time.Duration
	// LoginMethod is the SASL mechanism: AMQPLAIN, the default, PLAIN, or EXTERNAL, where the client certificate says who
	// this is (rabbit_login_method).
	LoginMethod string
	// MissingConsumerTimeout is how long a reply to a queue that does not exist is tried again, default 60 s
	// (kombu_missing_consumer_retry_timeout).
	MissingConsumerTimeout time.Duration
	// DirectMandatory makes replies mandatory, which is how a missing reply queue is noticed; default true
	// (direct_mandatory_flag).
	DirectMandatory bool
	// How the broker is reached.
	ConnectionOptions
}

// DefaultOptions are the options of a URL without a query.
func DefaultOptions() Options {
	return Options{
		TransientQueuesTTL:     1800 * time.Second,
		Heartbeat:              60 * time.Second,
		LoginMethod:            loginAMQPlain,
		MissingConsumerTimeout: 60 * time.Second,
		DirectMandatory:        true,
		ConnectionOptions:      defaultConnectionOptions(),
	}
}

// parsers fill one option each from the text of its value.
var parsers = map[string]func(o *Options, value string) error{
	"amqp_durable_queues":                  func(o *Options, v string) error { return parseBool(&o.DurableQueues, v) },
	"amqp_auto_delete":                     func(o *Options, v string) error { return parseBool(&o.AutoDelete, v) },
	"rabbit_quorum_queue":                  func(o *Options, v string) error { return parseBool(&o.QuorumQueue, v) },
	"rabbit_transient_quorum_queue":        func(o *Options, v string) error { return parseBool(&o.TransientQuorumQueue, v) },
	"rabbit_transient_queues_ttl":          func(o *Options, v string) error { return parseExpiry(&o.TransientQueuesTTL, v) },
	"rabbit_qos_prefetch_count":            func(o *Options, v string) error { return parseCount(&o.Prefetch, v) },
	"heartbeat_timeout_threshold":          func(o *Options, v string) error { return parseSeconds(&o.Heartbeat, v) },
	"kombu_missing_consumer_retry_timeout": func(o *Options, v string) error { return parseSeconds(&o.MissingConsumerTimeout, v) },
	"kombu_reconnect_timeout":              func(o *Options, v string) error { return parseSeconds(&o.MissingConsumerTimeout, v) },
	"direct_mandatory_flag":                func(o *Options, v string) error { return parseBool(&o.DirectMandatory, v) },
}

// parseOptions reads the query of a URL. Names that are not known are errors, as in oslo.messaging: a misspelt
// option must not be silently without effect.
func parseOptions(query map[string]string) (Options, error) {
	o := DefaultOptions()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		parse := parsers[name]
		if parse == nil {
			parse = connectionParsers[name]
		}
		if parse == nil {
			return o, fmt.Errorf("%w: unknown option %q", transport.ErrInvalidURL, name)
		}
		if err := parse(&o, query[name]); err != nil {
			return o, fmt.Errorf("%w: option %s: %w", transport.ErrInvalidURL, name, err)
		}
	}
	return o, nil
}

// parseBool reads what oslo.config takes for a boolean.
func parseBool(to *bool, value string) error {
	switch strings.ToLower(value) {
	case "true", "1", "on", "yes":
		*to = true
	case "false", "0", "off", "no":
		*to = false
	default:
		return fmt.Errorf("want true or false, got %q", value)
	}
	return nil
}

func parseCount(to *int, value string) error {
	n, err := strconv.ParseUint(value, 10, 16) // a prefetch count is 16 bits wide on the wire
	if err != nil {
		return fmt.Errorf("want a number from 0 to 65535, got %q", value)
	}
	*to = int(n)
	return nil
}

func parseSeconds(to *time.Duration, value string) error {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return fmt.Errorf("want a whole number of seconds, got %q", value)
	}
	*to = time.Duration(n) * time.Second
	return nil
}

// longestExpiry is the most that RabbitMQ takes for x-expires: 32 bits of milliseconds.
const longestExpiry = math.MaxUint32 / 1000

func parseExpiry(to *time.Duration, value string) error {
	if err := parseSeconds(to, value); err != nil {
		return err
	}
	if *to > longestExpiry*time.Second {
		return fmt.Errorf("want at most %d seconds, got %q", longestExpiry, value)
	}
	return nil
}
