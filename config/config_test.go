package config_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/spf13/pflag"

	"github.com/goslo/goslo/config"
)

// options are one of each type. Each test has its own, since a registration belongs to a Config.
type options struct {
	text, choice, folder, inside, password *config.Option[string]
	flag                                   *config.Option[bool]
	count, port                            *config.Option[int]
	ratio                                  *config.Option[float64]
	timeout, delay                         *config.Option[time.Duration]
	list, drivers                          *config.Option[[]string]
}

func newOptions() *options {
	return &options{
		text:     &config.Option[string]{Name: "text", Type: config.String(), Default: "plain", Help: "Any text.", CLI: true},
		choice:   &config.Option[string]{Name: "choice", Type: config.String(config.OneOf("red", "blue")), Default: "red", Help: "A colour."},
		folder:   &config.Option[string]{Name: "state_path", Type: config.String(), Default: "/var/lib/x", Help: "A folder."},
		inside:   &config.Option[string]{Name: "lock_path", Type: config.String(), Default: "$state_path/lock", Help: "A folder in it."},
		password: &config.Option[string]{Group: "db", Name: "phrase", Type: config.String(config.MaxLength(10)), NoDefault: true, Secret: true, Help: "A secret."},
		flag:     &config.Option[bool]{Name: "debug", Type: config.Bool(), Help: "More lines.", Mutable: true, CLI: true, Short: "d"},
		count: &config.Option[int]{
			Group: "my_group", Name: "workers", Type: config.Int(config.AtLeast(1), config.AtMost(100)), Default: 5,
			Help: "How many.", Deprecated: []config.Key{{Name: "threads"}, {Group: "DEFAULT", Name: "old-workers"}}, Mutable: true,
		},
		port:    &config.Option[int]{Group: "my_group", Name: "listen_port", Type: config.Port(), Default: 8780, Help: "Where."},
		ratio:   &config.Option[float64]{Group: "my_group", Name: "ratio", Type: config.Float(config.AtLeast(0.0)), Default: 1.5, Help: "How much."},
		timeout: &config.Option[time.Duration]{Name: "timeout", Type: config.Seconds(config.AtLeast(time.Second)), Default: time.Minute, Help: "Seconds."},
		delay:   &config.Option[time.Duration]{Name: "delay", Type: config.FractionalSeconds(), Default: 1500 * time.Millisecond, Help: "Seconds."},
		list:    &config.Option[[]string]{Name: "topics", Type: config.List(), Default: []string{"a", "b"}, Help: "Some."},
		drivers: &config.Option[[]string]{Group: "notifications", Name: "driver", Type: config.Multi(), Help: "Ways."},
	}
}

func (o *options) all() []config.Definition {
	return []config.Definition{
		o.text, o.choice, o.folder, o.inside, o.password, o.flag, o.count, o.port, o.ratio, o.timeout, o.delay, o.list, o.drivers,
	}
}

// world is where a Config looks.
type world struct {
	dir  string
	env  map[string]string
	hook *logtest.Hook
}

func newWorld(tb testing.TB, files map[string]string) *world {
	tb.Helper()
	w := &world{dir: tb.TempDir(), env: map[string]string{}}
	for name, text := range files {
		w.write(tb, name, text)
	}
	return w
}

func (w *world) write(tb testing.TB, name, text string) {
	tb.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) config(tb testing.TB, o *options) *config.Config {
	tb.Helper()
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w.hook = hook
	c := config.New("prog", config.WithProject("proj"), config.WithLogger(log),
		config.WithEnvironment(func(name string) (string, bool) { value, ok := w.env[name]; return value, ok }))
	c.SetEtc(filepath.Join(w.dir, "etc"))
	if err := c.Register(o.all()...); err != nil {
		tb.Fatal(err)
	}
	return c
}

// args puts the folder into arguments.
func (w *world) args(args ...string) []string {
	all := slices.Clone(args)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "DIR", w.dir)
	}
	return all
}

// lines are what was logged, as message and fields.
func (w *world) lines(tb testing.TB) []string {
	tb.Helper()
	var lines []string
	for _, e := range w.hook.AllEntries() {
		line := []string{e.Level.String(), e.Message}
		for _, key := range slices.Sorted(maps.Keys(e.Data)) {
			text, _ := e.Data[key].(string)
			line = append(line, key+"="+strings.ReplaceAll(text, w.dir, "DIR"))
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines
}

func TestFlagsWinOverTheEnvironmentOverFilesOverDefaults(t *testing.T) {
	t.Parallel()
	const in = "[DEFAULT]\ntext = file\ndebug = on\n[my_group]\nworkers = 2\n[notifications]\ndriver = f\ndriver = g\n"
	for name, test := range map[string]struct {
		env     map[string]string
		args    []string
		text    string
		debug   bool
		workers int
		drivers []string
		source  string // of text
	}{
		"defaults": {nil, nil, "plain", false, 5, nil, "default"},
		"a file":   {nil, []string{"--config-file", "DIR/a"}, "file", true, 2, []string{"f", "g"}, "DIR/a:2"},
		"the environment": {
			map[string]string{"OS_DEFAULT__TEXT": "env", "OS_DEFAULT__DEBUG": "no", "OS_MY_GROUP__WORKERS": "3", "OS_NOTIFICATIONS__DRIVER": "x,y"},
			[]string{"--config-file=DIR/a"},
			"env", false, 3,
			[]string{"x,y"},
			"environment variable OS_DEFAULT__TEXT",
		},
		"flags": {
			map[string]string{"OS_DEFAULT__TEXT": "env", "OS_DEFAULT__DEBUG": "no", "OS_MY_GROUP__WORKERS": "3"},
			[]string{"--text", "flag", "-d", "--my_group-workers=4", "--config-file", "DIR/a", "--notifications-driver", "p", "--notifications-driver=q"},
			"flag", true, 4,
			[]string{"p", "q"},
			"--text",
		},
		"the last flag":            {nil, []string{"--text=1", "--text=2", "--debug", "--nodebug"}, "2", false, 5, nil, "--text"},
		"former names of flags":    {nil, []string{"--old-workers", "7"}, "plain", false, 7, nil, "default"},
		"former names in a group":  {nil, []string{"--my-group-threads", "8"}, "plain", false, 8, nil, "default"},
		"empty numbers as none":    {map[string]string{"OS_MY_GROUP__WORKERS": ""}, nil, "plain", false, 5, nil, "default"},
		"empty texts as what they": {map[string]string{"OS_DEFAULT__TEXT": ""}, nil, "", false, 5, nil, "environment variable OS_DEFAULT__TEXT"},
	} {
		w, o := newWorld(t, map[string]string{"a": in}), newOptions()
		w.env = test.env
		c := w.config(t, o)
		if err := c.Parse(w.args(test.args...)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		source := strings.ReplaceAll(o.text.Source(c).String(), w.dir, "DIR")
		if o.text.Get(c) != test.text || o.flag.Get(c) != test.debug || o.count.Get(c) != test.workers || source != test.source ||
			!slices.Equal(o.drivers.Get(c), test.drivers) {
			t.Errorf("%s: text %q from %s, debug %t, workers %d, drivers %q, want %+v", name,
				o.text.Get(c), source, o.flag.Get(c), o.count.Get(c), o.drivers.Get(c), test)
		}
	}
}

func TestFilesAreFoundAndOrderedAsOsloDoes(t *testing.T) {
	t.Parallel()
	value := func(text string) string {
		return "[DEFAULT]\ntext = " + text + "\n[notifications]\ndriver = " + text + "\n"
	}
	files := map[string]string{
		"home/.proj/proj.conf":        value("home"),
		"etc/proj/proj.conf":          value("not this: home has one"),
		"etc/prog.conf":               value("etc"),
		"etc/proj/prog.conf.d/b.conf": value("b"), "etc/proj/prog.conf.d/a.conf": value("a"),
		"etc/proj/prog.conf.d/.c.conf": value("hidden"), "etc/proj/prog.conf.d/d.txt": value("no conf"),
		"one": value("one"), "two": value("two"), "d/2.conf": value("2"), "d/1.conf": value("1"),
		"snap/etc/proj/proj.conf.d/s.conf": value("s"),
	}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"by default":              {nil, []string{"home", "etc", "s", "a", "b"}},
		"a file named":            {[]string{"--config-file", "DIR/one"}, []string{"s", "a", "b", "one"}},
		"a directory named":       {[]string{"--config-dir", "DIR/d"}, []string{"home", "etc", "1", "2"}},
		"both in order":           {[]string{"--config-dir=DIR/d", "--config-file=DIR/two", "--config-file=DIR/one"}, []string{"1", "2", "two", "one"}},
		"both in the other order": {[]string{"--config-file=DIR/one", "--config-dir=DIR/d"}, []string{"one", "1", "2"}},
		"a home":                  {[]string{"--config-file=~/.proj/proj.conf", "--config-dir=DIR/d"}, []string{"home", "1", "2"}},
	} {
		w, o := newWorld(t, files), newOptions()
		w.env = map[string]string{"HOME": w.dir + "/home", "SNAP": w.dir + "/snap"}
		c := w.config(t, o)
		if err := c.Parse(w.args(test.args...)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := o.drivers.Get(c); !slices.Equal(got, test.want) || o.text.Get(c) != test.want[len(test.want)-1] {
			t.Errorf("%s: read %q, the last one %q, want %q", name, got, o.text.Get(c), test.want)
		}
	}
}

func TestDeprecatedNamesAreReadAndWarnedOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first, second string
		want          int
	}{
		"a former name":                        {"[my_group]\nthreads = 7\n", "", 7},
		"a former group":                       {"[DEFAULT]\nold-workers = 8\n", "", 8},
		"a former name with underscores":       {"[DEFAULT]\nold_workers = 9\n", "", 9},
		"the present name wins in a file":      {"[my_group]\nworkers = 1\nthreads = 2\n", "", 1},
		"the former name wins in a later file": {"[my_group]\nworkers = 1\n", "[my_group]\nthreads = 2\n", 2},
		"the first of two former names":        {"[DEFAULT]\nold_workers = 3\n[my_group]\nthreads = 4\n", "", 4},
	} {
		w, o := newWorld(t, map[string]string{"1": test.first, "2": test.second}), newOptions()
		c := w.config(t, o)
		if err := c.Parse(w.args("--config-file=DIR/1", "--config-file=DIR/2")); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := o.count.Get(c); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
		if lines := w.lines(t); len(lines) == 0 || !strings.Contains(lines[0], "warning an option has another name now now=[my_group] workers option=") {
			t.Errorf("%s: logged %q, want a warning with the present name", name, lines)
		}
	}
}

func TestUnknownOptionsOfOurGroupsAreWarnedOfOnce(t *testing.T) {
	t.Parallel()
	w, o := newWorld(t, map[string]string{"a": "[DEFAULT]\ntxet = 1\nmy_ip = 2\n[glance]\nhost = 3\n[my_group]\nworker = 4\nWORKERS = 5\n[notifications]\nx = y\n"}), newOptions()
	c := w.config(t, o)
	c.Ignore("DEFAULT", "my_ip")
	c.Ignore("notifications")
	if err := errors.Join(c.Parse(w.args("--config-file=DIR/a")), c.Reload(), c.Mutate()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"warning unknown option option=[DEFAULT] txet source=DIR/a:2",
		"warning unknown option option=[my_group] worker source=DIR/a:7",
		"warning unknown option option=[my_group] WORKERS source=DIR/a:8",
	}
	if diff := cmp.Diff(want, w.lines(t)); diff != "" {
		t.Errorf("logged otherwise (-want +got):\n%s", diff)
	}
}

func TestWrongValuesAreErrorsThatNameOptionAndPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[my_group]\nworkers = many":                       "DIR/a:2: option [my_group] workers: want a whole number, got \"many\"",
		"[my_group]\n\nworkers = 0":                        "DIR/a:3: option [my_group] workers: want at least 1, got \"0\"",
		"[MY_GROUP]\nworkers = 101":                        "DIR/a:2: option [my_group] workers: want at most 100, got \"101\"",
		"[my_group]\nthreads = 1.5":                        "DIR/a:2: option [my_group] workers: want a whole number, got \"1.5\"",
		"[my_group]\nworkers = " + strings.Repeat("9", 30): "DIR/a:2: option [my_group] workers: want a whole number of at most 63 bits, got \"" + strings.Repeat("9", 30) + "\"",
		"[my_group]\nlisten_port = 65536":                  "DIR/a:2: option [my_group] listen_port: want at most 65535, got \"65536\"",
		"[my_group]\nlisten_port = -1":                     "DIR/a:2: option [my_group] listen_port: want at least 0, got \"-1\"",
		"[my_group]\nratio = -0.1":                         "DIR/a:2: option [my_group] ratio: want at least 0.0, got \"-0.1\"",
		"[my_group]\nratio = nan":                          "DIR/a:2: option [my_group] ratio: want a number, got \"nan\"",
		"[my_group]\nratio = 0x1p3":                        "DIR/a:2: option [my_group] ratio: want a number, got \"0x1p3\"",
		"[DEFAULT]\ndebug = maybe":                         "DIR/a:2: option [DEFAULT] debug: want true or false, got \"maybe\"",
		"[DEFAULT]\ndebug =":                               "DIR/a:2: option [DEFAULT] debug: want true or false, got \"\"",
		"[DEFAULT]\nchoice = green":                        "DIR/a:2: option [DEFAULT] choice: want one of red, blue, got \"green\"",
		"[DEFAULT]\nchoice = Red":                          "DIR/a:2: option [DEFAULT] choice: want one of red, blue, got \"Red\"",
		"[DEFAULT]\ntimeout = 0":                           "DIR/a:2: option [DEFAULT] timeout: want at least 1, got \"0\"",
		"[DEFAULT]\ntimeout = 1m":                          "DIR/a:2: option [DEFAULT] timeout: want a whole number, got \"1m\"",
		"[DEFAULT]\ntimeout = 9999999999999":               "DIR/a:2: option [DEFAULT] timeout: want fewer seconds, got \"9999999999999\"",
		"[db]\nphrase = s3cr3t s3cr3t":                     "DIR/a:2: option [db] phrase: want at most 10 characters",
		"[DEFAULT]\ntext = a $nosuch":                      "DIR/a:2: option [DEFAULT] text: $nosuch refers to no option (a dollar sign is $$)",
		"[DEFAULT]\ntext = ${nosuch.text}":                 "DIR/a:2: option [DEFAULT] text: $nosuch.text refers to no option (a dollar sign is $$)",
		"[DEFAULT]\ntext = $text":                          "DIR/a:2: option [DEFAULT] text: $text: [DEFAULT] text refers to itself",
		"[db]\nphrase = pa$s3cr3t":                         "DIR/a:2: option [db] phrase: a reference in it cannot be resolved (a dollar sign is $$)",
		"[DEFAULT]\ntext = a://u:$s3cr3t@h":                "DIR/a:2: option [DEFAULT] text: a reference in it cannot be resolved (a dollar sign is $$)",
		"[DEFAULT]\ntimeout = $text":                       "DIR/a:2: option [DEFAULT] timeout: want a whole number, got \"plain\"",
	} {
		w := newWorld(t, map[string]string{"a": text})
		c := w.config(t, newOptions())
		err := c.Parse(w.args("--config-file=DIR/a"))
		var wrong *config.ValueError
		if !errors.As(err, &wrong) || strings.ReplaceAll(err.Error(), w.dir, "DIR") != "config: "+want {
			t.Errorf("%q: error = %v, want %s", text, err, want)
		}
	}
}

func TestWrongCommandLinesAndFilesAreErrors(t *testing.T) {
	t.Parallel()
	for args, test := range map[string]struct {
		want string
		is   error
	}{
		"--config-file=DIR/none": {"config: read file: open DIR/none: no such file or directory", fs.ErrNotExist},
		"--config-file=DIR/d":    {"config: read file: read DIR/d: is a directory", nil},
		"--config-dir=DIR/none":  {"config: --config-dir: read directory: open DIR/none: no such file or directory", fs.ErrNotExist},
		"--config-file=DIR/bad":  {"config: DIR/bad:1: want a [section] before the first value", nil},
		"--config-file=DIR/big":  {"config: read file: DIR/big: larger than 16777216 bytes", nil},
		"--my-group-workers=x":   {`config: --my-group-workers: option [my_group] workers: want a whole number, got "x"`, nil},
		"--nodebug=false":        {"config: flag --nodebug: want no value", nil},
		"--text":                 {"config: flag --text needs a value", nil},
		"--nosuch":               {"config: unknown flag --nosuch", nil},
		"--S3cr3t!":              {"config: unknown flag", nil},
		"-ps3cr3t":               {"config: unknown flag", nil},
		"s3cr3t":                 {"config: want flags only, got 1 other arguments", nil},
		"--help":                 {"pflag: help requested", config.ErrHelp},
	} {
		w := newWorld(t, map[string]string{"bad": "k = v", "d/x": "", "big": ""})
		if err := os.Truncate(filepath.Join(w.dir, "big"), 16<<20+1); err != nil {
			t.Fatal(err)
		}
		c := w.config(t, newOptions())
		err := c.Parse(w.args(args))
		if err == nil || strings.ReplaceAll(err.Error(), w.dir, "DIR") != test.want || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: error = %v, want %s", args, err, test.want)
		}
	}
}

func TestReferencesReachOtherOptionsAndGroups(t *testing.T) {
	t.Parallel()
	w, o := newWorld(t, map[string]string{"a": `[DEFAULT]
state_path = /srv
topics = $choice, ${my_group.workers}, $debug, $delay, $my_group.old-workers
text = $lock_path/$timeout $$1 \$x ${db.phrase}|
timeout = ${my_group.workers}0
[my_group]
workers = 6
[notifications]
driver = ${text}
driver = x$driver_less
[DEFAULT]
`}), newOptions()
	c := w.config(t, o)
	if err := c.Register(&config.Option[string]{Group: "notifications", Name: "driver_less", Type: config.String(), Default: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse(w.args("--config-file=DIR/a")); err == nil || !strings.Contains(err.Error(), "$my_group.old refers to no option") {
		t.Fatalf("error = %v, want one about a former name in another group", err)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "a", strings.Replace(string(text), "$my_group.old-workers", "${my_group.threads}", 1))
	if err := c.Load(); err != nil {
		t.Fatal(err)
	}
	for _, is := range []struct {
		got  any
		want any
	}{
		{o.inside.Get(c), "/srv/lock"},
		{o.list.Get(c), []string{"red", "6", "False", "1.5", "6"}},
		{o.text.Get(c), "/srv/lock/60 $1 $x |"},
		{o.timeout.Get(c), time.Minute},
		{o.drivers.Get(c), []string{"/srv/lock/60 $1 $x |", "x1"}},
	} {
		if diff := cmp.Diff(is.want, is.got); diff != "" {
			t.Errorf("read otherwise (-want +got):\n%s", diff)
		}
	}
}

// As nova's log_dir may be $state_path/log, though this program has no state_path.
func TestReferencesReachOptionsOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"[DEFAULT]\nmy_ip = 192.0.2.1\ntext = $my_ip":                                 "192.0.2.1",
		"[DEFAULT]\nmy_ip = ${other.net}.1\ntext = ${my_ip}0\n[other]\nnet = 192.0.2": "192.0.2.10",
		"[DEFAULT]\nmy_ip = $choice\ntext = $my_ip":                                   "red",
	} {
		w, o := newWorld(t, map[string]string{"a": file}), newOptions()
		c := w.config(t, o)
		c.Ignore("DEFAULT", "my_ip")
		c.Ignore("other")
		if err := c.Parse(w.args("--config-file=DIR/a")); err != nil || o.text.Get(c) != want {
			t.Errorf("%q: %q, %v, want %q", file, o.text.Get(c), err, want)
		}
	}
	for file, want := range map[string]string{
		"[DEFAULT]\ntext = $my_ip":                   "a:2: option [DEFAULT] text: $my_ip refers to no option (a dollar sign is $$)",
		"[DEFAULT]\nunknown = 1\ntext = $unknown":    "a:3: option [DEFAULT] text: $unknown refers to no option (a dollar sign is $$)",
		"[DEFAULT]\nmy_ip = $my_ip\ntext = $my_ip":   "a:3: option [DEFAULT] text: [DEFAULT] my_ip refers to itself",
		"[DEFAULT]\nmy_ip = $text\ntext = $my_ip":    "a:3: option [DEFAULT] text: $text: [DEFAULT] text refers to itself",
		"[DEFAULT]\nmy_ip = ${g.x}\ntext = ${my_ip}": "a:3: option [DEFAULT] text: $g.x refers to no option (a dollar sign is $$)",
	} {
		w := newWorld(t, map[string]string{"a": file})
		c := w.config(t, newOptions())
		c.Ignore("DEFAULT", "my_ip")
		if err := c.Parse(w.args("--config-file=DIR/a")); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", file, err, want)
		}
	}
}

func TestMutateTakesOverMutableOptionsOnly(t *testing.T) {
	t.Parallel()
	w, o := newWorld(t, map[string]string{"a": "[DEFAULT]\ntext = old\n[my_group]\nworkers = 2\n"}), newOptions()
	c := w.config(t, o)
	if err := c.Parse(w.args("--config-file=DIR/a")); err != nil {
		t.Fatal(err)
	}
	var told [][]config.Change
	c.OnChange(func(list []config.Change) { told = append(told, list) })

	w.write(t, "a", "[DEFAULT]\ntext = new\ndebug = true\n[my_group]\nworkers = 3\n")
	if err := c.Mutate(); err != nil {
		t.Fatal(err)
	}
	if o.text.Get(c) != "old" || o.count.Get(c) != 3 || !o.flag.Get(c) {
		t.Errorf("text %q, workers %d, debug %t, want old, 3, true", o.text.Get(c), o.count.Get(c), o.flag.Get(c))
	}
	want := []string{
		"warning the change of an option is ignored until a restart option=[DEFAULT] text source=DIR/a:2",
		"info an option has changed new=true old=false option=[DEFAULT] debug",
		"info an option has changed new=3 old=2 option=[my_group] workers",
	}
	if diff := cmp.Diff(want, w.lines(t)); diff != "" {
		t.Errorf("logged otherwise (-want +got):\n%s", diff)
	}

	for _, wrong := range []string{"[my_group]\nworkers = 0\n", "text = x", "[my_group]\nworkers = 4\n[a"} {
		w.write(t, "a", wrong)
		if err := c.Mutate(); err == nil || o.count.Get(c) != 3 {
			t.Errorf("%q: error %v, workers %d, want an error and 3", wrong, err, o.count.Get(c))
		}
		if err := c.Reload(); err == nil || o.count.Get(c) != 3 || o.text.Get(c) != "old" {
			t.Errorf("%q: error %v, workers %d, text %q, want an error and the old ones", wrong, err, o.count.Get(c), o.text.Get(c))
		}
	}

	w.write(t, "a", "[DEFAULT]\ntext = new\n[my_group]\nworkers = 4\n")
	if err := c.Reload(); err != nil || o.text.Get(c) != "new" || o.count.Get(c) != 4 || o.flag.Get(c) {
		t.Errorf("Reload = %v, text %q, workers %d, debug %t, want new, 4, false", err, o.text.Get(c), o.count.Get(c), o.flag.Get(c))
	}
	wantTold := [][]config.Change{
		{{config.Key{Group: "DEFAULT", Name: "debug"}, "false", "true"}, {config.Key{Group: "my_group", Name: "workers"}, "2", "3"}},
		{
			{config.Key{Group: "DEFAULT", Name: "text"}, "old", "new"},
			{config.Key{Group: "DEFAULT", Name: "debug"}, "true", "false"},
			{config.Key{Group: "my_group", Name: "workers"}, "3", "4"},
		},
	}
	if diff := cmp.Diff(wantTold, told); diff != "" {
		t.Errorf("told otherwise (-want +got):\n%s", diff)
	}
}

func TestValuesAreReadWhileTheyAreReloaded(t *testing.T) {
	t.Parallel()
	w, o := newWorld(t, map[string]string{"a": "[my_group]\nworkers = 1\n"}), newOptions()
	c := w.config(t, o)
	if err := c.Parse(w.args("--config-file=DIR/a")); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if n := o.count.Get(c); n < 1 || n > 50 {
						t.Errorf("workers = %d", n)
						return
					}
					_ = c.Settings()
				}
			}
		})
	}
	for i := range 50 {
		w.write(t, "a", "[my_group]\nworkers = "+string(rune('1'+i%9))+"\n")
		if err := []func() error{c.Mutate, c.Reload}[i%2](); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts []config.Definition
		want string
	}{
		"a name with a dash": {[]config.Definition{&config.Option[int]{Name: "a-b", Type: config.Int()}}, "[DEFAULT] a_b: want a name of letters, digits and underscores"},
		"no type":            {[]config.Definition{&config.Option[int]{Name: "a"}}, "[DEFAULT] a: want a type"},
		"a default below":    {[]config.Definition{&config.Option[int]{Name: "a", Type: config.Int(config.AtLeast(1))}}, "[DEFAULT] a: default: want at least 1"},
		"two of a name": {[]config.Definition{
			&config.Option[int]{Name: "a", Type: config.Int()}, &config.Option[int]{Group: "DEFAULT", Name: "a", Type: config.Int(), Default: 1},
		}, "[DEFAULT] a: registered twice, differently"},
	} {
		if err := config.New("p").Register(test.opts...); err == nil || err.Error() != "config: option "+test.want {
			t.Errorf("%s: error = %v, want %s", name, err, test.want)
		}
	}
	required := &config.Option[string]{Name: "url", Type: config.String(), Required: true}
	c := config.New("p", config.WithFiles(), config.WithDirs())
	if err := errors.Join(c.Register(required), c.Register(required)); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse(nil); err == nil || err.Error() != "config: option [DEFAULT] url: a value is required" {
		t.Errorf("without a required option: %v", err)
	}
	if err := c.Parse([]string{"--url=x"}); err != nil || required.Get(c) != "x" || !required.Given(c) {
		t.Errorf("with it: %v, %q", err, required.Get(c))
	}
}

func TestOptionsOfOneFlagNameAreRefused(t *testing.T) {
	t.Parallel()
	c := config.New("p", config.WithFiles(), config.WithDirs())
	if err := c.Register(&config.Option[int]{Name: "a_b", Type: config.Int()}, &config.Option[int]{Group: "a", Name: "b", Type: config.Int()}); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse(nil); err == nil || err.Error() != "config: two flags have the name --a-b" {
		t.Errorf("error = %v", err)
	}
}

func TestOptionsRegisteredAfterALoadHaveValuesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a": "[late]\nn = 7\nm = x\n"})
	c := w.config(t, newOptions())
	if err := c.Parse(w.args("--config-file=DIR/a")); err != nil {
		t.Fatal(err)
	}
	n := &config.Option[int]{Group: "late", Name: "n", Type: config.Int()}
	m := &config.Option[int]{Group: "late", Name: "m", Type: config.Int()}
	if err := c.Register(n); err != nil || n.Get(c) != 7 {
		t.Errorf("Register = %v, value %d, want 7", err, n.Get(c))
	}
	if err := c.Register(m); err == nil || !strings.Contains(err.Error(), "a:3: option [late] m: want a whole number") {
		t.Errorf("Register = %v, want the error of the file", err)
	}
	if err := c.Reload(); err != nil {
		t.Errorf("Reload after an option was refused: %v", err)
	}
}

func TestUnregisteredOptionsPanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if r := recover(); r != "config: option [g] n is not registered" {
			t.Errorf("recovered %v", r)
		}
	}()
	(&config.Option[int]{Group: "g", Name: "n", Type: config.Int()}).Get(config.New("p"))
}

func TestSampleHoldsEveryOptionWithItsDefault(t *testing.T) {
	t.Parallel()
	w, o := newWorld(t, nil), newOptions()
	c := w.config(t, o)
	var sample bytes.Buffer
	if err := c.Sample(&sample); err != nil {
		t.Fatal(err)
	}
	want := `[my_group]

# How many. (integer value)
# Minimum value: 1
# Maximum value: 100
# Note: This option can be changed without restarting.
# Deprecated group/name - [my_group]/threads
# Deprecated group/name - [DEFAULT]/old_workers
#workers = 5
`
	if !strings.Contains(sample.String(), want) || !strings.HasPrefix(sample.String(), "[DEFAULT]\n\n# Any text. (string value)\n#text = plain\n") {
		t.Errorf("the sample is\n%s\nwant in it\n%s", &sample, want)
	}
	// Uncommented, it changes nothing.
	given := regexp.MustCompile(`(?m)^#([a-z_]+ =)`).ReplaceAllString(sample.String(), "$1")
	given = regexp.MustCompile(`(?m)^.* = <None>\n|^driver =\n`).ReplaceAllString(given, "")
	w.write(t, "sample", given)
	before := c.Settings()
	if err := c.Parse(w.args("--config-file=DIR/sample")); err != nil {
		t.Fatal(err)
	}
	after := c.Settings()
	if len(after) != len(o.all()) {
		t.Fatalf("%d settings, want %d", len(after), len(o.all()))
	}
	for i := range after {
		if s := after[i]; s.Key.Name != "phrase" && s.Key.Name != "driver" && s.Source.Kind != config.FromFile {
			t.Errorf("%s is not in the sample", s.Key)
		}
		if s := after[i]; s.Key.Name != "lock_path" && s.Value != before[i].Value {
			t.Errorf("%s = %q by the sample, %q without it", s.Key, s.Value, before[i].Value)
		}
	}
	if o.inside.Get(c) != "/var/lib/x/lock" {
		t.Errorf("lock_path = %q", o.inside.Get(c))
	}
	if len(w.lines(t)) != 0 {
		t.Errorf("reading the sample logs %q", w.lines(t))
	}
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":                               "plain",
		"http://h/a?b=c":                      "http://h/a?b=c",
		"rabbit://u:s3cr3t@h":                 "rabbit://****@h",
		"rabbit://u:s3/cr@3t@h1,v:s3@h2/":     "rabbit://****@h2/",
		"a://u@h/?b=1&Db_Password=s3cr3t&c=2": "a://****@h/?b=1&Db_Password=****&c=2",
		"m://u:s3\ncr3t@h":                    "m://****@h",
	} {
		if got := config.MaskURL(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	w, o := newWorld(t, map[string]string{"a": "[DEFAULT]\ntext = mysql://u:s3cr3t@h/db\nadmin_password = s3cr3t\n[db]\nphrase = s3cr3t\nmaster_key = s3cr3t\n"}), newOptions()
	c := w.config(t, o)
	if err := c.Register(&config.Option[string]{Name: "admin_password", Type: config.String()},
		&config.Option[string]{Group: "db", Name: "master_key", Type: config.String()}); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse(w.args("--config-file=DIR/a")); err != nil {
		t.Fatal(err)
	}
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	c.LogOptions(log)
	if n := len(hook.AllEntries()); n != len(o.all())+2 {
		t.Errorf("%d lines, want one for each option", n)
	}
	shown := 0
	for _, e := range hook.AllEntries() {
		value, _ := e.Data["value"].(string)
		if strings.Contains(value, "s3cr3t") {
			t.Errorf("%s shows %q", e.Data["option"], value)
		}
		if strings.Contains(value, "****") {
			shown++
		}
	}
	if shown != 4 {
		t.Errorf("%d masked values, want 4", shown)
	}
}

func TestNovaConfWorksAsItIs(t *testing.T) {
	t.Parallel()
	o := newOptions()
	w := newWorld(t, nil)
	c := w.config(t, o)
	url := &config.Option[string]{Name: "transport_url", Type: config.String(), Default: "rabbit://", Secret: true}
	pool := &config.Option[int]{Name: "executor_thread_pool_size", Type: config.Int(), Default: 64, Deprecated: []config.Key{{Name: "rpc_thread_pool_size"}}}
	prefetch := &config.Option[int]{Group: "oslo_messaging_rabbit", Name: "rabbit_qos_prefetch_count", Type: config.Int()}
	levels := &config.Option[[]string]{Name: "default_log_levels", Type: config.List()}
	instances := &config.Option[string]{Name: "instances_path", Type: config.String()}
	drivers := &config.Option[[]string]{Group: "oslo_messaging_notifications", Name: "driver", Type: config.Multi()}
	if err := c.Register(url, pool, prefetch, levels, instances, drivers); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse([]string{"--config-file", "testdata/nova.conf"}); err != nil {
		t.Fatal(err)
	}
	for _, is := range []struct{ got, want any }{
		{url.Get(c), "rabbit://openstack:pa$word@192.0.2.10:5672,openstack:pa$word@192.0.2.11:5672//"},
		{pool.Get(c), 32},
		{prefetch.Get(c), 16},
		{o.flag.Get(c), true},
		{instances.Get(c), "/var/lib/nova/instances"},
		{levels.Get(c), []string{"amqp=WARN", "sqlalchemy=WARN", "oslo.messaging=INFO"}},
		{drivers.Get(c), []string{"messagingv2", "log"}},
	} {
		if diff := cmp.Diff(is.want, is.got); diff != "" {
			t.Errorf("read otherwise (-want +got):\n%s", diff)
		}
	}
}

func TestFlagsJoinThoseOfAProgram(t *testing.T) {
	t.Parallel()
	o := newOptions()
	c := newWorld(t, nil).config(t, o)
	set := pflag.NewFlagSet("scheduler", pflag.ContinueOnError)
	topic := set.String("my_topic", "", "")
	if err := errors.Join(c.AddFlags(set), set.Parse([]string{"--text", "x", "--my-topic=t", "--debug", "rest"}), c.Load()); err != nil {
		t.Fatal(err)
	}
	if o.text.Get(c) != "x" || *topic != "t" || !o.flag.Get(c) || set.NArg() != 1 {
		t.Errorf("text %q, topic %q, debug %t, %d arguments", o.text.Get(c), *topic, o.flag.Get(c), set.NArg())
	}
	taken := pflag.NewFlagSet("scheduler", pflag.ContinueOnError)
	taken.Bool("nodebug", false, "")
	if err := c.AddFlags(taken); err == nil || err.Error() != "config: two flags have the name --nodebug" {
		t.Errorf("a flag that is there: %v", err)
	}
}

func TestObsoleteOptionsAreWarnedOfWhereTheyAreGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"a": "[DEFAULT]\nold = 1\n"})
	c := w.config(t, newOptions())
	old := &config.Option[int]{Name: "old", Type: config.Int(), Obsolete: "There is nothing to tune."}
	older := &config.Option[int]{Name: "older", Type: config.Int(), Obsolete: "There is nothing to tune."}
	if err := errors.Join(c.Register(old, older), c.Parse(w.args("--config-file=DIR/a"))); err != nil {
		t.Fatal(err)
	}
	want := []string{"warning an option is deprecated and may be without effect one day option=[DEFAULT] old reason=There is nothing to tune. source=DIR/a:2"}
	if diff := cmp.Diff(want, w.lines(t)); diff != "" {
		t.Errorf("logged otherwise (-want +got):\n%s", diff)
	}
}

func TestFindFilesLooksForProjectAndProgram(t *testing.T) {
	w := newWorld(t, map[string]string{"prog.conf": "", ".proj/proj.conf": "", "proj.conf.d/x": ""})
	t.Setenv("HOME", w.dir)
	want := []string{w.dir + "/.proj/proj.conf", w.dir + "/prog.conf"}
	if got := config.FindFiles("proj", "prog"); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	if got := config.FindFiles("", "prog"); !slices.Equal(got, want[1:]) {
		t.Errorf("files without a project %q, want %q", got, want[1:])
	}
	if got := config.FindDirs("proj", "prog"); !slices.Equal(got, []string{w.dir + "/proj.conf.d"}) {
		t.Errorf("directories %q", got)
	}
}

func TestTextsAreHeldAgainstRules(t *testing.T) {
	t.Parallel()
	name := config.String(config.Matching(regexp.MustCompile("^[a-z]+$"), "small letters"))
	level := config.String(config.OneOfFold("INFO", "DEBUG"))
	for text, want := range map[string]string{
		"[a]\nname = A":      "option [a] name: want small letters, got \"A\"",
		"[a]\nlevel = trace": "option [a] level: want one of INFO, DEBUG, got \"trace\"",
		"[a]\nlevel = dEbug": "",
	} {
		w := newWorld(t, map[string]string{"a": text})
		c := w.config(t, newOptions())
		err := c.Register(&config.Option[string]{Group: "a", Name: "name", Type: name, Default: "x"},
			&config.Option[string]{Group: "a", Name: "level", Type: level, Default: "INFO"})
		if err == nil {
			err = c.Parse(w.args("--config-file=DIR/a"))
		}
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: error = %v, want %s", text, err, want)
		}
	}
}

func TestFlagsAreListedInHelpWhereOptionsSaySo(t *testing.T) {
	t.Parallel()
	c := newWorld(t, nil).config(t, newOptions())
	var help bytes.Buffer
	if err := c.Usage(&help); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--config-file file", "--config-dir directory", "-d, --debug", "--nodebug", "--text value", "Any text. (default plain)"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help has no %q:\n%s", want, &help)
		}
	}
	if strings.Contains(help.String(), "workers") || strings.Contains(help.String(), "phrase") {
		t.Errorf("the help lists what it should not:\n%s", &help)
	}
}
