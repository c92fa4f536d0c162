//go:build integration

package integration_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// configLines are what files of chance are made of.
var configLines = []string{
	"[DEFAULT]", "[my_group]", "[MY_Group]", "[notifications]", "[other]", "[default]", "", "", "# c = d", "; c", " more", "\tmore = x", "  # more",
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
		lines := []string{configLines[random.IntN(4)]}
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
	)
	log, _ := logtest.NewNullLogger()
	conf := config.New("none", config.WithLogger(log), config.WithFiles(), config.WithDirs(),
		config.WithEnvironment(func(name string) (string, bool) { value, ok := c.Env[name]; return value, ok }))
	if err := conf.Register(text, debug, choice, statePath, lockPath, topics, workers, port, ratio, driver); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var args []string
	for i, content := range c.Files {
		path := filepath.Join(dir, fmt.Sprintf("%d.conf", i))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config-file", path)
	}
	if err := conf.Parse(append(args, c.Args...)); err != nil {
		return nil, err
	}
	return map[string]any{
		"DEFAULT.text": text.Get(conf), "DEFAULT.debug": debug.Get(conf), "DEFAULT.choice": choice.Get(conf),
		"DEFAULT.state_path": statePath.Get(conf), "DEFAULT.lock_path": lockPath.Get(conf), "DEFAULT.topics": list(topics.Get(conf)),
		"my_group.workers": float64(workers.Get(conf)), "my_group.listen_port": float64(port.Get(conf)), "my_group.ratio": ratio.Get(conf),
		"notifications.driver": list(driver.Get(conf)),
	}, nil
}

func list(texts []string) []any {
	all := []any{}
	for _, text := range texts {
		all = append(all, text)
	}
	return all
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
		cases := configCases
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
