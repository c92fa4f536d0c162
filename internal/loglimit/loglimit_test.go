package loglimit_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/internal/loglimit"
)

func TestOneLineOfAKindPassesAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l loglimit.Limiter
		if held, ok := l.Pass("a"); !ok || held != 0 {
			t.Errorf("the first line: %d, %v", held, ok)
		}
		for range 5 {
			if _, ok := l.Pass("a"); ok {
				t.Error("a second line passes within the minute")
			}
		}
		if _, ok := l.Pass("b"); !ok {
			t.Error("a line of another kind is held back")
		}
		<-time.After(loglimit.Interval)
		if held, ok := l.Pass("a"); !ok || held != 5 {
			t.Errorf("a minute later: %d held back, %v; want 5, true", held, ok)
		}
	})
}

func TestKindsWithoutEndShareOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l loglimit.Limiter
		passed := 0
		for i := range 10_000 {
			if _, ok := l.Pass(strconv.Itoa(i)); ok {
				passed++
			}
		}
		if passed > 300 {
			t.Errorf("%d lines of kinds without end passed", passed)
		}
	})
}
