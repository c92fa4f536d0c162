package systemd

import (
	"os"
	"slices"
	"strings"

	"github.com/goslo/goslo/service/internal/identity"
)

// Environment returns the environment of this process without what systemd meant for it alone: for a program that it
// starts, which shall not say READY in its place nor take its sockets. Workers of package service get such a one.
func Environment() []string { return Strip(os.Environ()) }

// Strip returns the entries of env, each NAME=value, without NOTIFY_SOCKET, LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS,
// LISTEN_FDNAMES and everything that begins with WATCHDOG_. It leaves env as it is.
func Strip(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return identity.IsServiceManagers(name)
	})
}
