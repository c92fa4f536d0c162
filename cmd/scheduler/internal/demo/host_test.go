package demo

import (
	"errors"
	"testing"
)

func TestHostKeepsItsBook(t *testing.T) {
	t.Parallel()
	h := newHost(1, 4)
	small, medium, big := flavors[0], flavors[1], flavors[2]
	must(t, h.land(&instance{"a", small}))
	must(t, h.land(&instance{"b", medium}))
	if h.hasRoom(medium) || !h.hasRoom(small) {
		t.Error("a host with one unit left has room for a small instance, and no other")
	}
	if err := h.land(&instance{"c", medium}); !errors.Is(err, errFull) {
		t.Errorf("land on a full host = %v, want errFull", err)
	}
	if err := h.land(&instance{"a", small}); err == nil || errors.Is(err, errFull) {
		t.Errorf("land twice = %v, want another error", err)
	}
	if h.used != 3 || len(h.book) != 2 || len(h.unheard) != 2 || h.refused != 1 {
		t.Errorf("used %d, %d in the book, %d unheard, %d refused; want 3, 2, 2, 1", h.used, len(h.book), len(h.unheard), h.refused)
	}
	if err := newHost(2, 3).land(&instance{"d", big}); !errors.Is(err, errFull) {
		t.Errorf("land on a host that is too small = %v, want errFull", err)
	}
	if len(h.refusal) != 1 {
		t.Error("a refusal does not wake the reports")
	}
}

func TestFlavorsAreMixed(t *testing.T) {
	t.Parallel()
	count := make(map[string]int)
	units := 0
	for n := 1; n <= 400; n++ {
		f := newInstance(n).flavor
		count[f.name]++
		units += f.units
	}
	if count["m1.small"] != 200 || count["m1.medium"] != 100 || count["m1.large"] != 100 || units != totalUnits(400) {
		t.Errorf("flavors of 400 instances = %v with %d units, counted as %d", count, units, totalUnits(400))
	}
}
