package broker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestURLsDifferInTheSchemeAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, amqp, transport string }{
		{"rabbit://guest:guest@127.0.0.1:5672/", "amqp://guest:guest@127.0.0.1:5672/", "rabbit://guest:guest@127.0.0.1:5672/"},
		{"amqp://u:amqp@h/v", "amqp://u:amqp@h/v", "rabbit://u:amqp@h/v"},
	} {
		b := &Broker{kind: KindURL, url: AMQP(tt.in)}
		if b.AMQPURL() != tt.amqp || b.URL() != tt.transport {
			t.Errorf("%s: AMQPURL = %s, URL = %s, want %s, %s", tt.in, b.AMQPURL(), b.URL(), tt.amqp, tt.transport)
		}
	}
}

func TestBrokerOfSomebodyElseIsNotControlled(t *testing.T) {
	t.Parallel()
	b := &Broker{kind: KindURL, url: "amqp://h/"}
	if b.CanControl() {
		t.Error("CanControl = true")
	}
	_, ctl := b.Ctl(t.Context(), "status")
	_, vhost := b.NewVHost(t.Context())
	for what, err := range map[string]error{
		"Stop": b.Stop(t.Context()), "Kill": b.Kill(t.Context()), "StartAgain": b.StartAgain(t.Context()),
		"Pause": b.Pause(t.Context()), "Resume": b.Resume(t.Context()), "Ctl": ctl, "NewVHost": vhost,
		"Reconfigure": b.Reconfigure(t.Context()),
	} {
		if !errors.Is(err, ErrNoControl) {
			t.Errorf("%s = %v, want ErrNoControl", what, err)
		}
	}
	if u := b.VHost(t); u != b.URL() {
		t.Errorf("VHost = %s, want the broker's own URL", u)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}

func TestStartTellsWhyThereIsNoBroker(t *testing.T) {
	t.Run("no rung", func(t *testing.T) {
		t.Setenv("GOSLO_BROKER", KindURL)
		t.Setenv("RABBITMQ_URL", "")
		if _, err := Start(t.Context()); !errors.Is(err, ErrNone) {
			t.Errorf("Start = %v, want ErrNone", err)
		}
	})
	t.Run("no package", func(t *testing.T) {
		t.Setenv("GOSLO_BROKER", KindNative)
		t.Setenv("RABBITMQ_HOME", t.TempDir())
		t.Setenv("TMPDIR", t.TempDir())
		if _, err := Start(t.Context()); !errors.Is(err, ErrNone) {
			t.Errorf("Start = %v, want ErrNone", err)
		}
		if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
			t.Errorf("Start left %v behind", left)
		}
	})
	t.Run("unknown rung", func(t *testing.T) {
		t.Setenv("GOSLO_BROKER", "podman")
		if _, err := Start(t.Context()); err == nil || !strings.Contains(err.Error(), "podman") {
			t.Errorf("Start = %v, want it to name the value", err)
		}
	})
	t.Run("own broker wanted", func(t *testing.T) {
		t.Setenv("GOSLO_BROKER", "")
		t.Setenv("RABBITMQ_URL", "rabbit://127.0.0.1:1/")
		if _, err := Start(t.Context(), WithSettings("heartbeat = 1")); !errors.Is(err, ErrNoControl) {
			t.Errorf("Start = %v, want ErrNoControl", err)
		}
	})
	t.Run("password stays out", func(t *testing.T) {
		t.Setenv("GOSLO_BROKER", KindURL)
		t.Setenv("RABBITMQ_URL", "rabbit://me:s3cret%zz@127.0.0.1:1/")
		if _, err := Start(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Start = %v, want an error without the password", err)
		}
	})
}

func TestBrokenRungIsNotReportedAsAbsent(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	if err := tellWhy([]error{ErrNone, errAbsent}); !errors.Is(err, ErrNone) {
		t.Errorf("absent alone: %v, want ErrNone", err)
	}
	if err := tellWhy([]error{ErrNone, broken, errAbsent}); errors.Is(err, ErrNone) || !errors.Is(err, broken) {
		t.Errorf("one broken: %v, want only what broke", err)
	}
}

// Not parallel: a process that another test forks right now may hold the script open for writing.
func TestNativeNodeSpeaksToItsScript(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "node.sh")
	const text = `#!/bin/sh
echo "$@" >>"$2/said"
case $1 in
ctl) echo " answer " ;;
kill) echo "why not" >&2; exit 1 ;;
esac
`
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &Broker{kind: KindNative, node: &nativeNode{script: script, dir: dir}}
	for _, f := range []func(context.Context) error{b.Stop, b.Pause, b.Resume} {
		if err := f(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := b.Kill(t.Context()); err == nil || !strings.Contains(err.Error(), "why not") {
		t.Errorf("Kill = %v, want what the script said", err)
	}
	if out, err := b.Ctl(t.Context(), "list_queues", "name"); err != nil || out != "answer" {
		t.Errorf("Ctl = %q, %v, want the output without space around it", out, err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	want := strings.ReplaceAll("stop DIR\npause DIR\nresume DIR\nkill DIR\nctl DIR -q list_queues name\n", "DIR", dir)
	if err != nil || string(said) != want {
		t.Errorf("the script was told %q, want %q", said, want)
	}
}

func TestSweepTakesStaleNodesOnly(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, age := range map[string]time.Duration{"old": 2 * staleAfter, "new": staleAfter / 2} {
		settings := filepath.Join(os.TempDir(), nativePrefix+name, "extra.conf")
		if err := os.MkdirAll(filepath.Dir(settings), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(settings, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		made := time.Now().Add(-age)
		if err := os.Chtimes(settings, made, made); err != nil {
			t.Fatal(err)
		}
	}
	sweepNodes(t.Context(), "no-script-is-run-for-a-folder-without-a-node")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], "new") {
		t.Errorf("left = %v, %v, want the new one alone", left, err)
	}
}

// The shell that outlive starts must act when its pipe closes, and only then.
func TestOutliveRunsItsCommandUnlessReleased(t *testing.T) {
	t.Parallel()
	const child = "GOSLO_TEST_OUTLIVE"
	if file := os.Getenv(child); file != "" {
		release := outlive(nil, "touch", file)
		if strings.HasSuffix(file, "released") {
			release()
		}
		return // and end, which closes the pipe
	}
	for name, want := range map[string]bool{"left": true, "released": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), name)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
			cmd.Env = append(os.Environ(), child+"="+file)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := appears(file, want); got != want {
				t.Errorf("the command ran: %t, want %t", got, want)
			}
		})
	}
}

// appears waits for a file: long if it ought to come, a moment if not.
func appears(file string, expected bool) bool {
	patience := 300 * time.Millisecond
	if expected {
		patience = 30 * time.Second
	}
	end := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(file); err == nil {
			return true
		}
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
}
