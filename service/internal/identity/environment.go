package identity

import (
	"slices"
	"strings"
)

// ofServiceManager are the variables with which systemd speaks to one process, the one that it has started, and the prefix
// of those that are about its watchdog (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)).
var ofServiceManager = []string{"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"}

const ofWatchdog = "WATCHDOG_"

// IsServiceManagers tells whether systemd means the environment variable of that name for this process alone: workers must
// not have it, lest they answer in their parent's place.
func IsServiceManagers(name string) bool {
	return slices.Contains(ofServiceManager, name) || strings.HasPrefix(name, ofWatchdog)
}
