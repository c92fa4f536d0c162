package demo

import (
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/transport"
)

func TestURLsGetTheTidyOptionsTheyLack(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"memory://x":                  "memory://x",
		"fake:///":                    "fake:///",
		"rabbit://h/":                 "rabbit://h/?amqp_auto_delete=true&rabbit_transient_queues_ttl=60",
		"rabbit://h/v#f":              "rabbit://h/v?amqp_auto_delete=true&rabbit_transient_queues_ttl=60",
		"amqp://h?amqp_auto_delete=0": "amqp://h?amqp_auto_delete=0&rabbit_transient_queues_ttl=60",
		"rabbit://h/?rabbit_transient_queues_ttl=5":                       "rabbit://h/?rabbit_transient_queues_ttl=5&amqp_auto_delete=true",
		"rabbit://h/?amqp_auto_delete=yes&rabbit_transient_queues_ttl=10": "rabbit://h/?amqp_auto_delete=yes&rabbit_transient_queues_ttl=10",
	} {
		parsed, err := transport.ParseURL(url)
		must(t, err)
		if got := withTidyOptions(url, parsed); got != want {
			t.Errorf("%s becomes %s, want %s", url, got, want)
		}
	}
}

func TestEachRunHasATopicOfItsOwn(t *testing.T) {
	t.Parallel()
	var topics []string
	for range 2 {
		b, err := newBus("rabbit://guest:s3cret@h/", logrus.New())
		must(t, err)
		must(t, b.close(t.Context()))
		topics = append(topics, b.target.Topic)
		if b.target.Exchange != b.target.Topic || b.name != "rabbit://guest:***@h/" {
			t.Errorf("bus = %q with %s", b.name, b.target)
		}
	}
	if topics[0] == topics[1] || topics[0] == "scheduler" {
		t.Errorf("topics = %q, want two that nobody else uses", topics)
	}
}
