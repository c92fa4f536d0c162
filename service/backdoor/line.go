package backdoor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxLine is the longest command line.
const maxLine = 256

// talk answers commands until the peer goes, says exit, is silent for too long or is no operator.
func (s *Server) talk(conn net.Conn) {
	in := bufio.NewReaderSize(conn, maxLine)
	for s.ctx.Err() == nil {
		if err := conn.SetReadDeadline(time.Now().Add(s.config.IdleTimeout)); err != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			_ = s.answer(conn, nil, fmt.Errorf("a line is longer than %d bytes", maxLine))
			return
		}
		if err != nil {
			return
		}
		name, argument, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if name == "exit" || isWeb(string(line)) {
			return
		}
		if name == "" {
			continue
		}
		var body bytes.Buffer
		err = s.execute(&body, name, strings.TrimSpace(argument))
		if s.answer(conn, body.Bytes(), err) != nil {
			return
		}
	}
}

// isWeb finds the first line of an HTTP request, and of a TLS handshake, which has bytes that are no text. A web page can
// make a browser on this machine send one, and what comes behind may hold commands, so nothing behind such a line is read.
func isWeb(line string) bool {
	isBinary := func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r) }
	return strings.Contains(line, "HTTP/") || strings.ContainsFunc(line, isBinary)
}

// oneLine keeps an error, as the text of a panic, from looking like a body.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func (s *Server) answer(conn net.Conn, body []byte, failure error) error {
	if err := conn.SetWriteDeadline(time.Now().Add(s.config.WriteTimeout)); err != nil {
		return err
	}
	out := textproto.NewWriter(bufio.NewWriter(conn))
	status := "ok"
	if failure != nil {
		status, body = "error: "+oneLine.Replace(failure.Error()), nil
	}
	if err := out.PrintfLine("%s", status); err != nil {
		return err
	}
	if len(body) == 0 {
		return out.PrintfLine(".") // a DotWriter would write an empty line
	}
	dots := out.DotWriter()
	if _, err := dots.Write(body); err != nil {
		return err
	}
	return dots.Close() // flushes
}
