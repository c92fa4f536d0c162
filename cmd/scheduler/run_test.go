package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/goslo/goslo/cmd/scheduler/internal/demo"
	"github.com/goslo/goslo/messaging"
)

// command runs one command line to its end.
func command(t *testing.T, signals chan os.Signal, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs transcript
	status = run(t.Context(), args, &out, &errs, signals)
	return status, out.String(), errs.String()
}

func TestWrongCommandLinesAreRefusedInOneLine(t *testing.T) {
	t.Parallel()
	empty := writeFile(t, "")
	notJSON := writeFile(t, "hosts: [cmp-a]\n")
	noUUID := writeFile(t, `[{"service_host": "cmp-a", "vcpus": 1, "memory_mb": 1, "disk_gb": 1}]`)
	serve := func(args ...string) []string {
		return append([]string{"serve", "--transport-url", "memory://"}, args...)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown command "conduct": want agent, all, api, config, demo, serve or version`, []string{"conduct"}},
		{`unknown command: want agent, all, api, config, demo, serve or version`, []string{"rabbit://guest:s3cret@host/"}},
		{`--conduct: unknown flag`, []string{"--conduct"}},
		{`want flags only, got 1 other arguments`, []string{"version", "s3cret"}},

		{`--transport-url: missing`, []string{"serve"}},
		{`--transport-url: missing`, []string{"serve", "--transport-url", ""}},
		{`--transport-url: needs a value`, []string{"serve", "--transport-url"}},
		{`--transport-url: invalid transport URL: the scheme is missing (want driver://...)`, []string{"serve", "--transport-url", "s3cret"}},
		{`--transport-url: invalid transport URL: unknown driver "zmq" (want rabbit or memory)`, []string{"serve", "--transport-url", "zmq://guest:s3cret@host/"}},
		{
			`--transport-url: invalid transport URL: host 1: the port is no number from 0 to 65535`,
			[]string{"serve", "--transport-url", "rabbit://guest:s3cret@host:http/"},
		},
		{
			`--transport-url: invalid transport URL: unknown option "heartbeat"`,
			[]string{"serve", "--transport-url", "rabbit://guest:s3cret@host/?heartbeat=1"},
		},
		{
			`--transport-url: invalid transport URL: a ? or # in the credentials must be encoded`,
			[]string{"serve", "--transport-url", "rabbit://guest:12?s3cret=s3cret@host/"},
		},
		{`--control-exchange: want a name, got an empty one`, serve("--control-exchange", "")},
		{`--topic: want a name, got an empty one`, serve("--topic", "")},
		{`--host: want a host's name or an IP address`, serve("--host=")},
		{`--host: want a host's name or an IP address`, serve("--host", "a b")},
		{`--hosts: hosts file: open no/such/file: no such file or directory`, serve("--hosts", "no/such/file")},
		{`--hosts: hosts file: read .: is a directory`, serve("--hosts", ".")},
		{`--hosts: hosts file ` + empty + `: empty`, serve("--hosts", empty)},
		{`--hosts: hosts file ` + notJSON + `: not JSON: invalid character 'h' looking for beginning of value`, serve("--hosts", notJSON)},
		{`--hosts: hosts file ` + noUUID + `: entry 1 ("cmp-a"): compute_node_uuid: missing`, serve("--hosts", noUUID)},
		{`--executor: unknown executor "fibers": want blocking, threading or pool`, serve("--executor", "fibers")},
		{`--executor-thread-pool-size: want at least 1`, serve("--executor-thread-pool-size", "-1")},
		{`--executor-thread-pool-size: want at most 32767`, serve("--executor-thread-pool-size=32768")},
		{`--executor-thread-pool-size: want a whole number`, serve("--executor-thread-pool-size", "s3cret")},
		{`--log-level: want error, warn, info, debug or trace`, serve("--log-level", "s3cret")},
		{`--no-such-flag: unknown flag`, serve("--no-such-flag=s3cret")},
		{`unknown flag`, serve("--S3cret")},
		{`unknown flag`, serve("--no\nsuch\nflag")},
		{`-t: unknown flag: all begin with two dashes`, serve("-transport-url", "s3cret")},
		{`a flag is malformed`, serve("--=s3cret")},
		{`want flags only, got 2 other arguments`, serve("rabbit://guest:s3cret@host/", "s3cret")},

		{`--workers: want 1 to 100, got 0`, []string{"demo", "--workers", "0"}},
		{`--workers: want 1 to 100, got 101`, []string{"demo", "--workers", "101"}},
		{`--hosts: want 1 to 1000, got -1`, []string{"demo", "--hosts", "-1"}},
		{`--hosts: want a whole number`, []string{"demo", "--hosts", "hosts.json"}},
		{`--calls: want 1 to 1000000, got 0`, []string{"demo", "--calls", "0"}},
		{`--concurrency: want 1 to 10000, got 0`, []string{"demo", "--concurrency", "0"}},
		{
			`--transport-url: invalid transport URL: unknown driver "zmq" (want rabbit or memory)`,
			[]string{"demo", "--transport-url", "zmq://guest:s3cret@host/"},
		},
		{
			`--transport-url: invalid transport URL: a ? or # in the credentials must be encoded`,
			[]string{"demo", "--transport-url", "rabbit://guest:12?s3cret@host/"},
		},
		{`want flags only, got 1 other arguments`, []string{"demo", "s3cret"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := command(t, nil, c.args...)
			if want := "scheduler: " + c.want + "\n"; stderr != want {
				t.Errorf("standard error = %q\nwant             %q", stderr, want)
			}
			if status != exitUsage || stdout != "" {
				t.Errorf("exit status = %d with standard output %q, want 2 with none", status, stdout)
			}
		})
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := t.TempDir() + "/hosts.json"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelpGoesToStandardOutputAndFitsTheScreen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"demo", "serve", "version"}},
		{[]string{"--help"}, []string{"demo", "serve", "version"}},
		{[]string{"help", "serve"}, []string{"SIGHUP", "status 1", "READY", "--executor-thread-pool-size", "default nova", "--config-file"}},
		{[]string{"serve", "--help"}, []string{"SIGHUP", "status 1", "READY"}},
		{[]string{"demo", "--help"}, []string{"130", "default 20000", "default 64"}},
	} {
		status, stdout, stderr := command(t, nil, c.args...)
		if status != 0 || stderr != "" {
			t.Errorf("%q: exit status = %d with standard error %q, want 0 with none", c.args, status, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%q: the help lacks %q:\n%s", c.args, want, stdout)
			}
		}
		for line := range strings.Lines(stdout) {
			if len(line) > 81 {
				t.Errorf("%q: a line of the help is wider than 80 columns: %s", c.args, line)
			}
		}
	}
}

// A bus in memory is of one process: here the test is a peer on it.
func TestServeListensWhereItsFlagsSay(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	var stdout, stderr transcript
	status := make(chan int, 1)
	go func() {
		args := []string{
			"serve", "--transport-url", "memory://flags", "--control-exchange", "nova-cell1", "--topic", "scheduler-1",
			"--host", "ctl-1", "--executor", "pool", "--executor-thread-pool-size", "2", "--log-level", "debug",
		}
		status <- run(context.Background(), args, &stdout, &stderr, signals)
	}()
	stdout.await(t, "READY\n")
	pingServer(t, "memory://flags", messaging.Target{Exchange: "nova-cell1", Topic: "scheduler-1", Server: "ctl-1"})
	signals <- syscall.SIGTERM
	if got := <-status; got != 0 || stdout.String() != "READY\n" {
		t.Errorf("exit status = %d with standard output %q, want 0 with READY; standard error:\n%s", got, stdout.String(), stderr.String())
	}
	if !strings.Contains(stderr.String(), "replied") {
		t.Errorf("the log shows no call at level debug:\n%s", stderr.String())
	}
}

func pingServer(t *testing.T, url string, to messaging.Target) {
	t.Helper()
	bus, err := messaging.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	to.Namespace, to.Version = "baseapi", "1.1"
	client, err := messaging.NewClient(bus, to, messaging.WithMandatory(), messaging.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Call(t.Context(), "ping", map[string]any{"arg": 1}, nil); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := bus.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// The control exchange has the name of the fanout exchange here, which is of another type.
func TestServeFailsWhereTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := command(t, nil,
		"serve", "--transport-url", "memory://clash", "--control-exchange", "scheduler_fanout", "--host", "h", "--log-level", "error")
	const want = "\nscheduler: rpcservice: start scheduler: listen: listen on target <exchange=scheduler_fanout, topic=scheduler, server=h>: "
	if status != 1 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 2 { // the log and the end
		t.Errorf("exit status = %d with %q and %q, want 1 with a line about the target", status, stdout, stderr)
	}
}

func TestServeEndsAsSignalsAsk(t *testing.T) {
	t.Parallel()
	for sig, end := range map[os.Signal]struct {
		status int
		logged []string
	}{
		syscall.SIGTERM: {0, []string{"the scheduler knows its first hosts hosts=4 transport_url=memory:///", "listening", "stopping", "stopped code=0"}},
		os.Interrupt:    {1, []string{"exiting at once"}},
		syscall.SIGQUIT: {1, []string{"exiting at once"}},
	} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			c := startChild(t, "main", "serve", "--transport-url", "memory://", "--hosts", "internal/nova/testdata/hosts.json")
			c.stdout.await(t, "READY\n")
			c.signal(t, sig)
			c.end(t, end.status)
			if got := c.stdout.String(); got != "READY\n" {
				t.Errorf("standard output = %q, want READY alone", got)
			}
			for _, want := range end.logged {
				if !strings.Contains(c.stderr.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, c.stderr.String())
				}
			}
		})
	}
}

// Nothing listens on port 1: the start goes on until the signal.
func TestServeWaitsForItsBroker(t *testing.T) {
	t.Parallel()
	c := startChild(t, "main", "serve", "--transport-url", "rabbit://guest:s3cret@127.0.0.1:1/")
	c.stderr.await(t, "cannot connect to the broker")
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)
	c.stderr.await(t, "stopped code=0")
	if strings.Contains(c.stderr.String(), "s3cret") || c.stdout.String() != "" {
		t.Errorf("standard output = %q, want nothing; want no password in the log:\n%s", c.stdout.String(), c.stderr.String())
	}
}

func TestASecondSignalEndsTheProcessAtOnce(t *testing.T) {
	t.Parallel()
	c := startChild(t, "stuck")
	c.stdout.await(t, "READY\n")
	c.signal(t, syscall.SIGTERM)
	c.stdout.await(t, "STOPPING\n")
	c.signal(t, os.Interrupt)
	c.end(t, 1)
	if got, want := c.stderr.String(), "stopped at once by a second signal\n"; got != want {
		t.Errorf("standard error = %q, want %q", got, want)
	}
}

func TestASecondSignalIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 2)
	signals <- os.Interrupt
	signals <- os.Interrupt
	release, released := make(chan struct{}), make(chan struct{})
	err := supervise(t.Context(), signals, func(context.Context) error {
		defer close(released)
		<-release
		return nil
	})
	close(release)
	<-released
	if !errors.Is(err, errSecondSignal) || exitStatus(err) != 1 {
		t.Errorf("supervise = %v with exit status %d, want one about the second signal and 1", err, exitStatus(err))
	}
}

func TestVersionNamesModuleAndGo(t *testing.T) {
	t.Parallel()
	for want, info := range map[string]*debug.BuildInfo{
		"scheduler v1.2.3 (go1.26.8)":  {GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"}},
		"scheduler (devel) (go1.26.8)": {GoVersion: "go1.26.8"},
		"scheduler (unknown)":          nil,
	} {
		if got := versionLine(info, info != nil); got != want {
			t.Errorf("version = %q, want %q", got, want)
		}
	}
	status, stdout, stderr := command(t, nil, "version")
	if status != 0 || stderr != "" || !strings.HasPrefix(stdout, "scheduler ") || !strings.Contains(stdout, "(go1.") {
		t.Errorf("version = %d, %q, %q", status, stdout, stderr)
	}
}

func TestDemoPrintsItsTable(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--workers", "2", "--hosts", "3", "--calls", "300", "--concurrency", "8"},
		{"--workers", "2", "--hosts", "3", "--calls", "300", "--concurrency", "8", "--transport-url", "memory://x"},
	} {
		status, stdout, stderr := command(t, nil, append([]string{"demo"}, args...)...)
		if status != 0 || stderr != "" {
			t.Fatalf("demo %q: exit status = %d with standard error %q, want 0 with none:\n%s", args, status, stderr, stdout)
		}
		rows := columns(stdout)
		for _, c := range []struct {
			names []string
			all   string
			at    int // column
		}{
			{[]string{"host-01", "host-02", "host-03"}, "300", 1},
			{[]string{"scheduler-1", "scheduler-2"}, "300", 2},
		} {
			sum := 0
			for _, name := range c.names {
				var n int
				if cells := rows[name]; len(cells) > c.at {
					_, _ = fmt.Sscan(cells[c.at], &n)
				}
				sum += n
			}
			if strconv.Itoa(sum) != c.all {
				t.Errorf("demo %q: %q have %d instances, want %s:\n%s", args, c.names, sum, c.all, stdout)
			}
		}
		for _, want := range []string{"placed     300 of 300 instances\n", "errors     0\n", " calls/s\n", "latency    p50 "} {
			if !strings.Contains(stdout, want) {
				t.Errorf("demo %q: the table lacks %q:\n%s", args, want, stdout)
			}
		}
		for line := range strings.Lines(stdout) {
			if len(line) > 81 {
				t.Errorf("demo %q: a line is wider than 80 columns: %s", args, line)
			}
		}
	}
}

// columns are the cells of each line of a table by the first of them.
func columns(text string) map[string][]string {
	rows := make(map[string][]string)
	for line := range strings.Lines(text) {
		if cells := strings.Fields(line); len(cells) > 0 {
			rows[cells[0]] = cells
		}
	}
	return rows
}

func TestDemoEndsAtASignal(t *testing.T) {
	t.Parallel()
	for sig, want := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		signals := make(chan os.Signal, 1)
		signals <- sig
		status, _, stderr := command(t, signals, "demo", "--calls", "1000000")
		if status != want || stderr != "scheduler: stopped by signal: "+sig.String()+"\n" {
			t.Errorf("%s: exit status = %d with standard error %q, want %d", sig, status, stderr, want)
		}
	}
}

func TestDemoSucceedsOnlyIfAllWasRight(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	interrupted, interrupt := context.WithCancelCause(t.Context())
	interrupt(&signalError{os.Interrupt})
	wrong := &demo.Result{Problems: make([]error, 3)}
	for _, c := range []struct {
		ctx    context.Context //nolint:containedctx // of one case
		result *demo.Result
		err    error
		text   string
		status int
	}{
		{t.Context(), &demo.Result{}, nil, "", 0},
		{t.Context(), wrong, nil, "3 errors", 1},
		{t.Context(), nil, errors.New("no bus"), "no bus", 1},
		{interrupted, &demo.Result{}, nil, "stopped by signal: interrupt", 130},
		{interrupted, nil, errors.New("no bus"), "stopped by signal: interrupt", 130},
		{ended, &demo.Result{}, nil, "context canceled", 1},
	} {
		err := verdict(c.ctx, c.result, c.err)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got := exitStatus(err); text != c.text || got != c.status {
			t.Errorf("verdict = %q with status %d, want %q with %d", text, got, c.text, c.status)
		}
	}
}
