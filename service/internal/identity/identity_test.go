package identity

import "testing"

func TestWorkersHaveNoneOfTheServiceManagersVariables(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"NOTIFY_SOCKET": true, "LISTEN_PID": true, "LISTEN_PIDFDID": true, "LISTEN_FDS": true, "LISTEN_FDNAMES": true,
		"WATCHDOG_USEC": true, "WATCHDOG_PID": true, "WATCHDOG": false, "LISTEN": false, "PATH": false, "": false,
	} {
		if got := IsServiceManagers(name); got != want {
			t.Errorf("IsServiceManagers(%q) = %t, want %t", name, got, want)
		}
	}
}
