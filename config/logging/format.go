package logging

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sirupsen/logrus"
)

// Fields that say to which request a line belongs.
const (
	requestField       = "request_id"
	globalRequestField = "global_request_id"
)

// level is what Python's logging calls one of logrus, and syslog's number of it.
type level struct {
	name     string
	number   int
	priority int
}

var levels = map[logrus.Level]level{
	logrus.PanicLevel: {"CRITICAL", 50, 2}, logrus.FatalLevel: {"CRITICAL", 50, 2}, logrus.ErrorLevel: {"ERROR", 40, 3},
	logrus.WarnLevel: {"WARNING", 30, 4}, logrus.InfoLevel: {"INFO", 20, 6}, logrus.DebugLevel: {"DEBUG", 10, 7},
	logrus.TraceLevel: {"TRACE", 5, 7},
}

// formats is what the lines of all loggers of a program have in common.
type formats struct {
	program  string
	pid      int
	hostname string
	start    time.Time
	request  func(context.Context) map[string]any
	worker   logrus.Fields // pool and index, in each line

	date                                  dateFormat
	context, other, identity, debugSuffix template
}

// lineFormatter writes lines of one logger as the formats say, by default as oslo.log's are:
//
//	2026-01-02 03:04:05.678 1234 INFO nova-scheduler [req-global req-id user project - - - -] message key=value
//
// A line is one line: what would break it is quoted.
type lineFormatter struct {
	*formats
	name string
}

// Format implements logrus.Formatter.
func (f *lineFormatter) Format(e *logrus.Entry) ([]byte, error) {
	r := f.record(f.name, e)
	t := f.other
	if r.has(requestField) || r.has(globalRequestField) {
		t = f.context
	}
	var b strings.Builder
	t.write(&b, r.value)
	if e.Level == logrus.DebugLevel && len(f.debugSuffix) > 0 {
		b.WriteByte(' ')
		f.debugSuffix.write(&b, r.value)
	}
	b.WriteByte('\n')
	return []byte(b.String()), nil
}

// record is one line, to be written.
type record struct {
	*formats
	name    string
	entry   *logrus.Entry
	request map[string]any
}

func (f *formats) record(name string, e *logrus.Entry) *record {
	r := &record{formats: f, name: name, entry: e}
	if e.Context != nil {
		r.request = f.request(e.Context)
	}
	return r
}

func (r *record) has(key string) bool { return r.of(key) != "" }

// of is what fields, or else the request's context, have of a key; empty where neither has it.
func (r *record) of(key string) string {
	if v, ok := r.entry.Data[key]; ok {
		return text(v)
	}
	if v := r.request[key]; v != nil && v != "" {
		return text(v)
	}
	return ""
}

// value is what a format's key stands for.
func (r *record) value(key string) any {
	e, at := r.entry, r.entry.Time
	switch key {
	case "message", "msg":
		return r.message()
	case "asctime":
		return r.date.format(at)
	case "isotime":
		return at.Format("2006-01-02T15:04:05.000000-07:00")
	case "msecs":
		return at.Nanosecond() / int(time.Millisecond)
	case "created":
		return created(at)
	case "relativeCreated":
		return float64(at.Sub(r.start).Microseconds()) / 1e3
	case "process":
		return r.pid
	case "levelname":
		return levels[e.Level].name
	case "levelno":
		return levels[e.Level].number
	case "name":
		return r.name
	case "processName", "project":
		return r.programOr(key)
	case "threadName", "thread", "instance", "color", "reset_color", "resource", "version", "error_summary":
		return "" // nothing of a Go program
	case "user_identity":
		return r.userIdentity()
	}
	if v, ok := r.place(key); ok {
		return v
	}
	return plain(orDash(r.of(key)))
}

func created(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }

// programOr is the program, where a request does not say otherwise: project is that of the request there.
func (r *record) programOr(key string) string {
	if v := r.of(key); v != "" {
		return plain(v)
	}
	return r.program
}

// userIdentity is who asks.
func (r *record) userIdentity() string {
	if len(r.request) == 0 {
		return "-"
	}
	var b strings.Builder
	r.identity.write(&b, func(key string) any { return plain(orDash(r.of(key))) })
	return b.String()
}

// placeKeys are those for which loggers look where a line comes from.
var placeKeys = []string{"pathname", "filename", "module", "lineno", "funcName"}

// place is where the line comes from.
func (r *record) place(key string) (any, bool) {
	if !slices.Contains(placeKeys, key) {
		return nil, false
	}
	c := r.entry.Caller
	if c == nil {
		return "-", true
	}
	switch key {
	case "pathname":
		return c.File, true
	case "filename":
		return filepath.Base(c.File), true
	case "module":
		return strings.TrimSuffix(filepath.Base(c.File), ".go"), true
	case "lineno":
		return c.Line, true
	}
	return c.Function[strings.LastIndexByte(c.Function, '.')+1:], true
}

// message is the line's text with its fields.
func (r *record) message() string {
	var b strings.Builder
	b.WriteString(plainMessage(r.entry.Message))
	for _, fields := range []logrus.Fields{r.entry.Data, r.worker} {
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if key != requestField && key != globalRequestField {
				b.WriteString(" " + key + "=" + plain(text(fields[key])))
			}
		}
	}
	return b.String()
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

func newFormats(program string) *formats {
	hostname, _ := os.Hostname() // unknown is empty
	return &formats{
		program: program, pid: os.Getpid(), hostname: hostname, start: time.Now(),
		request: func(context.Context) map[string]any { return nil },
	}
}
