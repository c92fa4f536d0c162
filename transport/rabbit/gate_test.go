package rabbit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/transport"
)

const here, there = "127.0.0.1:5672", "127.0.0.2:5672"

// fill takes all places in front of an address, and returns what gives them back.
func fill(t *testing.T, g *gates, address string) []func() {
	t.Helper()
	var leave []func()
	for range gateWidth {
		l, err := g.enter(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	return leave
}

func TestGateLetsSoManyDialAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gates
		var at, most atomic.Int32
		var dials sync.WaitGroup
		begun := time.Now()
		const dial = 100 * time.Millisecond
		for range 10 * gateWidth {
			dials.Go(func() {
				leave, err := g.enter(t.Context(), here)
				if err != nil {
					t.Error(err)
					return
				}
				if n := at.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-time.After(dial)
				at.Add(-1)
				leave()
				leave() // harmless
			})
		}
		dials.Wait()
		if most.Load() != gateWidth {
			t.Errorf("%d dials at once, want %d", most.Load(), gateWidth)
		}
		if took, low, high := time.Since(begun), 10*dial, 10*(dial+gateJitter); took < low || took > high {
			t.Errorf("all took %s, want %s to %s", took, low, high)
		}
		if len(g.busy) != 0 {
			t.Errorf("%d gates are left over", len(g.busy))
		}
	})
}

func TestGateIsForOneAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gates
		leave := fill(t, &g, here)
		begun := time.Now()
		other := fill(t, &g, there)
		if took := time.Since(begun); took != 0 {
			t.Errorf("the other address had to wait for %s", took)
		}
		for _, l := range append(leave, other...) {
			l()
		}
	})
}

func TestDialThatHangsKeepsItsPlaceForABoundedTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gates
		hanging := fill(t, &g, here)
		begun := time.Now()
		for _, leave := range fill(t, &g, here) {
			defer leave()
		}
		if took := time.Since(begun); took < gateHold || took > gateHold+gateWidth*gateJitter {
			t.Errorf("the next ones waited for %s, want %s", took, gateHold)
		}
		for _, leave := range hanging { // at last: these places are not theirs any more
			leave()
		}
		if taken := g.busy[here].taken; taken != gateWidth {
			t.Errorf("%d places are taken, want %d", taken, gateWidth)
		}
	})
}

func TestWhoGivesUpWaitingTakesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gates
		leave := fill(t, &g, here)
		reason := errors.New("the driver is closed")
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := g.enter(ctx, here)
			failed <- err
		}()
		synctest.Wait()
		begun := time.Now()
		cancel(reason)
		wantError(t, "enter", <-failed, reason)
		if took := time.Since(begun); took != 0 {
			t.Errorf("giving up took %s", took)
		}
		for _, l := range leave {
			l()
		}
		if len(g.busy) != 0 {
			t.Errorf("places are left over: %v", g.busy[here])
		}
	})
}

func TestPlaceGivenToWhoHasJustGivenUpGoesToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gates
		leave := fill(t, &g, here)
		first, second := g.take(here), g.take(here)
		leave[0]()
		<-first // given, and not taken note of
		g.forgo(here, first)
		<-second
		g.give(here)
		for _, l := range leave[1:] {
			l()
		}
		if len(g.busy) != 0 {
			t.Errorf("places are left over: %v", g.busy[here])
		}
	})
}

func TestCloseIsNotDelayedByTheGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := open(t, absent)
		for range gateWidth {
			d.gates.take("127.0.0.1:1")
		}
		for _, l := range []*link{d.publisher, d.consumer.link} {
			l.start()
			<-time.After(time.Minute)
			if l.err != nil || l.up {
				t.Errorf("the link to %s has dialled without its turn: %v", l.purpose, l.err)
			}
		}
		begun := time.Now()
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close took %s", took)
		}
	})
}

func TestDriversOfAProcessShareTheirGates(t *testing.T) {
	t.Parallel()
	one, another := processDriver(t), processDriver(t)
	if one.publisher.gates != &processGates || one.consumer.link.gates != another.publisher.gates {
		t.Error("links have gates of their own")
	}
}

// processDriver is a driver as its users open it, but it never dials.
func processDriver(t *testing.T) *Driver {
	t.Helper()
	d, err := Open(&transport.URL{Driver: "rabbit"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d
}
