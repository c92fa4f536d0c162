package wsgi

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	return access{
		clientIP:    visible(clientIP(req)),
		dateTime:    time.Now().Format("02/Jan/2006 15:04:05"),
		requestLine: visible(req.Method + " " + req.RequestURI + " " + req.Proto),
		statusCode:  sentStatus(resp),
		bodyLength:  resp.length,
		wallSeconds: took.Seconds(),
	}
}

// sentStatus is the status that the client has got; 0 for none.
func sentStatus(resp *response) int {
	switch {
	case resp.status != 0:
		return resp.status
	case resp.aborted:
		return 0
	case resp.hijacked:
		return http.StatusSwitchingProtocols // which is what connections are taken over for
	default:
		return http.StatusOK // as net/http answers for a handler that writes nothing
	}
}

// visible escapes what is no printable character. net/http lets no control character of ASCII through, but those of
// Unicode, which terminals obey as well, and bytes that are no UTF-8. Clients cannot begin a line of the log, nor write
// a space into it.
func visible(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		text = text[size:]
	}
	return b.String()
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

// maxWidth is how long flags, width and precision of a reference may be in all: package fmt has a limit as well, and says so
// in each line.
const maxWidth = 6

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
	if len(width) > maxWidth {
		return "", fmt.Errorf("%s: the width is too large", text)
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
