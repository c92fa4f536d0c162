package wire

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
)

// CompressionHeader is the AMQP header that names the compression of a body.
const CompressionHeader = "compression"

// Decompress returns the text of a body whose compression header is algorithm. What kombu calls
// "application/x-gzip" is a zlib stream; a gzip file is read as well. A name that is not known means that
// the body is not compressed, as kombu reads it. The error matches [ErrMalformed].
func Decompress(algorithm string, body []byte) ([]byte, error) {
	var text io.Reader
	var err error
	switch algorithm {
	case "application/x-gzip":
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			text, err = gzip.NewReader(bytes.NewReader(body))
		} else {
			text, err = zlib.NewReader(bytes.NewReader(body))
		}
	case "application/x-bz2":
		text = bzip2.NewReader(bytes.NewReader(body))
	case "application/x-lzma":
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
