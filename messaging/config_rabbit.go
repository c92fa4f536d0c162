package messaging

import (
	"math"
	"time"

	"github.com/goslo/goslo/config"
)

// rabbitGroup is the section of files that holds the options of the RabbitMQ driver.
const rabbitGroup = "oslo_messaging_rabbit"

// rabbitOption is one of them.
type rabbitOption struct {
	name   string
	former []string
	option interface {
		config.Definition
		Given(*config.Config) bool
		Text(*config.Config) string
	}
}

// inQuery tells whether a URL has the option under any of its names.
func (o *rabbitOption) inQuery(query map[string]string) bool {
	_, has := query[o.name]
	for _, name := range o.former {
		_, former := query[name]
		has = has || former
	}
	return has
}

// rabbitOptions are described at [rabbit.Options]. A value that is not given is not handed to the driver, so that its own
// default counts.
var rabbitOptions = []rabbitOption{
	rabbitBool("amqp_durable_queues", false, "Declare the exchange and the queues of topics durable."),
	rabbitInDefault(rabbitBool("amqp_auto_delete", false, "Declare them auto-delete.")),
	rabbitBool("rabbit_quorum_queue", false, "Make queues of topics quorum queues, and them and the exchange durable."),
	rabbitBool("rabbit_transient_quorum_queue", false, "Make reply and fanout queues durable quorum queues."),
	rabbitInt("rabbit_quorum_delivery_limit", 0, 0, math.MaxInt, "How often a quorum queue hands a message out again; 0 leaves it to the broker."),
	rabbitInt("rabbit_quorum_max_memory_length", 0, 0, math.MaxInt,
		"How many messages a quorum queue keeps in memory; 0 leaves it to the broker.", "rabbit_quroum_max_memory_length"),
	rabbitInt("rabbit_quorum_max_memory_bytes", 0, 0, math.MaxInt,
		"How many bytes a quorum queue keeps in memory; 0 leaves it to the broker.", "rabbit_quroum_max_memory_bytes"),
	rabbitInDefault(rabbitBool("rabbit_ha_queues", false, "Send x-ha-policy=all with every queue, which brokers since 3.0 ignore.")),
	rabbitSeconds("rabbit_transient_queues_ttl", 1800, 0, "Seconds without use after which reply and fanout queues are deleted; 0 is never."),
	rabbitBool("rabbit_stream_fanout", false,
		"Share a stream between the servers of a topic in place of a fanout queue for each. Needs rabbit_transient_quorum_queue and rabbit_qos_prefetch_count."),
	rabbitBool("use_queue_manager", false, "Name reply and fanout queues for host and process, and leave them in place when a server stops."),
	rabbitText("hostname", "The first part of those names; by default the name of the machine."),
	rabbitText("processname", "The second part of those names; by default the name of the program."),
	rabbitInt("rabbit_qos_prefetch_count", 0, 0, math.MaxUint16,
		"How many messages the broker hands a queue's consumer unacknowledged; 0 leaves it to the server."),
	rabbitBool("enable_cancel_on_failover", false, "Have the broker cancel a consumer whose mirrored queue moves."),
	rabbitBool("direct_mandatory_flag", true, "Notice that the queue of a reply is missing."),
	rabbitOptionOf(&config.Option[string]{
		Name: "kombu_compression", Type: config.String(), NoDefault: true, Help: "How bodies are compressed that are sent: gzip or lzma; by default not at all.",
	}, nil),
	rabbitSeconds("kombu_missing_consumer_retry_timeout", 60, 0,
		"Seconds for which a reply to a queue that is missing is tried again.", "kombu_reconnect_timeout"),
	rabbitInDefault(rabbitChoice("rabbit_login_method", "AMQPLAIN", []string{"PLAIN", "AMQPLAIN", "EXTERNAL"}, "The SASL mechanism.")),
	rabbitOptionOf(&config.Option[time.Duration]{
		Name: "rabbit_retry_interval", Default: 500 * time.Millisecond,
		Type: config.FractionalSeconds(config.AtLeast(time.Millisecond), config.AtMost(math.MaxInt32*time.Second)),
		Help: "Seconds, the bound of the first pause between attempts to connect. oslo.messaging takes whole ones, and has 1.",
	}, nil),
	rabbitInDefault(rabbitInt("rabbit_retry_backoff", -1, -1, math.MaxInt32,
		"Seconds that are added to the bound for each further pause; with -1 the bound doubles. oslo.messaging has 2, and no -1.")),
	rabbitSeconds("rabbit_interval_max", 30, 1, "Seconds, the highest bound."),
	rabbitInDefault(rabbitFraction("kombu_reconnect_delay", 4.5, "Seconds of an extra pause before a lost connection is made anew.")),
	rabbitFraction("kombu_reconnect_splay", math.MaxInt32, "Seconds, the bound of a random addition to that pause."),
	rabbitChoice("kombu_failover_strategy", "round-robin", []string{"round-robin", "shuffle"}, "Which host comes after one that failed."),
	rabbitSeconds("heartbeat_timeout_threshold", 60, 0, "Seconds after which a silent connection counts as lost."),
	rabbitInt("heartbeat_rate", 3, 1, math.MaxInt32, "Without effect: how often within that time oslo.messaging looks after heartbeats."),
	rabbitBool("heartbeat_in_pthread", false, "Without effect: have oslo.messaging send heartbeats from a native thread."),
	rabbitInDefault(rabbitInt("rpc_conn_pool_size", 30, 1, math.MaxInt32, "Without effect: how many connections oslo.messaging may have for sending.")),
	rabbitInDefault(rabbitInt("conn_pool_min_size", 2, 0, math.MaxInt32, "Without effect: how many of them it keeps when they are idle.")),
	rabbitInDefault(rabbitSeconds("conn_pool_ttl", 1200, 0, "Without effect: seconds without use after which it closes the others.")),
	rabbitBool("ssl", false, "Encrypt connections. The port does not change by itself.", "rabbit_use_ssl"),
	rabbitChoiceFold("ssl_version", []string{"TLSv1", "SSLv23", "TLSv1_1", "TLSv1_2", "TLSv1_3"},
		"The oldest version of TLS that is spoken; what is older than 1.2, the default, is read as that.", "kombu_ssl_version"),
	rabbitText("ssl_key_file", "The file with the key of this side.", "kombu_ssl_keyfile"),
	rabbitText("ssl_cert_file", "The file with the certificate of this side.", "kombu_ssl_certfile"),
	rabbitText("ssl_ca_file", "The file with the authorities of brokers; by default those of the system.", "kombu_ssl_ca_certs"),
	rabbitBool("ssl_enforce_hostname_verification", true, "Check that the broker's certificate is for its host."),
	rabbitBool("ssl_enforce_fips_mode", false, "Without effect: Go has a FIPS mode of its own, GODEBUG=fips140."),

	// goslo's own.
	rabbitText("profile", "A set of these options: legacy, durable or quorum. Those that are given beside it win."),
	rabbitSeconds("consumer_probe", 30, 0, "Seconds within which a server notices that the broker has dropped its consumer; 0 is never."),
	rabbitText("reply_queue_prefix", "How names of reply queues may begin beside reply_."),
	rabbitInt("max_senders", 65536, 1, math.MaxInt32, "How many calls and casts may be under way at once."),
	rabbitText("rabbit_username_file", "A file that holds the user's name in place of the URL."),
	rabbitText("rabbit_password_file", "A file that holds the password in place of the URL."),
	rabbitBool("ssl_insecure", false, "Take any certificate for the broker's."),
}

func rabbitOptionOf[T any](o *config.Option[T], former []string) rabbitOption {
	o.Group = rabbitGroup
	for _, name := range former {
		o.Deprecated = append(o.Deprecated, config.Key{Name: name})
	}
	return rabbitOption{name: o.Name, former: former, option: o}
}

func rabbitBool(name string, value bool, help string, former ...string) rabbitOption {
	return rabbitOptionOf(&config.Option[bool]{Name: name, Type: config.Bool(), Default: value, Help: help}, former)
}

func rabbitInt(name string, value, least, most int, help string, former ...string) rabbitOption {
	rules := []config.Rule[int]{config.AtLeast(least)}
	if most < math.MaxInt {
		rules = append(rules, config.AtMost(most))
	}
	return rabbitOptionOf(&config.Option[int]{Name: name, Type: config.Int(rules...), Default: value, Help: help}, former)
}

func rabbitSeconds(name string, value, least int, help string, former ...string) rabbitOption {
	return rabbitOptionOf(&config.Option[time.Duration]{
		Name: name, Default: time.Duration(value) * time.Second, Help: help,
		Type: config.Seconds(config.AtLeast(time.Duration(least)*time.Second), config.AtMost(math.MaxInt32*time.Second)),
	}, former)
}

func rabbitFraction(name string, most float64, help string) rabbitOption {
	return rabbitOptionOf(&config.Option[time.Duration]{
		Name: name, Help: help,
		Type: config.FractionalSeconds(config.AtLeast(time.Duration(0)), config.AtMost(time.Duration(most*float64(time.Second)))),
	}, nil)
}

func rabbitText(name, help string, former ...string) rabbitOption {
	return rabbitOptionOf(&config.Option[string]{Name: name, Type: config.String(), Help: help}, former)
}

func rabbitChoice(name, value string, choices []string, help string) rabbitOption {
	return rabbitOptionOf(&config.Option[string]{Name: name, Type: config.String(config.OneOf(choices...)), Default: value, Help: help}, nil)
}

func rabbitChoiceFold(name string, choices []string, help string, former ...string) rabbitOption {
	return rabbitOptionOf(&config.Option[string]{
		Name: name, Type: config.String(config.OneOfFold(append(choices, "")...)), Help: help,
	}, former)
}

// rabbitInDefault is for an option that older releases of oslo.messaging read from [DEFAULT] too.
func rabbitInDefault(o rabbitOption) rabbitOption {
	former := config.Key{Group: config.DefaultGroup, Name: o.name}
	switch option := o.option.(type) {
	case *config.Option[bool]:
		option.Deprecated = append(option.Deprecated, former)
	case *config.Option[int]:
		option.Deprecated = append(option.Deprecated, former)
	case *config.Option[string]:
		option.Deprecated = append(option.Deprecated, former)
	case *config.Option[time.Duration]:
		option.Deprecated = append(option.Deprecated, former)
	}
	return o
}
