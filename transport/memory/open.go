package memory

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/goslo/goslo/transport"
)

// Options of a transport URL that [Open] reads.
const (
	optionMaxQueueLength = "max_queue_length"
	optionMaxQueueBytes  = "max_queue_bytes"
)

// shared are the brokers that Open made and that drivers are open on.
var shared = struct {
	mu      sync.Mutex
	brokers map[string]*sharedBroker
}{brokers: make(map[string]*sharedBroker)}

type sharedBroker struct {
	*Broker
	drivers int
}

// Open makes a driver for a URL such as memory:// or memory://name/vhost; the scheme fake means the same, as
// oslo.messaging's. Drivers opened with the same hosts and virtual host share a broker in this process, which
// vanishes, with all that waits on it, when the last of them is closed. Credentials are not read.
//
// The options max_queue_length and max_queue_bytes are those of [Config]; others are not read. They count
// where the URL makes the broker. Another URL may leave them out, but not contradict them: as RabbitMQ refuses
// a queue declared otherwise, Open then fails. All its errors match [transport.ErrInvalidURL].
func Open(u *transport.URL) (*Driver, error) {
	if u.Driver != "memory" && u.Driver != "fake" {
		return nil, fmt.Errorf("memory: %w: the scheme is %q, want memory or fake", transport.ErrInvalidURL, u.Driver)
	}
	config, err := readConfig(u.Query)
	if err != nil {
		return nil, err
	}
	name := brokerName(u)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	b := shared.brokers[name]
	if b == nil {
		b = &sharedBroker{Broker: NewBroker(config)}
		shared.brokers[name] = b
	} else if err := b.accepts(config); err != nil {
		return nil, err
	}
	b.drivers++
	d := b.NewDriver()
	d.release = func() { release(name, b) }
	return d, nil
}

func release(name string, b *sharedBroker) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if b.drivers--; b.drivers == 0 {
		delete(shared.brokers, name)
	}
}

// brokerName is what URLs of one broker have in common.
func brokerName(u *transport.URL) string {
	var b strings.Builder
	for _, h := range u.Hosts {
		b.WriteString(transport.Host{Name: h.Name, Port: h.Port}.String() + ",")
	}
	return b.String() + "/" + u.VirtualHost
}

func readConfig(query map[string]string) (c Config, err error) {
	length, err := readLimit(query, optionMaxQueueLength, math.MaxInt)
	if err != nil {
		return c, err
	}
	c.MaxQueueLength = int(length)
	c.MaxQueueBytes, err = readLimit(query, optionMaxQueueBytes, math.MaxInt64)
	return c, err
}

func readLimit(query map[string]string, key string, most int64) (int64, error) {
	text, ok := query[key]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < -1 || n > most {
		return 0, fmt.Errorf("memory: %w: %s is %q, want a number from -1 to %d", transport.ErrInvalidURL, key, text, most)
	}
	return n, nil
}

// accepts checks that a URL asks for nothing that the broker is not.
func (b *sharedBroker) accepts(asked Config) error {
	want := asked.withDefaults()
	if asked.MaxQueueLength != 0 && want.MaxQueueLength != b.config.MaxQueueLength {
		return contradiction(optionMaxQueueLength, int64(asked.MaxQueueLength), int64(b.config.MaxQueueLength))
	}
	if asked.MaxQueueBytes != 0 && want.MaxQueueBytes != b.config.MaxQueueBytes {
		return contradiction(optionMaxQueueBytes, asked.MaxQueueBytes, b.config.MaxQueueBytes)
	}
	return nil
}

func contradiction(option string, asked, is int64) error {
	return fmt.Errorf("memory: %w: %s is %d, but the broker was opened with %d", transport.ErrInvalidURL, option, asked, is)
}
