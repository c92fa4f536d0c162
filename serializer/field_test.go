package serializer_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/goslo/goslo/serializer"
)

// Structs to be embedded in odd ways.
type (
	Plain  struct{ A, B int }
	Other  struct{ B, C int }
	Tagged struct {
		X int `json:"B"`
	}
	Deep    struct{ Plain }
	Deeper  struct{ Deep }
	private struct {
		P      int
		hidden int
	}
	Number  int
	lower   int
	Recurse struct {
		N int
		*Recurse
	}
	Left   struct{ Base }
	Right  struct{ Base }
	Base   struct{ ID int }
	Marked struct{ Text string }
)

func (m Marked) MarshalText() ([]byte, error)     { return []byte(m.Text), nil }
func (m *Marked) UnmarshalText(text []byte) error { m.Text = string(text); return nil }

// oddStructs are filled values whose fields are a matter of rules.
//
//nolint:staticcheck,modernize // odd on purpose
var oddStructs = []any{
	Plain{1, 2},
	struct {
		A    int `json:"a"`
		B    int `json:"-"`
		C    int `json:"-,"`
		D    int `json:",omitempty"`
		E    int `json:""`
		priv int
	}{1, 2, 3, 4, 5, 6},
	struct {
		Bad1 int `json:"with\"quote"`
		Bad2 int `json:"back\\slash"`
		Good int `json:"with space & <sign> $%-/"`
		Uni  int `json:"příliš"`
		Bad3 int `json:"com,ma"`
		Bad4 int `json:"'single'"`
	}{1, 2, 3, 4, 5, 6},
	struct{ Plain }{Plain{1, 2}},
	struct{ *Plain }{&Plain{1, 2}},
	struct{ *Plain }{},
	struct {
		Plain
		B string
	}{Plain{1, 2}, "mine"},
	struct {
		Plain
		Other
	}{Plain{1, 2}, Other{3, 4}}, // B twice on one level: neither
	struct {
		Plain
		Tagged
	}{Plain{1, 2}, Tagged{3}}, // the tagged B
	struct {
		Plain
		Tagged
		Also Tagged `json:"B"`
	}{Plain{1, 2}, Tagged{3}, Tagged{4}}, // the least nested
	tie(), // a tie hides the one beneath too
	struct {
		Deeper
		Other
	}{Deeper{Deep{Plain{1, 2}}}, Other{3, 4}},
	struct {
		Deep
		Plain
	}{Deep{Plain{1, 2}}, Plain{3, 4}},
	struct {
		Left
		Right
	}{Left{Base{1}}, Right{Base{2}}}, // ID twice through one type
	struct {
		Left
		Right
		Base
	}{Left{Base{1}}, Right{Base{2}}, Base{3}},
	struct {
		Plain `json:"named"`
		Other `json:",omitempty"`
	}{Plain{1, 2}, Other{3, 4}},
	struct {
		private
		Z int
	}{private{1, 2}, 3},
	struct {
		Number
		lower
	}{1, 2},
	struct {
		*Number
		Z int
	}{nil, 3},
	struct {
		Number `json:"n"`
	}{1},
	Recurse{1, &Recurse{2, nil}},
	struct{ Marked }{Marked{"text"}}, // takes the methods of what it embeds
	struct {
		Marked `json:"m"`
		Z      int
	}{Marked{"text"}, 1},
	struct {
		I int         `json:",string"`
		U uint8       `json:",string"`
		F float64     `json:",string"`
		B bool        `json:",string"`
		S string      `json:",string"`
		P *int        `json:"p,string,omitempty"`
		Q *string     `json:"q,string"`
		L []int       `json:",string"`
		N Number      `json:",string"`
		M Marked      `json:",string"`
		J json.Number `json:",string"`
	}{-1, 2, 1.5, true, `a"b`, nil, nil, []int{1}, 5, Marked{"m"}, "12"},
	struct {
		P *int    `json:"p,string,omitempty"`
		Q *string `json:"q,string"`
	}{pointerTo(1), pointerTo("x")},
	struct {
		A bool            `json:",omitempty"`
		B int             `json:",omitempty"`
		C float64         `json:",omitempty"`
		D string          `json:",omitempty"`
		E []int           `json:",omitempty"`
		F map[string]int  `json:",omitempty"`
		G *int            `json:",omitempty"`
		H any             `json:",omitempty"`
		I [0]int          `json:",omitempty"`
		J [1]int          `json:",omitempty"`
		K struct{}        `json:",omitempty"`
		L json.RawMessage `json:",omitempty"`
		M json.Number     `json:",omitempty"`
	}{E: []int{}, F: map[string]int{}},
	struct {
		A int       `json:",omitempty"`
		G *int      `json:",omitempty"`
		H any       `json:",omitempty"`
		E []int     `json:"e,omitempty"`
		M [1]string `json:",omitempty"`
	}{1, new(int), 0, []int{0}, [1]string{}},
	struct {
		A int             `json:",omitzero"`
		B []int           `json:",omitzero"`
		C time.Time       `json:",omitzero"`
		D *time.Time      `json:",omitzero"`
		E struct{ X int } `json:",omitzero"`
		F [2]int          `json:",omitzero"`
		G IsZeroer        `json:",omitzero"`
		H never           `json:",omitzero"`
		I map[string]int  `json:",omitzero,omitempty"`
		J odd             `json:",omitzero"`
		K *odd            `json:",omitzero"`
	}{B: []int{}, H: 0, I: map[string]int{}, J: 1, K: pointerTo(odd(2))},
	struct {
		D *time.Time `json:",omitzero"`
		G IsZeroer   `json:",omitzero"`
		J odd        `json:",omitzero"`
		K *odd       `json:",omitzero"`
	}{D: &time.Time{}, J: 2, K: pointerTo(odd(1))},
}

// tie is a struct with two fields of one tag and one of that name beneath, which vet would not have in a source.
func tie() any {
	v := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Plain", Type: reflect.TypeFor[Plain](), Anonymous: true},
		{Name: "X", Type: reflect.TypeFor[int](), Tag: `json:"A"`},
		{Name: "Y", Type: reflect.TypeFor[int](), Tag: `json:"A"`},
	})).Elem()
	v.Field(0).Set(reflect.ValueOf(Plain{1, 2}))
	v.Field(1).SetInt(3)
	v.Field(2).SetInt(4)
	return v.Interface()
}

type (
	IsZeroer interface{ IsZero() bool }
	never    int
	odd      int
)

func (never) IsZero() bool  { return false }
func (o *odd) IsZero() bool { return *o%2 == 1 }

// TestFieldsFollowEncodingJSON holds names, order and options of fields against encoding/json. The
// differences that are meant do not occur in oddStructs, but for floats and nil slices.
func TestFieldsFollowEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, v := range oddStructs {
		// encoding/json calls methods of pointers only where the value can be addressed.
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		want, err := json.Marshal(p.Interface())
		if err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		text := encode(t, v)
		if meaning(t, []byte(text)) != meaning(t, want) {
			t.Errorf("%T is written %s, encoding/json %s", v, text, want)
		}
		ours, theirs := reflect.New(p.Type().Elem()), reflect.New(p.Type().Elem())
		errOurs := serializer.JSON.Decode(want, ours.Interface())
		std := json.NewDecoder(bytes.NewReader(want))
		std.UseNumber()
		errTheirs := std.Decode(theirs.Interface())
		if errOurs != nil || errTheirs != nil || !reflect.DeepEqual(ours.Interface(), theirs.Interface()) {
			t.Errorf("%s\ndecodes to %+v, %v\nwant       %+v, %v", want, ours.Elem(), errOurs, theirs.Elem(), errTheirs)
		}
	}
}

// meaning is a text without its escapes; the order of members stays.
func meaning(t *testing.T, text []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var tokens []byte
	for {
		token, err := d.Token()
		if err != nil {
			return string(tokens)
		}
		part, err := json.Marshal(token)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(append(tokens, part...), ' ')
	}
}

type unexportedPointer struct{ *private }

func TestEmbeddedPointerThatCannotBeMade(t *testing.T) {
	t.Parallel()
	err := serializer.JSON.Decode([]byte(`{"P": 1}`), &unexportedPointer{})
	const want = "P: cannot make the embedded *serializer_test.private, which is not exported"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	v := unexportedPointer{&private{}}
	if err := serializer.JSON.Decode([]byte(`{"P": 1}`), &v); err != nil || v.P != 1 {
		t.Errorf("P = %d, %v, want 1: the pointer was there", v.P, err)
	}
}

// TestManyFields has more of them than the common case keeps books of.
func TestManyFields(t *testing.T) {
	t.Parallel()
	var fields []reflect.StructField
	var text, again []byte
	for i := range 300 {
		name := "F" + string(rune('a'+i/26%26)) + string(rune('a'+i%26))
		fields = append(fields, reflect.StructField{Name: name, Type: reflect.TypeFor[[]int]()})
		text = append(append(text, `, "`+name...), `": [1]`...)
		again = append(append(again, `, "`+name...), `": null`...)
	}
	v := reflect.New(reflect.StructOf(fields))
	if err := serializer.JSON.Decode([]byte("{"+string(text[2:])+string(again)+"}"), v.Interface()); err != nil || !v.Elem().IsZero() {
		t.Errorf("decoded %v, %v, want null in each field", v.Elem(), err)
	}
	if err := serializer.JSON.Decode([]byte("{"+string(text[2:])+"}"), v.Interface()); err != nil || encode(t, v.Interface()) != "{"+string(text[2:])+"}" {
		t.Errorf("decoded %v, %v, want 300 fields", v.Elem(), err)
	}
}
