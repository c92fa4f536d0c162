package serializer_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/serializer"
)

func encode(tb testing.TB, v any) string {
	tb.Helper()
	text, err := serializer.JSON.Append(nil, v)
	if err != nil {
		tb.Errorf("%#v: %v", v, err)
	}
	return string(text)
}

// Types with methods of their own, on the value and on the pointer.
type (
	shout     string
	celsius   float64
	secret    struct{ text string }
	raw       string
	level     uint8
	broken    struct{}
	mute      struct{}
	outage    struct{ Host string }
	stringer  struct{ N int }
	loop      struct{ Next *loop }
	loopSlice []loopSlice
	loopMap   map[string]loopMap
	loopPtr   *loopPtr
)

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(s))), nil }
func (s *shout) UnmarshalText(t []byte) error {
	*s = shout(strings.ToLower(string(t)))
	return nil
}

func (c *celsius) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"celsius":%g}`, float64(*c)), nil
}

func (c *celsius) UnmarshalJSON(b []byte) error {
	_, err := fmt.Sscanf(string(b), `{"celsius":%g}`, (*float64)(c))
	return err
}
func (s *secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
func (r raw) MarshalJSON() ([]byte, error)     { return []byte(r), nil }
func (l level) MarshalText() ([]byte, error)   { return fmt.Appendf(nil, "level %d", uint8(l)), nil }
func (broken) MarshalJSON() ([]byte, error)    { return nil, errBroken }
func (broken) MarshalText() ([]byte, error)    { return nil, errBroken }
func (mute) MarshalText() ([]byte, error)      { return nil, errBroken }
func (o *outage) Error() string                { return o.Host + " is down" }
func (stringer) String() string                { return "not used" }

var errBroken = errors.New("broken\non two lines")

func TestAppendWritesValues(t *testing.T) {
	t.Parallel()
	seven, text := 7, "x"
	pointer := &text
	var nilAny any
	warm := celsius(21.5)
	tests := []struct {
		v    any
		want string
	}{
		{nil, `null`},
		{(*string)(nil), `null`},
		{&seven, `7`},
		{&pointer, `"x"`},
		{&nilAny, `null`},
		{[]any{int8(-1), uint(2), uintptr(3), float32(4), true, "\xff"}, `[-1, 2, 3, 4.0, true, "\ufffd"]`},
		{[]any(nil), `[]`},
		{[]string(nil), `[]`},
		{[]string{"a", "b"}, `["a", "b"]`},
		{[]int(nil), `[]`},
		{[0]int{}, `[]`},
		{[2][]int{{1, 2}, nil}, `[[1, 2], []]`},
		{[]byte(nil), `""`},
		{[3]byte{'a', 'b', 'c'}, `"abc"`},
		{&[3]byte{'a', 'b', 'c'}, `"abc"`},
		{[]level{1, 2}, `["level 1", "level 2"]`}, // bytes with a form of their own are no text
		{map[string]any(nil), `{}`},
		{map[string]any{"b": 1, "a": nil, "": "x"}, `{"": "x", "a": null, "b": 1}`},
		{map[string]string{"b": "ř", "a": ""}, `{"a": "", "b": "\u0159"}`},
		{map[int]string{10: "a", 9: "b", -1: "c"}, `{"-1": "c", "10": "a", "9": "b"}`},
		{map[uint8]int{1: 1}, `{"1": 1}`},
		{map[bool]int{true: 1, false: 0}, `{"false": 0, "true": 1}`},
		{map[shout]int{"b": 1}, `{"b": 1}`}, // as in encoding/json the string kind goes first
		{map[level]int{3: 1}, `{"level 3": 1}`},
		{map[*level]int{nil: 1}, `{"": 1}`},
		{map[encoding.TextMarshaler]int{nil: 1, level(2): 2}, `{"": 1, "level 2": 2}`},
		{[2]octet{'a', 'b'}, `"ab"`},
		{map[string]any{"o": []octet("ab")}, `{"o": "ab"}`},
		{json.Number("1e5"), `1e5`},
		{[]json.Number{"-0", "12345678901234567890", "NaN", "-Infinity"}, `[-0, 12345678901234567890, NaN, -Infinity]`},
		{json.RawMessage(` {"a":1}`), ` {"a":1}`},
		{json.RawMessage(nil), `null`},
		{[]json.RawMessage{nil, json.RawMessage(`"ř"`)}, `[null, "ř"]`},
		{big.NewInt(-12), `-12`},
		{*big.NewInt(12), `12`},
		{(*big.Int)(nil), `null`},
		{time.Time{}, `"0001-01-01T00:00:00.000000"`},
		{[]*time.Time{nil}, `[null]`},
		{map[string]time.Time{"t": time.Date(2024, 1, 2, 3, 4, 5, 6999, time.FixedZone("x", -3600))}, `{"t": "2024-01-02T03:04:05.000006"}`},
		{time.Minute, `60000000000`},
		{shout("hey"), `"HEY"`},
		{raw(` [1,2]`), ` [1,2]`},
		{warm, `{"celsius":21.5}`}, // methods of the pointer count for what cannot be addressed too
		{&warm, `{"celsius":21.5}`},
		{map[string]celsius{"t": 1}, `{"t": {"celsius":1}}`},
		{[]secret{{"x"}}, `["***"]`},
		{net.IPv4(10, 0, 0, 1), `"10.0.0.1"`},
		{struct{ json.Marshaler }{raw("1")}, `1`},
		{[]json.Marshaler{nil, raw("1")}, `[null, 1]`},
		{fmt.Errorf("no %s", "host"), `"no host"`},
		{&outage{"h1"}, `"h1 is down"`},
		{outage{"h1"}, `"h1 is down"`},
		{[]error{nil, &outage{"h1"}}, `[null, "h1 is down"]`},
		{stringer{1}, `{"N": 1}`},
		{struct{}{}, `{}`},
	}
	for _, test := range tests {
		if got := encode(t, test.v); got != test.want {
			t.Errorf("%T is written %s, want %s", test.v, got, test.want)
		}
	}
}

func TestAppendRefusesByPath(t *testing.T) {
	t.Parallel()
	cycle := &loop{}
	cycle.Next = cycle
	var pointer loopPtr
	pointer = &pointer
	var itself any
	itself = &itself
	slice := loopSlice{nil}
	slice[0] = slice
	loops := loopMap{}
	loops["a"] = loops
	anyLoop := []any{nil}
	anyLoop[0] = anyLoop
	anyMap := map[string]any{}
	anyMap["m"] = anyMap
	deepNext := strings.Repeat("Next.", 11) + "Next..."
	tests := []struct {
		v    any
		want string
	}{
		{func() {}, `cannot encode a func()`},
		{make(chan int), `cannot encode a chan int`},
		{complex(1, 2), `cannot encode a complex128`},
		{map[string]any{"args": map[string]any{"hosts": []any{1, 2, struct {
			Fn func() `json:"fn"`
		}{}}}}, `args.hosts[2].fn: cannot encode a func()`},
		{map[string][]map[int]any{"a b": {{-3: struct{ C chan int }{}}}}, `["a b"][0].-3.C: cannot encode a chan int`},
		{map[string]any{strings.Repeat("k", 100): func() {}}, strings.Repeat("k", 64) + `...: cannot encode a func()`},
		{map[float64]int{1: 1}, `cannot encode keys of type float64`},
		{map[any]int{1: 1}, `cannot encode keys of type interface {}`},
		{[]any{map[loop]int{{}: 1}}, `[0]: cannot encode keys of type serializer_test.loop`},
		{[]any{[]byte("\xff")}, `[0]: bytes must be UTF-8 text`},
		{[1]byte{0xff}, `bytes must be UTF-8 text`},
		{json.Number(""), `a json.Number must be a number, not ""`},
		{json.Number("1 "), `a json.Number must be a number, not "1 "`},
		{[]json.Number{"true"}, `[0]: a json.Number must be a number, not "true"`},
		{json.Number("\"1\""), `a json.Number must be a number, not "\"1\""`},
		{json.Number("0x1"), `a json.Number must be a number, not "0x1"`},
		{json.Number("[]"), `a json.Number must be a number, not "[]"`},
		{json.RawMessage{}, `not JSON: ends where a value should stand`},
		{[]json.RawMessage{json.RawMessage(`1 2`)}, `[0]: not JSON: want the end at byte 2, got '2'`},
		{raw(`{`), `not JSON: ends where a key should stand`},
		{map[string]any{"x": broken{}}, `x: broken on two lines`},
		{[]any{mute{}}, `[0]: broken on two lines`},
		{struct {
			N *json.Number `json:",string"`
		}{new(json.Number)}, `N: a json.Number must be a number, not ""`},
		{map[broken]int{{}: 1}, `broken on two lines`},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), `the year 10000 is none that Python knows`},
		{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), `the year 0 is none that Python knows`},
		{new(big.Int).Exp(big.NewInt(-10), big.NewInt(4301), nil), `an integer of more than 4300 digits`},
		{cycle, deepNext + `: nested deeper than 100, or contains itself`},
		{slice, strings.Repeat("[0]", 12) + `...: nested deeper than 100, or contains itself`},
		{loops, strings.Repeat("a.", 11) + `a...: nested deeper than 100, or contains itself`},
		{anyLoop, strings.Repeat("[0]", 12) + `...: nested deeper than 100, or contains itself`},
		{anyMap, strings.Repeat("m.", 11) + `m...: nested deeper than 100, or contains itself`},
		{pointer, `points to itself`},
		{itself, `points to itself`},
		{map[string]any{"a": itself}, `a: points to itself`},
	}
	for _, test := range tests {
		dst := []byte("kept")
		got, err := serializer.JSON.Append(dst, test.v)
		if err == nil || err.Error() != test.want {
			t.Errorf("%T: error %v, want %s", test.v, err, test.want)
		}
		if !errors.Is(err, serializer.ErrEncode) || errors.Is(err, serializer.ErrDecode) {
			t.Errorf("%T: error %v must match ErrEncode alone", test.v, err)
		}
		if string(got) != "kept" {
			t.Errorf("%T: dst is now %q, want it as it was", test.v, got)
		}
	}
}

func TestCausesOfErrorsCanBeMatched(t *testing.T) {
	t.Parallel()
	if _, err := serializer.JSON.Append(nil, broken{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v must match what MarshalJSON returned", err)
	}
	if _, err := serializer.JSON.Append(nil, json.RawMessage("x")); !errors.Is(err, pyjson.ErrSyntax) {
		t.Errorf("error %v must match pyjson.ErrSyntax", err)
	}
}

func TestDepthIsExact(t *testing.T) {
	t.Parallel()
	nest := func(v any, n int) any {
		for range n {
			inner := v
			v = []any{&inner} // a pointer and an interface on each level do not count
		}
		return v
	}
	for _, v := range []any{nest(1, 100), nest(json.RawMessage(`{"a":1}`), 99), nest(map[string]int{}, 99), nest([]string{}, 99)} {
		text := encode(t, v)
		var back any
		if err := serializer.JSON.Decode([]byte(text), &back); err != nil {
			t.Errorf("what is written at the limit must be read: %v", err)
		}
	}
	for _, v := range []any{nest(1, 101), nest(json.RawMessage(`{"a":1}`), 100), nest(map[string]int{}, 100), nest([]string{}, 100), nest([]int{}, 100), nest(struct{}{}, 100), nest(map[string]any{}, 100)} {
		if _, err := serializer.JSON.Append(nil, v); !errors.Is(err, serializer.ErrEncode) {
			t.Errorf("101 levels: error %v, want ErrEncode", err)
		}
	}
}

func TestLongestIntegerIsWritten(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("9", 4300)
	n, _ := new(big.Int).SetString("-"+longest, 10)
	if got := encode(t, n); got != "-"+longest {
		t.Errorf("an integer of 4300 digits is written with %d bytes", len(got))
	}
}

func TestAppendAppends(t *testing.T) {
	t.Parallel()
	dst := make([]byte, 1, 64)
	dst[0] = 'x'
	got, err := serializer.JSON.Append(dst, []int{1})
	if err != nil || string(got) != "x[1]" || &got[0] != &dst[0] {
		t.Errorf("Append = %q, %v, want x[1] in the memory of dst", got, err)
	}
	if serializer.JSON.ContentType() != "application/json" {
		t.Errorf("ContentType = %s", serializer.JSON.ContentType())
	}
}
