package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// daemonRun is a command in this process, whose bus in memory others here can join.
type daemonRun struct {
	stdout, stderr transcript
	signals        chan os.Signal
	status         chan int
}

func startRun(t *testing.T, args ...string) *daemonRun {
	t.Helper()
	if args[0] != "serve" && args[0] != "agent" {
		haveFront(t)
	}
	d := &daemonRun{signals: make(chan os.Signal, 1), status: make(chan int, 1)}
	go func() { d.status <- run(context.Background(), args, &d.stdout, &d.stderr, d.signals) }()
	d.stdout.await(t, "READY\n")
	t.Cleanup(func() {
		d.signals <- syscall.SIGTERM
		select {
		case status := <-d.status:
			if status != 0 {
				t.Errorf("%v: exit status = %d, want 0:\n%s", args, status, d.stderr.String())
			}
		case <-time.After(patience):
			t.Errorf("%v did not end", args)
		}
	})
	return d
}

// oneFront is held by the test that has an HTTP front in this process: names of listeners are the process's.
var oneFront sync.Mutex

func haveFront(t *testing.T) {
	t.Helper()
	oneFront.Lock()
	t.Cleanup(oneFront.Unlock) // after those that come later, which end the front
}

var servingAt = regexp.MustCompile(`serving address=(\S+)`)

// url is that of its HTTP front.
func (d *daemonRun) url(t *testing.T) string {
	t.Helper()
	found := servingAt.FindStringSubmatch(d.stderr.String())
	if found == nil {
		t.Fatalf("the log tells no address:\n%s", d.stderr.String())
	}
	return "http://" + found[1]
}

func request(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const question = `{"flavor": {"vcpus": 2, "memory_mb": 512, "root_gb": 1}, "alternates": true}`

// The three commands meet on one bus: what the agent reports is what the front answers with.
func TestFrontSchedulerAndAgentWorkTogether(t *testing.T) {
	t.Parallel()
	bus := []string{"--transport-url", "memory://together"}
	with := func(args ...string) []string { return append(args, bus...) }
	front := startRun(t, with("api", "--listen", "127.0.0.1:0")...)
	if status, answer := request(t, "POST", front.url(t)+"/v1/select_destinations", question); status != http.StatusServiceUnavailable {
		t.Errorf("without a scheduler: %d %s, want 503", status, answer)
	}
	startRun(t, with("serve", "--host", "ctl-1")...)
	startRun(t, with("agent", "--host", "cmp-1", "--vcpus", "4")...)
	awaitHosts(t, front.url(t), "cmp-1")
	status, answer := request(t, "POST", front.url(t)+"/v1/select_destinations", question)
	if status != http.StatusOK || !strings.Contains(answer, `"service_host":"cmp-1"`) {
		t.Errorf("select: %d %s, want cmp-1", status, answer)
	}
	status, answer = request(t, "POST", front.url(t)+"/v1/select_destinations", strings.Replace(question, "2", "5", 1))
	if status != http.StatusConflict {
		t.Errorf("select of too much: %d %s, want 409", status, answer)
	}
	report := `{"compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000009", "cell_uuid": "cccccccc-0000-4000-8000-000000000001", "vcpus": 9, "memory_mb": 1, "disk_gb": 1}`
	if status, answer := request(t, "POST", front.url(t)+"/v1/hosts/cmp-9/report", report); status != http.StatusAccepted {
		t.Errorf("report: %d %s, want 202", status, answer)
	}
	awaitHosts(t, front.url(t), "cmp-1", "cmp-9")
	if status, answer := request(t, "GET", front.url(t)+"/healthz", ""); status != http.StatusOK {
		t.Errorf("health: %d %s, want 200", status, answer)
	}
}

// awaitHosts waits until the front tells of exactly these hosts.
func awaitHosts(t *testing.T, url string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, answer := request(t, "GET", url+"/v1/hosts", "")
		var list struct {
			Hosts []struct {
				Name string `json:"service_host"`
			}
		}
		var names []string
		if status == http.StatusOK && json.Unmarshal([]byte(answer), &list) == nil {
			for _, h := range list.Hosts {
				names = append(names, h.Name)
			}
		}
		if fmt.Sprint(names) == fmt.Sprint(want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("hosts = %d %s, want %v", status, answer, want)
		}
		<-ticker.C
	}
}

// The agent's next report is ten seconds away: what the second scheduler knows at once it knows from the first.
func TestASchedulerThatStartsLearnsWhatAnotherKnows(t *testing.T) {
	t.Parallel()
	bus := []string{"--transport-url", "memory://learning"}
	first := []string{"serve", "--host", "ctl-1"}
	startRun(t, append(first, bus...)...)
	front := startRun(t, append([]string{"api", "--listen", "127.0.0.1:0"}, bus...)...)
	report := `{"compute_node_uuid": "aaaaaaaa-0000-4000-8000-000000000009", "cell_uuid": "cccccccc-0000-4000-8000-000000000001", "vcpus": 9, "memory_mb": 1, "disk_gb": 1}`
	if status, answer := request(t, "POST", front.url(t)+"/v1/hosts/cmp-9/report", report); status != http.StatusAccepted {
		t.Fatalf("report: %d %s, want 202", status, answer)
	}
	awaitHosts(t, front.url(t), "cmp-9")
	startRun(t, append([]string{"serve", "--host", "ctl-2", "--hosts", "internal/nova/testdata/hosts.json"}, bus...)...)
	seen := make(map[string]bool)
	for range 20 { // the two answer in turn
		_, answer := request(t, "GET", front.url(t)+"/v1/hosts", "")
		if !strings.Contains(answer, `"service_host":"cmp-9"`) {
			t.Fatalf("hosts = %s, want cmp-9 from whomever answers", answer)
		}
		seen[answer] = true
	}
	if len(seen) != 2 {
		t.Errorf("%d schedulers have answered, want 2", len(seen))
	}
}

func TestAllRunsInOneProcessWithABusOfItsOwn(t *testing.T) {
	t.Parallel()
	all := startRun(t, "all", "--listen", "127.0.0.1:0", "--host", "box")
	awaitHosts(t, all.url(t), "box")
	if status, answer := request(t, "POST", all.url(t)+"/v1/select_destinations", question); status != http.StatusOK {
		t.Errorf("select: %d %s, want 200", status, answer)
	}
	if got := all.stdout.String(); got != "READY\n" {
		t.Errorf("standard output = %q, want READY once", got)
	}
}

func TestAReloadTakesTheFileOfThen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nova.conf")
	write := func(host string) {
		if err := os.WriteFile(file, []byte("[DEFAULT]\ntransport_url = memory://\nhost = "+host+"\n[scheduler_api]\nlisten = 127.0.0.1:0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	c := startChild(t, "main", "all", "--config-file", file)
	c.stdout.await(t, "READY\n")
	c.stderr.await(t, " server=api\n") // of the line with the address
	found := servingAt.FindStringSubmatch(c.stderr.String())
	if found == nil {
		t.Fatalf("the log tells no address:\n%s", c.stderr.String())
	}
	awaitHosts(t, "http://"+found[1], "before")
	write("after")
	c.signal(t, syscall.SIGHUP)
	awaitHosts(t, "http://"+found[1], "after", "before") // schedulers keep what they know
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)
	if got := c.stdout.String(); got != "READY\n" {
		t.Errorf("standard output = %q, want READY once", got)
	}
}

func TestAnExistingNovaConfWorksAsItIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../config/testdata/nova.conf")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "nova.conf")
	changed := strings.NewReplacer("log_dir = /var/log/nova", "log_dir = "+t.TempDir(), "kombu_ssl_ca_certs", "#").Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	// Everything counts but the bus, which is not there: workers = 4 is nova's own for its schedulers.
	status, stdout, stderr := command(t, nil, "serve", "--config-file", file, "--transport-url", "memory://", "--host", "h")
	const want = ": option workers: want 1: a bus of memory:// is in one process\n"
	if status != exitUsage || stdout != "" || !strings.HasSuffix(stderr, want) || !strings.Contains(stderr, file+":43") {
		t.Errorf("serve = %d, %q, %q, want 2 with %s", status, stdout, stderr, want)
	}
	for line := range strings.Lines(stderr) {
		if strings.Contains(line, "unknown option") {
			t.Errorf("a warning of what is not ours: %s", line)
		}
	}
}

func TestWrongConfigurationsAreRefusedInOneLine(t *testing.T) {
	t.Parallel()
	haveFront(t)
	wrong := filepath.Join(t.TempDir(), "a.conf")
	if err := os.WriteFile(wrong, []byte("[scheduler]\nworkers = none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	memory := "--transport-url=memory://"
	for _, c := range []struct {
		want string
		args []string
	}{
		{`config: read file: open no/such: no such file or directory`, []string{"serve", memory, "--config-file", "no/such"}},
		{wrong + `:2: option [scheduler] workers: want a whole number, got "none"`, []string{"serve", memory, "--config-file", wrong}},
		{`--workers: want at least 1`, []string{"serve", memory, "--workers", "0"}},
		{`--workers: want at least 1`, []string{"api", memory, "--workers", "-1"}},
		{`--workers: want a whole number`, []string{"api", memory, "--workers", "s3cret"}},
		{`--workers: want 1: a bus of memory:// is in one process`, []string{"serve", memory, "--workers", "2"}},
		{`--listen: listener "api" on nonsense: missing port in address`, []string{"api", memory, "--listen", "nonsense"}},
		{`--vcpus: want at least 0`, []string{"agent", memory, "--vcpus", "-1"}},
		{`--transport-url: missing`, []string{"agent", "--host", "a"}},
		{`--transport-url: missing`, []string{"api"}},
		{`--restart-method: want one of reload, mutate`, []string{"serve", memory, "--restart-method", "s3cret"}},
		{`--graceful-shutdown-timeout: want at least 0`, []string{"serve", memory, "--graceful-shutdown-timeout", "-1"}},
		{`want config sample, got 0 arguments`, []string{"config"}},
		{`want config sample, got 1 arguments`, []string{"config", "s3cret"}},
	} {
		status, stdout, stderr := command(t, nil, c.args...)
		if want := "scheduler: " + c.want + "\n"; status != exitUsage || stdout != "" || stderr != want {
			t.Errorf("%v = %d, %q, %q\nwant %q", c.args, status, stdout, stderr, want)
		}
	}
}

func TestTheSampleHasEveryOption(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := command(t, nil, "config", "sample")
	if status != 0 || stderr != "" {
		t.Fatalf("config sample = %d, %q", status, stderr)
	}
	for _, want := range []string{
		"#transport_url = rabbit://", "[scheduler]", "#workers = 1", "[scheduler_api]", "#listen = 127.0.0.1:8780", "[scheduler_agent]", "#vcpus = 8",
		"[oslo_messaging_rabbit]", "#graceful_shutdown_timeout = 60", "#report_interval = 10", "#log_file =", "#reload_strategy = rolling",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the sample lacks %q", want)
		}
	}
}

func TestUUIDsOfHostsAreThoseOfPython(t *testing.T) {
	t.Parallel()
	// uuid.uuid5(uuid.NAMESPACE_DNS, "python.org")
	if got, want := uuidOf("python.org"), "886313e1-3b8a-5372-9b90-0c9aee199e5d"; got != want {
		t.Errorf("uuidOf = %s, want %s", got, want)
	}
}
