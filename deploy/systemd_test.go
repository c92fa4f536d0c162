//go:build integration

package deploy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
)

// patience bounds every wait for something that must happen.
const patience = time.Minute

// machine is a container whose first process is systemd.
type machine struct {
	container string
	address   string // of the HTTP front
}

// boot starts a machine with the units and the program on it.
func boot(t *testing.T) *machine {
	t.Helper()
	image := os.Getenv("GOSLO_SYSTEMD_IMAGE")
	if image == "" {
		t.Skip("GOSLO_SYSTEMD_IMAGE names no image with systemd: make systemd builds one")
	}
	bus := broker.Shared(t).VHost(t)
	binary := filepath.Join(t.TempDir(), "scheduler")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/goslo/goslo/cmd/scheduler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// No --privileged, which an engine in a container may not grant.
	id := docker(t, "", "run", "--detach", "--rm", "--network", "host", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined",
		"--security-opt", "apparmor=unconfined", image)
	m := &machine{container: strings.TrimSpace(id), address: freeAddress(t)}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "exec", m.container, "journalctl", "--no-pager", "-n", "400").CombinedOutput()
			t.Logf("the journal:\n%s", out)
		}
		_ = exec.Command("docker", "rm", "--force", m.container).Run()
	})
	m.install(t, binary, bus)
	return m
}

func (m *machine) install(t *testing.T, binary, bus string) {
	t.Helper()
	m.await(t, "systemd runs", func() bool {
		state, _ := m.try("systemctl", "is-system-running")
		return strings.TrimSpace(state) == "running"
	})
	docker(t, "", "cp", binary, m.container+":/usr/bin/scheduler")
	units, err := filepath.Glob("*.[s]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		if strings.HasSuffix(unit, ".service") || strings.HasSuffix(unit, ".socket") {
			docker(t, "", "cp", unit, m.container+":/etc/systemd/system/"+unit)
		}
	}
	m.run(t, "systemd-sysusers", "--inline", "u nova - nova")
	m.configure(t, bus)
	m.dropIn(t, "scheduler-api.socket", "[Socket]\nListenStream=\nListenStream="+m.address)
}

// configure writes nova's file.
func (m *machine) configure(t *testing.T, bus string) {
	t.Helper()
	m.write(t, "/etc/nova/nova.conf", "[DEFAULT]\ntransport_url = "+bus+"\nhost = box\n")
}

func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	docker(t, text, "exec", "--interactive", m.container, "sh", "-c", `mkdir -p "$(dirname "$0")" && cat >"$0"`, path)
}

// dropIn adds to a unit, as systemctl edit does.
func (m *machine) dropIn(t *testing.T, unit, text string) {
	t.Helper()
	m.write(t, "/etc/systemd/system/"+unit+".d/test.conf", text+"\n")
	m.run(t, "systemctl", "daemon-reload")
}

func (m *machine) try(args ...string) (string, error) {
	out, err := exec.Command("docker", append([]string{"exec", m.container}, args...)...).CombinedOutput()
	return string(out), err
}

func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	return docker(t, "", append([]string{"exec", m.container}, args...)...)
}

func docker(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (m *machine) await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(patience)
	for !reached() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// show is a property of a unit.
func (m *machine) show(t *testing.T, unit, property string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "-p", property, unit))
}

// processes are those of a unit: the parent and its workers.
func (m *machine) processes(t *testing.T, unit string) (parent string, workers []string) {
	t.Helper()
	parent = m.show(t, unit, "MainPID")
	all, _ := m.try("cat", "/sys/fs/cgroup"+m.show(t, unit, "ControlGroup")+"/cgroup.procs")
	for pid := range strings.FieldsSeq(all) {
		if pid != parent {
			workers = append(workers, pid)
		}
	}
	return parent, workers
}

// wantActive wants a unit with so many workers.
func (m *machine) wantActive(t *testing.T, unit string, want int) (parent string, workers []string) {
	t.Helper()
	if state := m.show(t, unit, "ActiveState"); state != "active" {
		t.Errorf("%s is %s, want active", unit, state)
	}
	parent, workers = m.processes(t, unit)
	if len(workers) != want {
		t.Errorf("%s has workers %v, want %d", unit, workers, want)
	}
	return parent, workers
}

// version is systemd's.
func (m *machine) version(t *testing.T) int {
	t.Helper()
	words := strings.Fields(m.run(t, "systemctl", "--version")) // systemd 257 (257.13-1~deb13u1) ...
	n, err := strconv.Atoi(words[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (m *machine) journal(t *testing.T, unit string) string {
	t.Helper()
	m.run(t, "journalctl", "--sync")
	return m.run(t, "journalctl", "--no-pager", "-o", "cat", "-u", unit)
}

// get asks the front over a connection of its own.
func (m *machine) get(path string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	return ask(client, "http://"+m.address+path)
}

func ask(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s (%w)", resp.Status, text, err)
	}
	return nil
}

func TestUnitsDoWhatSystemdAsks(t *testing.T) {
	m := boot(t)
	const schedulers, agent, front, socket = "scheduler.service", "scheduler-agent.service", "scheduler-api.service", "scheduler-api.socket"

	t.Run("start returns when every worker is ready", func(t *testing.T) {
		m.run(t, "systemctl", "start", schedulers, agent, socket)
		log := m.journal(t, schedulers)
		if n := strings.Count(log, "worker ready"); n != 2 || !strings.Contains(log, "all workers are ready") {
			t.Errorf("%d workers were ready by then, want 2:\n%s", n, log)
		}
		if !strings.Contains(log, "[scheduler/1] ") {
			t.Error("the journal has no line of the second worker")
		}
		m.wantActive(t, schedulers, 2)
		m.wantActive(t, agent, 0)
	})
	t.Run("the first connection starts the front and is answered", func(t *testing.T) {
		if state := m.show(t, front, "ActiveState"); state != "inactive" {
			t.Errorf("before it the front is %s", state)
		}
		if err := m.get("/v1/hosts"); err != nil {
			t.Error(err)
		}
		m.await(t, "the front is active", func() bool { return m.show(t, front, "ActiveState") == "active" })
		m.wantActive(t, front, 2)
	})
	t.Run("reload replaces the workers and keeps the parent", func(t *testing.T) {
		parent, old := m.wantActive(t, schedulers, 2)
		m.run(t, "systemctl", "reload", schedulers)
		m.await(t, "other workers", func() bool {
			_, now := m.processes(t, schedulers)
			return len(now) == 2 && !slices.ContainsFunc(now, func(pid string) bool { return slices.Contains(old, pid) })
		})
		m.await(t, "the unit is active again", func() bool { return m.show(t, schedulers, "ActiveState") == "active" })
		if now, _ := m.processes(t, schedulers); now != parent {
			t.Errorf("main process %s, want %s as before", now, parent)
		}
	})
	t.Run("reload waits for its end where systemd is told to", func(t *testing.T) {
		if version := m.version(t); version < 253 {
			t.Skipf("systemd %d does not know notify-reload", version)
		}
		m.dropIn(t, schedulers, "[Service]\nType=notify-reload\nExecReload=")
		m.run(t, "systemctl", "restart", schedulers)
		_, old := m.wantActive(t, schedulers, 2)
		m.run(t, "systemctl", "reload", schedulers)
		_, now := m.wantActive(t, schedulers, 2)
		if slices.ContainsFunc(now, func(pid string) bool { return slices.Contains(old, pid) }) {
			t.Errorf("reload returned with workers %v of before %v", now, old)
		}
	})
	t.Run("reload of an invalid file returns and changes nothing", func(t *testing.T) {
		text := m.run(t, "cat", "/etc/nova/nova.conf")
		m.write(t, "/etc/nova/nova.conf", text+"graceful_shutdown_timeout = none\n")
		_, old := m.wantActive(t, schedulers, 2)
		m.run(t, "systemctl", "reload", schedulers)
		if _, now := m.wantActive(t, schedulers, 2); !slices.Equal(old, now) {
			t.Errorf("workers %v, want %v as before", now, old)
		}
		if log := m.journal(t, schedulers); !strings.Contains(log, "nova.conf:4: option [DEFAULT] graceful_shutdown_timeout") {
			t.Errorf("the journal does not tell what is wrong:\n%s", log)
		}
		m.write(t, "/etc/nova/nova.conf", text)
	})
	t.Run("a restart of the front loses no connection", func(t *testing.T) {
		var sent, failed atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range 6 {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: patience}
			clients.Go(func() {
				defer client.CloseIdleConnections()
				for ctx.Err() == nil {
					sent.Add(1)
					if err := ask(client, "http://"+m.address+"/v1/hosts"); err != nil {
						failed.Add(1)
						t.Log(err)
					}
				}
			})
		}
		for range 2 {
			m.run(t, "systemctl", "restart", front)
			before := sent.Load()
			m.await(t, "a hundred more requests", func() bool { return sent.Load() > before+100 })
		}
		m.run(t, "systemctl", "stop", front)
		after := sent.Load() // who connects now starts it
		m.await(t, "a hundred more requests", func() bool { return sent.Load() > after+100 })
		cancel()
		clients.Wait()
		t.Logf("sent %d, failed %d", sent.Load(), failed.Load())
		if failed.Load() > 0 {
			t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
		}
	})
	t.Run("a killed parent leaves nobody and is started again", func(t *testing.T) {
		_, old := m.wantActive(t, schedulers, 2)
		m.run(t, "systemctl", "kill", "--kill-whom=main", "--signal=KILL", schedulers)
		m.await(t, "the unit is active again", func() bool {
			return m.show(t, schedulers, "NRestarts") == "1" && m.show(t, schedulers, "ActiveState") == "active"
		})
		if _, now := m.wantActive(t, schedulers, 2); slices.ContainsFunc(now, func(pid string) bool { return slices.Contains(old, pid) }) {
			t.Errorf("workers %v, of which some are of before: %v", now, old)
		}
	})
	t.Run("a worker that hangs has the service restarted", func(t *testing.T) {
		m.dropIn(t, schedulers, "[Service]\nWatchdogSec=2\nRestartSec=100ms")
		m.run(t, "systemctl", "restart", schedulers)
		_, workers := m.wantActive(t, schedulers, 2)
		m.run(t, "kill", "-STOP", workers[0])
		m.await(t, "the unit was restarted", func() bool {
			return m.show(t, schedulers, "NRestarts") == "1" && m.show(t, schedulers, "ActiveState") == "active"
		})
		if log := m.journal(t, schedulers); !strings.Contains(log, "worker makes no progress") || !strings.Contains(log, "Watchdog timeout") {
			t.Errorf("the journal does not tell of it:\n%s", log)
		}
		if _, now := m.wantActive(t, schedulers, 2); slices.Contains(now, workers[0]) {
			t.Errorf("the process that hangs is left")
		}
	})
	t.Run("all services in one unit", func(t *testing.T) {
		m.run(t, "systemctl", "stop", front, socket)
		m.run(t, "systemd-run", "--unit=all", "--service-type=notify", "--uid=nova", "--property=WatchdogSec=2", "--property=KillMode=mixed",
			"/usr/bin/scheduler", "all", "--config-file", "/etc/nova/nova.conf", "--listen", m.address)
		if err := m.get("/v1/hosts"); err != nil {
			t.Error(err)
		}
		m.wantActive(t, "all.service", 3)
	})
	t.Run("stop ends everything in good order", func(t *testing.T) {
		for _, unit := range []string{schedulers, agent, "all.service"} {
			began := time.Now()
			m.run(t, "systemctl", "stop", unit)
			took := time.Since(began).Round(time.Millisecond)
			if result := m.show(t, unit, "Result"); result != "success" {
				t.Errorf("%s ended with %q, want success", unit, result)
			}
			t.Logf("%s stopped within %s", unit, took)
		}
		left, _ := m.try("pgrep", "-c", "scheduler")
		if n, _ := strconv.Atoi(strings.TrimSpace(left)); n != 0 {
			t.Errorf("%d processes are left", n)
		}
	})
}
