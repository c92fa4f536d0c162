package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the outside does to a daemon.

func TestInterruptDuringAGracefulStopEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			r := start(t, testProgram{Pools: onePool(workers), Timeout: time.Hour, Job: time.Hour, Stubborn: true})
			pids := r.expectPids(t, workers, started)
			r.signal(t, syscall.SIGTERM)
			r.expectPids(t, workers, "service stopping")
			r.signal(t, syscall.SIGINT)
			if code, _ := r.wait(t); code != 1 {
				t.Errorf("exit status %d, want 1", code)
			}
			gone(t, pids)
		})
	}
}

func TestTermWhileWorkersStartLeavesNobody(t *testing.T) {
	t.Parallel()
	for range 5 { // the workers are at another point each time
		r := start(t, testProgram{Pools: onePool(3), Timeout: time.Minute})
		r.expect(t, "worker started")
		r.signal(t, syscall.SIGTERM)
		if code, _ := r.wait(t); code != 0 {
			t.Errorf("exit status %d, want 0", code)
		}
		gone(t, r.pids())
	}
}

func TestHangupWhileWorkersStartReplacesThemAll(t *testing.T) {
	t.Parallel()
	for _, strategy := range []ReloadStrategy{AtOnce, Rolling} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Reload, Strategy: strategy})
			r.expect(t, "worker started")
			r.expect(t, "worker started")
			old := r.pids()
			r.signal(t, syscall.SIGHUP)
			r.expect(t, "SIGHUP received")
			gone(t, old)
			r.expect(t, `all workers are ready`)
			r.signal(t, syscall.SIGTERM)
			if code, _ := r.wait(t); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
		})
	}
}

// A package is upgraded by another file under the same name.
func TestReloadTakesTheProgramThatIsThereByThen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "program")
	install := func() {
		copyFile(t, self(t), path+".new")
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	install()
	p := testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Reload, Strategy: Rolling}
	r := startCommand(t, command(t, p, path))
	old := r.expectPids(t, 2, started)
	r.expect(t, `all workers are ready`)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGHUP)
	r.expect(t, `could not be started.*no such file`) // and the old ones stay
	if !anyAlive(old[:1]) || !anyAlive(old[1:]) {
		t.Error("a worker has ended that nobody replaces")
	}
	install()
	for _, pid := range r.expectPids(t, 2, started) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || exe != path {
			t.Errorf("a worker runs %q (%v), want %q as it is now", exe, err, path)
		}
	}
	gone(t, old)
	r.signal(t, syscall.SIGTERM)
	if code, _ := r.wait(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDaemonNeedsNeitherItsStreamsNorItsDirectory(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"streams closed":              `exec "$0" <&- >&- 2>&-`,
		"output closed by its reader": `exec "$0" > >(exec true) 2>&1`,
		"output on a full disk":       `exec "$0" >/dev/full 2>&1`,
		"directory removed":           `mkdir gone && cd gone && rmdir ../gone && exec "$0"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := testProgram{Pools: onePool(2), Timeout: time.Minute, Done: filepath.Join(dir, "worker-")}
			cmd := command(t, p, "bash", "-c", script, self(t))
			cmd.Dir = dir
			r := startCommand(t, cmd)
			pids := awaitWorkers(t, p.Done, 2)
			kill(t, pids[0], syscall.SIGKILL)
			pids = awaitWorkers(t, p.Done, 3)
			r.signal(t, syscall.SIGTERM)
			if code, _ := r.wait(t); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
			gone(t, pids)
		})
	}
}

// awaitWorkers waits until so many workers have left their files.
func awaitWorkers(t *testing.T, prefix string, n int) (pids []int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		files, err := filepath.Glob(prefix + "*")
		if err != nil {
			t.Fatal(err)
		}
		if len(files) >= n {
			for _, file := range files {
				pids = append(pids, atoi(t, strings.TrimPrefix(file, prefix)))
			}
			return pids
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%d workers have been there, want %d", len(files), n)
		}
	}
}
