package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport/rabbit"
)

// novaConf is a copy of one of the files in testdata, whose log goes to a folder of its own.
func novaConf(t *testing.T, name string) (path, logs string) {
	t.Helper()
	text, err := os.ReadFile("testdata/nova/" + name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, logs = filepath.Join(dir, name), filepath.Join(dir, "log")
	if err := errors.Join(os.MkdirAll(logs+"/kolla/nova", 0o700),
		os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "LOGS", logs)), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path, logs
}

var (
	unknownLine = regexp.MustCompile(`unknown option.*`)
	whereFrom   = regexp.MustCompile(`(option|source)\\?"?[=:]"?([^"\n,}]*)`)
)

// unknowns are the options that a log warns of, with file and line.
func unknowns(log, dir string) []string {
	var all []string
	for _, line := range unknownLine.FindAllString(log, -1) {
		var words []string
		for _, m := range whereFrom.FindAllStringSubmatch(line, -1) {
			if m[2] != "" {
				words = append(words, strings.TrimSpace(strings.ReplaceAll(m[2], dir, "DIR")))
			}
		}
		all = append(all, strings.Join(words, " at "))
	}
	return all
}

// Files in the shapes of kolla, devstack and puppet, as they are, in the process that serves.
func TestServiceRunsWithExistingNovaConfs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file, log string
		line      string // of the log
		unknown   []string
	}{
		{"kolla.conf", "kolla/nova/scheduler.log", ` \d+ INFO oslo\.messaging \[-\] listening executor=threading server=\S+ topic=scheduler\n`, nil},
		{"devstack.conf", "n-sch.log", `(?m)^INFO oslo\.messaging \[-\] listening executor=threading server=ctl_1 topic=scheduler$`, nil},
		{
			"puppet.conf", "scheduler.log", `"message":"listening","asctime":"[-0-9]{10} [:0-9]{8}","name":"oslo\.messaging","levelname":"INFO"`,
			[]string{"[DEFAULT] rpc_response_tiemout at DIR/puppet.conf:52", "[oslo_messaging_rabbit] rabbit_host at DIR/puppet.conf:83"},
		},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			path, logs := novaConf(t, test.file)
			c := startChild(t, "main", "serve", "--config-file", path, "--transport-url", "memory://", "--workers", "1")
			c.stdout.await(t, "READY\n")
			c.signal(t, syscall.SIGTERM)
			c.end(t, 0)
			if got := c.stderr.String(); got != "" {
				t.Errorf("standard error has %q, want all in the file", got)
			}
			text, err := os.ReadFile(filepath.Join(logs, test.log))
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(test.line).Match(text) {
				t.Errorf("the log has no %s:\n%s", test.line, text)
			}
			if diff := cmp.Diff(test.unknown, unknowns(string(text), filepath.Dir(path))); diff != "" {
				t.Errorf("warned otherwise (-want +got):\n%s\n%s", diff, text)
			}
			if strings.Contains(string(text), "s3cr3t") || strings.Contains(string(text), "w0rd") {
				t.Errorf("the log has a password:\n%s", text)
			}
		})
	}
}

// What these files say of the bus reaches the driver.
func TestNovaConfsMakeTheBus(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]func(o rabbit.Options) bool{
		"kolla.conf": func(o rabbit.Options) bool {
			return o.DurableQueues && o.QuorumQueue && o.StreamFanout && o.Prefetch == 1 && o.QueueManager && o.Hostname == "ctl-1" && o.Processname == "scheduler"
		},
		"devstack.conf": func(o rabbit.Options) bool { return o == rabbit.DefaultOptions() },
		"puppet.conf": func(o rabbit.Options) bool {
			return o.TLS.Enabled && o.RetryInterval == time.Second && o.RetryBackoff == 2*time.Second && o.ReconnectDelay == time.Second
		},
	} {
		path, _ := novaConf(t, name)
		s, err := newSettings(io.Discard, schedulerOptions()...)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Parse([]string{"--config-file", path}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		closer, err := s.load("scheduler")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		bus, err := s.openBus()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d, ok := bus.Driver().(*rabbit.Driver); !ok || !is(d.Options()) {
			t.Errorf("%s: options %+v", name, bus.Driver())
		}
		if err := errors.Join(bus.Close(context.Background()), closer.Close()); err != nil {
			t.Error(err)
		}
	}
}

// A front needs no broker to start. Its workers log to the standard error of their parent, which puts nothing before JSON.
func TestLinesOfWorkersAreJSONAndTellTheirWorker(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nova.conf")
	if err := os.WriteFile(path, []byte("[DEFAULT]\nuse_json = true\nnosuch = 1\nrestart_method = mutate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startChild(t, "main", "api", "--config-file", path, "--transport-url", "rabbit://127.0.0.1:1/", "--workers", "2", "--listen", "127.0.0.1:0")
	c.stdout.await(t, "READY\n")
	if err := os.WriteFile(path, []byte("[DEFAULT]\nuse_json = true\nnosuch = 1\nrestart_method = mutate\ndebug = true\nmax_header_line = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.signal(t, syscall.SIGHUP)
	awaitCount(t, &c.stderr, `"message":"an option has changed"`, 3)
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)

	processes, told := map[float64]string{}, map[string]int{}
	for line := range strings.Lines(c.stderr.String()) {
		var got struct {
			Message string
			Process float64
			Extra   map[string]any
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		told[got.Message]++
		if got.Message == "an option has changed" && (got.Extra["option"] != "[DEFAULT] debug" || got.Extra["new"] != "true") {
			t.Errorf("told of %v", got.Extra)
		}
		if got.Message == "serving" {
			pool, _ := got.Extra["pool"].(string)
			index, _ := got.Extra["worker"].(float64)
			processes[got.Process] = pool + "/" + string(rune('0'+int(index)))
		}
	}
	var names []string
	for _, name := range processes {
		names = append(names, name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"api/0", "api/1"}) {
		t.Errorf("served by %v, want api/0 and api/1:\n%s", names, c.stderr.String())
	}
	if told["unknown option"] != 1 || told["an option has changed"] != 3 || told["the change of an option is ignored until a restart"] != 3 {
		t.Errorf("told %v, want one unknown option, and of the changes by each process", told)
	}
}

// awaitCount waits until a text is there that often.
func awaitCount(t *testing.T, in *transcript, text string, times int) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		have, changed := in.state()
		if strings.Count(have, text) >= times {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("no %d times %s in\n%s", times, text, have)
		}
	}
}
