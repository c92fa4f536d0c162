package memory

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

// scratch holds buffers to encode into: a body may wait for long, and is kept in memory of its exact length.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is how large a buffer may be, in bytes, to be kept for the next message.
const maxScratch = 64 << 10

// encode returns the body that appendTo writes. The error matches [transport.ErrTooLarge].
func encode(appendTo func(dst []byte) []byte) ([]byte, error) {
	buffer := scratch.Get().(*[]byte)
	text := appendTo((*buffer)[:0])
	if len(text) > wire.MaxSize {
		return nil, fmt.Errorf("%d bytes, want at most %d: %w", len(text), wire.MaxSize, transport.ErrTooLarge)
	}
	if cap(text) > maxScratch {
		return text, nil // a copy would cost more than the slack
	}
	body := bytes.Clone(text)
	*buffer = text[:0]
	scratch.Put(buffer)
	return body, nil
}
