package serializer_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/serializer"
)

type (
	flavor struct {
		Name  string `json:"name"`
		VCPUs int8   `json:"vcpus"`
	}
	spec struct {
		Flavor  *flavor        `json:"flavor"`
		Hosts   []string       `json:"hosts"`
		Hints   map[string]any `json:"hints"`
		Created time.Time      `json:"created"`
		Ratio   float32        `json:"ratio"`
		Quoted  int            `json:"quoted,string"`
		Any     any            `json:"any"`
	}
	option struct {
		Set   bool
		Value int
	}
	upper  string
	octet  byte
	number int
)

// UnmarshalJSON sees null too: that is what tells nothing from null.
func (o *option) UnmarshalJSON(text []byte) error {
	o.Set = true
	if string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, &o.Value)
}

func (o option) MarshalJSON() ([]byte, error) { return json.Marshal(o.Value) }

func (u *upper) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errBroken
	}
	*u = upper(strings.ToUpper(string(text)))
	return nil
}

func pointerTo[T any](v T) *T { return &v }

func bigInt(text string) *big.Int {
	n, _ := new(big.Int).SetString(text, 10)
	return n
}

// decodeTests decode text into a new value of the type of want.
var decodeTests = []struct {
	text string
	want any
}{
	{`true`, true},
	{`false`, false},
	{` -128 `, int8(-128)},
	{`255`, uint8(255)},
	{`-0`, uint(0)},
	{`-0`, 0},
	{`18446744073709551615`, uint64(math.MaxUint64)},
	{`-9223372036854775808`, int64(math.MinInt64)},
	{`7`, number(7)},
	{`7`, uintptr(7)},
	{`1`, 1.0},
	{`1e3`, 1000.0},
	{`0.1`, float32(0.1)},
	{`Infinity`, math.Inf(1)},
	{`-Infinity`, float32(math.Inf(-1))},
	{`"a\u0159\ud83d\udc0e\ud800"`, "ař🐎\ufffd"},
	{`1.0`, json.Number("1.0")},
	{`NaN`, json.Number("NaN")},
	{`-1180591620717411303424`, bigInt("-1180591620717411303424")},
	{`[1, null]`, []*big.Int{big.NewInt(1), nil}},
	{`{"a":12}`, map[string]big.Int{"a": *big.NewInt(12)}},
	{` {"a": [1 ,2]} `, json.RawMessage(`{"a": [1 ,2]}`)},
	{`null`, json.RawMessage(`null`)},
	{`{"a":[1.0 , 2]}`, map[string]json.RawMessage{"a": json.RawMessage(`[1.0 , 2]`)}},
	{`"a\u0159"`, []byte("ař")},
	{`[97, 98]`, []byte("ab")},
	{`""`, []byte{}},
	{`["a", null]`, [][]byte{[]byte("a"), nil}},
	{`"abc"`, [3]byte{'a', 'b', 'c'}},
	{`[1,2]`, [2]byte{1, 2}},
	{`"abc"`, [3]octet{'a', 'b', 'c'}},
	{`"abc"`, []octet{'a', 'b', 'c'}},
	{`[]`, []int{}},
	{`[1, 2, 3]`, []int{1, 2, 3}},
	{`[1, 2]`, [2]float64{1, 2}},
	{`[]`, [0]int{}},
	{`[[1], null, []]`, [][]int{{1}, nil, {}}},
	{`[null, 1]`, []*int{nil, pointerTo(1)}},
	{`[1, "a", null, [true], {"k": 1.0}]`, []any{json.Number("1"), "a", nil, []any{true}, map[string]any{"k": json.Number("1.0")}}},
	{`{"a": 1, "a": 2, "\u0061": 3}`, map[string]int{"a": 3}},
	{`{"a": {"x": 1}, "a": {"y": 2}}`, map[string]map[string]int{"a": {"y": 2}}},
	{`{"a": {"x": 1}, "a": {"y": 2}}`, map[string]any{"a": map[string]any{"y": json.Number("2")}}},
	{`{"-1": "a", "10": "b"}`, map[int8]string{-1: "a", 10: "b"}},
	{`{"1": "a"}`, map[uint]string{1: "a"}},
	{`{"true": 1, "false": 0}`, map[bool]int{true: 1, false: 0}},
	{`{"10.0.0.1": 1}`, map[netip.Addr]int{netip.MustParseAddr("10.0.0.1"): 1}},
	{`{"a": 1}`, map[shout]int{"a": 1}},
	{`{}`, map[string]int{}},
	{`"10.0.0.0/8"`, netip.MustParsePrefix("10.0.0.0/8")},
	{`"abc"`, upper("ABC")},
	{`["a\nb", null]`, []*upper{pointerTo(upper("A\nB")), nil}},
	{`[1, null]`, []option{{true, 1}, {true, 0}}},
	{`[1, null]`, []*option{{true, 1}, nil}},
	{`{"celsius":3}`, celsius(3)},
	{`"2024-01-02T03:04:05.678901"`, time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC)},
	{`"2024-01-02T03:04:05"`, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{`"2024-01-02T03:04:05Z"`, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{`"2024-01-02"`, time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)},
	{`["2024-01-02T03:04:05.5", null]`, []*time.Time{pointerTo(time.Date(2024, 1, 2, 3, 4, 5, 5e8, time.UTC)), nil}},
	{`{}`, spec{}},
	{`{"unknown": [1, {"a": 2}], "Flavor": 5, "FLAVOR": 6}`, spec{}}, // names must match exactly
	{
		`{"hosts": ["a"], "flavor": {"vcpus": 4, "name": "m1"}, "hints": {"a": 1}, "quoted": "12", "ratio": NaN, "ratio": 1.5, "any": {"b": []}}`,
		spec{
			Flavor: &flavor{"m1", 4}, Hosts: []string{"a"}, Hints: map[string]any{"a": json.Number("1")}, Quoted: 12, Ratio: 1.5,
			Any: map[string]any{"b": []any{}},
		},
	},
	{`{"flavor": {"name": "m1"}, "\u0066lavor": {"vcpus": 4}}`, spec{Flavor: &flavor{VCPUs: 4}}}, // the last one, not a mixture
	{`{"flavor": null, "hosts": null, "hints": null, "created": null, "ratio": null, "quoted": null, "any": null}`, spec{}},
	{`{"a": "1", "b": "true", "c": "\"x\"", "d": "1.0", "e": null, "f": "2"}`, quoted{1, true, "x", 1, nil, pointerTo(uint8(2))}},
}

type quoted struct {
	A int     `json:"a,string"`
	B bool    `json:"b,string"`
	C string  `json:"c,string"`
	D float64 `json:"d,string"`
	E *int    `json:"e,string"`
	F *uint8  `json:"f,string"`
}

func TestDecodeFillsValues(t *testing.T) {
	t.Parallel()
	for _, test := range decodeTests {
		target := reflect.New(reflect.TypeOf(test.want))
		if err := serializer.JSON.Decode([]byte(test.text), target.Interface()); err != nil {
			t.Errorf("%s into a %T: %v", test.text, test.want, err)
			continue
		}
		if got := target.Elem().Interface(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s decodes to %#v, want %#v", test.text, got, test.want)
		}
	}
}

func TestNotANumberDecodes(t *testing.T) {
	t.Parallel()
	var got struct{ A, B float64 }
	if err := serializer.JSON.Decode([]byte(`{"A": NaN, "B": -Infinity}`), &got); err != nil || !math.IsNaN(got.A) || !math.IsInf(got.B, -1) {
		t.Errorf("decoded %v, %v, want NaN and -Inf", got, err)
	}
}

func TestTimeKeepsTheOffsetItIsSentWith(t *testing.T) {
	t.Parallel()
	var got time.Time
	want := time.Date(2024, 1, 2, 3, 4, 5, 678, time.FixedZone("", 19800))
	if err := serializer.JSON.Decode([]byte(`"2024-01-02T03:04:05.000000678+05:30"`), &got); err != nil || !got.Equal(want) {
		t.Errorf("decoded %v, %v, want %v", got, err, want)
	}
}

// TestDecodeReplacesMapsAndSlices but keeps fields that no member names, and what pointers point to.
func TestDecodeReplacesMapsAndSlices(t *testing.T) {
	t.Parallel()
	hosts := []string{"old", "older"}
	f := &flavor{Name: "default", VCPUs: 1}
	got := spec{Flavor: f, Hosts: hosts, Hints: map[string]any{"old": 1}, Ratio: 2, Any: 5}
	err := serializer.JSON.Decode([]byte(`{"flavor": {"vcpus": 2}, "hosts": ["new"], "hints": {"new": true}, "any": null}`), &got)
	want := spec{Flavor: &flavor{"default", 2}, Hosts: []string{"new"}, Hints: map[string]any{"new": true}, Ratio: 2}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v, %v, want %+v", got, err, want)
	}
	if got.Flavor != f || hosts[0] != "old" {
		t.Errorf("flavor must be filled in place (%p, want %p), the old slice left alone (%q)", got.Flavor, f, hosts)
	}
}

func TestNullIsTheZeroValue(t *testing.T) {
	t.Parallel()
	full := func() (v struct {
		I int
		S string
		P *int
		M map[string]int
		L []int
		A [1]int
		F flavor
		X any
		O map[string]any
		E []any
		N json.Number
		B *big.Int
		T time.Time
		U upper
		Q int `json:",string"`
		G func()
		R error
	},
	) {
		return v
	}
	zero, got := full(), full()
	got.I, got.S, got.P, got.M, got.L, got.A, got.F.Name = 1, "x", pointerTo(1), map[string]int{}, []int{}, [1]int{1}, "x"
	got.X, got.O, got.E, got.N, got.B, got.T, got.U, got.Q = 1, map[string]any{}, []any{}, "1", big.NewInt(1), time.Unix(1, 0), "x", 1
	got.R = errBroken
	text := strings.NewReplacer("x", "null").Replace(`{"I":x,"S":x,"P":x,"M":x,"L":x,"A":x,"F":x,"X":x,"O":x,"E":x,"N":x,"B":x,"T":x,"U":x,"Q":x,"G":x,"R":x}`)
	if err := serializer.JSON.Decode([]byte(text), &got); err != nil || !reflect.DeepEqual(got, zero) {
		t.Errorf("decoded %+v, %v, want the zero value", got, err)
	}
	m, l, v := map[string]any{"a": 1}, []any{1}, any(1)
	for _, target := range []any{&m, &l, &v} {
		if err := serializer.JSON.Decode([]byte("null"), target); err != nil {
			t.Errorf("null into a %T: %v", target, err)
		}
	}
	if m != nil || l != nil || v != nil {
		t.Errorf("null decodes to %v, %v, %v, want nil", m, l, v)
	}
}

func TestDecodeKeepsNoPartOfItsInput(t *testing.T) {
	t.Parallel()
	data := []byte(`{"s": "abc", "r": [1], "b": "xyz", "m": {"key": 12}, "n": 12}`)
	var got struct {
		S string                     `json:"s"`
		R json.RawMessage            `json:"r"`
		B []byte                     `json:"b"`
		M map[string]json.RawMessage `json:"m"`
		N json.Number                `json:"n"`
	}
	if err := serializer.JSON.Decode(data, &got); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if text := encode(t, got); text != `{"s": "abc", "r": [1], "b": "xyz", "m": {"key": 12}, "n": 12}` {
		t.Errorf("after the input is gone the value is %q", text)
	}
}

func TestDecodeRefusesByPath(t *testing.T) {
	t.Parallel()
	type inner struct {
		N int
		F func()
		C chan int
		E error
		Z [2]int
		B [2]byte
		Q bool `json:",string"`
		U upper
		O outage
	}
	var nilSpec *spec
	long := strings.Repeat("9", 100)
	tests := []struct {
		text   string
		target any
		want   string
	}{
		{`{"flavor": {"vcpus": "4"}}`, &spec{}, `flavor.vcpus: want an integer, got a string`},
		{`{"flavor": {"vcpus": 1.0}}`, &spec{}, `flavor.vcpus: want an integer, got 1.0`},
		{`{"flavor": {"vcpus": 1e2}}`, &spec{}, `flavor.vcpus: want an integer, got 1e2`},
		{`{"flavor": {"vcpus": NaN}}`, &spec{}, `flavor.vcpus: want an integer, got NaN`},
		{`{"flavor": {"vcpus": 128}}`, &spec{}, `flavor.vcpus: 128 does not fit int8`},
		{`{"flavor": {"vcpus": -129}}`, &spec{}, `flavor.vcpus: -129 does not fit int8`},
		{`{"flavor": {"vcpus": true}}`, &spec{}, `flavor.vcpus: want an integer, got a boolean`},
		{`{"flavor": []}`, &spec{}, `flavor: want an object, got an array`},
		{`{"flavor": 1}`, &spec{}, `flavor: want an object, got a number`},
		{`{"hosts": {}}`, &spec{}, `hosts: want an array, got an object`},
		{`{"hosts": ["a", "b", 3]}`, &spec{}, `hosts[2]: want a string, got a number`},
		{`{"hosts": ["a", null, false]}`, &spec{}, `hosts[2]: want a string, got a boolean`},
		{`{"any": [x]}`, &spec{}, `any[0]: not JSON: want a value at byte 9, got 'x'`},
		{`{"a": {"b" 1}}`, new(map[string]any), `a: not JSON: want a colon at byte 11, got '1'`},
		{`{"hints": "x"}`, &spec{}, `hints: want an object, got a string`},
		{`{"created": "yesterday"}`, &spec{}, `created: want a time, got "yesterday"`},
		{`{"created": "2024-13-02T03:04:05"}`, &spec{}, `created: want a time, got "2024-13-02T03:04:05"`},
		{`{"created": "0000-01-02"}`, &spec{}, `created: want a time, got "0000-01-02"`},
		{`{"created": 5}`, &spec{}, `created: want a string, got a number`},
		{`{"ratio": "1"}`, &spec{}, `ratio: want a number, got a string`},
		{`{"ratio": 1e39}`, &spec{}, `ratio: 1e39 does not fit float32`},
		{`{"quoted": 1}`, &spec{}, `quoted: want a string, got a number`},
		{`{"quoted": "x"}`, &spec{}, `quoted: not JSON: want a value at byte 0, got 'x'`},
		{`{"quoted": "1 2"}`, &spec{}, `quoted: not JSON: want the end at byte 2, got '2'`},
		{`{"quoted": ""}`, &spec{}, `quoted: not JSON: ends where a value should stand`},
		{`{"Q": "1"}`, &inner{}, `Q: want a boolean, got a number`},
		{`{"F": 1}`, &inner{}, `F: cannot decode into func()`},
		{`{"C": 1}`, &inner{}, `C: cannot decode into chan int`},
		{`{"E": "x"}`, &inner{}, `E: cannot decode into error`},
		{`{"Z": [1]}`, &inner{}, `Z: want 2 elements, got 1`},
		{`{"Z": [1,2,3]}`, &inner{}, `Z: want 2 elements, got more`},
		{`{"Z": [1,"a"]}`, &inner{}, `Z[1]: want an integer, got a string`},
		{`{"Z": "ab"}`, &inner{}, `Z: want an array, got a string`},
		{`{"B": "abc"}`, &inner{}, `B: want 2 bytes, got 3`},
		{`{"B": [1,2,3]}`, &inner{}, `B: want 2 elements, got more`},
		{`{"B": [1,256]}`, &inner{}, `B[1]: 256 does not fit uint8`},
		{`{"B": 1}`, &inner{}, `B: want a string, got a number`},
		{`{"U": ""}`, &inner{}, `U: broken on two lines`},
		{`{"U": 1}`, &inner{}, `U: want a string, got a number`},
		{`{"O": "h1 is down"}`, &inner{}, `O: want an object, got a string`},
		{`5`, new(loopPtr), `cannot decode into serializer_test.loopPtr`},
		{`5`, new([]byte), `want a string, got a number`},
		{`"x"`, new(bool), `want a boolean, got a string`},
		{`"x"`, new(json.Number), `want a number, got a string`},
		{`1.5`, new(big.Int), `want an integer, got 1.5`},
		{long, new(int64), strings.Repeat("9", 64) + `... does not fit int64`},
		{`-1`, new(uint), `-1 does not fit uint`},
		{`"x"`, new(uint), `want an integer, got a string`},
		{strings.Repeat("9", 4301), new(big.Int), `an integer of more than 4300 digits`},
		{`{"a": 1}`, new(map[int]int), `a: the key is no int`},
		{`{"300": 1}`, new(map[uint8]int), `300: the key is no uint8`},
		{`{"1": 1}`, new(map[bool]int), `1: the key is no bool`},
		{`{"x": 1}`, new(map[netip.Addr]int), `x: ParseAddr("x"): unable to parse IP`},
		{`{"x": 1}`, new(map[float64]int), `x: cannot decode keys of type float64`},
		{`{"a b": {"c\nd": "x"}}`, new(map[string]map[string]int), `["a b"]["c\nd"]: want an integer, got a string`},
		{`{"a": [{"b": 1}, {"b": x}]}`, new(any), `a[1].b: not JSON: want a value at byte 23, got 'x'`},
		{`{"a": [1`, new(any), `a: not JSON: ends where a comma or ] should stand`},
		{`{"a": [1,]}`, new(any), `a[1]: not JSON: want a value at byte 9, got ']'`},
		{`{"flavor": {"vcpus": 1`, &spec{}, `flavor: not JSON: ends where a comma or } should stand`},
		{`{"flavor": {"vcpus"`, &spec{}, `flavor: not JSON: ends where a colon should stand`},
		{`{"unknown": x}`, &spec{}, `unknown: not JSON: want a value at byte 12, got 'x'`},
		{`{"flavor": nul}`, &spec{}, `flavor: not JSON: want a value at byte 11, got 'n'`},
		{`{"quoted": nul}`, &spec{}, `quoted: not JSON: want a value at byte 11, got 'n'`},
		{`tru`, new(bool), `not JSON: want a value at byte 0, got 't'`},
		{`"a`, new(string), `not JSON: ends where the end of a string should stand`},
		{`-`, new(int), `not JSON: ends where a digit should stand`},
		{`[1`, new([]int), `not JSON: ends where a comma or ] should stand`},
		{`[1`, new([2]int), `not JSON: ends where a comma or ] should stand`},
		{`{"a`, new(map[string]int), `not JSON: ends where the end of a string should stand`},
		{`[1}`, new([]any), `not JSON: want a comma or ] at byte 2, got '}'`},
		{`nul`, new([]any), `not JSON: want a value at byte 0, got 'n'`},
		{`{]`, new(map[string]any), `not JSON: want a string at byte 1, got ']'`},
		{`x`, new(celsius), `not JSON: want a value at byte 0, got 'x'`},
		{`[`, new(json.RawMessage), `not JSON: ends where a value should stand`},
		{`{"celsius":x}`, new(celsius), `not JSON: want a value at byte 11, got 'x'`},
		{`"x"`, new(celsius), `input does not match format`},
		{``, new(any), `not JSON: ends where a value should stand`},
		{``, new(spec), `not JSON: ends where a value should stand`},
		{`1 2`, new(any), `not JSON: want the end at byte 2, got '2'`},
		{"\"\xff\"", new(any), `not JSON: not UTF-8`},
		{strings.Repeat("[", 101), new(any), strings.Repeat("[0]", 12) + `...: not JSON: nested deeper than 100`},
		{strings.Repeat("[", 20_000), new(loopSlice), strings.Repeat("[0]", 12) + `...: not JSON: nested deeper than 100`},
		{`1`, nil, `want a pointer to decode into, got nil`},
		{`1`, spec{}, `want a pointer to decode into, got serializer_test.spec`},
		{`1`, nilSpec, `want a pointer to decode into, got a nil *serializer_test.spec`},
		{`1`, (*any)(nil), `want a pointer to decode into, got a nil *interface {}`},
		{`1`, (*map[string]any)(nil), `want a pointer to decode into, got a nil *map[string]interface {}`},
		{`1`, (*[]any)(nil), `want a pointer to decode into, got a nil *[]interface {}`},
	}
	for _, test := range tests {
		err := serializer.JSON.Decode([]byte(test.text), test.target)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s into a %T: error %v, want %s", test.text, test.target, err, test.want)
		}
		if !errors.Is(err, serializer.ErrDecode) || errors.Is(err, serializer.ErrEncode) {
			t.Errorf("%s: error %v must match ErrDecode alone", test.text, err)
		}
	}
}

func TestSyntaxErrorsCanBeMatched(t *testing.T) {
	t.Parallel()
	for text, syntax := range map[string]bool{`{"a":`: true, `{"a":"x"}`: false} {
		var v map[string]int
		if err := serializer.JSON.Decode([]byte(text), &v); errors.Is(err, pyjson.ErrSyntax) != syntax {
			t.Errorf("%s: error %v matches pyjson.ErrSyntax: %t", text, err, !syntax)
		}
	}
}
