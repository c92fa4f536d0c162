package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
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
func setUp(tb testing.TB, c *config.Config, opts ...logging.Option) (*logrus.Logger, *bytes.Buffer, *logging.Logs) {
	tb.Helper()
	log, stderr := logrus.New(), new(bytes.Buffer)
	logs, err := logging.Setup(c, "prog", log, append(opts, logging.WithStderr(stderr), logging.WithRequest(func(ctx context.Context) map[string]any {
		rc, _ := ctx.Value(requestKey{}).(map[string]any)
		return rc
	}))...)
	if err != nil {
		tb.Fatal(err)
	}
	return log, stderr, logs
}

func TestLinesLookAsOslosAndHaveTheRequestID(t *testing.T) {
	t.Parallel()
	c, _, _ := load(t, "")
	log, stderr, _ := setUp(t, c)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	in := log.WithTime(at)
	in.Info("started")
	in.WithContext(context.WithValue(t.Context(), requestKey{}, map[string]any{"request_id": "req-1", "user": "u", "auth_token": "s3cr3t"})).WithFields(logrus.Fields{"host": "h", "n": 1}).Warn("late")
	in.WithField("request_id", "req-2").WithField("global_request_id", "req-0").WithError(errors.New("it \"broke\"")).Error("bad\nline")
	in.Debug("not shown")
	in.WithField("empty", "").WithField("evil", "a\x1b[2Jb\nc").Info("evil")
	want := `2026-01-02 03:04:05.678 PID INFO prog [-] started
2026-01-02 03:04:05.678 PID WARNING prog [- req-1 u - - - - -] late host=h n=1
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
	log.WithContext(context.WithValue(t.Context(), requestKey{}, map[string]any{"request_id": "req-1", "user": "u", "auth_token": "s3cr3t"})).WithField("f", func() {}).WithError(io.EOF).Debug("two\nlines")
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

func TestOptionsOfOsloLogAreKnownEvenWithoutEffect(t *testing.T) {
	t.Parallel()
	_, _, hook := load(t, "[DEFAULT]\nrate_limit_burst = 5\nlogging_exception_prefix = %(asctime)s\nlog_color = 1\nmax_logfile_count=3\n"+
		"watch_log_file = yes\nlog_rotate_interval_type = MIDNIGHT\nnosuch = 1\n")
	if entries := hook.AllEntries(); len(entries) != 1 || entries[0].Data["option"] != "[DEFAULT] nosuch" {
		t.Errorf("warned %v, want of nosuch alone", entries)
	}
}

func TestWhatIsSilentlyLostOtherwiseIsWarnedOf(t *testing.T) {
	t.Parallel()
	c, _, _ := load(t, "[DEFAULT]\nlog_rotation_type = Size\nlog_config = /etc/logging.conf\n")
	_, stderr, _ := setUp(t, c)
	for _, want := range []string{"is not rotated: let logrotate move it option=\"[DEFAULT] log_rotation_type\"", "is without effect option=\"[DEFAULT] log_config_append\""} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("logged %q, want %s", stderr, want)
		}
	}
}

func TestLinesOfBeforeTheSetUpGoWhereItSays(t *testing.T) {
	t.Parallel()
	for pool, want := range map[string]int{"": 1, "rpc": 0} {
		dir := t.TempDir()
		write(t, dir+"/f.conf", "[DEFAULT]\nlog_dir = "+dir+"\nnosuch = 1\n")
		log := logrus.New()
		logging.Hold(log)
		c := config.New("test", config.WithFiles(dir+"/f.conf"), config.WithDirs(), config.WithLogger(log))
		if err := errors.Join(logging.Register(c), c.Parse(nil)); err != nil {
			t.Fatal(err)
		}
		logs, err := logging.Setup(c, "prog", log, logging.WithStderr(io.Discard), logging.WithWorker(pool, 0))
		if err != nil {
			t.Fatal(err)
		}
		log.Info("later")
		text, err := os.ReadFile(dir + "/prog.log")
		if err := errors.Join(err, logs.Close()); err != nil {
			t.Fatal(err)
		}
		line := "WARNING prog [-] unknown option option=\"[DEFAULT] nosuch\" source=" + dir + "/f.conf:3"
		if strings.Count(string(text), line) != want || strings.Count(string(text), "later") != 1 {
			t.Errorf("pool %q: the file has %q, want %d lines of what was found before", pool, text, want)
		}
	}
}

func TestFormatsArePythons(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 67_891_000, time.UTC)
	for format, want := range map[string]string{
		"%(asctime)s.%(msecs)03d|%(levelname)-8s|%(levelno)4d": "2026-01-02 03:04:05.067|WARNING |  30",
		"%(message)s 100%% %(process)s":                        "late n=1 100% PID",
		"%(name)s %(module)s:%(lineno)d %(funcName)s":          "prog logging_test:LINE LINE",
		"%(isotime)s %(created).1f":                            "2026-01-02T03:04:05.067891+00:00 1767323045.1",
		"[%(request_id)s %(user)s %(nosuch)s %(n)s] %(name)5s": "[req-1 u - 1]  prog",
		"%(user_identity)s%(instance)s%(color)s|":              "u p|",
		"%(project)s %(processName)s":                          "p prog",
		"no key":                                               "no key",
	} {
		c, _, _ := load(t, "[DEFAULT]\nlogging_context_format_string = "+format+"\nlogging_user_identity_format = %(user)s %(project)s\n")
		log, stderr, _ := setUp(t, c)
		rc := map[string]any{"request_id": "req-1", "user": "u", "project": "p", "domain": nil}
		log.WithTime(at).WithContext(context.WithValue(t.Context(), requestKey{}, rc)).WithField("n", 1).Warn("late")
		got := strings.ReplaceAll(stderr.String(), strconv.Itoa(os.Getpid()), "PID")
		got = regexp.MustCompile(`:\d+ \w+\n`).ReplaceAllString(got, ":LINE LINE\n")
		if got != want+"\n" {
			t.Errorf("%s: logged %q, want %q", format, got, want)
		}
	}
}

func TestDatesAreStrftimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 15, 4, 5, 678_900_000, time.UTC)
	for format, want := range map[string]string{
		"%d/%b/%Y:%H:%M:%S %z": "02/Jan/2026:15:04:05 +0000", "%FT%T.%f": "2026-01-02T15:04:05.678900", "%I %p %% 2006 Jan": "03 PM % 2006 Jan",
	} {
		c, _, _ := load(t, "[DEFAULT]\nlog_date_format = "+format+"\nlogging_default_format_string = %(asctime)s\n")
		log, stderr, _ := setUp(t, c)
		log.WithTime(at).Info("x")
		if got := stderr.String(); got != want+"\n" {
			t.Errorf("%s: logged %q, want %q", format, got, want)
		}
	}
}

func TestDebugLinesHaveTheSuffix(t *testing.T) {
	t.Parallel()
	c, _, _ := load(t, "[DEFAULT]\ndebug = 1\nlogging_default_format_string = %(message)s\nlogging_debug_format_suffix = at %(funcName)s %(filename)s\n")
	log, stderr, _ := setUp(t, c)
	log.Debug("one")
	log.Info("two")
	if got := stderr.String(); got != "one at TestDebugLinesHaveTheSuffix logging_test.go\ntwo\n" {
		t.Errorf("logged %q", got)
	}
}

func TestFormatsThatCannotBeReadAreErrorsWithTheirLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"logging_context_format_string = %(message": "want %(key)s or %(key)d behind a percent sign, or a second one",
		"logging_default_format_string = 100%":      "want %(key)s or %(key)d behind a percent sign, or a second one",
		"log_date_format = %Q":                      "want a format of strftime, of %A",
		"default_log_levels = amqp":                 "want pairs of name=LEVEL",
		"default_log_levels = amqp=LOUD":            "want pairs of name=LEVEL",
		"syslog_log_facility = LOG_MOON":            "want one of LOG_AUTH, AUTH,",
		"log_rotation_type = daily":                 "want one of interval, size, none",
	} {
		path := filepath.Join(t.TempDir(), "f.conf")
		write(t, path, "[DEFAULT]\n"+text+"\n")
		c := config.New("test", config.WithFiles(path), config.WithDirs())
		name, _, _ := strings.Cut(text, " ")
		err := errors.Join(logging.Register(c), c.Parse(nil))
		if err == nil || !strings.Contains(err.Error(), "f.conf:2: option [DEFAULT] "+name+": "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error = %v, want %s", text, err, want)
		}
	}
}

func TestLoggersHaveLevelsOfTheirOwnWhichFollowTheFile(t *testing.T) {
	t.Parallel()
	c, path, hook := load(t, "[DEFAULT]\ndefault_log_levels = amqp=WARN, oslo_messaging=ERROR, oslo=DEBUG, prog.api=5, other=INFO, other=DEBUG\n")
	root, _, logs := setUp(t, c)
	levels := func() string {
		got := []string{root.GetLevel().String()}
		for _, name := range []string{"oslo.messaging", "oslo.service", "prog.api", "program", "other"} {
			got = append(got, logs.Named(name).GetLevel().String())
		}
		return strings.Join(got, " ")
	}
	if got, want := levels(), "info error debug trace info debug"; got != want {
		t.Errorf("levels %s, want %s", got, want)
	}
	if other := logs.Named("other"); other != logs.Named("other") {
		t.Error("a name has two loggers")
	}
	write(t, path, "[DEFAULT]\ndebug = true\ndefault_log_levels = oslo.messaging=INFO,prog=20,oslo=NOTSET\n")
	if err := c.Mutate(); err != nil {
		t.Fatal(err)
	}
	if got, want := levels(), "info info debug info debug debug"; got != want {
		t.Errorf("levels %s after a mutation, want %s", got, want)
	}
	changed := 0
	for _, e := range hook.AllEntries() {
		if e.Message == "an option has changed" {
			changed++
		}
	}
	if changed != 2 {
		t.Errorf("%d changes were told, want those of debug and default_log_levels", changed)
	}
	write(t, path, "[DEFAULT]\ndefault_log_levels = oslo.messaging\n")
	if err := c.Mutate(); err == nil || levels() != "info info debug info debug debug" {
		t.Errorf("Mutate = %v, levels %s, want an error and the old ones", err, levels())
	}
	logs.SetLevel(logrus.WarnLevel)
	if got, want := levels(), "warning warning warning warning warning warning"; got != want {
		t.Errorf("levels %s by SetLevel, want %s", got, want)
	}
}

// A parent puts [pool/worker] before lines of text on standard error; other lines must say it themselves.
func TestLinesTellTheirWorkerWhereTheParentDoesNot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"text on standard error":  {"", "hello\n"},
		"JSON":                    {"use_json = true", `"extra":{"pool":"rpc","worker":3}`},
		"a file":                  {"log_file = DIR/a.log\nuse_stderr = true", "hello pool=rpc worker=3\n"},
		"syslog, which is not up": {"use_syslog = true", "hello pool=rpc worker=3\n"},
	} {
		c, _, _ := load(t, "[DEFAULT]\nlogging_default_format_string = %(message)s\n"+strings.ReplaceAll(test.text, "DIR", t.TempDir()))
		log, stderr, logs := setUp(t, c, logging.WithWorker("rpc", 3), logging.WithSockets("/nosuch", "/nosuch"))
		log.Info("hello")
		if got := stderr.String(); !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: logged %q, want %q", name, got, test.want)
		}
		if logs.JSON() != (name == "JSON") {
			t.Errorf("%s: JSON() = %t", name, logs.JSON())
		}
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	}
}

// listen makes a log service's socket.
func listen(tb testing.TB, path string) *net.UnixConn {
	tb.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

func receive(tb testing.TB, from *net.UnixConn) string {
	tb.Helper()
	packet := make([]byte, 1<<20)
	n, err := from.Read(packet)
	if err != nil {
		tb.Fatal(err)
	}
	return string(packet[:n])
}

func TestLinesGoToSyslogAndTheJournal(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // a short path: sockets take no long ones
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	syslog, journal := listen(t, dir+"/s"), listen(t, dir+"/j")
	c, _, _ := load(t, "[DEFAULT]\nuse_syslog = 1\nuse_journal = 1\nsyslog_log_facility = local3\nlogging_context_format_string = %(request_id)s %(message)s\n")
	_, stderr, logs := setUp(t, c, logging.WithSockets(dir+"/s", dir+"/j"))
	line := logs.Named("oslo.messaging").WithField("request_id", "req-1").WithTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))

	line.Warn("late")
	pid := strconv.Itoa(os.Getpid())
	if got, want := receive(t, syslog), "<156>Jan  2 03:04:05 prog["+pid+"]: req-1 late"; got != want {
		t.Errorf("syslog got %q, want %q", got, want)
	}
	want := "MESSAGE=req-1 late\nPRIORITY=4\nSYSLOG_FACILITY=19\nSYSLOG_IDENTIFIER=prog\nLOGGER_NAME=oslo.messaging\nLOGGER_LEVEL=WARNING\nREQUEST_ID=req-1\n"
	if got := receive(t, journal); got != want {
		t.Errorf("the journal got %q, want %q", got, want)
	}

	line.Info(strings.Repeat("x", 300_000))
	if got := receive(t, syslog); len(got) < 64<<10 || len(got) > 65<<10 {
		t.Errorf("a line of %d bytes, want it cut at 64 KiB", len(got))
	}
	if stderr.Len() != 0 {
		t.Errorf("standard error got %q", stderr)
	}

	// A log service that is gone for a while.
	if err := errors.Join(syslog.Close(), os.RemoveAll(dir+"/s")); err != nil {
		t.Fatal(err)
	}
	line.Info("lost")
	if got := stderr.String(); got != "req-1 lost\n" {
		t.Errorf("standard error got %q, want the line that syslog did not take", got)
	}
	again := listen(t, dir+"/s")
	line.Info("back")
	if got := receive(t, again); !strings.HasSuffix(got, "req-1 back") {
		t.Errorf("syslog got %q after its restart", got)
	}
	if err := logs.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzFormats(f *testing.F) {
	f.Add("%(asctime)s.%(msecs)03d %(name)-8s%%", "%Y %f")
	f.Add("%(a)099.99f%(b)x", "%")
	f.Fuzz(func(t *testing.T, format, date string) {
		c := config.New("test", config.WithFiles(), config.WithDirs(), config.WithEnvironment(func(name string) (string, bool) {
			switch name {
			case "OS_DEFAULT__LOGGING_DEFAULT_FORMAT_STRING":
				return strings.ReplaceAll(format, "$", "$$"), true
			case "OS_DEFAULT__LOG_DATE_FORMAT":
				return strings.ReplaceAll(date, "$", "$$"), true
			}
			return "", false
		}))
		if err := logging.Register(c); err != nil {
			t.Fatal(err)
		}
		if err := c.Parse(nil); err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("the error %q has two lines", err)
			}
			return
		}
		log, stderr, _ := setUp(t, c)
		log.Info("x")
		if !strings.HasSuffix(stderr.String(), "\n") {
			t.Fatalf("logged %q", stderr)
		}
	})
}

func TestALoggerOfANameIsOneWhoeverAsksFirst(t *testing.T) {
	t.Parallel()
	c, _, _ := load(t, "")
	_, _, logs := setUp(t, c)
	var asking sync.WaitGroup
	got := make([]*logrus.Logger, 16)
	for i := range got {
		asking.Go(func() { got[i] = logs.Named("oslo.messaging") })
	}
	asking.Wait()
	for _, log := range got {
		if log != got[0] {
			t.Fatal("two loggers have one name")
		}
	}
}
