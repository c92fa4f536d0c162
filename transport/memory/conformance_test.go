package memory_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/transporttest"
)

// TestMain lets more tests run at once than there are processors: in real time most of them wait.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "32"); err != nil { // before the command line is read, which wins
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// TestDriverConforms runs the suite of all drivers, in real time and on a broker made by hand.
func TestDriverConforms(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds; the same in fake time takes none")
	}
	t.Parallel()
	broker := memory.NewBroker(memory.Config{})
	transporttest.Run(t, func(testing.TB) transport.Driver { return broker.NewDriver() }, features(broker))
}

// TestOpenedDriverConformsInFakeTime runs it once more on a broker of Open, and shows that the driver works in
// bubbles of testing/synctest.
func TestOpenedDriverConformsInFakeTime(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("memory://conformance/vhost")
	if err != nil {
		t.Fatal(err)
	}
	open := func(tb testing.TB) *memory.Driver {
		tb.Helper()
		d, err := memory.Open(u)
		if err != nil {
			tb.Fatal(err)
		}
		return d
	}
	first := open(t) // it keeps the broker
	t.Cleanup(func() { closeDriver(t, first) })
	features := features(first.Broker())
	features.FakeTime = true
	transporttest.Run(t, func(tb testing.TB) transport.Driver { return open(tb) }, features)
}

func features(b *memory.Broker) transporttest.Features {
	return transporttest.Features{
		Redelivered: true,
		LateAck:     true,
		Counts:      true,
		RawPublish: func(tb testing.TB, exchange, key, contentType string, body []byte) {
			tb.Helper()
			if err := b.Publish(exchange, key, memory.Publishing{ContentType: contentType, Body: body}); err != nil {
				tb.Fatal(err)
			}
		},
	}
}
