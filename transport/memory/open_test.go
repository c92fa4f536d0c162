package memory_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

func open(text string) (*memory.Driver, error) {
	u, err := transport.ParseURL(text)
	if err != nil {
		return nil, err
	}
	return memory.Open(u)
}

func mustOpen(t *testing.T, text string) *memory.Driver {
	t.Helper()
	d, err := open(text)
	if err != nil {
		t.Fatalf("open %s: %v", text, err)
	}
	t.Cleanup(func() { closeDriver(t, d) })
	return d
}

func TestOpenSharesBrokersByName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string
		same          bool
	}{
		"the empty name":       {"memory://", "fake:///", true},
		"a name":               {"memory://open-a", "fake://user:password@open-a/", true},
		"a name and port":      {"memory://open-b:1", "memory://open-b:1/", true},
		"a virtual host":       {"memory://open-c/vhost", "memory://open-c/vhost", true},
		"no name":              {"memory:///open-d", "memory:///open-d", true},
		"other options":        {"memory://open-e?max_queue_length=5", "memory://open-e?other=1", true},
		"the same options":     {"memory://open-f?max_queue_bytes=-1", "memory://open-f?max_queue_bytes=-1", true},
		"other names":          {"memory://open-g", "memory://open-h", false},
		"other ports":          {"memory://open-i:1", "memory://open-i:2", false},
		"other virtual hosts":  {"memory://open-j/a", "memory://open-j/b", false},
		"a name, not its path": {"memory://open-k", "memory:///open-k", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := mustOpen(t, c.first), mustOpen(t, c.second)
			if same := first.Broker() == second.Broker(); same != c.same {
				t.Errorf("%s and %s share a broker: %t, want %t", c.first, c.second, same, c.same)
			}
		})
	}
}

func TestOpenedBrokerVanishesWithItsLastDriver(t *testing.T) {
	t.Parallel()
	const url = "memory://open-vanishing?max_queue_length=1"
	first, second := mustOpen(t, url), mustOpen(t, url)
	broker := first.Broker()
	declareQueue(t, first)
	cast(t, first, "waiting", transport.SendOptions{})
	closeDriver(t, first)
	closeDriver(t, first) // counts once
	if third := mustOpen(t, url); third.Broker() != broker {
		t.Error("a driver got another broker while one was open on the first")
	} else {
		closeDriver(t, third)
	}
	closeDriver(t, second)
	next := mustOpen(t, "memory://open-vanishing?max_queue_length=2") // no contradiction any more
	if next.Broker() == broker || len(next.Broker().Stats().Queues) != 0 {
		t.Error("the broker is still there, though all its drivers are closed")
	}
}

func TestOpenReadsLimits(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, "memory://open-limits?max_queue_length=1&max_queue_bytes=1000")
	declareQueue(t, d)
	cast(t, d, "first", transport.SendOptions{})
	err := d.Cast(t.Context(), topic, &transport.Request{Method: "second"}, transport.SendOptions{})
	mustMatch(t, "cast", err, transport.ErrRejected)
	blob := transport.Value(`{"blob": "` + strings.Repeat("x", 1000) + `"}`)
	server := topic
	server.Server = "host"
	err = d.Cast(t.Context(), server, &transport.Request{Method: "long", Args: blob}, transport.SendOptions{})
	mustMatch(t, "cast", err, transport.ErrRejected)
}

func TestOpenRefusesWhatItCannotBe(t *testing.T) {
	t.Parallel()
	mustOpen(t, "memory://open-strict?max_queue_length=5&max_queue_bytes=500")
	for _, c := range []struct{ url, names string }{
		{"rabbit://open-strict", "rabbit"},
		{"memory://open-strict?max_queue_length=6", "max_queue_length"},
		{"memory://open-strict?max_queue_bytes=-1", "max_queue_bytes"},
		{"memory://open-x?max_queue_length=many", "max_queue_length"},
		{"memory://open-x?max_queue_length=-2", "max_queue_length"},
		{"memory://open-x?max_queue_bytes=1e9", "max_queue_bytes"},
		{"memory://open-x?max_queue_bytes=99999999999999999999", "max_queue_bytes"},
	} {
		d, err := open(c.url)
		if err == nil {
			closeDriver(t, d)
		}
		mustMatch(t, "open "+c.url, err, transport.ErrInvalidURL)
		if err != nil && !strings.Contains(err.Error(), c.names) {
			t.Errorf("open %s: error %q does not name %s", c.url, err, c.names)
		}
	}
}
