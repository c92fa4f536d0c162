package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sirupsen/logrus"
)

// Fields that say to which request a line belongs.
const (
	requestField       = "request_id"
	globalRequestField = "global_request_id"
)

// levelNames are those of Python's logging.
var levelNames = map[logrus.Level]string{
	logrus.PanicLevel: "CRITICAL", logrus.FatalLevel: "CRITICAL", logrus.ErrorLevel: "ERROR", logrus.WarnLevel: "WARNING",
	logrus.InfoLevel: "INFO", logrus.DebugLevel: "DEBUG", logrus.TraceLevel: "TRACE",
}

// timeFormat is oslo.log's, with milliseconds.
const timeFormat = "2006-01-02 15:04:05.000"

// lineFormatter writes lines as oslo.log does by default:
//
//	2026-01-02 03:04:05.678 1234 INFO nova-scheduler [req-global req-id -] message key=value
//
// A line is one line: what would break it is quoted.
type lineFormatter struct {
	setup
	pid string
}

func newLineFormatter(s setup) *lineFormatter {
	return &lineFormatter{s, strconv.Itoa(os.Getpid())}
}

// Format implements logrus.Formatter.
func (f *lineFormatter) Format(e *logrus.Entry) ([]byte, error) {
	b := e.Buffer
	if b == nil {
		b = new(bytes.Buffer)
	}
	fmt.Fprintf(b, "%s %s %s %s [", e.Time.Format(timeFormat), f.pid, levelNames[e.Level], f.program)
	if id, global := f.requestOf(e); id != "" || global != "" {
		fmt.Fprintf(b, "%s %s ", plain(orDash(global)), plain(orDash(id)))
	}
	b.WriteString("-] ")
	b.WriteString(plainMessage(e.Message))
	for _, key := range slices.Sorted(maps.Keys(e.Data)) {
		if key != requestField && key != globalRequestField {
			fmt.Fprintf(b, " %s=%s", key, plain(text(e.Data[key])))
		}
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// requestOf is the request that a line belongs to.
func (s *setup) requestOf(e *logrus.Entry) (id, global string) {
	if e.Context != nil {
		id, global = s.request(e.Context)
	}
	if v, ok := e.Data[requestField]; ok {
		id = text(v)
	}
	if v, ok := e.Data[globalRequestField]; ok {
		global = text(v)
	}
	return id, global
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case error:
		return v.Error()
	}
	return fmt.Sprint(v)
}

// plain quotes a value that has anything but letters, digits and signs in it.
func plain(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '"' || r == unicode.ReplacementChar
	}) {
		return strconv.Quote(s)
	}
	return s
}

// plainMessage quotes a message that does not fit in a line.
func plainMessage(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

// jsonFormatter writes the keys of oslo.log's JSONFormatter that a Go program has.
type jsonFormatter struct {
	setup
	pid      int
	hostname string
}

func newJSONFormatter(s setup) *jsonFormatter {
	hostname, _ := os.Hostname() // unknown is empty
	return &jsonFormatter{s, os.Getpid(), hostname}
}

// jsonLine is one line.
type jsonLine struct {
	Message   string         `json:"message"`
	Time      string         `json:"asctime"`
	Name      string         `json:"name"`
	Level     string         `json:"levelname"`
	Created   float64        `json:"created"`
	Process   int            `json:"process"`
	Hostname  string         `json:"hostname"`
	Context   map[string]any `json:"context"`
	Extra     map[string]any `json:"extra"`
	Traceback any            `json:"traceback"`
}

// Format implements logrus.Formatter.
func (f *jsonFormatter) Format(e *logrus.Entry) ([]byte, error) {
	line := jsonLine{
		Message: e.Message, Time: e.Time.Format(timeFormat), Name: f.program, Level: levelNames[e.Level],
		Created: float64(e.Time.UnixMicro()) / 1e6, Process: f.pid, Hostname: f.hostname,
		Context: map[string]any{}, Extra: map[string]any{},
	}
	if id, global := f.requestOf(e); id != "" || global != "" {
		line.Context[requestField], line.Context[globalRequestField] = id, global
	}
	for key, value := range e.Data {
		if key != requestField && key != globalRequestField {
			line.Extra[key] = primitive(value)
		}
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return nil, fmt.Errorf("log line: %w", err)
	}
	return append(encoded, '\n'), nil
}

// primitive is a value that JSON always has: other ones are shown as text.
func primitive(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int, int64, uint64:
		return v
	}
	return text(v)
}
