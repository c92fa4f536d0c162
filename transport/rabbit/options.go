package rabbit

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// Options are those of oslo.messaging's group [oslo_messaging_rabbit] that this driver knows, with the same
// names and defaults where nothing else is said. They are given in the query of the transport URL, where profile=NAME
// stands for a set of them; see [Profiles].
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
	// QuorumDeliveryLimit is how often a quorum queue hands a message out again, its argument x-delivery-limit; 0, the
	// default, leaves that to the broker (rabbit_quorum_delivery_limit).
	QuorumDeliveryLimit int64
	// QuorumMaxMemoryLength is how many messages a quorum queue keeps in memory, its argument x-max-in-memory-length; 0,
	// the default, leaves that to the broker (rabbit_quorum_max_memory_length).
	QuorumMaxMemoryLength int64
	// QuorumMaxMemoryBytes is the same in bytes, the argument x-max-in-memory-bytes (rabbit_quorum_max_memory_bytes).
	QuorumMaxMemoryBytes int64
	// HAQueues sends x-ha-policy=all with every queue, which brokers since 3.0 ignore. Open fails where a quorum option
	// is set as well (rabbit_ha_queues).
	HAQueues bool
	// StreamFanout has one stream, which the servers of a topic share, in place of a fanout queue for each server. A
	// server that starts reads from the last chunk of the stream on, and may so see old messages, as with
	// oslo.messaging. Open fails unless TransientQuorumQueue is set, and Prefetch or a profile
	// (rabbit_stream_fanout).
	StreamFanout bool
	// QueueManager ends the names of reply and fanout queues in <hostname>:<processname>:<n> in place of random digits,
	// and leaves them in place when a server stops. n counts the queues of this process from 1. Each process of a host
	// needs a Processname of its own: two that share one take each other's messages (use_queue_manager).
	QueueManager bool
	// Hostname is the first part of those names; empty, the default, is the name of the machine (hostname).
	Hostname string
	// Processname is the second part; empty, the default, is the name of the program (processname).
	Processname string
	// TransientQueuesTTL is after how long without use reply and fanout queues are deleted, in whole seconds;
	// 0 is never, the default 1800 s (rabbit_transient_queues_ttl).
	TransientQueuesTTL time.Duration
	// Prefetch, where it is not 0, overrides how many messages a listener is handed unacknowledged on each queue
	// (rabbit_qos_prefetch_count). oslo.messaging reads 0, its default, as no limit; here it is the server's own
	// default, since without a limit the client takes the whole queue into memory.
	Prefetch int
	// CancelOnFailover asks the broker to cancel a consumer when its mirrored queue moves to another node, by the argument
	// x-cancel-on-ha-failover (enable_cancel_on_failover).
	CancelOnFailover bool
	// Compression is how bodies are compressed that are sent: "gzip", which is a zlib stream under that name, or "lzma",
	// an .xz file; empty, the default, is not at all. "zlib" and "xz" are read as other names of the two. bzip2 is
	// refused, under all its names: Go's library only reads it, and no other that writes it is maintained. What is received
	// says itself how it is compressed, and may be bzip2 (kombu_compression; oslo.messaging takes bzip2, and fails with
	// the documented bz2 at the first message).
	Compression string
	// Heartbeat is the AMQP heartbeat asked for, in whole seconds, default 60 s (heartbeat_timeout_threshold). The
	// shorter one of this and the broker's own counts; silence of one and a half ends a connection. 0 turns heartbeats
	// off, on both sides, as with oslo.messaging. Then TCP's keep-alive finds a host that is gone, within a minute or
	// so, and nothing finds a broker that is frozen. AMQP has 16 bits for it: what is longer is read as 65535 s.
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
	// ConsumerProbe is within which time a server notices that the broker has dropped one of its consumers and that
	// the word of it was lost, in whole seconds; default 30 s, 0 is never (consumer_probe, which oslo.messaging does
	// not have).
	ConsumerProbe time.Duration
	// ReplyQueuePrefix is how the names of reply queues may begin, beside the reply_ of oslo.messaging and goslo;
	// default none. Replies to other queues are dropped (reply_queue_prefix, which oslo.messaging does not have).
	ReplyQueuePrefix string
	// MaxSenders is how many calls and casts may be under way at once, wherever they wait: for a connection, for a broker
	// in alarm, for a confirm or for a reply. So it bounds the pending calls as well. It is at least 1, the default
	// 65536. Further ones fail at once with [transport.ErrTooManySenders], and nothing of them is sent (max_senders,
	// which oslo.messaging does not have).
	MaxSenders int
	// How the broker is reached.
	ConnectionOptions
	// Unused are known and have no effect.
	Unused UnusedOptions
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
		ConsumerProbe:          30 * time.Second,
		MaxSenders:             65536,
		Unused:                 defaultUnusedOptions(),
	}
}

// parsers fill one option each from the text of its value.
var parsers = map[string]func(o *Options, value string) error{
	"amqp_durable_queues":                  func(o *Options, v string) error { return parseBool(&o.DurableQueues, v) },
	"amqp_auto_delete":                     func(o *Options, v string) error { return parseBool(&o.AutoDelete, v) },
	"rabbit_quorum_queue":                  func(o *Options, v string) error { return parseBool(&o.QuorumQueue, v) },
	"rabbit_transient_quorum_queue":        func(o *Options, v string) error { return parseBool(&o.TransientQuorumQueue, v) },
	"rabbit_quorum_delivery_limit":         func(o *Options, v string) error { return parseLimit(&o.QuorumDeliveryLimit, v) },
	"rabbit_quorum_max_memory_length":      func(o *Options, v string) error { return parseLimit(&o.QuorumMaxMemoryLength, v) },
	"rabbit_quroum_max_memory_length":      func(o *Options, v string) error { return parseLimit(&o.QuorumMaxMemoryLength, v) },
	"rabbit_quorum_max_memory_bytes":       func(o *Options, v string) error { return parseLimit(&o.QuorumMaxMemoryBytes, v) },
	"rabbit_quroum_max_memory_bytes":       func(o *Options, v string) error { return parseLimit(&o.QuorumMaxMemoryBytes, v) },
	"rabbit_ha_queues":                     func(o *Options, v string) error { return parseBool(&o.HAQueues, v) },
	"rabbit_stream_fanout":                 func(o *Options, v string) error { return parseBool(&o.StreamFanout, v) },
	"use_queue_manager":                    func(o *Options, v string) error { return parseBool(&o.QueueManager, v) },
	"hostname":                             func(o *Options, v string) error { return parseNamePart(&o.Hostname, v) },
	"processname":                          func(o *Options, v string) error { return parseNamePart(&o.Processname, v) },
	"enable_cancel_on_failover":            func(o *Options, v string) error { return parseBool(&o.CancelOnFailover, v) },
	"kombu_compression":                    func(o *Options, v string) error { return parseCompression(&o.Compression, v) },
	"profile":                              applyProfile,
	"rabbit_transient_queues_ttl":          func(o *Options, v string) error { return parseExpiry(&o.TransientQueuesTTL, v) },
	"rabbit_qos_prefetch_count":            func(o *Options, v string) error { return parseCount(&o.Prefetch, v) },
	"heartbeat_timeout_threshold":          func(o *Options, v string) error { return parseSeconds(&o.Heartbeat, v) },
	"kombu_missing_consumer_retry_timeout": func(o *Options, v string) error { return parseSeconds(&o.MissingConsumerTimeout, v) },
	"kombu_reconnect_timeout":              func(o *Options, v string) error { return parseSeconds(&o.MissingConsumerTimeout, v) },
	"direct_mandatory_flag":                func(o *Options, v string) error { return parseBool(&o.DirectMandatory, v) },
	"consumer_probe":                       func(o *Options, v string) error { return parseSeconds(&o.ConsumerProbe, v) },
	"reply_queue_prefix":                   func(o *Options, v string) error { return parsePrefix(&o.ReplyQueuePrefix, v) },
	"max_senders":                          func(o *Options, v string) error { return parseMost(&o.MaxSenders, v) },
}

// replaced are old names of options, with the present ones, which win where both are given.
var replaced = map[string]string{
	"kombu_reconnect_timeout":         "kombu_missing_consumer_retry_timeout",
	"rabbit_quroum_max_memory_length": "rabbit_quorum_max_memory_length",
	"rabbit_quroum_max_memory_bytes":  "rabbit_quorum_max_memory_bytes",
	"rabbit_use_ssl":                  "ssl",
	"kombu_ssl_version":               "ssl_version",
	"kombu_ssl_keyfile":               "ssl_key_file",
	"kombu_ssl_certfile":              "ssl_cert_file",
	"kombu_ssl_ca_certs":              "ssl_ca_file",
}

// parserOf is nil for a name that no option has.
func parserOf(name string) func(o *Options, value string) error {
	for _, known := range []map[string]func(o *Options, value string) error{parsers, connectionParsers, unusedParsers} {
		if parse := known[name]; parse != nil {
			return parse
		}
	}
	return nil
}

// parseOptions reads the query of a URL. Names that are not known are errors, as in oslo.messaging: a misspelt
// option must not be silently without effect.
func parseOptions(query map[string]string) (Options, error) {
	o := DefaultOptions()
	for _, name := range optionNames(query) {
		parse := parserOf(name)
		if parse == nil {
			return o, fmt.Errorf("%w: unknown option %q", transport.ErrInvalidURL, name)
		}
		to := &o
		if _, both := query[replaced[name]]; both {
			to = new(Options) // read, since a bad value is an error all the same
		}
		if err := parse(to, query[name]); err != nil {
			return o, fmt.Errorf("%w: option %s: %w", transport.ErrInvalidURL, name, err)
		}
	}
	completeProfile(&o, query)
	if err := o.validate(query["profile"] != ""); err != nil {
		return o, fmt.Errorf("%w: %w", transport.ErrInvalidURL, err)
	}
	return o, nil
}

// optionNames are the names in a query, sorted, but that of a profile comes first: an option beside it wins.
func optionNames(query map[string]string) []string {
	names := slices.Sorted(maps.Keys(query))
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case a == "profile" && b != "profile":
			return -1
		case b == "profile" && a != "profile":
			return 1
		}
		return 0
	})
	return names
}

// validate refuses options that do not go together. With a profile the prefetch is the server's, which is never
// without a limit; without one, a stream needs it to be given, as with oslo.messaging.
func (o *Options) validate(profile bool) error {
	switch {
	case o.HAQueues && o.QuorumQueue:
		return errors.New("rabbit_ha_queues and rabbit_quorum_queue exclude each other")
	case o.HAQueues && o.TransientQuorumQueue:
		return errors.New("rabbit_ha_queues and rabbit_transient_quorum_queue exclude each other")
	case o.StreamFanout && !o.TransientQuorumQueue:
		return errors.New("rabbit_stream_fanout needs rabbit_transient_quorum_queue")
	case o.StreamFanout && o.Prefetch == 0 && !profile:
		return errors.New("rabbit_stream_fanout needs rabbit_qos_prefetch_count, and more than 0")
	case o.QueueManager && len(o.hostname())+len(o.processname()) > maxNameParts:
		return fmt.Errorf("hostname and processname have more than %d bytes", maxNameParts)
	}
	return o.Unused.validate()
}

// maxNameParts leaves room in a queue's name for what stands around host and process.
const maxNameParts = 200

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

// parsePrefix reads the beginning of a name.
func parsePrefix(to *string, value string) error {
	if len(value) > maxName {
		return fmt.Errorf("want at most %d bytes, got %q", maxName, value)
	}
	*to = value
	return nil
}

// parseMost reads how many there may be of something.
func parseMost(to *int, value string) error {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("want a number from 1 on, got %q", value)
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

func parseLimit(to *int64, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("want a number from 0 on, got %q", value)
	}
	*to = n
	return nil
}

// parseNamePart reads what becomes a part of a queue's name: text of one line.
func parseNamePart(to *string, value string) error {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("want text without control characters, got %q", value)
	}
	*to = value
	return nil
}

// compressions are the values of kombu_compression that can be had.
var compressions = map[string]string{"gzip": wire.CompressGzip, "zlib": wire.CompressGzip, "lzma": wire.CompressLZMA, "xz": wire.CompressLZMA}

func parseCompression(to *string, value string) error {
	name, ok := compressions[strings.ToLower(value)]
	if !ok {
		reason := ""
		if strings.HasPrefix(strings.ToLower(value), "bz") {
			reason = ": bzip2 is read here, but not written"
		}
		return fmt.Errorf("want gzip or lzma, got %q%s", value, reason)
	}
	*to = name
	return nil
}
