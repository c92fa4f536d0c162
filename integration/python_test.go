//go:build integration

package integration_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// python is an interpreter that has oslo.messaging: a program of this machine, or of an image or of a root file
// system that scripts/oslo-image.sh made.
type python struct {
	version string // of oslo.messaging, major and minor
	program string
	image   string // of a container, or
	root    string // a folder
	missing string // why there is none
	skip    bool   // the machine cannot have it, which is no failure
}

// releases are those that the tests must have seen, with the releases of Debian that have them.
var releases = []struct{ version, suite string }{{"14.0", "bookworm"}, {"16.1", "trixie"}}

// installLine gets the Python library where the tests' interpreter looks for it.
const installLine = "sudo apt-get install -y --no-install-recommends python3-oslo.messaging"

// pythons are the interpreter of this machine, which is GOSLO_PYTHON or else /usr/bin/python3 (not the first one
// of PATH: that one seldom has Debian's packages), and one for each release that it does not have.
var pythons = sync.OnceValue(func() []*python {
	var list []*python
	host := &python{program: cmp.Or(os.Getenv("GOSLO_PYTHON"), "/usr/bin/python3")}
	problem := host.ask()
	if problem == nil {
		list = append(list, host)
	}
	for _, r := range releases {
		if r.version != host.version {
			list = append(list, fromDebian(r.version, r.suite, problem))
		}
	}
	return list
})

// fromDebian is the release of a suite, as scripts/test-env.sh left word of it; problem is why this machine's own
// interpreter is no help.
func fromDebian(version, suite string, problem error) *python {
	variable := "GOSLO_OSLO_" + strings.ToUpper(suite)
	p := &python{version: version, program: "/usr/bin/python3", image: os.Getenv(variable)}
	if filepath.IsAbs(p.image) {
		p.root, p.image = p.image, ""
	}
	switch reason := os.Getenv(variable + "_MISSING"); {
	case p.image != "" || p.root != "":
		if err := p.ask(); err != nil {
			p.missing = fmt.Sprintf("%s: %v", variable, err)
		} else if p.version != version {
			p.missing = fmt.Sprintf("%s has oslo.messaging %s, want %s", variable, p.version, version)
		}
	case reason != "":
		p.missing, p.skip = reason, true
	default:
		p.missing = fmt.Sprintf("no oslo.messaging %s: %s is not set (scripts/test-env.sh sets it, scripts/oslo-image.sh %s "+
			"gives its value)", version, variable, suite)
		if problem != nil {
			p.missing += fmt.Sprintf("; %v; to install it: %s", problem, installLine)
		}
		p.skip = os.Getenv("GOSLO_REQUIRE_BROKER") != "1"
	}
	return p
}

// ask gets the version from the library itself.
func (p *python) ask() error {
	const script = `import importlib.metadata, oslo_messaging; print(importlib.metadata.version("oslo.messaging"))`
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	run, err := p.start(ctx, "-c", script)
	if err != nil {
		return err
	}
	defer run.end()
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		return fmt.Errorf("%s has no oslo.messaging: %w\n%s", p.program, err, &stderr)
	}
	version := strings.SplitN(strings.TrimSpace(string(out)), ".", 3)
	if len(version) < 2 {
		return fmt.Errorf("%s has an oslo.messaging of version %q", p.program, out)
	}
	p.version = version[0] + "." + version[1]
	return nil
}

// run is an interpreter that is about to run, in the folder testdata or a copy of it.
type run struct {
	*exec.Cmd
	container string // its name
	scratch   string // the copy
}

// start makes the command; the end of ctx kills it. The caller must call end in any case.
func (p *python) start(ctx context.Context, args ...string) (*run, error) {
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		return nil, err
	}
	if p.image != "" {
		r := &run{container: unique("peer")}
		// What runs in it ends with its input, and so with this process, however that ends.
		r.Cmd = exec.CommandContext(ctx, "docker", append([]string{
			"run", "--rm", "--interactive", "--pull", "never", "--log-driver", "none", "--name", r.container,
			"--network", "host", "--volume", testdata + ":/testdata:ro", "--workdir", "/testdata",
			"--env", "PYTHONDONTWRITEBYTECODE=1", p.image, p.program,
		}, args...)...)
		return r, nil
	}
	r := &run{Cmd: exec.CommandContext(ctx, p.program, args...)}
	r.Dir = testdata
	r.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if p.root != "" {
		if r.scratch, err = os.MkdirTemp(filepath.Join(p.root, "tmp"), "goslo-it-"); err != nil {
			return nil, err
		}
		if err := os.CopyFS(r.scratch, os.DirFS(testdata)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(r.scratch))
		}
		r.Dir = strings.TrimPrefix(r.scratch, p.root)
		r.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	}
	return r, nil
}

// kill ends what runs at once, as a crash would.
func (r *run) kill() error {
	if r.container == "" {
		return r.Process.Kill()
	}
	return exec.Command("docker", "kill", r.container).Run() //nolint:noctx // it is quick, and runs when contexts have ended
}

// end removes what is left.
func (r *run) end() {
	if r.container != "" {
		_ = exec.Command("docker", "rm", "--force", r.container).Run() //nolint:noctx // as above; gone already as a rule
	}
	if r.scratch != "" {
		_ = os.RemoveAll(r.scratch)
	}
}

// require skips the test for want of the interpreter, or fails it where there ought to be one.
func (p *python) require(tb testing.TB) {
	tb.Helper()
	switch {
	case p.missing == "":
	case p.skip:
		tb.Skip(p.missing)
	default:
		tb.Fatal(p.missing)
	}
}

// withEachPython runs a test once for each interpreter, at the same time, as subtests that are named for the
// version of oslo.messaging.
func withEachPython(t *testing.T, test func(t *testing.T, py *python)) {
	t.Helper()
	withPythons(t, pythons(), test)
}

// withPythons is withEachPython for some of them.
func withPythons(t *testing.T, pythons []*python, test func(t *testing.T, py *python)) {
	t.Helper()
	for _, py := range pythons {
		t.Run(py.version, func(t *testing.T) {
			t.Parallel()
			py.require(t)
			test(t, py)
		})
	}
}

// together runs subtests at the same time, so that they share the half second that a call takes in newer releases:
// more than Parallel allows, which counts processors, and no more than twelve, which only make each other wait.
func together[T any](t *testing.T, cases []T, name func(T) string, test func(t *testing.T, c T)) {
	t.Helper()
	var running sync.WaitGroup
	places := make(chan struct{}, 12)
	for _, c := range cases {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			t.Run(name(c), func(t *testing.T) { test(t, c) })
		})
	}
	running.Wait()
}
