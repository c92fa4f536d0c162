package rabbit

import (
	"errors"
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
		"amqp_durable_queues=": func(*Options) {}, // an empty value is no value
	} {
		want := Options{
			TransientQueuesTTL: 30 * time.Minute, Heartbeat: time.Minute, LoginMethod: "AMQPLAIN",
			MissingConsumerTimeout: time.Minute, DirectMandatory: true, ConnectionOptions: defaultConnectionOptions(),
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
				!strings.Contains(err.Error(), `"`+value+`"`) {
				t.Errorf("%s=%s: error = %v, want one that names the option, the value and what it should be", name, value, err)
			}
		}
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
