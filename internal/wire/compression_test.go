package wire_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"io"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/goslo/goslo/internal/wire"
)

const (
	gzipName  = "application/x-gzip"
	bzip2Name = "application/x-bz2"
	xzName    = "application/x-lzma"
)

// bzip2Hello is "hello hello hello" as Python's bz2 packs it.
const bzip2Hello = "QlpoOTFBWSZTWZ5iW/4AAAKRAEAAAkSgACEUYGaCke8jRwu5IpwoSE8xLf8A"

// The same as Python's lzma packs it, and nothing.
const (
	xzHello   = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAQAAtdADQZSe6N6U9+FeAAAABLiObaRIAHdgABJxG8J/OQH7bzfQEAAAAABFla"
	xzNothing = "/Td6WFoAAATm1rRGAAAAABzfRCEftvN9AQAAAAAEWVo="
)

func packed(tb testing.TB, newWriter func(io.Writer) io.WriteCloser, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := newWriter(&b)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func xzWriter(tb testing.TB) func(w io.Writer) io.WriteCloser {
	tb.Helper()
	return func(w io.Writer) io.WriteCloser {
		z, err := xz.NewWriter(w)
		if err != nil {
			tb.Fatal(err)
		}
		return z
	}
}

func zlibWriter(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
func gzipWriter(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

func TestDecompressReadsWhatKombuWritesAndGzip(t *testing.T) {
	t.Parallel()
	text := []byte("hello hello hello")
	bzip2 := unpack64(t, bzip2Hello)
	tests := []struct {
		name, algorithm string
		body            []byte
	}{
		{"zlib", gzipName, packed(t, zlibWriter, text)},
		{"gzip", gzipName, packed(t, gzipWriter, text)},
		{"bzip2", bzip2Name, bzip2},
		{"xz", xzName, unpack64(t, xzHello)},
		{"xz of Go", xzName, packed(t, xzWriter(t), text)},
		{"xz with a dictionary of 4 GiB", xzName, withDictionary(t, 40)},
		{"xz with a dictionary of 4 KiB", xzName, withDictionary(t, 0)},
		{"none", "", text},
		{"unknown", "application/x-foo", text},
	}
	for _, test := range tests {
		if got, err := wire.Decompress(test.algorithm, test.body); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, text)
		}
	}
	if got, err := wire.Decompress(gzipName, packed(t, zlibWriter, nil)); err != nil || len(got) != 0 {
		t.Errorf("nothing, packed: %q, %v", got, err)
	}
	if got, err := wire.Decompress(xzName, unpack64(t, xzNothing)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("an .xz file without a block: %q, %v, want ErrMalformed: no message is empty", got, err)
	}
}

// withDictionary is xzHello with another size of the dictionary in its header, in code of the format.
func withDictionary(tb testing.TB, code byte) []byte {
	tb.Helper()
	xz := unpack64(tb, xzHello)
	xz[16] = code
	return xz
}

func TestWhatIsCompressedIsReadBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{wire.CompressGzip, wire.CompressLZMA} {
		for _, text := range [][]byte{[]byte("h"), []byte("hello hello hello"), bytes.Repeat([]byte("0123456789"), 1<<20)} {
			packed, err := wire.Compress(name, text)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > 100 && len(packed) > len(text)/10 {
				t.Errorf("%s: %d bytes were made of %d that repeat themselves", name, len(packed), len(text))
			}
			if got, err := wire.Decompress(name, packed); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s: %d bytes come back as %d, %v", name, len(text), len(got), err)
			}
		}
	}
	// A zlib stream, whatever kombu calls it.
	if packed, err := wire.Compress(wire.CompressGzip, []byte("x")); err != nil || packed[0] != 0x78 {
		t.Errorf("gzip: %x, %v; want a zlib stream", packed, err)
	}
	for _, name := range []string{"", "gzip", wire.CompressBZ2} {
		if _, err := wire.Compress(name, []byte("x")); err == nil {
			t.Errorf("Compress as %q succeeds", name)
		}
	}
}

func TestDecompressRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	zlibText, gzipText := packed(t, zlibWriter, []byte("hello hello hello")), packed(t, gzipWriter, []byte("hello hello hello"))
	bzip2, xz := unpack64(t, bzip2Hello), unpack64(t, xzHello)
	with := func(body []byte, at int, b byte) []byte {
		body = bytes.Clone(body)
		body[at] = b
		return body
	}
	tests := []struct {
		name, algorithm string
		body            []byte
	}{
		{"empty", gzipName, nil},
		{"no zlib", gzipName, []byte("hello")},
		{"zlib cut in its head", gzipName, zlibText[:1]},
		{"zlib cut", gzipName, zlibText[:len(zlibText)/2]},
		{"zlib without checksum", gzipName, zlibText[:len(zlibText)-4]},
		{"zlib with a wrong checksum", gzipName, append(bytes.Clone(zlibText[:len(zlibText)-1]), 0)},
		{"gzip cut in its head", gzipName, gzipText[:5]},
		{"gzip cut", gzipName, gzipText[:len(gzipText)/2]},
		{"bzip2 empty", bzip2Name, nil},
		{"no bzip2", bzip2Name, []byte("hello")},
		{"bzip2 cut", bzip2Name, bzip2[:len(bzip2)/2]},
		{"xz empty", xzName, nil},
		{"no xz", xzName, []byte("hello hello hello hello")},
		{"xz cut in its head", xzName, xz[:13]},
		{"xz cut in the head of its block", xzName, xz[:20]},
		{"xz cut behind the head of its block", xzName, xz[:24]},
		{"xz cut", xzName, xz[:30]},
		{"xz with two filters", xzName, with(xz, 13, 1)},
		{"xz with an unknown filter", xzName, with(xz, 14, 3)},
		{"xz with a long property", xzName, with(xz, 15, 2)},
		{"xz with an impossible dictionary", xzName, with(xz, 16, 41)},
		{"xz with sizes that do not end", xzName, append(with(xz, 13, 0xc0)[:14], bytes.Repeat([]byte{0xff}, 40)...)},
		{"xz with a block header that is longer than all", xzName, with(xz, 12, 255)},
		{"xz with an unknown chunk", xzName, with(xz, 24, 3)},
	}
	for _, test := range tests {
		if got, err := wire.Decompress(test.algorithm, test.body); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %q, %v, want ErrMalformed", test.name, got, err)
		}
	}
}

// bzip2Limit is as many zeros as a body may have, as Python's bz2 packs them.
const bzip2Limit = "QlpoOTFBWSZTWVKFPiUAgIDAAMAAAAggADCAKRoBANIBAOLuSKcKEgpQp8Sg"

// TestDecompressStopsAtTheLimit: a few bytes must not become gigabytes.
func TestDecompressStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	fast := func(w io.Writer) io.WriteCloser {
		z, err := zlib.NewWriterLevel(w, zlib.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	if got, err := wire.Decompress(bzip2Name, unpack64(t, bzip2Limit)); err != nil || len(got) != wire.MaxSize {
		t.Errorf("%d bytes, %v, want the limit", len(got), err)
	}
	bomb := packed(t, fast, make([]byte, wire.MaxSize+1))
	xzBomb := packed(t, xzWriter(t), make([]byte, wire.MaxSize+1))
	if got, err := wire.Decompress(xzName, xzBomb); !errors.Is(err, wire.ErrTooLarge) || got != nil {
		t.Errorf("a bomb of %d bytes gives %d, %v, want ErrTooLarge", len(xzBomb), len(got), err)
	}
	if got, err := wire.Decompress(gzipName, bomb); !errors.Is(err, wire.ErrTooLarge) || got != nil {
		t.Errorf("a bomb of %d bytes gives %d, %v, want ErrTooLarge", len(bomb), len(got), err)
	}
}

func unpack64(tb testing.TB, text string) []byte {
	tb.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
