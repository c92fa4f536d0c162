package serializer_test

import (
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
	"github.com/goslo/goslo/serializer"
)

// everything has a field of each kind that foreign text may reach.
type everything struct {
	Bool   bool
	Int    int16
	Uint   uint32
	Float  float64
	Short  float32
	String string
	Bytes  []byte
	Name   [3]byte
	Time   time.Time
	Big    *big.Int
	Any    any
	List   []everything
	Pair   [2]any
	Self   *everything
	ByName map[string]int
	ByInt  map[int8]*string
	ByBool map[bool]string
	Upper  *upper
	Option option `json:",omitzero"`
	Quoted int    `json:"quoted,string"`
	Flag   bool   `json:"flag,string"`
	Embedded
}

func FuzzDecode(f *testing.F) {
	for _, row := range recordedValues(f) {
		if row.JSON != nil {
			f.Add([]byte(*row.JSON))
		}
	}
	for _, test := range decodeTests {
		f.Add([]byte(test.text))
	}
	f.Add([]byte(`{"Bool":true,"Int":-1,"Uint":4294967295,"Float":1e9,"Short":NaN,"String":"x","Bytes":"\u0159","Name":"abc","Big":99999999999999999999}`))
	f.Add([]byte(`{"Time":"2024-01-02T03:04:05.678901","Any":{"a":[1,1.0]},"List":[{"Int":1},{"Int":2,"Int":3}],"Pair":[null,"x"],"Self":{"Self":null}}`))
	f.Add([]byte(`{"ByName":{"a":1},"ByInt":{"-1":"x"},"ByBool":{"true":"t"},"Upper":"x","Option":null,"quoted":"5","flag":"true","Inner":7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		err := serializer.JSON.Decode(data, &v)
		if (err == nil) != (pyjson.Valid(data) == nil) {
			t.Fatalf("%q decodes with %v, Valid says %v", data, err, pyjson.Valid(data))
		}
		var typed everything
		errTyped := serializer.JSON.Decode(data, &typed)
		if err != nil {
			if errTyped == nil || !errors.Is(err, serializer.ErrDecode) {
				t.Fatalf("%q decodes with %v, into a struct with %v; want ErrDecode", data, err, errTyped)
			}
			return
		}
		text, err := serializer.JSON.Append(nil, v)
		if err != nil {
			t.Fatalf("%q decodes, but does not encode: %v", data, err)
		}
		var again any
		if err := serializer.JSON.Decode(text, &again); err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%q comes back from %s as %#v, %v, want %#v", data, text, again, err, v)
		}
		if errTyped == nil {
			checkTyped(t, &typed, text)
		}
	})
}

// checkTyped checks a struct that was decoded from the value of which text is the clean form.
func checkTyped(t *testing.T, v *everything, text []byte) {
	t.Helper()
	var clean everything
	if err := serializer.JSON.Decode(text, &clean); err != nil {
		t.Fatalf("the clean form %s does not decode: %v", text, err)
	}
	once, err := serializer.JSON.Append(nil, v)
	if err != nil {
		return // bytes that came as numbers need not be text
	}
	if got := encode(t, clean); got != string(once) {
		t.Fatalf("the clean form %s is read as %s, want %s", text, got, once)
	}
	var again everything
	if err := serializer.JSON.Decode(once, &again); err != nil {
		t.Fatalf("%s does not decode: %v", once, err)
	}
	if twice := encode(t, again); twice != string(once) {
		t.Fatalf("%s comes back as %s", once, twice)
	}
}
