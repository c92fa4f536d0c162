package main

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Nobody listens on port 1, which a front need not know at its start.
const noBroker = "--transport-url=rabbit://guest:guest@127.0.0.1:1/"

func TestABusyPortIsOneLine(t *testing.T) {
	t.Parallel()
	haveFront(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for _, args := range [][]string{
		{"api", noBroker, "--listen", address},
		{"api", noBroker, "--listen", address, "--workers", "2"},
		{"all", "--listen", address},
	} {
		status, stdout, stderr := command(t, nil, args...)
		want := fmt.Sprintf("scheduler: --listen: listener %q on %s: bind: address already in use\n", "api", address)
		if status != exitUsage || stdout != "" || stderr != want {
			t.Errorf("%v = %d, %q, %q, want 2 with %q", args, status, stdout, stderr, want)
		}
	}
}

func TestAForeignIdentityIsOneLine(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"x":                           "is not that of a worker: invalid character 'x' looking for beginning of value",
		`{"version": 7}`:              "has version 7, want 1",
		`{"version":1,"pool":"api"}`:  "promises descriptor 3, which is not there",
		`{"version":1,"pool":"what"}`: "promises descriptor 3, which is not there",
	} {
		for _, command := range []string{"serve", "api", "agent", "all"} {
			c := startChildWith(t, []string{"GOSLO_WORKER=" + value}, "main", command, noBroker)
			c.end(t, exitUsage)
			if got, want := c.stderr.String(), "scheduler: environment variable GOSLO_WORKER "+want+"\n"; got != want || c.stdout.String() != "" {
				t.Errorf("%s with GOSLO_WORKER=%s: %q, %q, want %q", command, value, c.stdout.String(), got, want)
			}
		}
	}
}

// With few descriptors the front has a socket and no worker, or not even that. What is left of it would keep its output open,
// whose end is waited for.
func TestAProcessWithoutDescriptorsEndsWithOneLineAndLeavesNothing(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for descriptors := 8; descriptors <= 18; descriptors++ {
		script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, descriptors)
		c := newChild(t, exec.Command(shell, "-c", script, testBinary, "api", noBroker, "--workers", "4", "--listen", "127.0.0.1:0", "--log-level", "error"), "main")
		c.end(t, anyStatus)
		status := c.cmd.ProcessState.ExitCode()
		said := c.stderr.String()
		if status != exitFailed && status != exitUsage || strings.Count(said, "\n") != 1 || !strings.Contains(said, "too many open files") {
			t.Errorf("with %d descriptors: status %d, %q, want 1 or 2 with a line", descriptors, status, said)
		}
		for _, what := range []string{"--listen: listener ", "make the liveness pipe", "start a worker of pool api"} {
			seen[what] = seen[what] || strings.Contains(said, what)
		}
	}
	if !seen["start a worker of pool api"] {
		t.Errorf("of the places where descriptors may lack these were seen: %v", seen)
	}
}
