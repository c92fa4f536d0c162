package service

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

// Sizes of lines of workers.
const (
	// maxLine is how long one may be; the rest of a longer one becomes a line of its own.
	maxLine = 1 << 20
	// usualLine is how long one may be without a buffer that is made for it.
	usualLine = 64 << 10
)

// lines writes what workers print, line by line and each behind the name of its worker.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// copy passes on what it reads until the end. A writer that fails is no reason to stop reading: the worker would block.
func (l *lines) copy(r io.Reader, prefix string) {
	in := bufio.NewReaderSize(r, usualLine)
	var begun []byte // of a line that is longer
	for {
		line, err := in.ReadSlice('\n')
		more := errors.Is(err, bufio.ErrBufferFull)
		if more && len(begun)+len(line) < maxLine {
			begun = append(begun, line...)
			continue
		}
		if len(begun) > 0 {
			begun = append(begun, line...)
			line, begun = begun, nil
		}
		if len(line) > 0 {
			l.write(prefix, line)
		}
		if err != nil && !more {
			return
		}
	}
}

// write writes one line with one call, so that lines of several processes on one terminal stay whole.
func (l *lines) write(prefix string, line []byte) {
	out := make([]byte, 0, len(prefix)+len(line)+1)
	out = append(out, prefix...)
	out = append(out, line...)
	if line[len(line)-1] != '\n' {
		out = append(out, '\n')
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(out)
}
