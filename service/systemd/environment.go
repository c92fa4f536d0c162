package systemd

import (
	"os"
	"slices"
	"strings"
)

// foreign are the variables with which systemd talks to one process, the one it started.
var foreign = []string{socketVariable, "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"}

// watchdogPrefix begins WATCHDOG_USEC, WATCHDOG_PID and what may come.
const watchdogPrefix = "WATCHDOG_"

// Environment returns the environment of this process without what systemd meant for it alone. Workers are started
// with it: they do not say READY in the place of their parent, and do not take its sockets for theirs.
func Environment() []string { return Strip(os.Environ()) }

// Strip returns the entries of env, each NAME=value, without NOTIFY_SOCKET, LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS,
// LISTEN_FDNAMES and everything that begins with WATCHDOG_. It leaves env as it is.
func Strip(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(foreign, name) || strings.HasPrefix(name, watchdogPrefix)
	})
}
