package wire

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// CompressionHeader is the AMQP header that names the compression of a body.
const CompressionHeader = "compression"

// Names of compressions in that header: zlib, which kombu calls gzip, bzip2 and .xz.
const (
	CompressGzip = "application/x-gzip"
	CompressBZ2  = "application/x-bz2"
	CompressLZMA = "application/x-lzma"
)

// Compress returns body compressed as [CompressGzip], a zlib stream (kombu reads no gzip file under that name), or
// [CompressLZMA], an .xz file. It fails for any other name.
func Compress(algorithm string, body []byte) ([]byte, error) {
	var packed bytes.Buffer
	var to io.WriteCloser
	var err error
	switch algorithm {
	case CompressGzip:
		to = zlib.NewWriter(&packed)
	case CompressLZMA:
		// The library's own dictionary of 8 MiB would be made anew for every message.
		to, err = xz.WriterConfig{DictCap: min(max(len(body), lzma.MinDictCap), largestDictionary)}.NewWriter(&packed)
	default:
		err = errors.New("nothing writes this compression")
	}
	if err == nil {
		_, err = to.Write(body)
	}
	if err == nil {
		err = to.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress as %s: %w", algorithm, err)
	}
	return packed.Bytes(), nil
}

// largestDictionary is that of xz(1), and of Python's lzma.
const largestDictionary = 8 << 20

// Decompress returns the text of a body whose compression header is algorithm. What kombu calls
// "application/x-gzip" is a zlib stream; a gzip file is read as well. A name that is not known means that
// the body is not compressed, as kombu reads it. The error matches [ErrMalformed].
func Decompress(algorithm string, body []byte) ([]byte, error) {
	var text io.Reader
	var err error
	switch algorithm {
	case CompressGzip:
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			text, err = gzip.NewReader(bytes.NewReader(body))
		} else {
			text, err = zlib.NewReader(bytes.NewReader(body))
		}
	case CompressBZ2:
		text = bzip2.NewReader(bytes.NewReader(body))
	case CompressLZMA:
		text, err = newXZReader(body)
	default:
		return body, nil
	}
	if err != nil {
		return nil, malformed("compression "+algorithm, err)
	}
	plain, err := io.ReadAll(io.LimitReader(text, MaxSize+1))
	if err != nil {
		return nil, malformed("compression "+algorithm, err)
	}
	if len(plain) > MaxSize {
		return nil, fmt.Errorf("decompress: %w", ErrTooLarge)
	}
	return plain, nil
}
