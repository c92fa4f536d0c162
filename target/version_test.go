package target_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/goslo/goslo/target"
)

// TestCompatibleAgreesWithOslo checks every pair that oslo.messaging's own rule was measured on.
func TestCompatibleAgreesWithOslo(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/version_compat.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Cases []struct {
			Implemented, Requested *string
			Compatible             any
		}
	}
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Cases) < 300 {
		t.Fatalf("the table has %d cases, want over 300", len(table.Cases))
	}
	for _, c := range table.Cases {
		if c.Implemented == nil || c.Requested == nil {
			continue // absence is the caller's matter: package messaging tests the whole table
		}
		got := outcome(target.Compatible(*c.Implemented, *c.Requested))
		if got != c.Compatible {
			t.Errorf("Compatible(%q, %q) = %v, want %v", *c.Implemented, *c.Requested, got, c.Compatible)
		}
	}
}

func outcome(ok bool, err error) any {
	var malformed *target.MalformedVersionError
	switch {
	case err == nil:
		return ok
	case errors.As(err, &malformed) && malformed.Missing:
		return "raises IndexError"
	default:
		return "raises ValueError"
	}
}

func TestCompatibleAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = target.Compatible("4.5", "4.2") }); n != 0 {
		t.Errorf("Compatible allocates %v times, want 0", n)
	}
}
