//go:build integration

package integration_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/config"
)

// configCase is what both sides read: files in their order, then arguments, and the environment.
type configCase struct {
	Files []string          `json:"files"`
	Tree  map[string]string `json:"tree"` // path -> text, in a folder that Args call DIR
	Args  []string          `json:"args"`
	Env   map[string]string `json:"env"`
}

// configCases are those that a person thought of.
var configCases = []configCase{
	{},
	{Files: []string{""}},
	{Files: []string{"[DEFAULT]\ntext = a\n  b\n\tc\n\ndebug: ON\n"}},
	{Files: []string{"[DEFAULT]\ntext = \" a \"\nlock_path = '\nstate_path = \"\n"}},
	{Files: []string{"[DEFAULT]\ntext = a # b ; c\n# d\n;e\nchoice = blue\n"}},
	{Files: []string{"[DEFAULT]\r\ntext = a\r\n b\rdebug = 1"}},
	{Files: []string{"[DEFAULT]\x1c\ntext\u00a0=\u2003v\x1f"}},
	{Files: []string{"[DEFAULT]\ntext = žluťoučký 馬"}},
	{Files: []string{"\ufeff[DEFAULT]\ntext = a"}, Args: []string{}},
	{Files: []string{"[DEFAULT]\ntext = \xe9"}},
	{Files: []string{"[default]\ntext = a\n[MY_GROUP]\nworkers = 2\n[Notifications]\ndriver = x"}},
	{Files: []string{"[ DEFAULT ]\ntext = a"}},
	{Files: []string{"[DEFAULT]\nTEXT = a\nTopics = b"}},
	{Files: []string{"[DEFAULT]\nold_workers = 3\n[my_group]\nthreads = 4"}},
	{Files: []string{"[my_group]\nworkers = 1", "[DEFAULT]\nold-workers = 3"}},
	{Files: []string{"[my_group]\nthreads = 2", "[my_group]\nworkers = 3\n[DEFAULT]\nold-workers = 4"}},
	{Files: []string{"[notifications]\ndriver = a\ndriver = b", "[notifications]\ndriver =\n[NOTIFICATIONS]\ndriver = c"}},
	{Files: []string{"[DEFAULT]\ntext = $choice ${state_path} $lock_path ${my_group.workers} $my_group.ratio $debug\n[my_group]\nratio = 2"}},
	{Files: []string{"[DEFAULT]\ntext = $$a \\$b $1 ${ ${} $ pa$$$$word"}},
	{Files: []string{"[DEFAULT]\ntext = $nosuch"}},
	{Files: []string{"[DEFAULT]\ntext = ${nosuch.text}"}},
	{Files: []string{"[DEFAULT]\ntext = $text"}},
	{Files: []string{"[DEFAULT]\ntopics = $choice, x ,,y,,"}},
	{Files: []string{"[my_group]\nratio = $workers\nlisten_port = ${workers}0\nworkers = 7"}},
	{Files: []string{"[DEFAULT]\ntopics ="}},
	{Files: []string{"[DEFAULT]\ntopics = ,a"}},
	{Files: []string{"[my_group]\nworkers =\nratio =\nlisten_port ="}},
	{Env: map[string]string{"OS_DEFAULT__TEXT": "env", "OS_MY_GROUP__WORKERS": "9", "OS_DEFAULT__TOPICS": "x,y", "OS_DEFAULT__CHOICE": "$text"}},
	{Env: map[string]string{"OS_DEFAULT__STATE_PATH": "/env", "OS_MY_GROUP__RATIO": "0.5"}, Files: []string{"[DEFAULT]\nstate_path = /file\n[my_group]\nratio = 3"}},
	{Env: map[string]string{"OS_MY_GROUP__WORKERS": "0"}},
	{Env: map[string]string{"OS_MY_GROUP__THREADS": "3", "os_default__text": "a"}},
	{Env: map[string]string{"OS_DEFAULT__DEBUG": ""}},
	{Env: map[string]string{"OS_DEFAULT__TEXT": "env"}, Args: []string{"--text", "flag"}},
	{Files: []string{"[DEFAULT]\ntext = file\ndebug = true"}, Args: []string{"--text=flag", "--nodebug"}},
	{Files: []string{"[DEFAULT]\ndebug = false"}, Args: []string{"-d"}},
	{Args: []string{"--text", "1", "--text", "2", "--debug", "--nodebug"}},
	{Args: []string{"--nosuch"}},
	{Args: []string{"--text"}},
	{Args: []string{"--text", "$choice-$$"}},
}

// typed is a case with one line for the group of types.
func typed(line string) configCase { return configCase{Files: []string{"[types]\n" + line + "\n"}} }

// typeLines are values of each type, right and wrong ones.
var typeLines = []string{
	"mapping = a:1,b:2", "mapping = a : 1 , b:x:y", "mapping =", "mapping = a", "mapping = a:1,b", "mapping = b,a:1", "mapping = :1", "mapping = a:1,a:2",
	"mapping = a:$ip,b:$$", "mapping = a:", "mapping = a:1,", "mapping = \"a:1,b:2\"", "mapping = {a:1}",
	"ip = 192.0.2.1", "ip = ::1", "ip = 2001:db8::1", "ip = 192.0.2", "ip = 192.0.2.256", "ip = 192.0.2.01", "ip = fe80::1%eth0", "ip =", "ip = localhost",
	"ip = ::ffff:192.0.2.1", "ip = [::1]", "ip = 1", "ip = 0x7f.1",
	"address = host", "address = host.example.com.", "address = 192.0.2.1", "address = 192.0.2.300", "address = a_b", "address = -a", "address = a-",
	"address = a..b", "address =", "address = 1a", "address = a.1", "address = ::1", "address = " + strings.Repeat("a", 64), "address = " + strings.Repeat("a.", 127),
	"address = host:80", "address = a b",
	"domain = a_b", "domain = cell1-cmp_7.example.com", "domain = _a", "domain = a.b_", "domain = -a", "domain = 10.0.0.1", "domain = 10.0.0", "domain = a b", "domain =",
	"uri = http://h", "uri = http://h:80/p?q#f", "uri = http://u:p@h/", "uri = http://[::1]:80/", "uri = http://[::1", "uri = h", "uri = //h/p", "uri = http:///p",
	"uri = mailto:a@b", "uri = ht tp://h", "uri = http://h h/", "uri = http://h/%zz", "uri = http://h/%41", "uri = http://h/a b", "uri = http://h:port/", "uri =",
	"uri = rabbit://u:p@h1:5672,u:p@h2:5672//", "uri = 1http://h", "uri = a+b-c.d://h", "uri = http://h/ž", "uri = http://192.0.2.999/", "uri = http://h:/",
	"web = https://h", "web = ftp://h", "web = HTTP://h", "web = http://h",
	"folded = info", "folded = Debug", "folded = x", "brief = abcde", "brief = abcdef", "brief = žžžžž", "pattern = abc", "pattern = aB", "pattern =",
	"signed = -5", "signed = - 5", "signed = +5", "signed = 1e3", "signed = 0b1", "signed = 1__0", "signed = _1", "signed = 00", "signed = ' 7 '",
	"even = 4", "even = 3", "bounded = -1.5", "bounded = 1.50001", "bounded = 1e-3", "bounded = .", "bounded = 1e", "bounded = 1.e0", "bounded = +.5",
	"toggle = TRUE", "toggle = t", "toggle = y", "toggle = Off", "toggle = 0", "toggle = 00", "toggle = ' yes '", "toggle =", "toggle = no", "toggle = none",
	"renamed = new", "former = old",
}

// moreCases are of the types, of folders, and of names and groups that have changed.
func moreCases() []configCase {
	cases := []configCase{
		{Files: []string{"[old_types]\nformer = a"}},
		{Files: []string{"[old_types]\nformer = a\n[types]\nrenamed = b"}},
		{Files: []string{"[types]\nrenamed = b", "[old_types]\nformer = a"}},
		{Files: []string{"[old_types]\nrenamed = a\n[OLD_TYPES]\nformer = c"}},
		{Files: []string{"[DEFAULT]\ntopics = \"a,b\",\"c\""}},
		{Files: []string{"[DEFAULT]\ntopics = \"a, b\""}},
		{Files: []string{"[DEFAULT]\ntopics = 'a',b"}},
		{Files: []string{"[DEFAULT]\ntopics = a,\n  b,\n  c"}},
		{Files: []string{"[DEFAULT]\ntopics = [a,b]"}},
		{Files: []string{"[DEFAULT]\ntext = ${types.signed} ${types.ip} ${types.toggle} ${types.renamed}|"}},
		{Files: []string{"[types]\nuri = http://$ip:${my_group.listen_port}/$text\nip = 192.0.2.7"}},
		{Files: []string{"[DEFAULT]\ntext = $$$choice \\\\$choice \\$$choice ${choice}$"}},
		{Files: []string{"[DEFAULT]\ntext = one", "[DEFAULT]\ntext = two", "[DEFAULT]\nchoice = blue"}},
		{Tree: map[string]string{"d/b.conf": "[DEFAULT]\ntext = b", "d/a.conf": "[DEFAULT]\ntext = a", "d/c.txt": "[DEFAULT]\ntext = c", "d/.d.conf": "junk"}, Args: []string{"--config-dir", "DIR/d"}},
		{Tree: map[string]string{"d/10.conf": "[notifications]\ndriver = 10", "d/9.conf": "[notifications]\ndriver = 9"}, Args: []string{"--config-dir=DIR/d"}},
		{
			Files: []string{"[DEFAULT]\ntext = file\n[notifications]\ndriver = f"}, Tree: map[string]string{"d/a.conf": "[DEFAULT]\ntext = a\n[notifications]\ndriver = a"},
			Args: []string{"--config-dir=DIR/d"},
		},
		{
			Tree: map[string]string{"d/a.conf": "[DEFAULT]\ntext = a", "e/a.conf": "[DEFAULT]\ntext = e", "f": "[DEFAULT]\ntext = f"},
			Args: []string{"--config-dir=DIR/d", "--config-file=DIR/f", "--config-dir=DIR/e"},
		},
		{Tree: map[string]string{"d/a.conf/x": ""}, Args: []string{"--config-dir=DIR/d"}},
		{Tree: map[string]string{"d/a.conf": "k = v"}, Args: []string{"--config-dir=DIR/d"}},
		{Args: []string{"--config-dir=DIR/none"}},
		{Args: []string{"--config-file=DIR/none"}},
		{Env: map[string]string{"OS_TYPES__MAPPING": "x:1,y:2", "OS_TYPES__IP": "::1", "OS_TYPES__TOGGLE": "off", "OS_TYPES__BOUNDED": "1.25"}},
		{Env: map[string]string{"OS_TYPES__IP": "x"}},
		{Env: map[string]string{"OS_TYPES__URI": "http://h"}, Files: []string{"[types]\nuri = http://file"}},
		{Env: map[string]string{"OS_OLD_TYPES__FORMER": "x"}},
	}
	for _, bad := range []string{"junk", "[", "= x", " indented", "[a] # b", "text", "[]"} {
		cases = append(cases, configCase{Files: []string{"[DEFAULT]\n\ntext = a\n\n" + bad + "\n"}})
	}
	for _, line := range typeLines {
		cases = append(cases, typed(line))
	}
	return cases
}

// configLines are what files of chance are made of.
var configLines = []string{
	"[DEFAULT]", "[my_group]", "[MY_Group]", "[notifications]", "[types]", "[other]", "[default]", "", "", "# c = d", "; c", " more", "\tmore = x", "  # more",
	"text = v", "text: \" v \"", "text=\"v'", "text = a = b: c", "text = ''", "text =", "text = $choice", "text = ${my_group.workers}/$lock_path",
	"debug = on", "debug: No", "debug = maybe", "choice = blue", "choice = green", "state_path = /srv", "lock_path = ${state_path}x",
	"topics = a, b ,c", "topics = ,", "topics = $choice,$choice", "workers = 3", "workers = 1_0", "workers = +7", "workers = 010", "workers = 0x10",
	"workers = 101", "workers = 1.0", "workers = $listen_port", "threads = 4", "old_workers = 5", "old-workers = 6", "listen_port = 80", "listen_port = 70000",
	"ratio = 1e1", "ratio = .5", "ratio = 5.", "ratio = 1_0.5", "ratio = -1", "ratio = x", "driver = a", "driver = b", "driver=$choice", "driver =",
	"unknown = x", "junk", "[", "[]", "= x", "text = $nosuch", "text = \\$x$$y$",
}

// chance makes a case of a few lines.
func chance(random *rand.Rand) configCase {
	var c configCase
	for range 1 + random.IntN(2) {
		lines := []string{configLines[random.IntN(5)]}
		for range random.IntN(7) {
			lines = append(lines, configLines[random.IntN(len(configLines))])
		}
		c.Files = append(c.Files, strings.Join(lines, "\n")+"\n")
	}
	return c
}

// goReads is what goslo makes of a case, in the words of peer_config.py.
func goReads(t *testing.T, c configCase) (map[string]any, error) {
	t.Helper()
	var (
		text      = &config.Option[string]{Name: "text", Type: config.String(), Default: "plain"}
		debug     = &config.Option[bool]{Name: "debug", Type: config.Bool(), CLI: true, Short: "d"}
		choice    = &config.Option[string]{Name: "choice", Type: config.String(config.OneOf("red", "blue")), Default: "red"}
		statePath = &config.Option[string]{Name: "state_path", Type: config.String(), Default: "/var/lib/x"}
		lockPath  = &config.Option[string]{Name: "lock_path", Type: config.String(), Default: "$state_path/lock"}
		topics    = &config.Option[[]string]{Name: "topics", Type: config.List(), Default: []string{"a", "b"}}
		workers   = &config.Option[int]{
			Group: "my_group", Name: "workers", Type: config.Int(config.AtLeast(1), config.AtMost(100)), Default: 5,
			Deprecated: []config.Key{{Name: "threads"}, {Group: "DEFAULT", Name: "old-workers"}},
		}
		port   = &config.Option[int]{Group: "my_group", Name: "listen_port", Type: config.Port(), Default: 8780}
		ratio  = &config.Option[float64]{Group: "my_group", Name: "ratio", Type: config.Float(config.AtLeast(0.0)), Default: 1.5}
		driver = &config.Option[[]string]{Group: "notifications", Name: "driver", Type: config.Multi()}

		mapping = &config.Option[map[string]string]{Group: "types", Name: "mapping", Type: config.Dict(), Default: map[string]string{"a": "1"}}
		signed  = &config.Option[int]{Group: "types", Name: "signed", Type: config.Int()}
		even    = &config.Option[int]{Group: "types", Name: "even", Type: config.Int(config.OneOf(2, 4)), Default: 2}
		bounded = &config.Option[float64]{Group: "types", Name: "bounded", Type: config.Float(config.AtLeast(-1.5), config.AtMost(1.5)), Default: 0.5}
		toggle  = &config.Option[bool]{Group: "types", Name: "toggle", Type: config.Bool(), Default: true}
		texts   = []*config.Option[string]{
			{Group: "types", Name: "ip", Type: config.IP(), Default: "127.0.0.1"},
			{Group: "types", Name: "address", Type: config.HostAddress(), Default: "localhost"},
			{Group: "types", Name: "domain", Type: config.HostDomain(), Default: "localhost"},
			{Group: "types", Name: "uri", Type: config.URI(), Default: "http://localhost"},
			{Group: "types", Name: "web", Type: config.URI("http", "https"), Default: "http://localhost"},
			{Group: "types", Name: "folded", Type: config.String(config.OneOfFold("INFO", "DEBUG")), Default: "INFO"},
			{Group: "types", Name: "brief", Type: config.String(config.MaxLength(5))},
			{Group: "types", Name: "pattern", Type: config.String(config.Matching(regexp.MustCompile("^[a-z]+$"), "small letters")), Default: "a"},
			{Group: "types", Name: "renamed", Type: config.String(), Deprecated: []config.Key{{Group: "old_types", Name: "former"}}},
		}
	)
	log, _ := logtest.NewNullLogger()
	conf := config.New("none", config.WithLogger(log), config.WithFiles(), config.WithDirs(),
		config.WithEnvironment(func(name string) (string, bool) { value, ok := c.Env[name]; return value, ok }))
	if err := conf.Register(text, debug, choice, statePath, lockPath, topics, workers, port, ratio, driver, mapping, signed, even, bounded, toggle); err != nil {
		t.Fatal(err)
	}
	for _, option := range texts {
		if err := conf.Register(option); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for name, content := range c.Tree {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var args []string
	for i, content := range c.Files {
		path := filepath.Join(dir, fmt.Sprintf("%d.conf", i))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config-file", path)
	}
	for _, arg := range c.Args {
		args = append(args, strings.ReplaceAll(arg, "DIR", dir))
	}
	if err := conf.Parse(args); err != nil {
		return nil, err
	}
	values := map[string]any{
		"DEFAULT.text": text.Get(conf), "DEFAULT.debug": debug.Get(conf), "DEFAULT.choice": choice.Get(conf),
		"DEFAULT.state_path": statePath.Get(conf), "DEFAULT.lock_path": lockPath.Get(conf), "DEFAULT.topics": list(topics.Get(conf)),
		"my_group.workers": float64(workers.Get(conf)), "my_group.listen_port": float64(port.Get(conf)), "my_group.ratio": ratio.Get(conf),
		"notifications.driver": list(driver.Get(conf)),
		"types.signed":         float64(signed.Get(conf)), "types.even": float64(even.Get(conf)), "types.bounded": bounded.Get(conf), "types.toggle": toggle.Get(conf),
	}
	pairs := map[string]any{}
	for name, text := range mapping.Get(conf) {
		pairs[name] = text
	}
	values["types.mapping"] = pairs
	for _, option := range texts {
		values["types."+option.Name] = option.Get(conf)
	}
	return values, nil
}

func list(texts []string) []any {
	all := []any{}
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

// lineOfFile is a line that an error names; oslo.config names those of lines that it cannot read.
var lineOfFile = regexp.MustCompile(`\.conf:(\d+)`)

// sameLine wants the error of a file to be one line that names file, line and option, and where oslo.config names a line, the same.
func sameLine(t *testing.T, c configCase, err error, oslos string) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q: the error %q has several lines", c, err)
	}
	var (
		value *config.ValueError
		parse *config.ParseError
	)
	ours := lineOfFile.FindStringSubmatch(err.Error())
	if errors.As(err, &parse) || errors.As(err, &value) && value.Source.Kind == config.FromFile {
		if ours == nil || value != nil && !strings.Contains(err.Error(), value.Key.String()) {
			t.Errorf("%q: the error %q does not name file, line and option", c, err)
		}
	}
	if theirs := lineOfFile.FindStringSubmatch(oslos); parse != nil && theirs != nil && ours != nil && theirs[1] != ours[1] {
		t.Errorf("%q: the error is %q, oslo.config's is %q", c, err, oslos)
	}
}

// TestConfigReadsWhatOsloConfigReads has oslo.config and goslo read the same: files, environment and flags.
func TestConfigReadsWhatOsloConfigReads(t *testing.T) {
	t.Parallel()
	withEachPython(t, func(t *testing.T, py *python) {
		t.Helper()
		cmd, err := py.start(t.Context(), "peer_config.py")
		if err != nil {
			t.Fatal(err)
		}
		defer cmd.end()
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		questions, answers := json.NewEncoder(stdin), bufio.NewScanner(stdout)
		answers.Buffer(nil, 1<<20)
		cases := slices.Concat(configCases, moreCases())
		random := rand.New(rand.NewPCG(5, 10))
		for range 600 {
			cases = append(slices.Clip(cases), chance(random))
		}
		read, refused := 0, 0
		for _, c := range cases {
			question := c
			question.Files = nil
			for _, content := range c.Files {
				question.Files = append(question.Files, base64.StdEncoding.EncodeToString([]byte(content)))
			}
			question.Tree = make(map[string]string)
			for name, content := range c.Tree {
				question.Tree[name] = base64.StdEncoding.EncodeToString([]byte(content))
			}
			if err := questions.Encode(question); err != nil {
				t.Fatal(err)
			}
			var answer struct {
				Values map[string]any
				Error  string
			}
			if !answers.Scan() {
				t.Fatalf("the peer has ended: %v", answers.Err())
			}
			if err := json.Unmarshal(answers.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			got, err := goReads(t, c)
			if (err != nil) != (answer.Error != "") {
				t.Errorf("%q: goslo's error is %v, oslo.config's %s", c, err, answer.Error)
				continue
			}
			if err != nil {
				refused++
				sameLine(t, c, err, answer.Error)
				continue
			}
			read++
			for name, empty := range map[string]any{"my_group.workers": 5.0, "my_group.listen_port": 8780.0, "my_group.ratio": 1.5} {
				if answer.Values[name] == nil { // an empty number: None there, the default here
					answer.Values[name] = empty
				}
			}
			if diff := cmp.Diff(answer.Values, got); diff != "" {
				t.Errorf("%q is read otherwise (-oslo.config +goslo):\n%s", c, diff)
			}
		}
		t.Logf("%d cases read alike, %d refused by both", read, refused)
		if read < 200 || refused < 50 {
			t.Errorf("%d cases read and %d refused: too few of one kind to tell", read, refused)
		}
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}
