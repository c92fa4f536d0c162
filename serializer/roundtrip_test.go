package serializer_test

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strconv"
	"testing"
	"testing/quick"
	"time"

	"github.com/goslo/goslo/serializer"
)

// sample holds every kind of field that comes back as it was.
type sample struct {
	Bool    bool
	Int     int
	Int8    int8            `json:"int8"`
	Int64   *int64          `json:"int64"`
	Uint16  []uint16        `json:"uint16"`
	Uint64  map[uint64]bool `json:"uint64"`
	Float   float64         `json:",omitempty"`
	Float32 [2]float32
	String  string
	Strings []string `json:"strings"`
	Bools   map[bool]string
	Names   map[string][]*string
	Nested  []struct {
		A map[int8]float32 `json:"a"`
		B *uint8           `json:"b,string"`
	}
	Quoted float64 `json:",string"`
	Text   string  `json:",string"`
	*Embedded
}

// Embedded is a pointer in sample: nil unless a field of it is there.
type Embedded struct{ Inner, Other uintptr }

func TestRandomStructsComeBack(t *testing.T) {
	t.Parallel()
	property := func(in sample) bool {
		var out sample
		text := encode(t, in)
		if err := serializer.JSON.Decode([]byte(text), &out); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		return reflect.DeepEqual(in, out)
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func TestRandomTreesComeBack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		in := randomTree(random, 5)
		text := encode(t, in)
		var out any
		if err := serializer.JSON.Decode([]byte(text), &out); err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%#v is written %s and comes back as %#v, %v", in, text, out, err)
		}
	}
}

// randomTree makes a value of the types that decoding into an interface gives.
func randomTree(random *rand.Rand, depth int) any {
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch random.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return random.IntN(2) == 0
	case 2:
		return json.Number(strconv.FormatInt(random.Int64()-random.Int64(), 10))
	case 3:
		return json.Number(strconv.FormatFloat(random.NormFloat64(), 'e', -1, 64))
	case 4:
		return json.Number([]string{"NaN", "Infinity", "-Infinity", "1.0", "-0"}[random.IntN(5)])
	case 5:
		return randomText(random)
	case 6:
		list := make([]any, random.IntN(5))
		for i := range list {
			list[i] = randomTree(random, depth-1)
		}
		return list
	default:
		object := map[string]any{}
		for range random.IntN(25) {
			object[randomText(random)] = randomTree(random, depth-1)
		}
		return object
	}
}

func randomText(random *rand.Rand) string {
	runes := make([]rune, random.IntN(8))
	for i := range runes {
		runes[i] = rune(random.IntN([]int{0x80, 0x800, 0x110000}[random.IntN(3)]))
	}
	return string(runes)
}

func TestSpecialTypesComeBack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		in := struct {
			Time  time.Time
			Big   *big.Int
			Value big.Int
			Addr  netip.Addr
			Bytes []byte
			Raw   json.RawMessage
			ID    [4]byte
		}{
			Time:  time.UnixMicro(random.Int64N(250_000_000_000_000_000)).UTC(),
			Big:   new(big.Int).Lsh(big.NewInt(random.Int64()), uint(random.IntN(500))),
			Value: *big.NewInt(-random.Int64()),
			Addr:  netip.AddrFrom4([4]byte{byte(random.Uint32()), 2, 3, 4}),
			Bytes: []byte(randomText(random)),
			Raw:   json.RawMessage(encode(t, randomTree(random, 2))),
			ID:    [4]byte{byte(random.IntN(0x80)), 0, 0x7f, '"'},
		}
		out := in
		reflect.ValueOf(&out).Elem().SetZero()
		text := encode(t, in)
		if err := serializer.JSON.Decode([]byte(text), &out); err != nil || encode(t, out) != text {
			t.Fatalf("%s comes back as %+v, %v", text, out, err)
		}
		if !out.Time.Equal(in.Time) || out.Big.Cmp(in.Big) != 0 || string(out.Raw) != string(in.Raw) || out.ID != in.ID {
			t.Fatalf("%+v comes back as %+v", in, out)
		}
	}
}

// TestConcurrentUse meets new types from many goroutines at once, one that contains itself among them.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	type node struct {
		Name     string
		Children []*node
		Peers    map[string]node
	}
	in := &node{"a", []*node{{Name: "b"}}, map[string]node{"c": {Name: "c"}}}
	done := make(chan string)
	for range 8 {
		go func() {
			text, err := serializer.JSON.Append(nil, in)
			if err != nil {
				t.Error(err)
			}
			var out node
			if err := serializer.JSON.Decode(text, &out); err != nil {
				t.Error(err)
			}
			done <- string(text)
		}()
	}
	const want = `{"Name": "a", "Children": [{"Name": "b", "Children": [], "Peers": {}}], "Peers": {"c": {"Name": "c", "Children": [], "Peers": {}}}}`
	for range 8 {
		if got := <-done; got != want {
			t.Errorf("written %s, want %s", got, want)
		}
	}
}
