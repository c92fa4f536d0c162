package serializer_test

import (
	"reflect"
	"testing"
	"testing/quick"

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
