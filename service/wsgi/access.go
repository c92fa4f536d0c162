package wsgi

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

// access is what the access log tells of one request; its fields are the keys of wsgi_log_format.
type access struct {
	clientIP, dateTime, requestLine string
	statusCode                      int
	bodyLength                      int64
	wallSeconds                     float64
}

func newAccess(req *http.Request, resp *response, took time.Duration) access {
	status := resp.status
	if status == 0 {
		status = http.StatusOK // as net/http answers for a handler that writes nothing
	}
	return access{
		clientIP:    clientIP(req),
		dateTime:    time.Now().Format("02/Jan/2006 15:04:05"),
		requestLine: req.Method + " " + req.RequestURI + " " + req.Proto,
		statusCode:  status,
		bodyLength:  resp.length,
		wallSeconds: took.Seconds(),
	}
}

// clientIP is the peer's address, behind those that proxies tell: these are the client's word, the last one is not.
func clientIP(req *http.Request) string {
	ip, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		ip = "unix" // its clients have no address
	}
	forwarded := strings.ReplaceAll(req.Header.Get("X-Forwarded-For"), " ", "")
	if forwarded == "" {
		return ip
	}
	return forwarded + "," + ip
}

// accessKeys gives the value of each key.
var accessKeys = map[string]func(access) any{
	"client_ip":    func(a access) any { return a.clientIP },
	"date_time":    func(a access) any { return a.dateTime },
	"request_line": func(a access) any { return a.requestLine },
	"status_code":  func(a access) any { return a.statusCode },
	"body_length":  func(a access) any { return a.bodyLength },
	"wall_seconds": func(a access) any { return a.wallSeconds },
}

// accessFormat is a parsed wsgi_log_format: verbs of package fmt with a value for each.
type accessFormat struct {
	verbs  string
	values []func(access) any
}

// reference matches what Python's % operator replaces, and a % that begins nothing of the kind.
var reference = regexp.MustCompile(`%(?:%|\((\w*)\)([-+ 0]*\d*(?:\.\d+)?)([a-zA-Z])|)`)

// parseAccessFormat gives nil for an empty template.
func parseAccessFormat(template string) (*accessFormat, error) {
	if template == "" {
		return nil, nil //nolint:nilnil // no access log
	}
	f := &accessFormat{}
	var errs []error
	f.verbs = reference.ReplaceAllStringFunc(template, func(text string) string {
		verb, err := f.add(reference.FindStringSubmatch(text))
		errs = append(errs, err)
		return verb
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// add turns one reference into a verb.
func (f *accessFormat) add(match []string) (string, error) {
	text, key, width, conversion := match[0], match[1], match[2], match[3]
	switch text {
	case "%%":
		return text, nil
	case "%":
		return "", errors.New("a % must be followed by a key in parentheses or by another %")
	}
	value, known := accessKeys[key]
	if !known {
		return "", fmt.Errorf("unknown key %q", key)
	}
	verb, err := verbFor(conversion, value(access{}))
	if err != nil {
		return "", fmt.Errorf("%s: %w", text, err)
	}
	f.values = append(f.values, value)
	return "%" + width + verb, nil
}

// verbFor gives Go's verb for Python's conversion of a value.
func verbFor(conversion string, value any) (string, error) {
	_, isText := value.(string)
	_, isFloat := value.(float64)
	switch {
	case conversion == "s":
		return "v", nil
	case conversion == "d" && !isText && !isFloat, conversion == "f" && isFloat:
		return conversion, nil
	default:
		return "", fmt.Errorf("the value cannot be written as %q", conversion)
	}
}

func (f *accessFormat) line(a access) string {
	values := make([]any, len(f.values))
	for i, value := range f.values {
		values[i] = value(a)
	}
	return fmt.Sprintf(f.verbs, values...)
}

// errorLog gives net/http a logger for what it says of connections: failed handshakes, no descriptors left.
func errorLog(to logrus.FieldLogger) *log.Logger { return log.New(warnings{to}, "", 0) }

type warnings struct{ log logrus.FieldLogger }

var _ io.Writer = warnings{}

func (w warnings) Write(p []byte) (int, error) {
	w.log.WithField("error", strings.TrimSpace(strings.TrimPrefix(string(p), "http: "))).Warn("a connection failed")
	return len(p), nil
}
