package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The parts of an .xz file (format description 1.2.1, sections 2.1.1 and 3.1) that matter here.
const (
	xzMagic        = "\xfd7zXZ\x00"
	xzStreamHeader = 12
	xzFilterLZMA2  = 0x21
)

var errXZ = errors.New("not an .xz file of one block")

// newXZReader reads the one block of an .xz file, which is what Python's lzma.compress writes. It reads the headers
// itself and leaves the LZMA2 data in between to the library, whose own reader makes a dictionary as large as the
// header says: 4 GiB for a hundred bytes. No distance here is longer than the longest text.
func newXZReader(body []byte) (io.Reader, error) {
	if len(body) <= xzStreamHeader || !bytes.HasPrefix(body, []byte(xzMagic)) {
		return nil, errXZ
	}
	block := body[xzStreamHeader:]
	size := (int(block[0]) + 1) * 4 // of the block's header
	if block[0] == 0 || len(block) <= size {
		return nil, errXZ
	}
	dictionary, err := xzDictionary(block[1:size])
	if err != nil {
		return nil, err
	}
	data, err := lzma.Reader2Config{DictCap: dictionary}.NewReader2(bytes.NewReader(block[size:]))
	if err != nil {
		return nil, err
	}
	return xzReader{data}, nil
}

// xzReader tells data that was cut off from data that has ended.
type xzReader struct{ *lzma.Reader2 }

func (r xzReader) Read(p []byte) (int, error) {
	n, err := r.Reader2.Read(p)
	if err == io.EOF && !r.EOS() { //nolint:errorlint // the contract of io.Reader
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// xzDictionary reads how large the dictionary of a block must be, from the rest of its header.
func xzDictionary(header []byte) (int, error) {
	flags, rest := header[0], header[1:]
	if flags&^0xc0 != 0 { // more than one filter
		return 0, errXZ
	}
	fields := 1 // the filter's id, behind the sizes of the block that are there
	for _, there := range []byte{0x40, 0x80} {
		if flags&there != 0 {
			fields++
		}
	}
	var id uint64
	for range fields {
		var n int
		if id, n = binary.Uvarint(rest); n <= 0 {
			return 0, errXZ
		}
		rest = rest[n:]
	}
	if id != xzFilterLZMA2 || len(rest) < 2 || rest[0] != 1 {
		return 0, errXZ
	}
	size, err := lzma.DecodeDictCap(rest[1])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errXZ, err)
	}
	return int(min(max(size, lzma.MinDictCap), MaxSize)), nil
}
