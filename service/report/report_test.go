package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/service/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func say(text string) func(io.Writer) {
	return func(w io.Writer) { fmt.Fprintln(w, text) }
}

func TestWriteHeadsEverySectionAndSurvivesAPanic(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	err := report.Write(&buf,
		report.Section{Title: "First", Write: say("one")},
		report.Section{Title: "Broken", Write: func(io.Writer) { panic("no state") }},
		report.Section{Title: "Last", Write: say("three")})
	if err != nil {
		t.Fatal(err)
	}
	ruler := strings.Repeat("=", 72)
	text := buf.String()
	head := ruler + "\n====" + strings.Repeat(" ", 24) + "Guru Meditation" + strings.Repeat(" ", 25) + "====\n" + ruler + "\n"
	if !strings.HasPrefix(text, head) {
		t.Errorf("the report begins with\n%.250s\nwant\n%s", text, head)
	}
	order := regexp.MustCompile(`(?s)====  +First  +====\n=+\none\n.*====  +Broken  +====\n=+\n\npanic: no state\n.*report_test\.go.*====  +Last  +====\n=+\nthree\n`)
	if !order.MatchString(text) {
		t.Errorf("report:\n%s", text)
	}
}

type brokenWriter struct{}

var errFull = errors.New("no space left")

func (brokenWriter) Write([]byte) (int, error) { return 0, errFull }

func TestWriteReturnsTheWritersError(t *testing.T) {
	t.Parallel()
	if err := report.Write(brokenWriter{}, report.Memory()); !errors.Is(err, errFull) {
		t.Errorf("Write = %v, want the writer's error", err)
	}
}

func TestSectionsSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		section report.Section
		want    []string
	}{
		{report.Package("nova-compute", "1.2"), []string{"product = nova-compute", "version = 1.2"}},
		{report.Process(), []string{fmt.Sprintf("pid = %d\n", os.Getpid()), "gomaxprocs = "}},
		{report.Goroutines(), []string{"goroutine ", "TestSectionsSayWhatTheyAreFor", "report_test.go:"}},
		{report.Memory(), []string{"heap in use = ", "collections = ", "pauses = ["}},
		{report.Build(), []string{"go\tgo1."}},
		{report.Configuration(say("workers = 4")), []string{"workers = 4"}},
	} {
		var buf bytes.Buffer
		tt.section.Write(&buf)
		for _, want := range tt.want {
			if !strings.Contains(buf.String(), want) {
				t.Errorf("section %s lacks %q:\n%.2000s", tt.section.Title, want, buf.String())
			}
		}
	}
}

func TestMaskHidesWhatIsSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"rabbit_password", "s3cret", "****"},
		{"[keystone_authtoken] password", "s3cret", "****"},
		{"metadata_proxy_shared_secret", "s3cret", "****"},
		{"encryption_key", "s3cret", "****"},
		{"admin_token", "s3cret", "****"},
		{"RABBIT_PASSWORD", "s3cret", "****"},
		{"rabbit_password", "", ""},
		{"[ssl] key_file", "/etc/ssl/key.pem", "/etc/ssl/key.pem"},
		{"ssl_key_file", "/etc/ssl/key.pem", "/etc/ssl/key.pem"},
		{"ssl_key_passphrase", "s3cret", "****"},
		{"sasl_passwd", "s3cret", "****"},
		{"ipmi_pass", "s3cret", "****"},
		{"pci_passthrough_whitelist", "8086:154d", "8086:154d"},
		{"backend_url", "redis://h:6379/0?password=s3cret&db=1", "redis://h:6379/0?password=****&db=1"},
		{"transport_url", "rabbit://a//?ssl=1&ssl_key_password=s3cret&ssl_key_file=/k", "rabbit://a//?ssl=1&ssl_key_password=****&ssl_key_file=/k"},
		{"workers", "4", "4"},
		{"transport_url", "rabbit://nova:pa@ss@host:5672/", "rabbit://****@host:5672/"},
		{"transport_url", "rabbit://nova:s3cret@a:5672,nova:s3cret@b:5672//?ssl=0", "rabbit://****@b:5672//?ssl=0"},
		{"transport_url", "rabbit://nova:s3,cr/et@a:5672/", "rabbit://****@a:5672/"},
		{"connection", "mysql+pymysql://nova:s3cret@db/nova?charset=utf8", "mysql+pymysql://****@db/nova?charset=utf8"},
		{"proxies", "http://u:s3cret@p:1 https://u:s3cret@q:2", "http://****@p:1 https://****@q:2"},
		{"endpoint", "http://controller:5000/v3", "http://controller:5000/v3"},
		{"mail", "admin@example.org", "admin@example.org"},
	} {
		if got := report.Mask(tt.name, tt.value); got != tt.want {
			t.Errorf("Mask(%q, %q) = %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestWriteOptionsIsSortedAndMasked(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	report.WriteOptions(&buf, map[string]string{"workers": "4", "rabbit_password": "s3cret"})
	if diff := cmp.Diff("rabbit_password = ****\nworkers = 4\n", buf.String()); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

func TestStatePrintsItsPartsInTheirOrder(t *testing.T) {
	t.Parallel()
	var state report.State
	first := state.Register("server", say("polling"))
	state.Register("broken", func(io.Writer) { panic("ouch") })
	state.Register("server", say("stopped"))
	var buf bytes.Buffer
	state.Write(&buf)
	want := regexp.MustCompile(`(?s)^-- server --\npolling\n\n-- broken --\n\npanic: ouch\n.*-- server --\nstopped\n\n$`)
	if !want.MatchString(buf.String()) {
		t.Errorf("state:\n%s", buf.String())
	}
	first()
	first()
	buf.Reset()
	state.Write(&buf)
	if strings.Contains(buf.String(), "polling") || !strings.Contains(buf.String(), "stopped") {
		t.Errorf("state after the first has gone:\n%s", buf.String())
	}
	(*report.State)(nil).Write(&buf) // prints nothing
}

func TestAPartMayRegisterWhileItPrints(t *testing.T) {
	t.Parallel()
	var state report.State
	state.Register("outer", func(io.Writer) { state.Register("inner", say("inner")) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { state.Write(io.Discard) })
	}
	wg.Wait()
}

func newReporter(t *testing.T, conf report.Config) (*report.Reporter, *test.Hook) {
	t.Helper()
	log, hook := test.NewNullLogger()
	conf.Log = log
	return report.New(conf), hook
}

func TestAReportHasEverySection(t *testing.T) {
	t.Parallel()
	var state report.State
	state.Register("rpc server compute", say("64 slots"))
	var buf bytes.Buffer
	r, _ := newReporter(t, report.Config{
		Name: "nova-compute", Version: "1.2", Output: &buf, State: &state,
		Options: func(w io.Writer) { report.WriteOptions(w, map[string]string{"rabbit_password": "s3cret"}) },
		Extra:   []report.Section{{Title: "Placement", Write: say("3 hosts")}},
	})
	r.Handle()
	var titles []string
	for _, m := range regexp.MustCompile(`(?m)^====  +(\S.*\S)  +====$`).FindAllStringSubmatch(buf.String(), -1) {
		titles = append(titles, m[1])
	}
	want := []string{
		"Guru Meditation", "Package", "Process", "Goroutines", "Memory", "Build", "Configuration", "State", "Placement",
	}
	if diff := cmp.Diff(want, titles); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	for _, line := range []string{"rabbit_password = ****", "64 slots", "3 hosts", "product = nova-compute"} {
		if !strings.Contains(buf.String(), line) {
			t.Errorf("the report lacks %q", line)
		}
	}
}

func TestReportsGoToFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, hook := newReporter(t, report.Config{Name: "../../nova-compute", LogDir: dir})
	const n = 5
	for range n {
		r.Handle()
	}
	files, err := filepath.Glob(filepath.Join(dir, "nova-compute_gurumeditation_*"))
	if err != nil || len(files) != n {
		t.Fatalf("files = %v, %v, want %d", files, err, n)
	}
	form := regexp.MustCompile(`^nova-compute_gurumeditation_\d{14}(_\d+){0,2}$`)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 1000 || !form.MatchString(filepath.Base(f)) {
			t.Errorf("%s: %v, %v, want a report that only its owner reads", f, info, err)
		}
	}
	if e := hook.LastEntry(); e.Level != logrus.InfoLevel || !strings.HasPrefix(fmt.Sprint(e.Data["path"]), dir) {
		t.Errorf("log line = %v %v, want the path", e.Level, e.Data)
	}
}

func TestAFolderThatIsNotThereMeansOutput(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	r, hook := newReporter(t, report.Config{Name: "nova", LogDir: filepath.Join(t.TempDir(), "gone"), Output: &buf})
	if path, err := r.Report(); path != "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Report = %q, %v, want ErrNotExist", path, err)
	}
	if !strings.Contains(buf.String(), "product = nova") {
		t.Error("the report is lost")
	}
	r.Handle()
	if e := hook.LastEntry(); e == nil || e.Level != logrus.ErrorLevel {
		t.Errorf("log line = %v, want an error", e)
	}
}
