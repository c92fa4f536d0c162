package rabbit

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

func parse(url string) (Options, error) {
	u, err := transport.ParseURL(url)
	if err != nil {
		return Options{}, err
	}
	return optionsOf(u)
}

func TestOptionsAreReadAsOsloReadsThem(t *testing.T) {
	t.Parallel()
	for query, change := range map[string]func(o *Options){
		"":                                       func(*Options) {},
		"amqp_durable_queues=true":               func(o *Options) { o.DurableQueues = true },
		"amqp_durable_queues=YES":                func(o *Options) { o.DurableQueues = true },
		"amqp_durable_queues=1":                  func(o *Options) { o.DurableQueues = true },
		"amqp_durable_queues=On":                 func(o *Options) { o.DurableQueues = true },
		"amqp_durable_queues=False":              func(*Options) {},
		"amqp_auto_delete=true":                  func(o *Options) { o.AutoDelete = true },
		"rabbit_quorum_queue=true":               func(o *Options) { o.QuorumQueue = true },
		"rabbit_transient_quorum_queue=true":     func(o *Options) { o.TransientQuorumQueue = true },
		"rabbit_transient_queues_ttl=0":          func(o *Options) { o.TransientQueuesTTL = 0 },
		"rabbit_transient_queues_ttl=300":        func(o *Options) { o.TransientQueuesTTL = 5 * time.Minute },
		"rabbit_transient_queues_ttl=4294967":    func(o *Options) { o.TransientQueuesTTL = 4294967 * time.Second },
		"rabbit_qos_prefetch_count=0":            func(*Options) {},
		"rabbit_qos_prefetch_count=65535":        func(o *Options) { o.Prefetch = 65535 },
		"heartbeat_timeout_threshold=0":          func(o *Options) { o.Heartbeat = 0 },
		"heartbeat_timeout_threshold=10":         func(o *Options) { o.Heartbeat = 10 * time.Second },
		"kombu_reconnect_timeout=5":              func(o *Options) { o.MissingConsumerTimeout = 5 * time.Second },
		"kombu_missing_consumer_retry_timeout=0": func(o *Options) { o.MissingConsumerTimeout = 0 },
		"direct_mandatory_flag=off":              func(o *Options) { o.DirectMandatory = false },
		"direct_mandatory_flag=no&amqp_durable_queues=yes&rabbit_qos_prefetch_count=7": func(o *Options) {
			o.DirectMandatory, o.DurableQueues, o.Prefetch = false, true, 7
		},
		"rabbit_quorum_delivery_limit=5":                     func(o *Options) { o.QuorumDeliveryLimit = 5 },
		"rabbit_quorum_max_memory_length=100":                func(o *Options) { o.QuorumMaxMemoryLength = 100 },
		"rabbit_quroum_max_memory_length=100":                func(o *Options) { o.QuorumMaxMemoryLength = 100 },
		"rabbit_quorum_max_memory_bytes=6000000000":          func(o *Options) { o.QuorumMaxMemoryBytes = 6000000000 },
		"rabbit_quroum_max_memory_bytes=1":                   func(o *Options) { o.QuorumMaxMemoryBytes = 1 },
		"rabbit_ha_queues=true":                              func(o *Options) { o.HAQueues = true },
		"use_queue_manager=1&hostname=h&processname=p":       func(o *Options) { o.QueueManager, o.Hostname, o.Processname = true, "h", "p" },
		"enable_cancel_on_failover=true":                     func(o *Options) { o.CancelOnFailover = true },
		"kombu_compression=gzip":                             func(o *Options) { o.Compression = "application/x-gzip" },
		"kombu_compression=zlib":                             func(o *Options) { o.Compression = "application/x-gzip" },
		"kombu_compression=lzma":                             func(o *Options) { o.Compression = "application/x-lzma" },
		"kombu_compression=xz":                               func(o *Options) { o.Compression = "application/x-lzma" },
		"profile=legacy":                                     func(*Options) {},
		"profile=durable":                                    func(o *Options) { o.DurableQueues = true },
		"profile=quorum":                                     func(o *Options) { o.QuorumQueue, o.TransientQuorumQueue = true, true },
		"profile=durable&amqp_durable_queues=false":          func(*Options) {}, // an option beside it wins, however they are ordered
		"profile=quorum&rabbit_transient_quorum_queue=false": func(o *Options) { o.QuorumQueue = true },
		"profile=durable&rabbit_stream_fanout=true": func(o *Options) {
			o.DurableQueues, o.StreamFanout, o.TransientQuorumQueue = true, true, true
		},
		"rabbit_stream_fanout=true&rabbit_transient_quorum_queue=true&rabbit_qos_prefetch_count=10": func(o *Options) {
			o.StreamFanout, o.TransientQuorumQueue, o.Prefetch = true, true, 10
		},
		// The present name of an option wins over an old one, whichever comes first.
		"kombu_reconnect_timeout=1&kombu_missing_consumer_retry_timeout=2":  func(o *Options) { o.MissingConsumerTimeout = 2 * time.Second },
		"rabbit_quroum_max_memory_bytes=1&rabbit_quorum_max_memory_bytes=2": func(o *Options) { o.QuorumMaxMemoryBytes = 2 },
		"consumer_probe=0":            func(o *Options) { o.ConsumerProbe = 0 },
		"reply_queue_prefix=answers.": func(o *Options) { o.ReplyQueuePrefix = "answers." },
		"max_senders=10":              func(o *Options) { o.MaxSenders = 10 },
		"amqp_durable_queues=":        func(*Options) {}, // an empty value is no value
	} {
		want := Options{
			TransientQueuesTTL: 30 * time.Minute, Heartbeat: time.Minute, LoginMethod: "AMQPLAIN",
			MissingConsumerTimeout: time.Minute, DirectMandatory: true, ConnectionOptions: defaultConnectionOptions(),
			ConsumerProbe: 30 * time.Second, MaxSenders: 65536, Unused: defaultUnusedOptions(),
		}
		change(&want)
		got, err := parse("rabbit://h/?" + query)
		if err != nil {
			t.Errorf("%s: error %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is read otherwise (-want +got):\n%s", query, diff)
		}
	}
}

func TestEveryOptionRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	wrong := map[string][]string{
		"amqp_durable_queues":                  {"maybe", "2", "tru"},
		"amqp_auto_delete":                     {"maybe", "t"},
		"rabbit_quorum_queue":                  {"y"},
		"rabbit_transient_quorum_queue":        {"n"},
		"rabbit_transient_queues_ttl":          {"-1", "1.5", "1s", "x", "99999999999", "4294968"},
		"rabbit_qos_prefetch_count":            {"-1", "65536", "ten"},
		"heartbeat_timeout_threshold":          {"-1", "1m", "1.0"},
		"kombu_missing_consumer_retry_timeout": {"-1", "for ever"},
		"kombu_reconnect_timeout":              {"1e3"},
		"direct_mandatory_flag":                {"true,false"}, // given twice
		"rabbit_quorum_delivery_limit":         {"-1", "many"},
		"rabbit_quorum_max_memory_length":      {"1.5"},
		"rabbit_quroum_max_memory_length":      {"9223372036854775808"},
		"rabbit_quorum_max_memory_bytes":       {"1k"},
		"rabbit_quroum_max_memory_bytes":       {"-5"},
		"rabbit_ha_queues":                     {"all"},
		"rabbit_stream_fanout":                 {"2"},
		"use_queue_manager":                    {"perhaps"},
		"hostname":                             {"host%1b"},
		"processname":                          {"name%7f"},
		"enable_cancel_on_failover":            {"never"},
		"kombu_compression":                    {"bz2", "bzip2", "bzip", "brotli"},
		"profile":                              {"stream", "Quorum"},
		"consumer_probe":                       {"-1", "30s"},
		"reply_queue_prefix":                   {strings.Repeat("x", 256)},
		"max_senders":                          {"0", "-1", "many"},
	}
	for name := range parsers {
		if len(wrong[name]) == 0 {
			t.Errorf("option %s has no case here", name)
		}
	}
	for name, values := range wrong {
		for _, value := range values {
			_, err := parse("rabbit://h/?" + name + "=" + strings.ReplaceAll(value, ",", "&"+name+"="))
			if !errors.Is(err, transport.ErrInvalidURL) || !strings.Contains(err.Error(), "option "+name+": want") ||
				!strings.Contains(err.Error(), unescaped(t, value)) {
				t.Errorf("%s=%s: error = %v, want one that names the option, the value and what it should be", name, value, err)
			}
		}
	}
}

// unescaped is a value as errors show it.
func unescaped(tb testing.TB, value string) string {
	tb.Helper()
	text, err := url.QueryUnescape(value)
	if err != nil {
		tb.Fatal(err)
	}
	return strconv.Quote(text)
}

func TestOptionsThatExcludeEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("h", 201)
	for query, want := range map[string]string{
		"rabbit_ha_queues=1&rabbit_quorum_queue=1":                              "rabbit_ha_queues and rabbit_quorum_queue",
		"rabbit_ha_queues=1&rabbit_transient_quorum_queue=1":                    "rabbit_ha_queues and rabbit_transient_quorum_queue",
		"rabbit_ha_queues=1&profile=quorum":                                     "rabbit_ha_queues and rabbit_quorum_queue",
		"rabbit_stream_fanout=1&rabbit_qos_prefetch_count=1":                    "needs rabbit_transient_quorum_queue",
		"rabbit_stream_fanout=1&rabbit_transient_quorum_queue=1":                "needs rabbit_qos_prefetch_count",
		"profile=quorum&rabbit_stream_fanout=1&rabbit_transient_quorum_queue=0": "needs rabbit_transient_quorum_queue",
		"use_queue_manager=1&processname=p&hostname=" + long:                    "more than 200 bytes",
	} {
		if _, err := parse("rabbit://h/?" + query); !errors.Is(err, transport.ErrInvalidURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want one about %s", query, err, want)
		}
	}
	if _, err := parse("rabbit://h/?kombu_compression=bz2"); err == nil || !strings.Contains(err.Error(), "not written") {
		t.Errorf("bz2: error = %v, want it to say why", err)
	}
}

func TestUnknownOptionsAreErrorsThatNameTheFirst(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"nosuch=1":                             `unknown option "nosuch"`,
		"b=1&a=1&amqp_durable_queues=x":        `unknown option "a"`,
		"AMQP_DURABLE_QUEUES=true":             `unknown option "AMQP_DURABLE_QUEUES"`,
		"amqp_durable_queues=x&z=1":            `option amqp_durable_queues: `,
		"ssl_key_password=s3cr3t":              `unknown option "ssl_key_password"`,
		"kombu_reconnect_timeout=s&b=s3cr3t":   `unknown option "b"`,
		"rabbit_password=s3cr3t%0Asecond+line": `unknown option "rabbit_password"`,
	} {
		_, err := parse("rabbit://u:s3cr3t@h/?" + query)
		if !errors.Is(err, transport.ErrInvalidURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", query, err, want)
			continue
		}
		if text := err.Error(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "\n") {
			t.Errorf("%s: error %q shows a password or has two lines", query, text)
		}
	}
}

func TestOpenNeverShowsAPassword(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("rabbit://u:s3cr3t@h/?nosuch=1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(u); !errors.Is(err, transport.ErrInvalidURL) || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("Open = %v, want an error without the password", err)
	}
}
