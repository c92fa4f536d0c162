package transport_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/transport"
)

func wantNew(tb testing.TB, d *transport.Duplicates, id string, want bool) {
	tb.Helper()
	if got := d.Add(id); got != want {
		tb.Errorf("Add(%q) = %v, want %v", id, got, want)
	}
}

// addOthers adds n ids that no test uses otherwise.
func addOthers(tb testing.TB, d *transport.Duplicates, from, n int) {
	tb.Helper()
	for i := from; i < from+n; i++ {
		wantNew(tb, d, "other"+strconv.Itoa(i), true)
	}
}

func TestRepeatedIDIsADuplicateUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	var d transport.Duplicates
	d.Remove("a") // nothing is known yet
	wantNew(t, &d, "a", true)
	wantNew(t, &d, "b", true)
	wantNew(t, &d, "a", false)
	wantNew(t, &d, "a", false)
	d.Remove("a")
	d.Remove("a")
	wantNew(t, &d, "a", true)
	wantNew(t, &d, "a", false)
	wantNew(t, &d, "b", false)
}

func TestEmptyIDIsNeverADuplicate(t *testing.T) {
	t.Parallel()
	var d transport.Duplicates
	for range 3 {
		wantNew(t, &d, "", true)
	}
	d.Remove("")
	wantNew(t, &d, "", true)
}

// TestTheLast1024IDsAreRememberedHoweverOld has a server that is idle most of the time.
func TestTheLast1024IDsAreRememberedHoweverOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d transport.Duplicates
		wantNew(t, &d, "a", true)
		addOthers(t, &d, 0, 1023)
		<-time.After(time.Hour)
		wantNew(t, &d, "a", false)
		addOthers(t, &d, 1023, 1) // the 1,024th other id
		wantNew(t, &d, "a", true)
		for i := 1; i < 1024; i++ { // "a" came in place of the oldest, all others are known still
			wantNew(t, &d, "other"+strconv.Itoa(i), false)
		}
	})
}

// TestIDsOfTheLastMinuteAreRememberedHoweverMany has a server that is busy.
func TestIDsOfTheLastMinuteAreRememberedHoweverMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d transport.Duplicates
		const each = 5000
		addOthers(t, &d, 0, each)
		<-time.After(time.Minute - time.Nanosecond)
		addOthers(t, &d, each, each)
		wantNew(t, &d, "other0", false)
		<-time.After(time.Nanosecond)
		wantNew(t, &d, "a", true) // which pushes out those of a minute ago
		wantNew(t, &d, "other0", true)
		wantNew(t, &d, "other4999", true)
		for i := each; i < 2*each; i++ {
			wantNew(t, &d, "other"+strconv.Itoa(i), false)
		}
		<-time.After(time.Hour)
		wantNew(t, &d, "b", true)
		wantNew(t, &d, "other"+strconv.Itoa(2*each-1024), true) // 1,024 are left: "b" and those two, and the last of the others
		wantNew(t, &d, "other"+strconv.Itoa(2*each-1000), false)
	})
}

func TestNoMoreThan131072IDsAreRemembered(t *testing.T) {
	t.Parallel()
	var d transport.Duplicates
	const most = 1 << 17
	addOthers(t, &d, 0, most)
	wantNew(t, &d, "other0", false)
	addOthers(t, &d, most, 1)
	wantNew(t, &d, "other1", false)
	wantNew(t, &d, "other0", true)
}

// TestWindowMovesOnForLong checks the window with ids removed and added again in between.
func TestWindowMovesOnForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d transport.Duplicates
		for i := range 20_000 {
			wantNew(t, &d, strconv.Itoa(i), true)
			if i%7 == 3 {
				d.Remove(strconv.Itoa(i - 3))
			}
			if i%7 == 5 {
				wantNew(t, &d, strconv.Itoa(i-5), true) // it was removed two steps ago
			}
			if i%100 == 99 {
				wantNew(t, &d, strconv.Itoa(i-50), false)
			}
			if i%1000 == 999 {
				<-time.After(40 * time.Second)
			}
		}
	})
}

// TestIDThatWasAddedAgainKeepsItsNewPlace removes an id and adds it again: the place that it had first goes out of
// the window sooner than its new one, and must not push it out.
func TestIDThatWasAddedAgainKeepsItsNewPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d transport.Duplicates
		wantNew(t, &d, "a", true)
		addOthers(t, &d, 0, 500)
		d.Remove("a")
		wantNew(t, &d, "a", true)
		<-time.After(time.Hour)
		addOthers(t, &d, 500, 1023) // past the first place, up to the second
		wantNew(t, &d, "a", false)
		addOthers(t, &d, 1523, 1)
		wantNew(t, &d, "a", true)
	})
}

func TestOneOfManyAtOnceIsTheFirst(t *testing.T) {
	t.Parallel()
	var d transport.Duplicates
	var first atomic.Int32
	var adding sync.WaitGroup
	for range 8 {
		adding.Go(func() {
			for i := range 200 {
				if d.Add(strconv.Itoa(i)) {
					first.Add(1)
				}
				d.Remove("none")
			}
		})
	}
	adding.Wait()
	if first.Load() != 200 {
		t.Errorf("%d ids were new, want each once: 200", first.Load())
	}
}

func TestDuplicatesTellWhatTheyHave(t *testing.T) {
	t.Parallel()
	var d transport.Duplicates
	if d.Has("a") {
		t.Error("nothing was added, and it has a")
	}
	d.Add("a")
	if !d.Has("a") || d.Has("b") {
		t.Errorf("has a: %t, b: %t; want a alone", d.Has("a"), d.Has("b"))
	}
	d.Remove("a")
	if d.Has("a") {
		t.Error("a was removed, and it has a")
	}
}
