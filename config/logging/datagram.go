package logging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// longestDatagram bounds a line for a socket: the kernel's buffer has room for several of these. The rest is cut off.
const longestDatagram = 64 << 10

// sendTimeout bounds how long a line waits for a log service that does not read.
const sendTimeout = time.Second

// datagramFormat is how a log service wants a line.
type datagramFormat interface {
	format(e *logrus.Entry, line []byte) []byte
}

// datagramHook sends each line of a logger to a log service of this machine. The socket is opened at the first line, and anew
// after an error, since the service may have been restarted. A line that is not taken goes to standard error.
type datagramHook struct {
	socket string
	format datagramFormat
	stderr io.Writer

	mu   sync.Mutex // held while a line is sent, for sendTimeout at most
	conn net.Conn
}

// Levels implements logrus.Hook.
func (h *datagramHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook. The error is not that of the line: nobody could do more about it.
func (h *datagramHook) Fire(e *logrus.Entry) error {
	line, err := e.Logger.Formatter.Format(e)
	if err != nil {
		return err
	}
	packet := h.format.format(e, bytes.TrimRight(line, "\n"))
	h.mu.Lock()
	defer h.mu.Unlock()
	err = h.send(packet)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		err = h.send(packet)
	}
	if err != nil {
		_, _ = h.stderr.Write(line)
	}
	return nil
}

func (h *datagramHook) send(packet []byte) error {
	if h.conn == nil {
		conn, err := net.Dial("unixgram", h.socket)
		if err != nil {
			return err
		}
		h.conn = conn
	}
	err := h.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if err == nil {
		_, err = h.conn.Write(packet)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		_ = h.conn.Close()
		h.conn = nil
	}
	return err
}

// Close closes the socket.
func (h *datagramHook) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		return nil
	}
	err := h.conn.Close()
	h.conn = nil
	return err
}

func cut(line []byte) []byte { return line[:min(len(line), longestDatagram)] }

// syslogFormat is what glibc's syslog sends (RFC 3164).
type syslogFormat struct {
	program  string
	pid      int
	facility int
}

func (f *syslogFormat) format(e *logrus.Entry, line []byte) []byte {
	return fmt.Appendf(nil, "<%d>%s %s[%d]: %s", f.facility<<3|levels[e.Level].priority, e.Time.Format(time.Stamp), f.program, f.pid, cut(line))
}

// journalFormat is the native protocol of systemd's journal, with the fields of oslo.log's OSJournalHandler.
type journalFormat struct {
	*formats
	facility int
}

func (f *journalFormat) format(e *logrus.Entry, line []byte) []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		if value == "" {
			return
		}
		if !strings.Contains(value, "\n") {
			b.WriteString(name + "=" + value + "\n")
			return
		}
		b.WriteString(name + "\n")
		_ = binary.Write(&b, binary.LittleEndian, uint64(len(value))) // a buffer takes it
		b.WriteString(value + "\n")
	}
	r := f.record(loggerName(e), e)
	field("MESSAGE", string(cut(line)))
	field("PRIORITY", strconv.Itoa(levels[e.Level].priority))
	field("SYSLOG_FACILITY", strconv.Itoa(f.facility))
	field("SYSLOG_IDENTIFIER", f.program)
	field("LOGGER_NAME", r.name)
	field("LOGGER_LEVEL", levels[e.Level].name)
	for _, key := range []string{"project_name", "project_id", "user_name", "user_id", requestField} {
		field(strings.ToUpper(key), r.of(key))
	}
	if e.Caller != nil {
		field("CODE_FILE", e.Caller.File)
		field("CODE_LINE", strconv.Itoa(e.Caller.Line))
		field("CODE_FUNC", e.Caller.Function)
	}
	return b.Bytes()
}

// loggerName is that of the logger that an entry belongs to.
func loggerName(e *logrus.Entry) string {
	switch f := e.Logger.Formatter.(type) {
	case *lineFormatter:
		return f.name
	case *jsonFormatter:
		return f.name
	}
	return ""
}
