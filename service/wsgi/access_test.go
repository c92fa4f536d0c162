package wsgi_test

import (
	"context"
	"net/http"
	"regexp"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

func TestTheAccessLogFollowsItsTemplate(t *testing.T) {
	for name, test := range map[string]struct {
		format, request, want string
	}{
		"default": {
			wsgi.DefaultLogFormat, "GET /v1?x=%2F HTTP/1.1\r\nHost: x\r\n\r\n",
			`^127\.0\.0\.1 "GET /v1\?x=%2F HTTP/1\.1" status: 200  len: 2 time: \d+\.\d{7}$`,
		},
		"forwarded": {
			"%(client_ip)s", "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n\r\n",
			`^192\.0\.2\.1,192\.0\.2\.2,127\.0\.0\.1$`,
		},
		"date":    {"[%(date_time)s]", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", `^\[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\]$`},
		"widths":  {"%(status_code)05d|%(body_length)4d|%(body_length)-4s|", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", `^00200\|   2\|2   \|$`},
		"percent": {"100%% %(status_code)s%%", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", `^100% 200%$`},
		"refused": {"%(status_code)s", "GET / HTTP/1.1\r\nHost: x\r\nX: " + string(make20k()) + "\r\n\r\n", `^431$`},
		"silent":  {"%(status_code)s %(body_length)s", "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n", `^200 0$`},
		"error":   {"%(status_code)s", "GET /missing HTTP/1.1\r\nHost: x\r\n\r\n", `^404$`},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, func(w http.ResponseWriter, req *http.Request) {
				switch req.URL.Path {
				case "/silent":
				case "/missing":
					http.NotFound(w, req)
				default:
					ok(w, req)
				}
			}, func(c *wsgi.Config) { c.LogFormat = test.format })
			f.send(test.request)
			f.stop()
			var lines []string
			for _, entry := range f.logged(logrus.InfoLevel, "") {
				if entry.Message != "serving" {
					lines = append(lines, entry.Message)
				}
			}
			if len(lines) != 1 || !regexp.MustCompile(test.want).MatchString(lines[0]) {
				t.Errorf("the access log has %q, want %s", lines, test.want)
			}
		})
	}
}

type requestKey struct{}

// A handler and the access log see the context of the request, also where the handler panics.
func TestTheContextOfARequestIsThatOfItsLogLines(t *testing.T) {
	seen := make(chan any, 1)
	f := serving(t, func(_ http.ResponseWriter, req *http.Request) {
		seen <- req.Context().Value(requestKey{})
		panic("boom")
	}, func(c *wsgi.Config) {
		c.LogFormat = "access %(status_code)s"
		c.Context = func(req *http.Request) context.Context {
			return context.WithValue(req.Context(), requestKey{}, req.Header.Get("X-Id"))
		}
	})
	f.send("GET / HTTP/1.1\r\nHost: x\r\nX-Id: 7\r\n\r\n")
	f.stop()
	if got := within(t, "the handler", seen); got != "7" {
		t.Errorf("the handler sees %v, want 7", got)
	}
	lines := append(f.logged(logrus.InfoLevel, "access 500"), f.logged(logrus.ErrorLevel, "a handler panicked")...)
	if len(lines) != 2 {
		t.Fatalf("%d lines were logged, want the access and the panic", len(lines))
	}
	for _, line := range lines {
		if line.Context == nil || line.Context.Value(requestKey{}) != "7" {
			t.Errorf("%q is logged with %v, want the request's context", line.Message, line.Context)
		}
	}
}

func make20k() []byte {
	text := make([]byte, 20_000)
	for i := range text {
		text[i] = 'h'
	}
	return text
}

func TestAnEmptyTemplateMeansNoAccessLog(t *testing.T) {
	f := serving(t, ok, func(c *wsgi.Config) { c.LogFormat = "" })
	f.get("/")
	f.stop()
	if n := len(f.log.AllEntries()); n != 1 { // that it serves
		t.Errorf("%d lines are logged, want 1", n)
	}
}

func TestAWrongTemplateIsAnError(t *testing.T) {
	l, err := listen.TCP("api", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for format, want := range map[string]string{
		"%(method)s":             `unknown key "method"`,
		"%()s":                   `unknown key ""`,
		"%s":                     `a % must be followed by a key in parentheses or by another %`,
		"100%":                   `a % must be followed by a key in parentheses or by another %`,
		"%(client_ip)":           `a % must be followed by a key in parentheses or by another %`,
		"%(client_ip)d":          `%(client_ip)d: the value cannot be written as "d"`,
		"%(status_code).2f":      `%(status_code).2f: the value cannot be written as "f"`,
		"%(wall_seconds)x":       `%(wall_seconds)x: the value cannot be written as "x"`,
		"%(status_code)9999999d": `%(status_code)9999999d: the width is too large`,
		"%(client_ip)s %(x)":     `a % must be followed by a key in parentheses or by another %`,
	} {
		conf := wsgi.DefaultConfig()
		conf.LogFormat = format
		want = `HTTP server "api": wsgi_log_format: ` + want
		if _, err := wsgi.NewServer("api", l, http.HandlerFunc(ok), conf); err == nil || err.Error() != want {
			t.Errorf("%s: error = %v, want %q", format, err, want)
		}
	}
}
