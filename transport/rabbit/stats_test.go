package rabbit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/loglimit"
)

func TestLimiterLetsOneLineOfAKindPassAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, hook := open(t, "rabbit://h/")
		write := func(kind string) bool {
			entry := d.rarely(kind)
			if entry != nil {
				entry.Warn(kind)
			}
			return entry != nil
		}
		for i, want := range []bool{true, false, false} {
			if got := write("a"); got != want {
				t.Errorf("line %d: passes = %v, want %v", i, got, want)
			}
		}
		if !write("b") {
			t.Error("a line of another kind was held back")
		}
		<-time.After(loglimit.Interval - 1)
		if write("a") {
			t.Error("a line passed within the minute")
		}
		<-time.After(1)
		if !write("a") || !write("b") {
			t.Error("a line was held back after a minute")
		}
		<-time.After(loglimit.Interval)
		if !write("a") {
			t.Error("a line was held back after another minute")
		}
		var held []any
		for _, entry := range hook.AllEntries() {
			held = append(held, entry.Data["held_back"])
		}
		if diff := cmp.Diff([]any{nil, nil, 3, nil, nil}, held); diff != "" {
			t.Errorf("held back otherwise (-want +got):\n%s", diff)
		}
	})
}

func TestStatsCountEachThing(t *testing.T) {
	t.Parallel()
	var c counters
	c.sessions.Add(1)
	c.malformed.Add(2)
	c.duplicates.Add(3)
	c.stale.Add(4)
	c.cancelled.Add(5)
	c.unwaited.Add(6)
	c.retried.Add(7)
	c.dropped.Add(8)
	c.probes.Add(9)
	c.lostPaths.Add(10)
	c.consumersLost.Add(11)
	want := Stats{
		Sessions: 1, Malformed: 2, Duplicates: 3, Stale: 4, Cancelled: 5, RepliesUnwaited: 6, RepliesRetried: 7, RepliesDropped: 8,
		ReplyProbes: 9, ReplyPathsLost: 10, ConsumersLost: 11,
	}
	if got := c.read(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

func TestPeerCannotMakeTheLogLong(t *testing.T) {
	t.Parallel()
	d, hook := open(t, "rabbit://h/")
	for range 3 {
		d.malformed(&delivery{Delivery: amqp091.Delivery{
			Exchange: strings.Repeat("x", 2560), RoutingKey: "a\nlevel=error", Body: []byte("x"),
		}}, errors.New(strings.Repeat("\xff", 2560)))
	}
	d.replier.drop("reply_\x1b[2J\n"+strings.Repeat("x", 2560), errDeadQueue)
	for _, message := range []string{"malformed message rejected", "reply dropped"} {
		if lines := logged(hook, message); lines != 1 {
			t.Errorf("%q: %d lines, want one", message, lines)
		}
	}
	for _, entry := range hook.AllEntries() {
		for key, value := range entry.Data {
			text := fmt.Sprint(value)
			if len(text) > 256 || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
				t.Errorf("%s: field %s is %.300q, of %d bytes", entry.Message, key, text, len(text))
			}
		}
	}
	if got := d.Stats().Malformed; got != 3 {
		t.Errorf("%d malformed messages counted, want 3", got)
	}
}
