package rabbit

import (
	"errors"
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
	long := strings.Repeat("x", 10*256)
	for range 3 {
		d.malformed(&delivery{Delivery: amqp091.Delivery{Exchange: long, RoutingKey: long, Body: []byte(long)}}, errors.New(long))
	}
	if lines := logged(hook, "malformed message rejected"); lines != 1 {
		t.Errorf("%d lines, want one", lines)
	}
	for _, entry := range hook.AllEntries() {
		if text, err := entry.String(); err != nil || len(text) > 4*256 {
			t.Errorf("a line of %d bytes, %v", len(text), err)
		}
	}
	if got := d.Stats().Malformed; got != 3 {
		t.Errorf("%d malformed messages counted, want 3", got)
	}
}
