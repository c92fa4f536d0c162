package rabbit

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/transport"
)

// absent is the address of a broker that is not there: nothing listens on port 1, and the kernel says so at once,
// without which a bubble's clock would stand still.
const absent = "rabbit://user:s3cr3t@127.0.0.1:1/"

// open makes a driver of a URL with a logger that keeps its lines. It is closed when the test ends.
func open(tb testing.TB, url string) (*Driver, *logtest.Hook) {
	tb.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	log, hook := logtest.NewNullLogger()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.DebugLevel)
	d, err := Open(u, WithLogger(log), func(d *Driver) { d.gates = &gates{} }) // which a bubble must not share
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			tb.Errorf("Close = %v", err)
		}
	})
	return d, hook
}

// undialled is a driver whose links never dial: what is handed to it stays in its queues.
func undialled(tb testing.TB, url string) *Driver {
	tb.Helper()
	d, _ := open(tb, url)
	d.publisher.begin.Do(func() {})
	d.consumer.link.begin.Do(func() {})
	return d
}

// logged counts the lines with that message.
func logged(hook *logtest.Hook, message string) int {
	n := 0
	for _, entry := range hook.AllEntries() {
		if entry.Message == message {
			n++
		}
	}
	return n
}

func wantError(tb testing.TB, what string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Errorf("%s = %v, want an error that matches %v", what, got, want)
	}
}
