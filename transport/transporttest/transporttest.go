// Package transporttest is the suite that every [transport.Driver] must pass, one for the driver in memory and
// for those of real brokers.
//
// The tests run side by side and share the broker with whatever else is on it: each uses topics and exchanges
// of its own, with random names. None of them depends on how fast the broker is; what has to happen must
// happen within [Patience].
package transporttest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/transport"
)

// Patience is how long the suite waits for what has to happen.
const Patience = 10 * time.Second

// Features are what a test needs of a driver or its broker beyond package transport. Tests of what is
// missing are skipped, and say so.
type Features struct {
	// RawPublish puts a body on the broker as it is, persistent, to an exchange that exists.
	RawPublish func(tb testing.TB, exchange, key, contentType string, body []byte)
	// Cleanup removes what a test has left on the broker, once its drivers are closed: control exchanges and
	// the queues of topics and servers outlive their listeners. Names that do not exist are no error.
	Cleanup func(tb testing.TB, exchanges, queues []string)
	// Unreachable makes a driver whose broker cannot be reached, now or later. The suite closes it.
	Unreachable func(tb testing.TB) transport.Driver
	// Blocking makes a driver that is connected, and what has its broker take no messages of it for now, or take them
	// again. The suite closes it.
	Blocking func(tb testing.TB) (d transport.Driver, block func(blocked bool))
	// Deaf makes a driver that is connected, and what keeps replies from it, and nothing else, until it takes another way
	// for them. The suite closes it.
	Deaf func(tb testing.TB) (d transport.Driver, deafen func())
	// Redelivered tells that incoming requests are a [transport.Redelivery].
	Redelivered bool
	// Reordered tells that requests that were handed back come again in any order, as those of a quorum queue do.
	Reordered bool
	// LateAck tells that incoming requests are what late acknowledgement takes: a [transport.Staleness], a
	// [transport.DeliveryCount], a [transport.Mover] and a [transport.Malformed].
	LateAck bool
	// Counts tells that drivers are a [transport.ConsumerCounter].
	Counts bool
	// FakeTime runs each test in a bubble of testing/synctest: no test takes longer than its work, and one that
	// leaves a goroutine behind fails. It is for drivers that wait on channels and timers of their own only.
	FakeTime bool
}

// test is one case of the suite; its name finishes the sentence "It is so that ...".
type test struct {
	name string
	run  func(t *testing.T, b *bus)
}

// Run runs the suite. Every driver that newDriver makes must be on the same broker, as one more client of it;
// the suite closes them.
func Run(t *testing.T, newDriver func(tb testing.TB) transport.Driver, features Features) {
	t.Helper()
	for _, theme := range []struct {
		name  string
		tests []test
		able  bool // whether the features are there
	}{
		{"calls", callTests, true},
		{"time", timeTests, true},
		{"timeouts", timeoutTests, true},
		{"addresses", addressTests, true},
		{"payloads", payloadTests, true},
		{"kinds of messages", kindTests, true},
		{"delivery", deliveryTests, true},
		{"numbers of listeners", countTests, features.Counts},
		{"late acknowledgement", lateTests, features.LateAck},
		{"foreign messages", foreignTests, features.RawPublish != nil},
		{"listener life", listenerTests, true},
		{"driver life", driverTests, true},
		{"no broker", absenceTests, features.Unreachable != nil},
		{"a broker that takes no messages", blockedTests, features.Blocking != nil},
		{"replies that do not arrive", deafTests, features.Deaf != nil},
	} {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			if !theme.able {
				t.Skip("the driver lacks the feature that these tests need")
			}
			for _, test := range theme.tests {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					run := func(t *testing.T) {
						t.Helper()
						test.run(t, newBus(t, newDriver, features))
					}
					if features.FakeTime {
						synctest.Test(t, run)
					} else {
						run(t)
					}
				})
			}
		})
	}
}
