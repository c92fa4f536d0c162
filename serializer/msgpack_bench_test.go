package serializer_test

import (
	"testing"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/goslo/goslo/serializer"
)

// BenchmarkMsgpack measures the value of [BenchmarkEncode] in both codecs, and in the library's.
func BenchmarkMsgpack(b *testing.B) {
	codecs := []struct {
		name   string
		encode func(dst []byte, v any) ([]byte, error)
		decode func([]byte, any) error
	}{
		{"json", serializer.JSON.Append, serializer.JSON.Decode},
		{"msgpack", serializer.Msgpack.Append, serializer.Msgpack.Decode},
		{"vmihailenco", func(_ []byte, v any) ([]byte, error) { return vmihailenco.Marshal(v) }, vmihailenco.Unmarshal},
	}
	for _, codec := range codecs {
		data, err := codec.encode(nil, benchValue())
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/struct/"+codec.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			var buf []byte
			for b.Loop() {
				if buf, err = codec.encode(buf[:0], benchValue()); err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, fresh := range map[string]func() any{"struct": func() any { return new(benchSpec) }, "any": func() any { return new(any) }} {
			b.Run("decode/"+name+"/"+codec.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if err := codec.decode(data, fresh()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
