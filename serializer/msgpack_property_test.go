package serializer_test

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/internal/msgpack"
	"github.com/goslo/goslo/serializer"
)

func genTime() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro()),
		func(n int64) time.Time { return time.UnixMicro(n).UTC() })
}

func genDate() *rapid.Generator[serializer.Date] {
	return rapid.Map(genTime(), func(t time.Time) serializer.Date {
		year, month, day := t.Date()
		return serializer.Date{Year: year, Month: month, Day: day}
	})
}

func genUUID() *rapid.Generator[serializer.UUID] {
	return rapid.Custom(func(t *rapid.T) (id serializer.UUID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
		return id
	})
}

func genAddr() *rapid.Generator[netip.Addr] {
	return rapid.Map(rapid.Uint32(), func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	})
}

// genTree makes values of the types that decoding into an interface gives.
func genTree(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Uint64Min(math.MaxInt64 + 1).AsAny(), rapid.Float64().AsAny(),
		rapid.String().AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(), genTime().AsAny(), genDate().AsAny(), genUUID().AsAny(), genAddr().AsAny(),
		rapid.Map(rapid.SliceOfN(rapid.Int64(), 2, 2), func(n []int64) any { return serializer.Count{Start: n[0], Step: n[1]} }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(data []byte) any { return serializer.Extension{Type: 33, Data: data} }),
	}
	if depth > 0 {
		list := rapid.SliceOfN(genTree(depth-1), 0, 20)
		kinds = append(
			kinds, list.AsAny(), rapid.MapOfN(rapid.String(), genTree(depth-1), 0, 20).AsAny(),
			rapid.Map(list, func(l []any) any { return serializer.Set[any](l) }), rapid.Map(list, func(l []any) any { return serializer.FrozenSet[any](l) }),
		)
	}
	return rapid.OneOf(kinds...)
}

func TestMsgpackTreesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := genTree(3).Draw(t, "tree")
		data, err := serializer.Msgpack.Append(nil, in)
		var out any
		if err = errors.Join(err, serializer.Msgpack.Decode(data, &out)); err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%#v is written %x and comes back as %#v, %v", in, data, out, err)
		}
		if again, err := serializer.Msgpack.Append(nil, out); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x is written again as %x, %v", data, again, err)
		}
		for end := range len(data) {
			if err := serializer.Msgpack.Decode(data[:end], &out); !errors.Is(err, serializer.ErrDecode) {
				t.Fatalf("%x without its last %d bytes: error %v, want ErrDecode", data, len(data)-end, err)
			}
		}
	})
}

// packedSample has what the sample of JSON does not.
type packedSample struct {
	Sample sample `json:"sample"`
	Bytes  []byte
	Time   time.Time
	Date   serializer.Date
	UUID   map[serializer.UUID]serializer.UUID
	Addr   *netip.Addr
	Set    serializer.Set[string]
	Frozen []serializer.FrozenSet[uint8]
	Count  *serializer.Count `json:",omitempty"`
	Empty  []int             `json:",omitempty"`
	Raw    serializer.Extension
}

func TestMsgpackStructsComeBackFromBothCodecs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := packedSample{
			Sample: rapid.Make[sample]().Draw(t, "sample"), Bytes: []byte(rapid.String().Draw(t, "bytes")), Time: genTime().Draw(t, "time"), Date: genDate().Draw(t, "date"),
			UUID: rapid.MapOf(genUUID(), genUUID()).Draw(t, "uuids"), Addr: rapid.Ptr(genAddr(), true).Draw(t, "addr"),
			Set: rapid.SliceOf(rapid.String()).Draw(t, "set"), Count: rapid.Ptr(rapid.Make[serializer.Count](), true).Draw(t, "count"),
			Frozen: []serializer.FrozenSet[uint8]{{1}, {}}, Raw: serializer.Extension{Type: 99, Data: []byte{'x'}},
		}
		for _, codec := range []serializer.Serializer{serializer.Msgpack, serializer.JSON} {
			var out, again packedSample
			data, err := codec.Append(nil, in)
			if err = errors.Join(err, codec.Decode(data, &out)); err != nil {
				t.Fatalf("%s: %+v: %v", codec.ContentType(), in, err)
			}
			once, err := codec.Append(nil, out)
			if err = errors.Join(err, codec.Decode(once, &again)); err != nil || !bytes.Equal(once, data) {
				t.Fatalf("%s: %+v is written\n%q, then\n%q, %v", codec.ContentType(), in, data, once, err)
			}
			if !reflect.DeepEqual(out, again) {
				t.Fatalf("%s: %+v comes back as %+v", codec.ContentType(), out, again)
			}
			if !out.Time.Equal(in.Time) || out.Date != in.Date || !reflect.DeepEqual(out.Sample.Uint64, in.Sample.Uint64) && len(in.Sample.Uint64) > 0 {
				t.Fatalf("%s: %+v comes back as %+v", codec.ContentType(), in, out)
			}
		}
	})
}

// TestMsgpackFieldsAreThoseOfJSON holds names, order and options of fields in msgpack against those in JSON.
func TestMsgpackFieldsAreThoseOfJSON(t *testing.T) {
	t.Parallel()
	for _, v := range oddStructs {
		want := encode(t, v)
		got, err := msgpack.AppendJSON(nil, pack(t, v))
		if err != nil || string(got) != want && reflect.TypeOf(v).NumField() > 0 && !hasTime(v) {
			t.Errorf("%T: in msgpack it is %s, %v, in JSON %s", v, got, err, want)
		}
		out := reflect.New(reflect.TypeOf(v))
		fromJSON := reflect.New(reflect.TypeOf(v))
		if err := errors.Join(serializer.Msgpack.Decode(pack(t, v), out.Interface()), serializer.JSON.Decode([]byte(want), fromJSON.Interface())); err != nil || encode(t, out.Interface()) != encode(t, fromJSON.Interface()) {
			t.Errorf("%T comes back as %+v, %v, from JSON as %+v", v, out.Elem(), err, fromJSON.Elem())
		}
	}
}

// hasTime tells that a struct has a time, which has no JSON form of its own in msgpack.
func hasTime(v any) bool {
	field, ok := reflect.TypeOf(v).FieldByName("D")
	return ok && field.Type == reflect.TypeFor[*time.Time]() && reflect.ValueOf(v).FieldByName("D").IsValid() && !reflect.ValueOf(v).FieldByName("D").IsNil()
}
