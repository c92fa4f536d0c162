package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// bus is a corner of a bus that nobody else uses: exchange and topic are the run's own, so that real schedulers
// on the same broker see nothing of it.
type bus struct {
	name   string // for the reader, without a password
	target messaging.Target
	open   func() (*messaging.Transport, error)

	shared     *messaging.Transport // of the clients
	transports []*messaging.Transport
}

// tidy are the options with which RabbitMQ forgets the run soon after it: its exchange and queues go with their
// last user, what is left of an aborted run after a minute without use.
var tidy = []struct{ option, value string }{
	{"amqp_auto_delete", "true"},
	{"rabbit_transient_queues_ttl", "60"},
}

func newBus(url string, log logrus.FieldLogger) (*bus, error) {
	name := "scheduler-demo-" + strings.ToLower(rand.Text()[:8])
	b := &bus{target: messaging.Target{Exchange: name, Topic: name}}
	if url == "" {
		broker := memory.NewBroker(memory.Config{})
		b.name = "in this process"
		b.open = func() (*messaging.Transport, error) {
			return messaging.NewTransport(broker.NewDriver(), messaging.WithLogger(log)), nil
		}
	} else {
		parsed, err := transport.ParseURL(url)
		if err != nil {
			return nil, err
		}
		b.name = parsed.String()
		url = withTidyOptions(url, parsed)
		b.open = func() (*messaging.Transport, error) { return messaging.Open(url, messaging.WithLogger(log)) }
	}
	var err error
	b.shared, err = b.join()
	return b, err
}

// withTidyOptions adds to a RabbitMQ URL the options that it does not have.
func withTidyOptions(url string, parsed *transport.URL) string {
	if parsed.Driver == "memory" || parsed.Driver == "fake" {
		return url
	}
	url, _, _ = strings.Cut(url, "#") // nothing reads it, and nothing behind it
	for _, t := range tidy {
		if _, given := parsed.Query[t.option]; given {
			continue
		}
		separator := "?"
		if strings.Contains(url, "?") {
			separator = "&"
		}
		url += separator + t.option + "=" + t.value
	}
	return url
}

// join opens one more transport, one peer to a broker.
func (b *bus) join() (*messaging.Transport, error) {
	t, err := b.open()
	if err == nil {
		b.transports = append(b.transports, t)
	}
	return t, err
}

// client makes a client of the topic, for a version of the scheduler's interface, on the transport that all
// clients share.
func (b *bus) client(version string) (*messaging.Client, error) {
	to := b.target
	to.Version = version
	return messaging.NewClient(b.shared, to)
}

func (b *bus) close(ctx context.Context) error {
	var errs []error
	for _, t := range b.transports {
		errs = append(errs, t.Close(ctx))
	}
	return errors.Join(errs...)
}
