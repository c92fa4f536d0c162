package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/logging"
)

type requestKey struct{}

// load is a configuration with one file, whose path comes with it.
func load(tb testing.TB, text string, args ...string) (*config.Config, string, *logtest.Hook) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "test.conf")
	write(tb, path, text)
	log, hook := logtest.NewNullLogger()
	c := config.New("test", config.WithFiles(path), config.WithDirs(), config.WithLogger(log),
		config.WithEnvironment(func(string) (string, bool) { return "", false }))
	if err := errors.Join(logging.Register(c), c.Parse(args)); err != nil {
		tb.Fatal(err)
	}
	return c, path, hook
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// setUp makes a logger, whose standard error comes with it.
func setUp(tb testing.TB, c *config.Config) (*logrus.Logger, *bytes.Buffer, io.Closer) {
	tb.Helper()
	log, stderr := logrus.New(), new(bytes.Buffer)
	closer, err := logging.Setup(c, "prog", log, logging.WithStderr(stderr), logging.WithRequestIDs(func(ctx context.Context) (string, string) {
		id, _ := ctx.Value(requestKey{}).(string)
		return id, ""
	}))
	if err != nil {
		tb.Fatal(err)
	}
	return log, stderr, closer
}

func TestLinesLookAsOslosAndHaveTheRequestID(t *testing.T) {
	t.Parallel()
	c, _, _ := load(t, "")
	log, stderr, _ := setUp(t, c)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	in := log.WithTime(at)
	in.Info("started")
	in.WithContext(context.WithValue(t.Context(), requestKey{}, "req-1")).WithFields(logrus.Fields{"host": "h", "n": 1}).Warn("late")
	in.WithField("request_id", "req-2").WithField("global_request_id", "req-0").WithError(errors.New("it \"broke\"")).Error("bad\nline")
	in.Debug("not shown")
	in.WithField("empty", "").WithField("evil", "a\x1b[2Jb\nc").Info("evil")
	want := `2026-01-02 03:04:05.678 PID INFO prog [-] started
2026-01-02 03:04:05.678 PID WARNING prog [- req-1 -] late host=h n=1
2026-01-02 03:04:05.678 PID ERROR prog [req-0 req-2 -] "bad\nline" error="it \"broke\""
2026-01-02 03:04:05.678 PID INFO prog [-] evil empty="" evil="a\x1b[2Jb\nc"
`
	got := regexp.MustCompile(`(?m)^(\S+ \S+) \d+ `).ReplaceAllString(stderr.String(), "$1 PID ")
	if got != want {
		t.Errorf("logged\n%s\nwant\n%s", got, want)
	}
}

func TestJSONLinesHaveOslosKeys(t *testing.T) {
	t.Parallel()
	c, _, _ := load(t, "[DEFAULT]\nuse_json = true\n", "--debug")
	log, stderr, _ := setUp(t, c)
	log.WithContext(context.WithValue(t.Context(), requestKey{}, "req-1")).WithField("f", func() {}).WithError(io.EOF).Debug("two\nlines")
	if strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("logged %q, want one line", stderr)
	}
	var line struct {
		Message, Name, Levelname, Asctime, Hostname string
		Process                                     int
		Context, Extra                              map[string]any
	}
	if err := json.Unmarshal(stderr.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Message != "two\nlines" || line.Name != "prog" || line.Levelname != "DEBUG" || line.Process != os.Getpid() ||
		line.Context["request_id"] != "req-1" || line.Extra["error"] != "EOF" {
		t.Errorf("logged %s", stderr)
	}
}

func TestLinesGoWhereOptionsSay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text   string
		file   string // below DIR
		stderr bool
	}{
		"nothing":           {"", "", true},
		"a file":            {"log_file = DIR/a.log", "a.log", false},
		"a former name":     {"logfile = DIR/a.log", "a.log", false},
		"both":              {"log_file = DIR/a.log\nuse_stderr = true", "a.log", true},
		"a directory":       {"log_dir = DIR", "prog.log", false},
		"a file in it":      {"log_dir = DIR\nlog_file = b.log", "b.log", false},
		"a file outside it": {"log_dir = /nosuch\nlog_file = DIR/b.log", "b.log", false},
	} {
		dir := t.TempDir()
		c, _, _ := load(t, "[DEFAULT]\n"+strings.ReplaceAll(test.text, "DIR", dir))
		log, stderr, closer := setUp(t, c)
		log.Info("hello")
		if err := closer.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
		if test.file != "" {
			if text, err := os.ReadFile(filepath.Join(dir, test.file)); err != nil || !strings.Contains(string(text), "hello") {
				t.Errorf("%s: the file has %q, %v", name, text, err)
			}
		}
		if got := strings.Contains(stderr.String(), "hello"); got != test.stderr {
			t.Errorf("%s: on standard error %t, want %t", name, got, test.stderr)
		}
	}
}

func TestAFileThatCannotBeOpenedIsAnErrorThatNamesTheOption(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[DEFAULT]\nlog_file = /nosuch/a": "option log_file: open /nosuch/a: ",
		"[DEFAULT]\nlog_dir = /nosuch":    "option log_dir: open /nosuch/prog.log: ",
	} {
		c, _, _ := load(t, text)
		if _, err := logging.Setup(c, "prog", logrus.New()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error = %v, want %s", text, err, want)
		}
	}
}

func TestAMovedFileIsOpenedAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.log")
	c, _, _ := load(t, "[DEFAULT]\nlog_file = "+path)
	log, _, closer := setUp(t, c)
	log.Info("first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("second")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	log.Info("third")
	for file, want := range map[string]string{path + ".1": "first", path: "third"} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "second") {
			t.Errorf("%s has %q, %v, want %s", file, text, err, want)
		}
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheLevelFollowsDebugWithoutARestart(t *testing.T) {
	t.Parallel()
	c, path, _ := load(t, "")
	log, _, _ := setUp(t, c)
	if log.GetLevel() != logrus.InfoLevel {
		t.Errorf("level %s, want info", log.GetLevel())
	}
	write(t, path, "[DEFAULT]\ndebug = true\n")
	if err := c.Mutate(); err != nil || log.GetLevel() != logrus.DebugLevel {
		t.Errorf("Mutate = %v, level %s, want debug", err, log.GetLevel())
	}
	write(t, path, "")
	if err := c.Reload(); err != nil || log.GetLevel() != logrus.InfoLevel {
		t.Errorf("Reload = %v, level %s, want info", err, log.GetLevel())
	}
}

func TestOptionsOfOsloLogWithoutACounterpartAreKnown(t *testing.T) {
	t.Parallel()
	_, _, hook := load(t, "[DEFAULT]\ndefault_log_levels = amqp=WARN\nuse_syslog = true\nlog_rotation_type = size\nnosuch = 1\n")
	if entries := hook.AllEntries(); len(entries) != 1 || entries[0].Data["option"] != "[DEFAULT] nosuch" {
		t.Errorf("warned %v, want of nosuch alone", entries)
	}
}
