package wire_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/wire"
)

func TestTruthIsPythons(t *testing.T) {
	t.Parallel()
	falsy := []string{`null`, `false`, `0`, `-0`, `0.0`, `-0.0`, `0e5`, `0.000`, `1e-400`, `""`, `[]`, "[ \t\r\n]", `{}`, `{ }`}
	truthy := []string{`true`, `1`, `-1`, `0.1`, `1e-300`, `1e400`, `NaN`, `Infinity`, `-Infinity`, `" "`, `"0"`, `"false"`, `"\u0000"`, `[0]`, `[[]]`, `{"a": 0}`}
	for _, v := range falsy {
		if wire.Value(v).Truthy() {
			t.Errorf("%s is true, want false", v)
		}
	}
	for _, v := range truthy {
		if !wire.Value(v).Truthy() {
			t.Errorf("%s is false, want true", v)
		}
	}
	if wire.Value(nil).Truthy() || !wire.Value(nil).Null() || !wire.Value("null").Null() || wire.Value("0").Null() {
		t.Error("absent and null are null and false, 0 is not null")
	}
}

func TestTextOfValues(t *testing.T) {
	t.Parallel()
	if text, ok := wire.Value(`"a\n"`).Text(); text != "a\n" || !ok {
		t.Errorf("Text = %q, %t, want a and a line break", text, ok)
	}
	if text, ok := wire.Value(`1`).Text(); text != "" || ok {
		t.Errorf("Text of 1 = %q, %t, want none", text, ok)
	}
	if v := wire.TextValue("abc"); string(v) != `"abc"` {
		t.Errorf("TextValue(abc) = %s", v)
	}
}

func TestIDsAreRandomUUIDsWithoutDashes(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`)
	seen := map[string]bool{}
	for range 10_000 {
		id := wire.NewID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("NewID = %s: no version 4, or seen before", id)
		}
		seen[id] = true
	}
}

func TestSecondsAreWholeWhereTheyAre(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0", time.Second: "1", time.Minute: "60", -time.Second: "-1", 2500 * time.Millisecond: "2.5", time.Millisecond: "0.001", time.Nanosecond: "1e-09",
		1<<63 - 1: "9223372036.854776",
	} {
		if got := wire.Seconds(d); string(got) != want {
			t.Errorf("Seconds(%s) = %s, want %s", d, got, want)
		}
	}
}
